use std::time::Duration;

use super::super::bench::{
    RepositoryBench, event_id, lines, new_reservation_id, nth_ticket, operation, operation_made_at, pool, pool_key,
    ticket, ticket_key,
};
use super::super::check::{Checked, Failure, ensure, ensure_eq};
use super::super::service;
use crate::booking::BookingError;
use crate::conformance::bench::blocked;
use crate::domain::{EventId, OperationId, RecordKey, Rejection, TicketState, Timestamp};
use crate::ports::{ChangesError, PAGE_MAX, Purged};

const HOUR: Duration = Duration::from_secs(3_600);

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
    let other = bench.store.open().await;
    let second = super::super::bench::load(&*other, event, &[]).await?.operations_purged_before();
    ensure!(second >= first, "another handle says that operations are purged before {second}, not {first}");
    Ok(first)
}

/// Rows decided so long ago: tickets `0..count`, one commit each.
async fn rows_decided(bench: &RepositoryBench, event: &EventId, ago: Duration, count: u32) -> Checked {
    let decided_at = bench.clock().await?.before(ago);
    for n in 0..count {
        let tx = bench.begin(event, &[ticket_key(n)]).await?.decided_at(decided_at);
        bench.commit(event, tx.write(ticket_key(n), ticket(n, blocked("old"))).group()).await?;
    }
    Ok(())
}

pub(super) async fn old_operations_are_purged_and_young_ones_kept(bench: &RepositoryBench) -> Checked {
    let event = event_id("concert");
    bench.stage(&event, 1, &[], None).await?;
    let old = operations_made(bench, &event, 2 * HOUR, 5).await?;
    let young = operations_made(bench, &event, HOUR / 2, 5).await?;
    let purged = bench.repository.purge(HOUR, 1_000).await?;
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
    let event = event_id("concert");
    bench.stage(&event, 0, &[], None).await?;
    let old = operations_made(bench, &event, 2 * HOUR, 10).await?;
    for (step, expected) in [4, 4, 2, 0].into_iter().enumerate() {
        ensure_eq!(bench.repository.purge(HOUR, 4).await?.operations, expected, "operations purged in step {step}");
        let left = recorded(bench, &event, &old).await?;
        ensure_eq!(left.len(), 10 - (4 * (step + 1)).min(10), "operations left after step {step}");
        let before = purged_before(bench, &event).await?;
        for id in old.iter().filter(|id| !left.contains(id)) {
            ensure!(id.made_at() < before, "an operation made at {} is purged, the limit is {before}", id.made_at());
        }
    }
    Ok(())
}

pub(super) async fn the_purge_limit_never_falls(bench: &RepositoryBench) -> Checked {
    let event = event_id("concert");
    bench.stage(&event, 0, &[], None).await?;
    operations_made(bench, &event, 5 * HOUR, 2).await?;
    let fresh = purged_before(bench, &event).await?;
    let mut highest = fresh;
    for hours in [4, 1, 3, 2, 1, 100_000] {
        bench.repository.purge(hours * HOUR, 10).await?;
        let before = purged_before(bench, &event).await?;
        ensure!(before >= highest, "the limit has fallen from {highest} to {before}");
        highest = before;
    }
    ensure!(highest > fresh, "the limit was never raised although operations were purged");
    Ok(())
}

