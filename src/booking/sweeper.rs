use std::collections::BTreeMap;

use super::core::Core;
use super::decisions::{Decision, written};
use super::grouping::group;
use crate::domain::{EventId, RecordKey, ReservationId, View, expire};
use crate::ports::{Group, GroupOutcome, LoadRequest, Observation, Purged, StoreError};

/// Most loads for one event: the reservations, then what they name.
const LOADS_MAX: usize = 4;

/// What one step of tidying up did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Swept {
    /// How many expired holds were settled.
    pub expired: usize,
    /// What was purged.
    pub purged: Purged,
}

pub(super) async fn sweep(core: &Core, limit: usize) -> Result<Swept, StoreError> {
    let mut by_event: BTreeMap<EventId, Vec<ReservationId>> = BTreeMap::new();
    for (event, reservation) in core.repository.lapsed(limit).await? {
        by_event.entry(event).or_default().push(reservation);
    }
    // One event that cannot be settled keeps neither the others nor the purge from their turn.
    let mut first_error = None;
    let mut expired = 0;
    for (event, reservations) in by_event {
        match settle(core, event, &reservations).await {
            Ok(settled) => expired += settled,
            Err(error) => first_error = first_error.or(Some(error)),
        }
    }
    let purged = core.repository.purge(core.policies.retention, limit).await?;
    core.observe(&Observation::Swept { expired, operations: purged.operations, changes: purged.changes });
    first_error.map_or(Ok(Swept { expired, purged }), Err)
}

/// Expires holds of one event, each as far as nobody else changes its records meanwhile. Answers how many were.
async fn settle(core: &Core, event: EventId, reservations: &[ReservationId]) -> Result<usize, StoreError> {
    let mut records: Vec<RecordKey> = reservations.iter().copied().map(RecordKey::Reservation).collect();
    records.push(RecordKey::Event);
    for _ in 0..LOADS_MAX {
        let request = LoadRequest { event: event.clone(), records: records.clone(), free_in: Vec::new() };
        let mut snapshot = core.repository.load(&request).await?;
        let mut decisions = Vec::new();
        let mut missing = Vec::new();
        for reservation in reservations {
            let mut view = View::new(&snapshot);
            let changes = expire(&mut view, &[*reservation]);
            missing.extend(view.missing().iter().cloned());
            if changes.writes.is_empty() {
                continue;
            }
            let touched = view.into_touched();
            let written = written(&changes);
            snapshot.apply(&changes);
            decisions.push(Decision { request: None, touched, written });
        }
        if !missing.is_empty() {
            missing.sort_unstable();
            missing.dedup();
            missing.retain(|key| !records.contains(key));
            records.extend(missing);
            continue;
        }
        let groups = group(&decisions, &snapshot);
        let sizes: Vec<usize> = groups.iter().map(|group| group.members.len()).collect();
        let groups: Vec<Group> = groups.into_iter().map(|group| group.group).collect();
        if groups.is_empty() {
            return Ok(0);
        }
        let outcomes = core.repository.commit(&event, &groups).await?;
        let committed = outcomes.iter().zip(sizes).filter(|(outcome, _)| **outcome == GroupOutcome::Committed);
        return Ok(committed.map(|(_, size)| size).sum());
    }
    Err(StoreError::permanent("the repository does not return the records it is asked for"))
}
