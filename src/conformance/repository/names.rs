//! What a name stands for, and in which event.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::conformance::bench::{
    RepositoryBench, area_id, blocked, customer_id, ensure_conflict, event_id, lines, nth_ticket, operation, pool,
    pool_id, pool_key, reservation, ticket, ticket_id, ticket_key,
};
use crate::conformance::check::{Checked, ensure, ensure_eq};
use crate::domain::{
    Allowance, EventId, Lapsed, LapsedOf, Place, PoolId, Record, RecordKey, ReservationId, ReservationState, Ticket,
    TicketId, TicketState, Timestamp, Versioned,
};
use crate::ports::{Group, LoadRequest, PAGE_MAX, PoolQuery, ReservationQuery, RuntimeExt, TicketQuery, Write};

/// Alike in many collations: case, accents, width, ligatures, composition, ignorable characters, inner blanks, numbers.
const TEXTS: [&str; 26] = [
    "row a",
    "row A",
    "Row a",
    "row á",
    "row a\u{301}",
    "row ａ",
    "row ß",
    "row ss",
    "row ﬁ",
    "row fi",
    "row\u{200b}a",
    "row  a",
    "row-a",
    "rowa",
    "10",
    "9",
    "010",
    "'; DROP TABLE ticket; --",
    "%",
    "_",
    "\u{ffff}",
    "\u{10000}",
    "座席",
    // From right to left, and letters of both directions.
    "מושב 1",
    "\u{202e}row",
    "\"row\"",
];

pub(super) async fn ids_are_compared_byte_by_byte(bench: &RepositoryBench) -> Checked {
    let event = event_id("concert");
    bench.stage(&event, 0, &[], None).await?;
    for text in TEXTS {
        let other_event = event_id(text);
        bench.stage(&other_event, 0, &[], None).await?;
        let place = Place { area: area_id(text), row: 1, number: 1 };
        let keys = [
            RecordKey::Ticket(ticket_id(text)),
            RecordKey::Pool(pool_id(text)),
            RecordKey::Allowance(customer_id(text)),
        ];
        let records = [
            Record::Ticket(Ticket::available(place)),
            pool(7, 0, 0),
            Record::Allowance(Allowance { held: 1, booked: 0 }),
        ];
        for (key, record) in keys.into_iter().zip(records) {
            let found = bench.get(&event, &key).await?;
            ensure_eq!(found, Versioned::ABSENT, "{key:?}, which only an id that looks like it has made");
            bench.put(&event, vec![(key, record)]).await?;
        }
    }
    let mut sorted: Vec<&str> = TEXTS.to_vec();
    sorted.sort_unstable_by_key(|text| text.as_bytes());
    let found: Vec<TicketId> = bench.tickets(&event).await?.into_iter().map(|(id, ..)| id).collect();
    ensure_eq!(found.iter().map(TicketId::as_str).collect::<Vec<_>>(), sorted, "the order of tickets");
    let found: Vec<PoolId> = bench.pools(&event).await?.into_iter().map(|(id, ..)| id).collect();
    ensure_eq!(found.iter().map(PoolId::as_str).collect::<Vec<_>>(), sorted, "the order of pools");
    for text in TEXTS {
        let area = Some(area_id(text));
        let query = TicketQuery { event: event.clone(), area, only_available: false, after: None, limit: PAGE_MAX };
        let found = bench.repository.tickets(&query).await?;
        ensure_eq!(found.iter().map(|(id, ..)| id.as_str()).collect::<Vec<_>>(), vec![text], "the area {text:?}");
    }
    Ok(())
}

