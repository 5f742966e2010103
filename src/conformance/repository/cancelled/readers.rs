//! Readers of the store that go away before they have their answer.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use crate::conformance::bench::{
    RepositoryBench, blocked, event_id, lines, pool, pool_key, put, reservation, ticket, ticket_key,
};
use crate::conformance::check::{Checked, Failure, ensure, ensure_eq};
use crate::conformance::polled::{STEPS_MAX, not_through, polled};
use crate::domain::{EventId, RecordKey, ReservationState, Timestamp};
use crate::ports::{
    Availability, BoxFuture, PAGE_MAX, PoolQuery, Repository, ReservationQuery, RuntimeExt, TicketQuery,
};

/// Every query, dropped after every poll: the next one through the same handle has its own answer, and not an old one.
pub(in crate::conformance::repository) async fn a_reader_may_be_dropped_at_any_moment(
    bench: &RepositoryBench,
) -> Checked {
    reader(bench, "tickets", |store, event| {
        let query = TicketQuery { event, area: None, only_available: true, after: None, limit: PAGE_MAX };
        Box::pin(async move { store.tickets(&query).await })
    })
    .await?;
    reader(bench, "pools", |store, event| {
        let query = PoolQuery { event, after: None, limit: PAGE_MAX };
        Box::pin(async move { store.pools(&query).await })
    })
    .await?;
    reader(bench, "availability", |store, event| {
        Box::pin(async move {
            // As of whichever moment.
            Ok::<_, Failure>(Availability { at: Timestamp::EPOCH, ..store.availability(&event).await? })
        })
    })
    .await?;
    reader(bench, "reservations", |store, event| {
        let query = ReservationQuery { event: Some(event), customer: None, state: None, after: None, limit: PAGE_MAX };
        Box::pin(async move { store.reservations(&query).await })
    })
    .await?;
    reader(bench, "changes", |store, event| Box::pin(async move { store.changes(&event, 0, PAGE_MAX).await })).await?;
    reader(bench, "lapsed", |store, _| {
        Box::pin(async move {
            let mut lapsed = store.lapsed(PAGE_MAX).await?;
            lapsed.sort_unstable();
            Ok::<_, Failure>(lapsed)
        })
    })
    .await
}

async fn reader<T, E>(
    bench: &RepositoryBench,
    name: &str,
    read: impl Fn(Arc<dyn Repository>, EventId) -> BoxFuture<'static, Result<T, E>>,
) -> Checked
where
    T: Debug + PartialEq,
    Failure: From<E>,
{
    let event = event_id(name);
    bench.stage(&event, STEPS_MAX, &[("floor", STEPS_MAX)], None).await?;
    let elsewhere = bench.open().await?;
    for times in 0..STEPS_MAX {
        let before = read(Arc::clone(&elsewhere), event.clone()).await?;
        let through = polled(times, read(Arc::clone(&bench.repository), event.clone())).await.transpose()?;
        something_happens(bench, &*elsewhere, &event, times).await?;
        let found = read(Arc::clone(&bench.repository), event.clone()).await?;
        let expected = read(Arc::clone(&elsewhere), event.clone()).await?;
        ensure!(before != expected, "the {name} are what they were before a change: {before:?}");
        ensure_eq!(found, expected, "the {name}, asked for after a reader was dropped after {times} polls");
        if let Some(found) = through {
            ensure_eq!(found, before, "the {name}");
            bench.note(format!("{name}: {times} polls"));
            return Ok(());
        }
    }
    Err(not_through(name, STEPS_MAX))
}

/// Something that every query tells of: a ticket less, and a hold more, which is over.
async fn something_happens(bench: &RepositoryBench, store: &dyn Repository, event: &EventId, n: u32) -> Checked {
    let until = bench.clock().await?.before(Duration::from_secs(3_600));
    let id = bench.runtime.reservation_id();
    let held = reservation(id, event, "ada", lines(&[], &[("floor", 1)]), ReservationState::Held { until });
    let records = vec![
        (ticket_key(n), ticket(n, blocked("camera"))),
        (pool_key("floor"), pool(STEPS_MAX, n + 1, 0)),
        (RecordKey::Reservation(id), held),
    ];
    put(store, event, records).await
}
