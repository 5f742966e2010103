//! Commits that arrive when the operation that they write may have been done, or refused for good, and purged since.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::retention::{HOUR, purge_all, purge_beside_others};
use super::shifts::{created, hold};
use crate::conformance::bench::{
    RepositoryBench, commit, commit_all, ensure_committed, ensure_conflict, event_id, lines, operation,
    operation_made_at, pool, pool_key, reservation, side_by_side,
};
use crate::conformance::check::{Checked, Failure, ensure, ensure_eq};
use crate::domain::{EventId, OperationId, RecordKey, ReservationState, Versioned};
use crate::ports::{BoxFuture, Group, GroupOutcome, Repository, RuntimeExt};

/// Of an operation that is recorded, or was refused for good, and will be purged.
async fn old_id(bench: &RepositoryBench) -> Result<OperationId, Failure> {
    Ok(operation_made_at(&*bench.runtime, bench.clock().await?.before(2 * HOUR)))
}

async fn record(bench: &RepositoryBench, event: &EventId, id: OperationId) -> Checked {
    bench.put(event, vec![(RecordKey::Operation(id), operation(event, None))]).await
}

/// As decided when nothing was recorded under its id yet: one more place of the pool is booked.
async fn booking(bench: &RepositoryBench, event: &EventId, id: OperationId) -> Result<Group, Failure> {
    let tx = bench.begin(event, &[RecordKey::Event, pool_key("floor")]).await?;
    Ok(tx
        .read(RecordKey::Event)
        .write(pool_key("floor"), pool(10, 0, 1))
        .write(RecordKey::Operation(id), operation(event, None))
        .group())
}

/// One more place of the pool is held, where others may have counted in it since.
async fn counting(bench: &RepositoryBench, event: &EventId, id: OperationId) -> Result<Group, Failure> {
    hold(&*bench.repository, &*bench.runtime, event, id, 1).await
}

pub(super) async fn a_commit_that_comes_after_the_purge_is_a_conflict(bench: &RepositoryBench) -> Checked {
    let event = event_id("concert");
    bench.stage(&event, 0, &[("floor", 10)], None).await?;
    let id = old_id(bench).await?;
    let done = RecordKey::Operation(id);
    let late = [booking(bench, &event, id).await?, counting(bench, &event, id).await?];
    record(bench, &event, id).await?;
    let floor = bench.get(&event, &pool_key("floor")).await?;
    let rows = bench.changes(&event).await?.len();
    for group in &late {
        ensure_conflict(&bench.commit(&event, group.clone()).await?, std::slice::from_ref(&done), "before the purge")?;
    }
    ensure_eq!(purge_all(bench, HOUR, 1_000).await?.operations, 1, "the operations that are purged");
    for handle in [Arc::clone(&bench.repository), bench.open().await?] {
        for group in &late {
            let outcome = commit(&*handle, &event, group.clone()).await?;
            ensure_conflict(&outcome, std::slice::from_ref(&done), "after the purge")?;
        }
    }
    ensure_eq!(bench.get(&event, &pool_key("floor")).await?, floor, "the pool");
    ensure_eq!(bench.changes(&event).await?.len(), rows, "the rows of the feed");
    for key in late.iter().flat_map(created) {
        ensure_eq!(bench.get(&event, &key).await?, Versioned::ABSENT, "{key:?}");
    }
    Ok(())
}

