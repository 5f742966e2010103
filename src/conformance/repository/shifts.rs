//! Groups that only count in a pool, where others have counted meanwhile: a store counts on, or answers with a conflict.

use std::sync::Arc;
use std::time::Duration;

use crate::conformance::audit;
use crate::conformance::bench::{
    RepositoryBench, Tx, commit, commit_all, ensure_conflict, event_id, lines, operation, pool, pool_id, pool_key,
    reservation, side_by_side,
};
use crate::conformance::check::{Checked, Failure, ensure, ensure_eq};
use crate::domain::{EventId, OperationId, Pool, Record, RecordKey, ReservationState, Timestamp, Versioned};
use crate::ports::{BoxFuture, Group, GroupOutcome, PoolShift, Repository, Runtime, RuntimeExt};

const HELD: ReservationState = ReservationState::Held { until: Timestamp::from_micros(4_000_000_000_000_000) };

fn counters(found: &Versioned) -> Result<Pool, Failure> {
    match &found.record {
        Some(Record::Pool(pool)) => Ok(pool.clone()),
        other => Err(Failure::new(format!("expected a pool, found {other:?}"))),
    }
}

/// A hold of so many places, as the service makes it: the pool's counter, the reservation and the operation are written, and the
/// event is read.
pub(super) async fn hold(
    repository: &dyn Repository,
    runtime: &dyn Runtime,
    event: &EventId,
    operation_id: OperationId,
    quantity: u32,
) -> Result<Group, Failure> {
    let (id, done) = (runtime.reservation_id(), RecordKey::Operation(operation_id));
    let keys = [RecordKey::Event, pool_key("floor"), RecordKey::Reservation(id), done.clone()];
    let tx = Tx::begin(repository, event, &keys).await?;
    let read = counters(&tx.get(&pool_key("floor")))?;
    let held = reservation(id, event, "ada", lines(&[], &[("floor", quantity)]), HELD);
    let tx = tx
        .read(RecordKey::Event)
        .write(pool_key("floor"), pool(read.capacity, read.held + quantity, read.booked))
        .write(RecordKey::Reservation(id), held)
        .write(done, operation(event, Some(id)));
    let shifts = vec![PoolShift { pool: pool_id("floor"), held: quantity.into(), booked: 0 }];
    Ok(Group { shifts, ..tx.group() })
}

async fn hold_here(bench: &RepositoryBench, event: &EventId, quantity: u32) -> Result<Group, Failure> {
    hold(&*bench.repository, &*bench.runtime, event, bench.runtime.operation_id(), quantity).await
}

pub(super) fn created(group: &Group) -> Vec<RecordKey> {
    group.writes.iter().filter(|write| write.version == 0).map(|write| write.key.clone()).collect()
}

/// What there is before a commit that must change nothing: the pool, and the rows of the feed.
struct Before {
    floor: Versioned,
    rows: usize,
}

impl Before {
    async fn look(bench: &RepositoryBench, event: &EventId) -> Result<Self, Failure> {
        Ok(Self { floor: bench.get(event, &pool_key("floor")).await?, rows: bench.changes(event).await?.len() })
    }

    /// Nothing of the group is there, neither what it was to change, nor what it was to create, nor a row of the feed.
    async fn ensure_still(&self, bench: &RepositoryBench, event: &EventId, group: &Group) -> Checked {
        ensure_eq!(bench.get(event, &pool_key("floor")).await?, self.floor, "the pool after a conflict");
        ensure_eq!(bench.changes(event).await?.len(), self.rows, "the rows of the feed after a conflict");
        for key in created(group) {
            ensure_eq!(bench.get(event, &key).await?, Versioned::ABSENT, "{key:?} after a conflict");
        }
        Ok(())
    }
}

/// The group comes too late, which is a conflict, and leaves no trace.
async fn ensure_too_late(
    bench: &RepositoryBench,
    event: &EventId,
    late: Group,
    stale: &[RecordKey],
    what: &str,
) -> Checked {
    let before = Before::look(bench, event).await?;
    ensure_conflict(&bench.commit(event, late.clone()).await?, stale, what)?;
    before.ensure_still(bench, event, &late).await
}

