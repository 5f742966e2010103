//! What is forgotten of the change feed, and who is told.

use std::time::Duration;

use super::retention::{HOUR, IDLE_STEPS, purge_all};
use super::samples;
use crate::conformance::bench::{RepositoryBench, blocked, event_id, ticket, ticket_key};
use crate::conformance::check::{Checked, Failure, ensure, ensure_eq};
use crate::domain::{EventId, EventState, RecordKey, TicketState};
use crate::ports::{ChangesError, PAGE_MAX, Purged, Sequence};

/// Rows decided so long ago: tickets `0..count`, one commit each.
async fn rows_decided(bench: &RepositoryBench, event: &EventId, ago: Duration, count: u32) -> Checked {
    let decided_at = bench.clock().await?.before(ago);
    for n in 0..count {
        let tx = bench.begin(event, &[ticket_key(n)]).await?.decided_at(decided_at);
        bench.commit(event, tx.write(ticket_key(n), ticket(n, blocked("old"))).group()).await?;
    }
    Ok(())
}

/// An event with so many rows, all decided so long ago.
async fn old_event(bench: &RepositoryBench, event: &EventId, ago: Duration, rows: u32) -> Checked {
    let decided_at = bench.clock().await?.before(ago);
    let tx = bench.begin(event, &[RecordKey::Event]).await?.decided_at(decided_at);
    bench.commit(event, tx.write(RecordKey::Event, samples::event(EventState::OnSale)).group()).await?;
    rows_decided(bench, event, ago, rows - 1).await
}

/// Up to where the feed is purged.
async fn purged_through(bench: &RepositoryBench, event: &EventId) -> Result<Sequence, Failure> {
    match bench.repository.changes(event, 0, 1).await {
        Ok(_) => Ok(0),
        Err(ChangesError::Truncated { purged_through }) => Ok(purged_through),
        Err(other) => Err(other.into()),
    }
}

pub(super) async fn a_reader_behind_the_purge_is_told(bench: &RepositoryBench) -> Checked {
    const ROWS: u32 = 10;
    const LIMIT: usize = 4;
    let event = event_id("concert");
    bench.stage(&event, 0, &[], None).await?;
    purge_all(bench, HOUR, 1_000).await?;
    ensure_eq!(bench.changes(&event).await?.len(), 1, "the number of changes before anything is old");
    let event = event_id("last year");
    old_event(bench, &event, 2 * HOUR, ROWS).await?;
    let last = Sequence::from(ROWS);
    let (mut through, mut idle) = (0, 0);
    while idle < IDLE_STEPS {
        let removed = bench.repository.purge(HOUR, LIMIT).await?.changes;
        ensure!(removed <= LIMIT, "a step removes {removed} rows, and {LIMIT} are the limit");
        let before = std::mem::replace(&mut through, purged_through(bench, &event).await?);
        ensure_eq!(through, before + removed as Sequence, "the last purged row after a step that removes {removed}");
        for after in 0..=last {
            match bench.repository.changes(&event, after, PAGE_MAX).await {
                Err(ChangesError::Truncated { purged_through }) => {
                    ensure_eq!(purged_through, through, "the last purged row");
                    ensure!(after < through, "a reader after {after} lacks nothing when {through} rows are purged");
                }
                Err(other) => return Err(other.into()),
                Ok(page) => {
                    ensure!(after >= through, "a reader after {after} is not told that {through} rows are purged");
                    let found: Vec<_> = page.iter().map(|change| change.sequence).collect();
                    ensure_eq!(found, (after + 1..=last).collect::<Vec<_>>(), "the rows after {after}");
                }
            }
        }
        idle = if removed == 0 { idle + 1 } else { 0 };
    }
    ensure_eq!(through, last, "the last purged row when steps remove nothing more");
    bench.put(&event, vec![(ticket_key(0), ticket(0, TicketState::Available))]).await?;
    let page = bench.repository.changes(&event, last, PAGE_MAX).await?;
    let found: Vec<_> = page.iter().map(|change| change.sequence).collect();
    ensure_eq!(found, vec![last + 1], "the sequence goes on after everything was purged");
    Ok(())
}

/// The limit is of all events together, and every event has its turn.
pub(super) async fn a_step_is_bounded_over_all_events(bench: &RepositoryBench) -> Checked {
    const LIMIT: usize = 5;
    let events: Vec<EventId> = (0..4).map(|n| event_id(&format!("event {n}"))).collect();
    for event in &events {
        old_event(bench, event, 2 * HOUR, 4).await?;
    }
    let young = event_id("young");
    bench.stage(&young, 3, &[], None).await?;
    let (mut all, mut idle) = (0, 0);
    while idle < IDLE_STEPS {
        let removed = bench.repository.purge(HOUR, LIMIT).await?.changes;
        ensure!(removed <= LIMIT, "a step removes {removed} rows, and {LIMIT} are the limit");
        all += removed;
        let mut gone = 0;
        for event in &events {
            gone += purged_through(bench, event).await?;
        }
        ensure_eq!(gone, all as Sequence, "the rows of all events that are gone, compared with what the steps say");
        idle = if removed == 0 { idle + 1 } else { 0 };
    }
    ensure_eq!(all, events.len() * 4, "the rows purged when steps remove nothing more");
    ensure_eq!(bench.changes(&young).await?.len(), 4, "the rows of a young event");
    Ok(())
}

pub(super) async fn the_feed_is_purged_from_its_oldest_row_on(bench: &RepositoryBench) -> Checked {
    let event = event_id("concert");
    bench.stage(&event, 0, &[], None).await?;
    rows_decided(bench, &event, 2 * HOUR, 3).await?;
    // The event's own row is young, and the old ones come after it: a clock has stepped back. They wait for it.
    ensure_eq!(purge_all(bench, HOUR, 1_000).await?.changes, 0, "rows purged behind a young one");
    ensure_eq!(bench.changes(&event).await?.len(), 4, "the number of changes");
    Ok(())
}

pub(super) async fn purging_leaves_the_tables_alone(bench: &RepositoryBench) -> Checked {
    let event = event_id("concert");
    let decided_at = bench.clock().await?.before(2 * HOUR);
    let samples = samples::created(&event, &bench.runtime);
    let keys: Vec<RecordKey> = samples.iter().map(|(key, _)| key.clone()).collect();
    let tx = bench.begin(&event, &keys).await?.decided_at(decided_at);
    let tx = samples.into_iter().fold(tx, |tx, (key, record)| tx.write(key, record));
    bench.commit(&event, tx.group()).await?;
    let before = bench.load(&event, &keys).await?;
    let purged = purge_all(bench, HOUR, 1_000).await?;
    ensure_eq!(purged, Purged { operations: 0, changes: keys.len() - 1 }, "what was purged");
    let after = bench.load(&event, &keys).await?;
    for key in &keys {
        ensure_eq!(after.get(key), before.get(key), "{key:?} after the purge");
    }
    Ok(())
}
