//! Writes that cannot be right: the store is the last defence, and refuses them for good.

use crate::conformance::bench::{
    RepositoryBench, blocked, event_id, lines, nth_ticket, operation, pool, pool_key, reservation, ticket, ticket_key,
};
use crate::conformance::check::{Checked, Failure, ensure_eq};
use crate::domain::{EventId, Record, RecordKey, ReservationState};
use crate::ports::{RuntimeExt, StoreErrorKind};

/// Commits a wrong write, in a group with right ones and beside a right group: nothing of it may happen.
async fn is_refused(bench: &RepositoryBench, event: &EventId, what: &str, key: RecordKey, record: Record) -> Checked {
    let beside = [ticket_key(0), ticket_key(1), RecordKey::Operation(bench.runtime.operation_id())];
    let keys: Vec<RecordKey> = beside.iter().cloned().chain([key.clone()]).collect();
    let before = bench.load(event, &keys).await?;
    let rows = bench.changes(event).await?.len();
    let good = bench.begin(event, &keys).await?.write(ticket_key(0), ticket(0, blocked("good"))).group();
    let bad = bench.begin(event, &keys).await?.write(ticket_key(1), ticket(1, blocked("beside")));
    let bad = bad.write(beside[2].clone(), operation(event, None)).write(key, record).group();
    for groups in [vec![bad.clone()], vec![good.clone(), bad.clone()], vec![bad, good]] {
        match bench.repository.commit(event, &groups).await {
            Ok(outcomes) => return Err(Failure::new(format!("{what}: not refused, but answered with {outcomes:?}"))),
            Err(error) => ensure_eq!(error.kind(), StoreErrorKind::Permanent, "{what}: the kind of error"),
        }
        let after = bench.load(event, &keys).await?;
        for key in &keys {
            ensure_eq!(after.get(key), before.get(key), "{what}: {key:?} after it was refused");
        }
        ensure_eq!(bench.changes(event).await?.len(), rows, "{what}: the number of changes");
    }
    Ok(())
}

pub(super) async fn a_pool_beyond_its_capacity(bench: &RepositoryBench) -> Checked {
    let event = event_id("concert");
    bench.stage(&event, 2, &[("floor", 5)], None).await?;
    for (held, booked) in [(4, 2), (6, 0), (0, 6), (u32::MAX, u32::MAX)] {
        let what = format!("a pool of 5 with {held} held and {booked} booked");
        is_refused(bench, &event, &what, pool_key("floor"), pool(5, held, booked)).await?;
        is_refused(bench, &event, &format!("{what}, new"), pool_key("new"), pool(5, held, booked)).await?;
    }
    Ok(())
}

pub(super) async fn a_reservation_of_another_event(bench: &RepositoryBench) -> Checked {
    let (here, there) = (event_id("here"), event_id("there"));
    for event in [&here, &there] {
        bench.stage(event, 3, &[("floor", 5)], None).await?;
    }
    let booked = |id, event: &EventId| {
        reservation(id, event, "ada", lines(&[nth_ticket(2)], &[("floor", 1)]), ReservationState::Booked)
    };
    let new = bench.runtime.reservation_id();
    let key = RecordKey::Reservation(new);
    is_refused(bench, &here, "a new reservation of another event", key, booked(new, &there)).await?;
    let old = bench.runtime.reservation_id();
    let key = RecordKey::Reservation(old);
    bench.put(&there, vec![(key.clone(), booked(old, &there))]).await?;
    let cancelled =
        reservation(old, &there, "ada", lines(&[nth_ticket(2)], &[("floor", 1)]), ReservationState::Cancelled);
    is_refused(bench, &here, "a change of another event's reservation", key.clone(), cancelled).await?;
    for event in [&here, &there] {
        let listed: Vec<_> = bench.reservations(event).await?.into_iter().map(|(_, found)| found.id).collect();
        ensure_eq!(listed, if *event == there { vec![old] } else { vec![] }, "the reservations of event {event}");
    }
    ensure_eq!(bench.get(&there, &key).await?.record, Some(booked(old, &there)), "the other event's reservation");
    Ok(())
}

pub(super) async fn an_operation_of_another_event(bench: &RepositoryBench) -> Checked {
    let (here, there) = (event_id("here"), event_id("there"));
    for event in [&here, &there] {
        bench.stage(event, 3, &[("floor", 5)], None).await?;
    }
    let key = RecordKey::Operation(bench.runtime.operation_id());
    is_refused(bench, &here, "an operation of another event", key, operation(&there, None)).await
}

pub(super) async fn a_record_under_a_key_that_is_not_its_own(bench: &RepositoryBench) -> Checked {
    let event = event_id("concert");
    bench.stage(&event, 3, &[("floor", 5)], None).await?;
    let (id, other) = (bench.runtime.reservation_id(), bench.runtime.reservation_id());
    let record = reservation(other, &event, "ada", lines(&[nth_ticket(2)], &[]), ReservationState::Booked);
    is_refused(bench, &event, "a reservation under another id", RecordKey::Reservation(id), record).await?;
    is_refused(bench, &event, "a pool under a ticket's key", ticket_key(2), pool(5, 0, 0)).await?;
    is_refused(bench, &event, "a ticket under a pool's key", pool_key("floor"), ticket(2, blocked("x"))).await
}
