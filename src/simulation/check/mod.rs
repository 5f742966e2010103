//! Looks at what is left of a world, and at everything that was answered in it.
//!
//! The change feed has every state of every record, in the order of the commits, and the store tells where each commit ended and
//! when. That is the order in which everything happened, so nothing has to be searched for: each answer has its commit, and that
//! lies between the question and the answer or it does not.

mod answers;
mod deeds;
mod feed;
mod windows;

use std::collections::BTreeMap;
use std::time::Duration;

use super::history::Call;
use super::invariant::{Invariant, Violation};
use crate::domain::{
    LatePayment, OperationId, OperationRecord, Pool, PoolId, Reservation, ReservationId, Ticket, TicketId, Timestamp,
};
use crate::ports::{Change, Sequence};

/// Everything that is known at the end.
#[derive(Debug)]
pub(super) struct Evidence {
    pub(super) calls: Vec<Call>,
    pub(super) changes: Vec<Change>,
    /// Where the feed stood after each commit, and when that was.
    pub(super) commits: Vec<(Sequence, Duration)>,
    pub(super) tickets: BTreeMap<TicketId, (u64, Ticket)>,
    pub(super) pools: BTreeMap<PoolId, (u64, Pool)>,
    pub(super) reservations: BTreeMap<ReservationId, (u64, Reservation)>,
    /// With when each was decided.
    pub(super) operations: BTreeMap<OperationId, (Timestamp, OperationRecord)>,
    pub(super) hold_ttl: Duration,
    pub(super) limit_per_customer: Option<u32>,
    pub(super) late_payment: LatePayment,
    /// The store's clock never jumped.
    pub(super) store_clock_is_true: bool,
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Findings(pub(super) Vec<Violation>);

/// More of one kind say no more.
const FINDINGS_MAX: usize = 3;

impl Findings {
    pub(super) fn add(&mut self, invariant: Invariant, what: impl FnOnce() -> String) {
        if self.0.iter().filter(|violation| violation.invariant == invariant).count() < FINDINGS_MAX {
            self.0.push(Violation { invariant, what: what() });
        }
    }

    fn check(&mut self, holds: bool, invariant: Invariant, what: impl FnOnce() -> String) {
        if !holds {
            self.add(invariant, what);
        }
    }
}

pub(super) fn check(evidence: &Evidence, findings: &mut Findings) {
    feed::check(evidence, findings);
    answers::check(evidence, findings);
    deeds::check(evidence, findings);
    windows::check(evidence, findings);
}
