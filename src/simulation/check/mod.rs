//! Looks at what is left of a world, and at everything that was answered in it.
//!
//! The change feed has every state of every record, in the order of the commits, and the store tells where each commit ended and
//! when. That is the order in which everything happened, so nothing has to be searched for: each answer has its commit, and that
//! lies between the question and the answer or it does not.

mod ages;
mod answers;
mod courses;
mod deeds;
mod feed;
mod grounds;
#[cfg(test)]
mod second_opinion;
mod terms;
mod windows;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::clock::TimesTold;
use super::history::Call;
use super::invariant::{Invariant, Violation};
use super::store_log::StoreLog;
use crate::domain::{
    LatePayment, OperationId, OperationRecord, Pool, PoolId, Reservation, ReservationId, SalesWindow, Ticket, TicketId,
    Timestamp,
};
use crate::ports::{Change, Sequence};

/// Everything that is known at the end.
#[derive(Debug)]
pub(super) struct Evidence {
    pub(super) calls: Vec<Call>,
    /// Those whose operation id was used for something else before.
    pub(super) reused: Vec<Call>,
    /// What the store has ever written.
    pub(super) log: StoreLog,
    /// Up to where the change feed is purged, and what is left of it.
    pub(super) changes_left: (Sequence, Vec<Change>),
    pub(super) operations_left: BTreeSet<OperationId>,
    pub(super) tickets: BTreeMap<TicketId, (u64, Ticket)>,
    pub(super) pools: BTreeMap<PoolId, (u64, Pool)>,
    pub(super) reservations: BTreeMap<ReservationId, (u64, Reservation)>,
    /// All that were ever written, with when each was decided.
    pub(super) operations: BTreeMap<OperationId, (Timestamp, OperationRecord)>,
    /// When places may be held.
    pub(super) window: SalesWindow,
    pub(super) hold_ttl: Duration,
    pub(super) limit_per_customer: Option<u32>,
    pub(super) late_payment: LatePayment,
    /// What the store's clock has told.
    pub(super) store_time: TimesTold,
    pub(super) retention: Duration,
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
    ages::check(evidence, findings);
    deeds::check(evidence, findings);
    windows::check(evidence, findings);
    terms::check(evidence, findings);
}
