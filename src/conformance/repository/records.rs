use super::super::bench::{
    RepositoryBench, customer_id, event_id, lines, literal, new_reservation_id, nth_ticket, operation, place, pool,
    pool_id, pool_key, reservation, ticket, ticket_id, ticket_key,
};
use super::super::check::{Checked, ensure, ensure_eq};
use super::samples;
use crate::conformance::bench::blocked;
use crate::domain::{
    ActionKind, Allowance, AreaId, Event, EventId, EventState, Fingerprint, OperationRecord, Place, PoolId, Record,
    RecordKey, Recorded, ReservationState, SalesWindow, Ticket, TicketId, TicketState, Timestamp, Versioned,
};
use crate::ports::{PAGE_MAX, RuntimeExt, StoreErrorKind, TicketQuery};

/// Writes records and reads them through another handle.
async fn round_trip(bench: &RepositoryBench, event: &EventId, records: Vec<(RecordKey, Record)>) -> Checked {
    let keys: Vec<RecordKey> = records.iter().map(|(key, _)| key.clone()).collect();
    let decided_at = Timestamp::from_micros(1_712_345_678_901_234);
    let mut tx = bench.begin(event, &keys).await?.decided_at(decided_at);
    for (key, record) in &records {
        tx = tx.write(key.clone(), record.clone());
    }
    let versions: Vec<u64> = keys.iter().map(|key| tx.get(key).version + 1).collect();
    super::super::bench::ensure_committed(&bench.commit(event, tx.group()).await?, "writing")?;
    let other = bench.store.open().await;
    let snapshot = super::super::bench::load(&*other, event, &keys).await?;
    ensure_eq!(snapshot.event(), event, "the event of the snapshot");
    for ((key, record), version) in records.into_iter().zip(versions) {
        let expected = Versioned::new(version, decided_at, record);
        ensure_eq!(snapshot.get(&key), Some(&expected), "{key:?}");
    }
    Ok(())
}

pub(super) async fn every_kind_of_record_is_read_as_it_was_written(bench: &RepositoryBench) -> Checked {
    let event = event_id("concert");
    let until = Timestamp::from_micros(4_000_000_000_000_001);
    round_trip(bench, &event, samples::created(&event, &bench.runtime)).await?;
    round_trip(
        bench,
        &event,
        samples::changing(&event, &bench.runtime).into_iter().map(|it| (it.key, it.after)).collect(),
    )
    .await?;
    let id = new_reservation_id(&bench.runtime);
    let ticket_states = [
        TicketState::Available,
        TicketState::Held { reservation: id, until },
        TicketState::Booked { reservation: id },
        blocked("technical: camera 3"),
        TicketState::Available,
    ];
    for state in ticket_states {
        round_trip(bench, &event, vec![(ticket_key(0), ticket(0, state))]).await?;
    }
    let reservation_states = [
        ReservationState::Held { until },
        ReservationState::Booked,
        ReservationState::Released,
        ReservationState::Cancelled,
        ReservationState::Expired,
    ];
    for state in reservation_states {
        for lines in [
            lines(&[nth_ticket(3), nth_ticket(1)], &[]),
            lines(&[], &[("floor", 7), ("balcony", 1)]),
            lines(&[nth_ticket(1)], &[("floor", 1)]),
        ] {
            let id = new_reservation_id(&bench.runtime);
            let record = reservation(id, &event, "grace", lines, state);
            round_trip(bench, &event, vec![(RecordKey::Reservation(id), record)]).await?;
        }
    }
    let id = new_reservation_id(&bench.runtime);
    let mut recorded = vec![Recorded::Voided];
    for (n, kind) in ActionKind::ALL.into_iter().enumerate() {
        recorded.push(Recorded::Applied { kind, reservation: None, customer: None, until: None, changed: n as u32 });
        recorded.push(Recorded::Applied {
            kind,
            reservation: Some(id),
            customer: Some(customer_id("ada")),
            until: (n % 2 == 0).then_some(until),
            changed: 0,
        });
    }
    for recorded in recorded {
        let fingerprint = Fingerprint::from_bytes([0xa5; 16]);
        let record = Record::Operation(OperationRecord { event: event.clone(), fingerprint, recorded });
        round_trip(bench, &event, vec![(RecordKey::Operation(bench.runtime.operation_id()), record)]).await?;
    }
    Ok(())
}