pub(super) async fn a_pool_that_others_count_in_is_counted_on_or_a_conflict(bench: &RepositoryBench) -> Checked {
    let event = event_id("concert");
    bench.stage(&event, 0, &[("floor", 10)], None).await?;
    let late = hold_here(bench, &event, 3).await?;
    // Others were faster, and decided later.
    let decided_later = late.writes[0].decided_at.after(Duration::from_secs(5));
    let tx = bench.begin(&event, &[pool_key("floor")]).await?.decided_at(decided_later);
    let first = tx.write(pool_key("floor"), pool(10, 4, 1)).group();
    ensure_eq!(bench.commit(&event, first).await?, GroupOutcome::Committed, "a commit without rivals");
    let before = Before::look(bench, &event).await?;
    match bench.commit(&event, late.clone()).await? {
        GroupOutcome::Committed => {
            bench.note("counts on");
            let found = bench.get(&event, &pool_key("floor")).await?;
            ensure_eq!(counters(&found)?, Pool { capacity: 10, held: 7, booked: 1 }, "the counters together");
            ensure_eq!(found.version, before.floor.version + 1, "the pool's version");
            ensure!(found.decided_at >= before.floor.decided_at, "the pool's decision time goes back");
            let changes = bench.changes(&event).await?;
            let row = changes.iter().rev().find(|change| change.key == pool_key("floor"));
            let told = row.map(|row| Versioned::new(row.version, row.decided_at, row.record.clone()));
            ensure_eq!(told, Some(found), "what the feed tells of the pool");
            for key in created(&late) {
                ensure_eq!(bench.get(&event, &key).await?.version, 1, "the version of {key:?}");
            }
            Ok(())
        }
        conflict => {
            ensure!(!bench.counts_on(), "a store that is said to count on answers {conflict:?}");
            bench.note("answers with a conflict");
            ensure_conflict(&conflict, &[pool_key("floor")], "a pool that others count in")?;
            before.ensure_still(bench, &event, &late).await
        }
    }
}

pub(super) async fn places_that_are_wanting_by_now_are_a_conflict(bench: &RepositoryBench) -> Checked {
    let event = event_id("concert");
    bench.stage(&event, 0, &[("floor", 10)], None).await?;
    let late = hold_here(bench, &event, 3).await?;
    bench.put(&event, vec![(pool_key("floor"), pool(10, 4, 4))]).await?;
    ensure_too_late(bench, &event, late, &[pool_key("floor")], "3 places of 2").await?;
    // The last ones fit.
    let fitting = hold_here(bench, &event, 2).await?;
    ensure_eq!(bench.commit(&event, fitting).await?, GroupOutcome::Committed, "a commit without rivals");
    ensure_eq!(counters(&bench.get(&event, &pool_key("floor")).await?)?.free(), 0, "the places that are left");
    Ok(())
}

pub(super) async fn a_capacity_that_was_lowered_meanwhile_counts(bench: &RepositoryBench) -> Checked {
    let event = event_id("concert");
    bench.stage(&event, 0, &[("floor", 10)], None).await?;
    let late = hold_here(bench, &event, 3).await?;
    bench.put(&event, vec![(pool_key("floor"), pool(2, 0, 0))]).await?;
    ensure_too_late(bench, &event, late, &[pool_key("floor")], "3 places of a pool of 2").await
}

pub(super) async fn no_counter_falls_below_zero(bench: &RepositoryBench) -> Checked {
    let event = event_id("concert");
    bench.stage(&event, 0, &[("floor", 10)], None).await?;
    bench.put(&event, vec![(pool_key("floor"), pool(10, 3, 1))]).await?;
    for (held, booked) in [(-3, 0), (0, -1)] {
        let tx = bench.begin(&event, &[pool_key("floor")]).await?;
        let read = counters(&tx.get(&pool_key("floor")))?;
        let moved = |counter: u32, by: i64| u32::try_from(i64::from(counter) + by).unwrap_or_default();
        let tx = tx.write(pool_key("floor"), pool(10, moved(read.held, held), moved(read.booked, booked)));
        let shifts = vec![PoolShift { pool: pool_id("floor"), held, booked }];
        let late = Group { shifts, ..tx.group() };
        bench.put(&event, vec![(pool_key("floor"), pool(10, 2, 0))]).await?;
        ensure_too_late(bench, &event, late, &[pool_key("floor")], "more than is counted").await?;
        bench.put(&event, vec![(pool_key("floor"), pool(10, 3, 1))]).await?;
    }
    Ok(())
}

/// Counting on excuses the pool's version alone.
pub(super) async fn whatever_else_is_stale_is_a_conflict(bench: &RepositoryBench) -> Checked {
    let event = event_id("concert");
    bench.stage(&event, 0, &[("floor", 10)], None).await?;
    let late = hold_here(bench, &event, 1).await?;
    bench.put(&event, vec![(pool_key("floor"), pool(10, 4, 1))]).await?;
    let terms = bench.get(&event, &RecordKey::Event).await?.record.ok_or_else(|| Failure::new("no event"))?;
    bench.put(&event, vec![(RecordKey::Event, terms)]).await?;
    ensure_too_late(bench, &event, late, &[pool_key("floor"), RecordKey::Event], "an event with other terms").await
}

