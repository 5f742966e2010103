use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::booking::BookingError;
use crate::conformance::bench::{
    RepositoryBench, customer_id, event_id, lines, load, nth_ticket, operation, operation_made_at, pool, pool_key,
    side_by_side, ticket_key,
};
use crate::conformance::check::{Checked, Failure, ensure, ensure_eq};
use crate::conformance::service;
use crate::domain::{Action, EventId, OperationId, RecordKey, Rejection, Timestamp};
use crate::ports::{BoxFuture, Purged, Repository, Runtime, RuntimeExt};

pub(super) const HOUR: Duration = Duration::from_secs(3_600);

/// How many steps in a row remove nothing when there is nothing left.
pub(super) const IDLE_STEPS: u32 = 3;

/// Purges in steps until nothing is left, and answers what was removed. A step MAY remove less than it is allowed.
pub(super) async fn purge_all(bench: &RepositoryBench, retention: Duration, limit: usize) -> Result<Purged, Failure> {
    const STEPS_MAX: u32 = 10_000;
    let (mut all, mut idle) = (Purged::default(), 0);
    for _ in 0..STEPS_MAX {
        let step = bench.repository.purge(retention, limit).await?;
        ensure!(step.operations <= limit && step.changes <= limit, "{step:?} in one step, and {limit} are the limit");
        idle = if step == Purged::default() { idle + 1 } else { 0 };
        all.operations += step.operations;
        all.changes += step.changes;
        if idle == IDLE_STEPS {
            return Ok(all);
        }
    }
    Err(Failure::new(format!("purging does not end within {STEPS_MAX} steps")))
}

/// Purges in steps of so many until nothing is left, and tells those who work meanwhile. Answers how many steps it took.
pub(super) async fn purge_beside_others(
    purger: Arc<dyn Repository>,
    runtime: Arc<dyn Runtime>,
    limit: usize,
    over: Arc<AtomicBool>,
) -> Result<u32, Failure> {
    let (mut steps, mut idle) = (0, 0);
    while idle < IDLE_STEPS {
        idle = if purger.purge(HOUR, limit).await?.operations == 0 { idle + 1 } else { 0 };
        steps += 1;
        runtime.sleep(Duration::from_millis(1)).await;
    }
    over.store(true, Ordering::Release);
    Ok(steps)
}

/// Records operations whose ids were made so long ago, a second apart, the oldest first.
async fn operations_made(
    bench: &RepositoryBench,
    event: &EventId,
    ago: Duration,
    count: u64,
) -> Result<Vec<OperationId>, Failure> {
    let clock = bench.clock().await?;
    let ids: Vec<OperationId> = (0..count)
        .map(|n| operation_made_at(&*bench.runtime, clock.before(ago).after(Duration::from_secs(n))))
        .collect();
    let records = ids.iter().map(|id| (RecordKey::Operation(*id), operation(event, None)));
    bench.put(event, records.collect()).await?;
    Ok(ids)
}

async fn recorded(bench: &RepositoryBench, event: &EventId, ids: &[OperationId]) -> Result<Vec<OperationId>, Failure> {
    let keys: Vec<RecordKey> = ids.iter().map(|id| RecordKey::Operation(*id)).collect();
    let snapshot = bench.load(event, &keys).await?;
    let is_there = |id: &&OperationId| snapshot.get(&RecordKey::Operation(**id)).is_some_and(|it| it.version > 0);
    Ok(ids.iter().filter(is_there).copied().collect())
}

async fn purged_before(bench: &RepositoryBench, event: &EventId) -> Result<Timestamp, Failure> {
    let first = bench.load(event, &[]).await?.operations_purged_before();
    let other = bench.open().await?;
    let second = load(&*other, event, &[]).await?.operations_purged_before();
    ensure!(second >= first, "another handle says that operations are purged before {second}, not {first}");
    Ok(first)
}

pub(super) async fn old_operations_are_purged_and_young_ones_kept(bench: &RepositoryBench) -> Checked {
    let event = event_id("concert");
    bench.stage(&event, 1, &[], None).await?;
    let old = operations_made(bench, &event, 2 * HOUR, 5).await?;
    let young = operations_made(bench, &event, HOUR / 2, 5).await?;
    let purged = purge_all(bench, HOUR, 1_000).await?;
    ensure_eq!(purged, Purged { operations: 5, changes: 0 }, "what was purged");
    ensure_eq!(recorded(bench, &event, &old).await?, Vec::new(), "the old operations");
    ensure_eq!(recorded(bench, &event, &young).await?, young, "the young operations");
    let before = purged_before(bench, &event).await?;
    for id in &old {
        ensure!(
            id.made_at() < before,
            "an operation made at {} is purged, the limit is said to be {before}",
            id.made_at()
        );
    }
    let clock = bench.clock().await?;
    let limit = clock.before(HOUR);
    ensure!(before <= limit, "operations are said to be purged before {before}, asked for was {limit} at the latest");
    let elsewhere = purged_before(bench, &event_id("elsewhere")).await?;
    ensure!(elsewhere >= before, "the limit is {before} in one event and {elsewhere} in another one");
    Ok(())
}