pub(super) async fn extreme_values_are_kept(bench: &RepositoryBench) -> Checked {
    let micros = Timestamp::from_micros;
    let windows = [
        SalesWindow { opens: None, closes: None },
        SalesWindow { opens: Some(micros(1)), closes: None },
        SalesWindow { opens: None, closes: Some(micros(4_102_444_799_999_999)) },
        SalesWindow { opens: Some(Timestamp::EPOCH), closes: Some(micros(1_700_000_000_000_001)) },
    ];
    for (n, window) in windows.into_iter().enumerate() {
        for limit_per_customer in [None, Some(0), Some(u32::MAX)] {
            let event = event_id(&format!("event {n} {limit_per_customer:?}"));
            let record = Record::Event(Event { state: EventState::Preparing, window, limit_per_customer });
            round_trip(bench, &event, vec![(RecordKey::Event, record)]).await?;
        }
    }
    let event = event_id("extremes");
    bench.stage(&event, 0, &[], None).await?;
    let longest = "x".repeat(64);
    let place = Place { area: literal(AreaId::new(&longest)), row: u32::MAX, number: u32::MAX };
    let record = Record::Ticket(Ticket::available(place));
    round_trip(bench, &event, vec![(RecordKey::Ticket(ticket_id(&longest)), record)]).await?;
    round_trip(bench, &event, vec![(pool_key("none"), pool(0, 0, 0))]).await?;
    round_trip(bench, &event, vec![(pool_key(&longest), pool(u32::MAX, u32::MAX - 1, 1))]).await?;
    let allowance = Record::Allowance(Allowance { held: u32::MAX, booked: u32::MAX });
    round_trip(bench, &event, vec![(RecordKey::Allowance(customer_id(&longest)), allowance)]).await?;
    let id = new_reservation_id(&bench.runtime);
    let tickets: Vec<TicketId> = (0..999).map(nth_ticket).collect();
    let record =
        reservation(id, &event, &longest, lines(&tickets, &[("floor", 4_000_000_000)]), ReservationState::Booked);
    round_trip(bench, &event, vec![(RecordKey::Reservation(id), record)]).await?;
    let text = "quote ' quote \" back\\slash % _ ; -- ünïcödé 座席 🎫 \u{10ffff}";
    let record = Record::Ticket(Ticket { place: super::super::bench::place(0), state: blocked(text) });
    round_trip(bench, &event, vec![(ticket_key(0), record)]).await
}

pub(super) async fn versions_count_commits(bench: &RepositoryBench) -> Checked {
    let event = event_id("concert");
    for sample in samples::changing(&event, &bench.runtime) {
        for version in 1..=4_u64 {
            let record = if version % 2 == 1 { &sample.before } else { &sample.after };
            bench.put(&event, vec![(sample.key.clone(), record.clone())]).await?;
            ensure_eq!(bench.get(&event, &sample.key).await?.version, version, "the version of {:?}", sample.key);
        }
    }
    Ok(())
}