/// What a group was to create is there: it was done before, and is not done twice.
pub(super) async fn what_was_done_before_is_not_done_again(bench: &RepositoryBench) -> Checked {
    let event = event_id("concert");
    bench.stage(&event, 0, &[("floor", 10)], None).await?;
    let (once, other) = (hold_here(bench, &event, 3).await?, hold_here(bench, &event, 2).await?);
    ensure_eq!(bench.commit(&event, once.clone()).await?, GroupOutcome::Committed, "a commit without rivals");
    let found = bench.get(&event, &pool_key("floor")).await?;
    for _ in 0..2 {
        let outcome = bench.commit(&event, once.clone()).await?;
        ensure!(
            matches!(outcome, GroupOutcome::Conflict { .. }),
            "the same again: expected a conflict, found {outcome:?}"
        );
        ensure_eq!(bench.get(&event, &pool_key("floor")).await?, found, "the pool after the same again");
    }
    // Of two operations that are one, under another reservation.
    let mut same = other.clone();
    let done = once.writes.iter().find(|write| matches!(write.key, RecordKey::Operation(_)));
    let done = done.ok_or_else(|| Failure::new("no operation"))?.clone();
    same.writes.retain(|write| !matches!(write.key, RecordKey::Operation(_)));
    same.writes.push(done);
    let outcome = bench.commit(&event, same).await?;
    ensure!(
        matches!(outcome, GroupOutcome::Conflict { .. }),
        "the same operation: expected a conflict, found {outcome:?}"
    );
    ensure_eq!(bench.get(&event, &pool_key("floor")).await?, found, "the pool after the same operation");
    for key in created(&other) {
        ensure_eq!(bench.get(&event, &key).await?, Versioned::ABSENT, "{key:?}");
    }
    Ok(())
}

/// A group beside one that conflicts is written.
pub(super) async fn a_conflict_is_of_its_own_group_alone(bench: &RepositoryBench) -> Checked {
    let event = event_id("concert");
    bench.stage(&event, 0, &[("floor", 10), ("gallery", 10)], None).await?;
    let late = hold_here(bench, &event, 9).await?;
    let gallery = bench.begin(&event, &[pool_key("gallery")]).await?.write(pool_key("gallery"), pool(10, 0, 1)).group();
    let shifts = vec![PoolShift { pool: pool_id("gallery"), held: 0, booked: 1 }];
    let beside = Group { shifts, ..gallery };
    bench.put(&event, vec![(pool_key("floor"), pool(10, 2, 0))]).await?;
    let outcomes = commit_all(&*bench.repository, &event, &[late, beside]).await?;
    ensure_conflict(&outcomes[0], &[pool_key("floor")], "9 places of 8")?;
    ensure_eq!(outcomes[1], GroupOutcome::Committed, "the group beside it");
    ensure_eq!(counters(&bench.get(&event, &pool_key("gallery")).await?)?.booked, 1, "what the group beside it wrote");
    Ok(())
}

/// Many handles sell a pool out.
pub(super) async fn many_who_count_in_one_pool_sell_each_place_once(bench: &RepositoryBench) -> Checked {
    const HANDLES: u32 = 4;
    const CAPACITY: u32 = 101;
    let event = event_id("concert");
    bench.stage(&event, 0, &[("floor", CAPACITY)], None).await?;
    let mut tasks: Vec<BoxFuture<'static, Result<(u32, u32), Failure>>> = Vec::new();
    for _ in 0..HANDLES {
        let (repository, runtime, event) = (bench.open().await?, Arc::clone(&bench.runtime), event.clone());
        tasks.push(Box::pin(async move {
            let (mut held, mut conflicts) = (0, 0);
            loop {
                let floor = Tx::begin(&*repository, &event, &[pool_key("floor")]).await?.get(&pool_key("floor"));
                let quantity = counters(&floor)?.free().min(2);
                if quantity == 0 {
                    return Ok((held, conflicts));
                }
                let group = hold(&*repository, &*runtime, &event, runtime.operation_id(), quantity).await?;
                let is_too_many = |record: &Record| matches!(record, Record::Pool(pool) if pool.held > CAPACITY);
                if group.writes.iter().any(|write| is_too_many(&write.record)) {
                    continue;
                }
                match commit(&*repository, &event, group).await? {
                    GroupOutcome::Committed => held += quantity,
                    GroupOutcome::Conflict { .. } => conflicts += 1,
                }
            }
        }));
    }
    let sold = side_by_side(&bench.runtime, tasks).await?;
    bench.note(format!("{} conflicts", sold.iter().map(|(_, conflicts)| conflicts).sum::<u32>()));
    ensure_eq!(sold.iter().map(|(held, _)| held).sum::<u32>(), CAPACITY, "the places that were acknowledged");
    let found = counters(&bench.get(&event, &pool_key("floor")).await?)?;
    ensure_eq!(found, Pool { capacity: CAPACITY, held: CAPACITY, booked: 0 }, "the pool");
    audit::tables(bench, &event).await
}
