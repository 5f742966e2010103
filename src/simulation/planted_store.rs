//! The store's share of the planted bugs.

use super::store_client::StoreClient;
use super::store_server::{at_once, forget_versions};
use crate::adapters::memory::MemoryRepository;
use crate::domain::{EventId, Lapsed, LapsedOf, OperationId, Record, RecordKey, Snapshot, Versioned};
use crate::planted::{Bug, is};
use crate::ports::{
    ChangesError, Clock, Group, GroupOutcome, LoadRequest, Repository, Sequence, StoreError, StoreErrorKind,
};
use futures_util::FutureExt;
use std::time::Duration;

/// What becomes of groups that are to be written.
pub(super) fn groups(tables: &MemoryRepository, event: &EventId, groups: &[Group]) -> Vec<Group> {
    let mut groups = groups.to_vec();
    if is(Bug::BatchInPart) && groups.len() > 1 {
        groups.pop();
    }
    for group in &mut groups {
        let operation = operation(group);
        let is_unlucky = operation.is_some_and(|id| id.as_uuid().as_bytes()[15] % 4 == 0);
        if is(Bug::ReadsNotGuarded) {
            group.reads.clear();
        }
        if is(Bug::AllowanceForgotten) {
            group.writes.retain(|write| !matches!(write.key, RecordKey::Allowance(_)));
            group.reads.retain(|(key, _)| !matches!(key, RecordKey::Allowance(_)));
        }
        if is(Bug::OperationApart) && is_unlucky {
            group.writes.retain(|write| !matches!(write.key, RecordKey::Operation(_)));
        }
        if is(Bug::GroupInPart) && is_unlucky {
            let last =
                group.writes.iter().rposition(|write| matches!(write.record, Record::Ticket(_)) && write.version > 0);
            if let Some(last) = last {
                group.writes.remove(last);
            }
        }
        let unchecked = is(Bug::NoVersionCheck) || is(Bug::CheckThenWrite);
        if unchecked || is(Bug::SweeperWithoutOwner) && operation.is_none() {
            forget_versions(tables, event, group);
        }
    }
    groups
}

fn operation(group: &Group) -> Option<OperationId> {
    group.writes.iter().find_map(|write| if let RecordKey::Operation(id) = write.key { Some(id) } else { None })
}

/// What a process makes of a commit.
pub(super) async fn commit(
    client: &StoreClient,
    event: &EventId,
    groups: &[Group],
) -> Option<Result<Vec<GroupOutcome>, StoreError>> {
    let all_done = || Ok(vec![GroupOutcome::Committed; groups.len()]);
    if is(Bug::AnswerBeforeCommit) {
        let (later, event, groups) = (client.clone(), event.clone(), groups.to_vec());
        let sends = async move { drop(later.send_commit(&event, &groups).await) };
        client.server.executor.spawn(client.server.process, 0, Box::pin(sends));
        return Some(all_done());
    }
    if is(Bug::CheckThenWrite) && !are_fresh(client, event, groups).await {
        let stale = vec![RecordKey::Event];
        return Some(Ok(vec![GroupOutcome::Conflict { stale }; groups.len()]));
    }
    let mut outcomes = client.send_commit(event, groups).await;
    if is(Bug::BatchInPart) || is(Bug::ConflictIsCommitted) {
        outcomes = outcomes.and_then(|_| all_done());
    }
    let is_unknown = outcomes.as_ref().is_err_and(|error| error.kind() == StoreErrorKind::Unknown);
    if is(Bug::UnknownIsDone) && is_unknown {
        outcomes = all_done();
    }
    if is(Bug::UnknownIsFailed) && is_unknown {
        // Which is not asked again either.
        outcomes = Err(StoreError::permanent("no answer"));
    }
    Some(outcomes)
}

async fn are_fresh(client: &StoreClient, event: &EventId, groups: &[Group]) -> bool {
    let keys = groups.iter().flat_map(|group| {
        let writes = group.writes.iter().map(|write| (write.key.clone(), write.version));
        writes.chain(group.reads.iter().cloned())
    });
    let keys: Vec<(RecordKey, u64)> = keys.collect();
    let records = keys.iter().map(|(key, _)| key.clone()).collect();
    let request = LoadRequest { event: event.clone(), records, free_in: Vec::new() };
    let there = client.read(move |tables| at_once(tables.load(&request))).await;
    there.is_ok_and(|there| keys.iter().all(|(key, version)| there.get(key).is_some_and(|it| it.version == *version)))
}

/// What a process makes of what it has read.
pub(super) fn snapshot(mut snapshot: Snapshot, client: &StoreClient, records: &[RecordKey]) -> Snapshot {
    if is(Bug::ProcessClockDecides) {
        snapshot.set_clock(client.clock.unix_time());
    }
    if is(Bug::ReservationOverlooked) {
        let is_read = |key: &RecordKey| snapshot.get(key).is_some();
        let unlucky = asked(records).filter(|key| is_read(key));
        for key in unlucky.collect::<Vec<_>>() {
            snapshot.insert(key, Versioned::ABSENT);
        }
    }
    if is(Bug::LapsedForgotten) {
        for pool in (0..8).map(super::hall::pool) {
            let of = LapsedOf::Pool(pool);
            if snapshot.lapsed(&of).is_some() {
                snapshot.insert_lapsed(of, Lapsed { reservations: Vec::new(), more: false });
            }
        }
    }
    snapshot
}

/// The reservations that a load asks for, of which it brings every fourth as if it were not there.
fn asked(records: &[RecordKey]) -> impl Iterator<Item = RecordKey> + '_ {
    let is_unlucky =
        |key: &&RecordKey| matches!(key, RecordKey::Reservation(id) if id.as_uuid().as_bytes()[15] % 4 == 0);
    records.iter().filter(is_unlucky).cloned()
}

/// How long a process waits for its answer.
pub(super) fn patience(gives_up: Duration) -> Duration {
    if is(Bug::NoCallTimeout) { Duration::MAX } else { gives_up }
}

/// From where a reader of the change feed goes on.
pub(super) fn position(tables: &MemoryRepository, event: &EventId, after: Sequence) -> Sequence {
    match tables.changes(event, after, 0).now_or_never() {
        Some(Err(ChangesError::Truncated { purged_through })) if is(Bug::GapUntold) => purged_through,
        _ => after,
    }
}

pub(super) fn retention(retention: Duration) -> Duration {
    if is(Bug::OperationsForgotten) { Duration::ZERO } else { retention }
}