pub(super) async fn purging_goes_in_bounded_steps(bench: &RepositoryBench) -> Checked {
    const LIMIT: usize = 4;
    let event = event_id("concert");
    bench.stage(&event, 0, &[], None).await?;
    let old = operations_made(bench, &event, 2 * HOUR, 10).await?;
    let mut left = old.len();
    let mut idle = 0;
    while idle < IDLE_STEPS {
        let purged = bench.repository.purge(HOUR, LIMIT).await?.operations;
        ensure!(purged <= LIMIT, "a step removes {purged} operations, and {LIMIT} are the limit");
        let still = recorded(bench, &event, &old).await?;
        ensure_eq!(still.len(), left - purged.min(left), "operations left after a step that removes {purged}");
        left = still.len();
        let before = purged_before(bench, &event).await?;
        for id in old.iter().filter(|id| !still.contains(id)) {
            ensure!(id.made_at() < before, "an operation made at {} is purged, the limit is {before}", id.made_at());
        }
        idle = if purged == 0 { idle + 1 } else { 0 };
    }
    ensure_eq!(left, 0, "old operations left when steps remove nothing more");
    Ok(())
}

/// Whoever finds an operation gone is told by the same load that it may be purged: else it would be carried out again.
pub(super) async fn what_is_gone_is_before_the_limit_of_the_same_load(bench: &RepositoryBench) -> Checked {
    const READERS: usize = 2;
    let event = event_id("concert");
    bench.stage(&event, 0, &[], None).await?;
    let old = operations_made(bench, &event, 2 * HOUR, 60).await?;
    let over = Arc::new(AtomicBool::new(false));
    let mut tasks: Vec<BoxFuture<'static, Result<u32, Failure>>> = Vec::new();
    for _ in 0..READERS {
        let (reader, event, over, old) = (bench.open().await?, event.clone(), Arc::clone(&over), old.clone());
        tasks.push(Box::pin(async move {
            let keys: Vec<RecordKey> = old.iter().map(|id| RecordKey::Operation(*id)).collect();
            let mut loads = 0;
            loop {
                let is_last = over.load(Ordering::Acquire);
                let snapshot = load(&*reader, &event, &keys).await?;
                let before = snapshot.operations_purged_before();
                for (id, key) in old.iter().zip(&keys) {
                    let is_gone = snapshot.get(key).is_none_or(|it| it.version == 0);
                    ensure!(
                        !is_gone || id.made_at() < before,
                        "an operation made at {} is gone, and the limit in the same load is {before}",
                        id.made_at()
                    );
                }
                loads += 1;
                if is_last {
                    return Ok(loads);
                }
            }
        }));
    }
    let (purger, runtime) = (bench.open().await?, Arc::clone(&bench.runtime));
    tasks.push(Box::pin(purge_beside_others(purger, runtime, 3, over)));
    let counts = side_by_side(&bench.runtime, tasks).await?;
    bench.note(format!("{} loads beside {} steps", counts[..READERS].iter().sum::<u32>(), counts[READERS]));
    ensure_eq!(recorded(bench, &event, &old).await?, Vec::new(), "the old operations");
    Ok(())
}

pub(super) async fn the_purge_limit_never_falls(bench: &RepositoryBench) -> Checked {
    let event = event_id("concert");
    bench.stage(&event, 0, &[], None).await?;
    operations_made(bench, &event, 5 * HOUR, 2).await?;
    let fresh = purged_before(bench, &event).await?;
    let mut highest = fresh;
    for hours in [4, 1, 3, 2, 1, 100_000] {
        purge_all(bench, hours * HOUR, 10).await?;
        let before = purged_before(bench, &event).await?;
        ensure!(before >= highest, "the limit has fallen from {highest} to {before}");
        highest = before;
    }
    ensure!(highest > fresh, "the limit was never raised although operations were purged");
    Ok(())
}

/// Whether it was carried out is no longer known, so it is refused: before its record is purged, and after.
pub(super) async fn an_operation_older_than_the_retention_is_never_executed(bench: &RepositoryBench) -> Checked {
    let event = event_id("concert");
    bench.stage(&event, 2, &[("floor", 5)], None).await?;
    let service = service::on(bench, bench.open().await?)?;
    let mut command = service::hold(bench, &event, "ada", lines(&[nth_ticket(0)], &[("floor", 1)]));
    command.operation = operation_made_at(&*bench.runtime, bench.clock().await?.before(2 * HOUR));
    let held = service.submit(command.clone()).await?;
    let repeated = service.submit(command.clone()).await?;
    ensure!(repeated.repeated && repeated.outcome == held.outcome, "{repeated:?} repeats {held:?}");
    let mut release = service::command(
        bench,
        &event,
        Action::Release { reservation: service::reservation_of(&command)?, customer: customer_id("ada") },
    );
    release.operation = operation_made_at(&*bench.runtime, bench.clock().await?.before(HOUR / 2));
    let _ = service.submit(release).await?;
    purge_all(bench, HOUR, 1_000).await?;
    let before = bench.get(&event, &ticket_key(0)).await?;
    let mut again = command;
    if let Action::Hold(hold) = &mut again.action {
        hold.reservation = bench.runtime.reservation_id();
    }
    for _ in 0..2 {
        match service.submit(again.clone()).await {
            Err(BookingError::Rejected(Rejection::OperationTooOld)) => {}
            other => return Err(Failure::new(format!("an operation older than the purge limit: {other:?}"))),
        }
    }
    ensure_eq!(bench.get(&event, &ticket_key(0)).await?, before, "the ticket");
    ensure_eq!(bench.get(&event, &pool_key("floor")).await?.record, Some(pool(5, 0, 0)), "the pool");
    Ok(())
}