pub(super) async fn ids_are_compared_byte_by_byte(bench: &RepositoryBench) -> Checked {
    // Alike in many collations: case, accents, width, ligatures, composition, ignorable characters, inner blanks, numbers.
    let texts = [
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
    ];
    let event = event_id("concert");
    bench.stage(&event, 0, &[], None).await?;
    for text in texts {
        let other_event = event_id(text);
        bench.stage(&other_event, 0, &[], None).await?;
        let place = Place { area: literal(AreaId::new(text)), row: 1, number: 1 };
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
    let mut sorted: Vec<&str> = texts.to_vec();
    sorted.sort_unstable_by_key(|text| text.as_bytes());
    let found: Vec<TicketId> = bench.tickets(&event).await?.into_iter().map(|(id, ..)| id).collect();
    ensure_eq!(found.iter().map(TicketId::as_str).collect::<Vec<_>>(), sorted, "the order of tickets");
    let found: Vec<PoolId> = bench.repository.pools(&event).await?.into_iter().map(|(id, ..)| id).collect();
    ensure_eq!(found.iter().map(PoolId::as_str).collect::<Vec<_>>(), sorted, "the order of pools");
    for text in texts {
        let area = Some(literal(AreaId::new(text)));
        let query = TicketQuery { event: event.clone(), area, after: None, limit: PAGE_MAX };
        let found = bench.repository.tickets(&query).await?;
        ensure_eq!(found.iter().map(|(id, ..)| id.as_str()).collect::<Vec<_>>(), vec![text], "the area {text:?}");
    }
    Ok(())
}

pub(super) async fn reservations_and_operations_are_named_across_events(bench: &RepositoryBench) -> Checked {
    let (here, there) = (event_id("here"), event_id("there"));
    bench.stage(&here, 2, &[], None).await?;
    bench.stage(&there, 2, &[], None).await?;
    let id = new_reservation_id(&bench.runtime);
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
        let write = crate::ports::Write { key: key.clone(), version: 0, decided_at, record: of_there };
        let group = crate::ports::Group { reads: Vec::new(), writes: vec![write] };
        let outcome = bench.commit(&there, group).await?;
        super::super::bench::ensure_conflict(&outcome, std::slice::from_ref(&key), "an id that another event uses")?;
        let group = crate::ports::Group {
            reads: vec![(key.clone(), 0)],
            writes: vec![crate::ports::Write {
                key: ticket_key(0),
                version: 1,
                decided_at,
                record: ticket(0, blocked("x")),
            }],
        };
        let outcome = bench.commit(&there, group).await?;
        super::super::bench::ensure_conflict(&outcome, &[key], "an id that another event uses, read as absent")?;
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

pub(super) async fn ten_thousand_records_are_written_and_read_at_once(bench: &RepositoryBench) -> Checked {
    const COUNT: u32 = 10_000;
    let event = event_id("stadium");
    bench.stage(&event, COUNT, &[], None).await?;
    let keys: Vec<RecordKey> = (0..COUNT).map(ticket_key).collect();
    let snapshot = bench.load(&event, &keys).await?;
    for n in 0..COUNT {
        let expected = Some(Record::Ticket(Ticket::available(place(n))));
        let found = snapshot.get(&ticket_key(n)).and_then(|it| it.record.clone());
        ensure_eq!(found, expected, "ticket {n}");
    }
    ensure_eq!(bench.tickets(&event).await?.len(), COUNT as usize, "the number of tickets listed");
    ensure_eq!(bench.changes(&event).await?.len(), COUNT as usize + 1, "the number of changes");
    Ok(())
}

/// What the contract recommends; an adapter that does without needs more calls and is right all the same.
pub(super) async fn loading_brings_along_what_deciding_needs_next(bench: &RepositoryBench) -> Checked {
    let event = event_id("concert");
    bench.stage(&event, 3, &[("floor", 5)], Some(4)).await?;
    let id = new_reservation_id(&bench.runtime);
    let operation_key = RecordKey::Operation(bench.runtime.operation_id());
    let of_lines = lines(&[nth_ticket(1), nth_ticket(2)], &[("floor", 1)]);
    let ada = RecordKey::Allowance(customer_id("ada"));
    let records = vec![
        (pool_key("floor"), pool(5, 0, 1)),
        (ticket_key(1), ticket(1, TicketState::Booked { reservation: id })),
        (ticket_key(2), ticket(2, TicketState::Booked { reservation: id })),
        (ada.clone(), Record::Allowance(Allowance { held: 0, booked: 3 })),
        (RecordKey::Reservation(id), reservation(id, &event, "ada", of_lines, ReservationState::Booked)),
        (operation_key.clone(), operation(&event, Some(id))),
    ];
    bench.put(&event, records).await?;
    let needs = [ticket_key(1), ticket_key(2), pool_key("floor"), ada];
    let mut lacking = Vec::new();
    let with_reservation = bench.load(&event, &[RecordKey::Reservation(id)]).await?;
    lacking.extend(needs.iter().filter(|key| with_reservation.get(key).is_none()));
    let with_operation = bench.load(&event, &[operation_key]).await?;
    let reservation_key = RecordKey::Reservation(id);
    if with_operation.get(&reservation_key).is_none() {
        lacking.push(&reservation_key);
    }
    if !lacking.is_empty() {
        bench.note(format!("recommended, and not brought along: {lacking:?}"));
    }
    for snapshot in [with_reservation, with_operation] {
        for key in &needs {
            if let Some(found) = snapshot.get(key) {
                ensure_eq!(*found, bench.get(&event, key).await?, "{key:?}, brought along");
            }
        }
    }
    Ok(())
}

/// A pool beyond its capacity: refused for good, with everything beside it.
pub(super) async fn a_broken_invariant_is_not_written(bench: &RepositoryBench) -> Checked {
    let event = event_id("concert");
    bench.stage(&event, 1, &[("floor", 5)], None).await?;
    let keys = [ticket_key(0), pool_key("floor")];
    let tx = bench.begin(&event, &keys).await?;
    let tx = tx.write(ticket_key(0), ticket(0, blocked("x"))).write(pool_key("floor"), pool(5, 4, 2));
    match bench.repository.commit(&event, &[tx.group()]).await {
        Ok(outcomes) => bench.note(format!("oversold pools are not noticed by the store ({outcomes:?})")),
        Err(error) => {
            ensure_eq!(error.kind(), StoreErrorKind::Permanent, "the kind of error");
            ensure_eq!(bench.get(&event, &pool_key("floor")).await?.record, Some(pool(5, 0, 0)), "the pool");
            let found = bench.get(&event, &ticket_key(0)).await?.record;
            ensure_eq!(found, Some(ticket(0, TicketState::Available)), "the ticket beside it");
        }
    }
    Ok(())
}