/// Events, areas, pools and customers of names that look alike: whatever is looked for by a name is found by that name alone.
pub(super) async fn names_that_look_alike_are_looked_for_apart(bench: &RepositoryBench) -> Checked {
    let event = event_id("concert");
    bench.stage(&event, 0, &[], Some(9)).await?;
    let past = bench.clock().await?.before(Duration::from_secs(3_600));
    let mut reservations: BTreeMap<&str, ReservationId> = BTreeMap::new();
    for text in TEXTS {
        bench.stage(&event_id(text), 0, &[(text, 1)], None).await?;
        let id = bench.runtime.reservation_id();
        let state = ReservationState::Held { until: past };
        let place = Place { area: area_id(text), row: 1, number: 1 };
        let records = vec![
            (RecordKey::Ticket(ticket_id(text)), Record::Ticket(Ticket::available(place))),
            (RecordKey::Pool(pool_id(text)), pool(7, 1, 0)),
            (RecordKey::Allowance(customer_id(text)), Record::Allowance(Allowance { held: 1, booked: 0 })),
            (RecordKey::Reservation(id), reservation(id, &event, text, lines(&[], &[(text, 1)]), state)),
        ];
        bench.put(&event, records).await?;
        reservations.insert(text, id);
    }
    for text in TEXTS {
        let free_in = vec![area_id(text)];
        let records = vec![RecordKey::Pool(pool_id(text)), RecordKey::Allowance(customer_id(text))];
        let snapshot = bench.repository.load(&LoadRequest { event: event.clone(), records, free_in }).await?;
        ensure_eq!(snapshot.free(&area_id(text)), Some(&[ticket_id(text)][..]), "what is free in the area {text:?}");
        let expected = Lapsed { reservations: vec![reservations[text]], more: false };
        for of in [LapsedOf::Pool(pool_id(text)), LapsedOf::Customer(customer_id(text))] {
            ensure_eq!(snapshot.lapsed(&of), Some(&expected), "the expired holds of {of:?}");
        }
        // One event's and all events' are different statements.
        for of in [Some(event.clone()), None] {
            let customer = Some(customer_id(text));
            let query = ReservationQuery { event: of, customer, state: None, after: None, limit: PAGE_MAX };
            let found: Vec<_> = bench.repository.reservations(&query).await?.into_iter().map(|(_, it)| it.id).collect();
            ensure_eq!(
                found,
                vec![reservations[text]],
                "the reservations of the customer {text:?} in {:?}",
                query.event
            );
        }
        let changes = bench.repository.changes(&event_id(text), 0, PAGE_MAX).await?;
        let keys: Vec<RecordKey> = changes.into_iter().map(|change| change.key).collect();
        let expected = [RecordKey::Event, RecordKey::Pool(pool_id(text))];
        ensure!(keys.len() == 2 && expected.iter().all(|key| keys.contains(key)), "the feed of {text:?}: {keys:?}");
    }
    let mut sorted: Vec<&str> = TEXTS.to_vec();
    sorted.sort_unstable_by_key(|text| text.as_bytes());
    let found = bench.repository.availability(&event).await?;
    let areas: Vec<_> = found.areas.iter().map(|it| (it.area.as_str(), it.tickets, it.available)).collect();
    ensure_eq!(areas, sorted.iter().map(|text| (*text, 1, 1)).collect::<Vec<_>>(), "what is free, area by area");
    let pools: Vec<&str> = found.pools.iter().map(|it| it.pool.as_str()).collect();
    ensure_eq!(pools, sorted, "what is free, pool by pool");
    pages_of_one(bench, &event, &sorted).await
}

/// The next page begins after exactly that name.
async fn pages_of_one(bench: &RepositoryBench, event: &EventId, sorted: &[&str]) -> Checked {
    for only_available in [false, true] {
        let mut after = None;
        for text in sorted.iter().map(Some).chain([None]) {
            let query = TicketQuery { event: event.clone(), area: None, only_available, after: after.take(), limit: 1 };
            let page: Vec<_> = bench.repository.tickets(&query).await?.into_iter().map(|(id, ..)| id).collect();
            ensure_eq!(page, text.map(ticket_id).into_iter().collect::<Vec<_>>(), "the page after {:?}", query.after);
            after = page.into_iter().next();
        }
    }
    let mut after = None;
    for text in sorted.iter().map(Some).chain([None]) {
        let query = PoolQuery { event: event.clone(), after: after.take(), limit: 1 };
        let page: Vec<_> = bench.repository.pools(&query).await?.into_iter().map(|(id, ..)| id).collect();
        let expected: Vec<PoolId> = text.map(|text| pool_id(text)).into_iter().collect();
        ensure_eq!(page, expected, "the page after {:?}", query.after);
        after = page.into_iter().next();
    }
    Ok(())
}