pub(super) async fn a_reader_behind_the_purge_is_told(bench: &RepositoryBench) -> Checked {
    let event = event_id("concert");
    bench.stage(&event, 0, &[], None).await?;
    bench.repository.purge(HOUR, 1_000).await?;
    let all = bench.changes(&event).await?;
    ensure_eq!(all.len(), 1, "the number of changes before anything is old");
    // A fresh event, all of whose rows are old.
    let event = event_id("last year");
    let decided_at = bench.clock().await?.before(2 * HOUR);
    let tx = bench.begin(&event, &[RecordKey::Event]).await?.decided_at(decided_at);
    let terms = super::samples::event(crate::domain::EventState::OnSale);
    bench.commit(&event, tx.write(RecordKey::Event, terms).group()).await?;
    rows_decided(bench, &event, 2 * HOUR, 9).await?;
    for (limit, through) in [(4, 4), (4, 8), (4, 10), (4, 10)] {
        bench.repository.purge(HOUR, limit).await?;
        for after in 0..=10 {
            match bench.repository.changes(&event, after, PAGE_MAX).await {
                Err(ChangesError::Truncated { purged_through }) => {
                    ensure_eq!(purged_through, through, "the last purged row");
                    ensure!(after < through, "a reader after {after} lacks nothing when {through} rows are purged");
                }
                Err(other) => return Err(other.into()),
                Ok(page) => {
                    ensure!(after >= through, "a reader after {after} is not told that {through} rows are purged");
                    let found: Vec<_> = page.iter().map(|change| change.sequence).collect();
                    ensure_eq!(found, (after + 1..=10).collect::<Vec<_>>(), "the rows after {after}");
                }
            }
        }
    }
    bench.put(&event, vec![(ticket_key(0), ticket(0, TicketState::Available))]).await?;
    let page = bench.repository.changes(&event, 10, PAGE_MAX).await?;
    let found: Vec<_> = page.iter().map(|change| change.sequence).collect();
    ensure_eq!(found, vec![11], "the sequence goes on after everything was purged");
    Ok(())
}

pub(super) async fn the_feed_is_purged_from_its_oldest_row_on(bench: &RepositoryBench) -> Checked {
    let event = event_id("concert");
    bench.stage(&event, 0, &[], None).await?;
    rows_decided(bench, &event, 2 * HOUR, 3).await?;
    // The event's own row is young, and the old ones come after it: a clock has stepped back. They wait for it.
    ensure_eq!(bench.repository.purge(HOUR, 1_000).await?.changes, 0, "rows purged behind a young one");
    ensure_eq!(bench.changes(&event).await?.len(), 4, "the number of changes");
    Ok(())
}

pub(super) async fn purging_leaves_the_tables_alone(bench: &RepositoryBench) -> Checked {
    let event = event_id("concert");
    let decided_at = bench.clock().await?.before(2 * HOUR);
    let samples = super::samples::created(&event, &bench.runtime);
    let keys: Vec<RecordKey> = samples.iter().map(|(key, _)| key.clone()).collect();
    let tx = bench.begin(&event, &keys).await?.decided_at(decided_at);
    let tx = samples.into_iter().fold(tx, |tx, (key, record)| tx.write(key, record));
    bench.commit(&event, tx.group()).await?;
    let before = bench.load(&event, &keys).await?;
    let purged = bench.repository.purge(HOUR, 1_000).await?;
    ensure_eq!(purged, Purged { operations: 0, changes: keys.len() - 1 }, "what was purged");
    let after = bench.load(&event, &keys).await?;
    for key in &keys {
        ensure_eq!(after.get(key), before.get(key), "{key:?} after the purge");
    }
    Ok(())
}

/// Whether it was carried out is no longer known, so it is refused: before its record is purged, and after.
pub(super) async fn an_operation_older_than_the_retention_is_never_executed(bench: &RepositoryBench) -> Checked {
    let event = event_id("concert");
    bench.stage(&event, 2, &[("floor", 5)], None).await?;
    let service = service::on(bench, bench.store.open().await)?;
    let mut command = service::hold(bench, &event, "ada", lines(&[nth_ticket(0)], &[("floor", 1)]));
    command.operation = operation_made_at(&*bench.runtime, bench.clock().await?.before(2 * HOUR));
    let held = service.submit(command.clone()).await?;
    let repeated = service.submit(command.clone()).await?;
    ensure!(repeated.repeated && repeated.outcome == held.outcome, "{repeated:?} repeats {held:?}");
    let mut release = service::command(
        bench,
        &event,
        crate::domain::Action::Release {
            reservation: service::reservation_of(&command)?,
            customer: crate::conformance::bench::customer_id("ada"),
        },
    );
    release.operation = operation_made_at(&*bench.runtime, bench.clock().await?.before(HOUR / 2));
    let _ = service.submit(release).await?;
    bench.repository.purge(HOUR, 1_000).await?;
    let before = bench.get(&event, &ticket_key(0)).await?;
    let mut again = command;
    if let crate::domain::Action::Hold(hold) = &mut again.action {
        hold.reservation = new_reservation_id(&bench.runtime);
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
