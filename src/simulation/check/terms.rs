//! The terms of the sale: places are held, and had once more by who pays too late, while it is open.

use std::collections::BTreeMap;

use super::{Evidence, Findings};
use crate::domain::{Record, RecordKey, Reservation, ReservationId, ReservationState, Timestamp};
use crate::simulation::invariant::Invariant;

pub(super) fn check(evidence: &Evidence, findings: &mut Findings) {
    let mut reservations: BTreeMap<ReservationId, &Reservation> = BTreeMap::new();
    for change in &evidence.log.changes {
        let (RecordKey::Reservation(id), Record::Reservation(after)) = (&change.key, &change.record) else { continue };
        let taken_at = match reservations.insert(*id, after) {
            None => after.held_at,
            // Where the store's clock steps, decisions of one commit may be of several moments.
            Some(before) if evidence.store_time.are_true() && is_had_again(before, after, change.decided_at) => {
                change.decided_at
            }
            Some(_) => continue,
        };
        findings.check(evidence.window.contains(taken_at), Invariant::InWindow, || {
            format!("row {}: {after:?} was taken at {taken_at}, and on sale is {:?}", change.sequence, evidence.window)
        });
    }
}

/// Whether its hold had expired when it was paid for.
fn is_had_again(before: &Reservation, after: &Reservation, at: Timestamp) -> bool {
    let had_expired = match before.state {
        ReservationState::Held { until } => until <= at,
        ReservationState::Expired => true,
        _ => false,
    };
    had_expired && after.state == ReservationState::Booked
}
