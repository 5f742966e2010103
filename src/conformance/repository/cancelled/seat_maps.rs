//! Who follows an event, and goes away before there is news.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{BoxStream, StreamExt};

use super::{LONG_STEPS, READ_STEPS, dropped_at, is_through};
use crate::booking::SeatMap;
use crate::conformance::bench::{RepositoryBench, blocked, customer_id, event_id, ticket, ticket_key};
use crate::conformance::check::{Checked, Failure, ensure, ensure_eq};
use crate::conformance::halting::Halting;
use crate::conformance::polled::polled;
use crate::conformance::service;
use crate::domain::{Allowance, EventId, Record, RecordKey};
use crate::ports::{Change, ChangesError};

/// How often a stream asks for news.
const EVERY: Duration = Duration::from_millis(1);

/// A seat map that is read, and one that is kept up to date.
pub(in crate::conformance::repository) async fn a_seat_map_dropped_at_any_moment_catches_up(
    bench: &RepositoryBench,
) -> Checked {
    let store = Halting::new(bench.open().await?);
    for step in 1..LONG_STEPS.max {
        // The longer a feed, the more steps to its end.
        let event = event_id(&format!("read {step}"));
        bench.stage(&event, 3, &[("floor", 9)], None).await?;
        let answer = dropped_at(&store, step, SeatMap::read(&*store, &event)).await.transpose()?;
        if let Some(map) = &answer {
            is_true(bench, &event, map, step).await?;
        }
        news(bench, &event, step).await?;
        is_true(bench, &event, &SeatMap::read(&*store, &event).await?, step).await?;
        if is_through(bench, "read", LONG_STEPS, step, answer.is_some())? {
            break;
        }
    }
    let event = event_id("update");
    bench.stage(&event, 3, &[("floor", 9)], None).await?;
    let mut map = SeatMap::read(&*store, &event).await?;
    for step in 1..READ_STEPS.max {
        news(bench, &event, step).await?;
        let before = map.clone();
        let answer = dropped_at(&store, step, map.update(&*store)).await.transpose()?;
        if answer.is_none() {
            ensure_eq!(map, before, "a seat map whose update was dropped at step {step}");
        }
        while !map.update(&*store).await?.is_empty() {}
        is_true(bench, &event, &map, step).await?;
        if is_through(bench, "update", READ_STEPS, step, answer.is_some())? {
            break;
        }
    }
    Ok(())
}

/// A ticket is another one, and a customer's allowance, of which a map knows nothing.
async fn news(bench: &RepositoryBench, event: &EventId, step: u32) -> Checked {
    let allowance = Record::Allowance(Allowance { held: step, booked: 0 });
    let records = vec![
        (ticket_key(step % 3), ticket(step % 3, blocked(&format!("camera {step}")))),
        (RecordKey::Allowance(customer_id("ada")), allowance),
    ];
    bench.put(event, records).await
}

/// A map shows what the tables have, as of the end of the feed.
async fn is_true(bench: &RepositoryBench, event: &EventId, map: &SeatMap, step: u32) -> Checked {
    let tickets: Vec<_> = map.tickets().map(|(id, ticket)| (id.clone(), ticket.clone())).collect();
    let expected: Vec<_> = bench.tickets(event).await?.into_iter().map(|(id, _, ticket)| (id, ticket)).collect();
    ensure_eq!(tickets, expected, "the tickets of a seat map after one was dropped at step {step}");
    let pools: Vec<_> = map.pools().map(|(id, pool)| (id.clone(), pool.clone())).collect();
    let expected: Vec<_> = bench.pools(event).await?.into_iter().map(|(id, _, pool)| (id, pool)).collect();
    ensure_eq!(pools, expected, "the pools of a seat map after one was dropped at step {step}");
    let end = bench.changes(event).await?.last().map(|change| change.sequence);
    ensure_eq!(Some(map.through()), end, "how far a seat map is after one was dropped at step {step}");
    Ok(())
}

/// Whoever waits for the next row may go, and so may the whole stream.
pub(in crate::conformance::repository) async fn a_stream_of_changes_dropped_at_any_moment_misses_nothing(
    bench: &RepositoryBench,
) -> Checked {
    let event = event_id("concert");
    bench.stage(&event, 3, &[], None).await?;
    let store = Halting::new(bench.open().await?);
    let service = service::on(bench, Arc::clone(&store) as _)?;
    for step in 1..READ_STEPS.max {
        let mut stream = service.follow(&event, 0, EVERY);
        let answer = dropped_at(&store, step, stream.next()).await;
        let is_answered = answer.is_some();
        let mut rows: Vec<Change> = answer.flatten().into_iter().collect::<Result<_, _>>()?;
        let expected = bench.changes(&event).await?;
        rows.extend(next_rows(&mut stream, expected.len() - rows.len()).await?);
        ensure_eq!(rows, expected, "a stream of which a row was dropped at step {step}");
        let waited = polled(2, stream.next()).await;
        ensure!(waited.is_none(), "a row after the last one: {waited:?}");
        news(bench, &event, step).await?;
        let news = next_rows(&mut stream, 2).await?;
        ensure_eq!(news[..], bench.changes(&event).await?[rows.len()..], "rows that nobody waited for any more");
        if is_through(bench, "next", READ_STEPS, step, is_answered)? {
            break;
        }
    }
    for step in 1..READ_STEPS.max {
        let mut stream = service.follow(&event, 0, EVERY);
        let is_answered = dropped_at(&store, step, async move { stream.next().await }).await.is_some();
        news(bench, &event, step).await?;
        let expected = bench.changes(&event).await?;
        let rows = next_rows(&mut service.follow(&event, 0, EVERY), expected.len()).await?;
        ensure_eq!(rows, expected, "a stream after another one that was dropped at step {step}");
        if is_through(bench, "follow", READ_STEPS, step, is_answered)? {
            break;
        }
    }
    Ok(())
}

async fn next_rows(
    stream: &mut BoxStream<'static, Result<Change, ChangesError>>,
    count: usize,
) -> Result<Vec<Change>, Failure> {
    let mut rows = Vec::with_capacity(count);
    for row in 0..count {
        let next = stream.next().await;
        rows.push(next.ok_or_else(|| Failure::new(format!("a stream is over after {row} of {count} rows")))??);
    }
    Ok(rows)
}