pub(super) async fn reservations_and_operations_are_named_across_events(bench: &RepositoryBench) -> Checked {
    let (here, there) = (event_id("here"), event_id("there"));
    bench.stage(&here, 2, &[], None).await?;
    bench.stage(&there, 2, &[], None).await?;
    let id = bench.runtime.reservation_id();
    let reservation_key = RecordKey::Reservation(id);
    let operation_key = RecordKey::Operation(bench.runtime.operation_id());
    let of_here = reservation(id, &here, "ada", lines(&[nth_ticket(0)], &[]), ReservationState::Booked);
    let records = vec![(reservation_key.clone(), of_here.clone()), (operation_key.clone(), operation(&here, Some(id)))];
    bench.put(&here, records).await?;
    for key in [&reservation_key, &operation_key] {
        let found = bench.get(&there, key).await?;
        ensure!(found.version == 1, "{key:?} of another event is not found: {found:?}");
    }
    let found = bench.get(&there, &reservation_key).await?;
    ensure_eq!(found.record, Some(of_here.clone()), "a reservation of another event");
    // Who believes that it does not exist must not make it a second time.
    for key in [reservation_key, operation_key] {
        let of_there = match &key {
            RecordKey::Reservation(_) => {
                reservation(id, &there, "bob", lines(&[nth_ticket(1)], &[]), ReservationState::Booked)
            }
            _ => operation(&there, Some(id)),
        };
        let decided_at = Timestamp::EPOCH;
        let write = Write { key: key.clone(), version: 0, decided_at, record: of_there };
        let group = Group { reads: Vec::new(), writes: vec![write], ..Group::default() };
        let outcome = bench.commit(&there, group).await?;
        ensure_conflict(&outcome, std::slice::from_ref(&key), "an id that another event uses")?;
        let group = Group {
            reads: vec![(key.clone(), 0)],
            writes: vec![Write { key: ticket_key(0), version: 1, decided_at, record: ticket(0, blocked("x")) }],
            ..Group::default()
        };
        let outcome = bench.commit(&there, group).await?;
        ensure_conflict(&outcome, &[key], "an id that another event uses, read as absent")?;
    }
    Ok(())
}

pub(super) async fn events_do_not_see_each_others_records(bench: &RepositoryBench) -> Checked {
    let (here, there) = (event_id("here"), event_id("there"));
    bench.stage(&here, 3, &[("floor", 5)], Some(4)).await?;
    bench.put(&here, vec![(RecordKey::Allowance(customer_id("ada")), Record::Allowance(Allowance::default()))]).await?;
    let keys = [RecordKey::Event, ticket_key(1), pool_key("floor"), RecordKey::Allowance(customer_id("ada"))];
    for key in &keys {
        ensure_eq!(bench.get(&there, key).await?, Versioned::ABSENT, "{key:?} of an event that does not exist");
    }
    bench.stage(&there, 2, &[("floor", 9)], None).await?;
    bench.put(&there, vec![(ticket_key(1), ticket(1, blocked("there")))]).await?;
    ensure_eq!(bench.get(&here, &ticket_key(1)).await?.record, Some(ticket(1, TicketState::Available)), "a ticket");
    ensure_eq!(bench.get(&here, &pool_key("floor")).await?.record, Some(pool(5, 0, 0)), "a pool");
    ensure_eq!(bench.tickets(&here).await?.len(), 3, "the number of tickets here");
    ensure_eq!(bench.tickets(&there).await?.len(), 2, "the number of tickets there");
    Ok(())
}