/// Also where an id is older still, and where it is of another event: ids are of all events.
pub(super) async fn only_the_group_that_comes_too_late_conflicts(bench: &RepositoryBench) -> Checked {
    let (event, other) = (event_id("concert"), event_id("opera"));
    bench.stage(&event, 0, &[("floor", 10), ("balcony", 10)], None).await?;
    bench.stage(&other, 0, &[("floor", 10)], None).await?;
    record(bench, &other, old_id(bench).await?).await?;
    ensure_eq!(purge_all(bench, HOUR, 1_000).await?.operations, 1, "the operations that are purged");
    let older = operation_made_at(&*bench.runtime, bench.clock().await?.before(3 * HOUR));
    let late = booking(bench, &event, older).await?;
    let young = RecordKey::Operation(bench.runtime.operation_id());
    // That an old operation is absent may be read: what is refused because of that does nothing.
    let refused = RecordKey::Operation(operation_made_at(&*bench.runtime, bench.clock().await?.before(3 * HOUR)));
    let on_time = bench.begin(&event, &[refused.clone(), pool_key("balcony"), young.clone()]).await?;
    let on_time = on_time
        .read(refused)
        .write(pool_key("balcony"), pool(10, 0, 1))
        .write(young.clone(), operation(&event, None))
        .group();
    let outcomes = commit_all(&*bench.repository, &event, &[late, on_time]).await?;
    ensure_conflict(&outcomes[0], &[RecordKey::Operation(older)], "the group that comes too late")?;
    ensure_committed(&outcomes[1], "the group beside it")?;
    ensure_eq!(bench.get(&event, &pool_key("floor")).await?.record, Some(pool(10, 0, 0)), "the pool of the one");
    ensure_eq!(bench.get(&event, &pool_key("balcony")).await?.record, Some(pool(10, 0, 1)), "the pool of the other");
    ensure!(bench.get(&event, &young).await?.version == 1, "the young operation is not there");
    Ok(())
}

/// Nothing but the operation is in their way: everything else that they write is new, or counted in.
async fn come_late(
    writer: Arc<dyn Repository>,
    event: EventId,
    groups: Vec<Group>,
    over: Arc<AtomicBool>,
) -> Result<u32, Failure> {
    let mut tries = 0;
    loop {
        let is_last = over.load(Ordering::Acquire);
        for group in &groups {
            let outcome = commit(&*writer, &event, group.clone()).await?;
            ensure!(outcome != GroupOutcome::Committed, "an operation is written beside its purge, or after it");
            tries += 1;
        }
        if is_last {
            return Ok(tries);
        }
    }
}

pub(super) async fn a_commit_beside_the_purge_writes_nothing_that_was_purged(bench: &RepositoryBench) -> Checked {
    const WRITERS: usize = 2;
    const OPERATIONS: u32 = 12;
    let event = event_id("concert");
    bench.stage(&event, 0, &[("floor", 10)], None).await?;
    let mut late = Vec::new();
    for number in 0..OPERATIONS {
        let (id, made) = (old_id(bench).await?, bench.runtime.reservation_id());
        late.push(if number % 2 == 0 {
            counting(bench, &event, id).await?
        } else {
            let booked = reservation(made, &event, "ada", lines(&[], &[("floor", 1)]), ReservationState::Booked);
            let tx = bench.begin(&event, &[]).await?.write(RecordKey::Reservation(made), booked);
            tx.write(RecordKey::Operation(id), operation(&event, Some(made))).group()
        });
        record(bench, &event, id).await?;
    }
    let floor = bench.get(&event, &pool_key("floor")).await?;
    let over = Arc::new(AtomicBool::new(false));
    let mut tasks: Vec<BoxFuture<'static, Result<u32, Failure>>> = Vec::new();
    for _ in 0..WRITERS {
        let (writer, event, late, over) = (bench.open().await?, event.clone(), late.clone(), Arc::clone(&over));
        tasks.push(Box::pin(come_late(writer, event, late, over)));
    }
    let (purger, runtime) = (bench.open().await?, Arc::clone(&bench.runtime));
    tasks.push(Box::pin(purge_beside_others(purger, runtime, 1, over)));
    let counts = side_by_side(&bench.runtime, tasks).await?;
    bench.note(format!("{} late commits beside {} steps", counts[..WRITERS].iter().sum::<u32>(), counts[WRITERS]));
    ensure_eq!(bench.get(&event, &pool_key("floor")).await?, floor, "the pool");
    for key in late.iter().flat_map(created) {
        ensure_eq!(bench.get(&event, &key).await?, Versioned::ABSENT, "{key:?}");
    }
    Ok(())
}
