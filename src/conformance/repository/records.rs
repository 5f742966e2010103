use super::samples;
use crate::conformance::bench::{
    RepositoryBench, blocked, customer_id, ensure_committed, event_id, lines, load, nth_ticket, operation, place, pool,
    pool_key, reservation, ticket, ticket_key,
};
use crate::conformance::check::{Checked, ensure_eq};
use crate::domain::{
    ActionKind, Allowance, EventId, Fingerprint, OperationRecord, Record, RecordKey, Recorded, ReservationState,
    Ticket, TicketState, Timestamp, Versioned,
};
use crate::ports::RuntimeExt;

/// Writes records and reads them through another handle.
pub(super) async fn round_trip(bench: &RepositoryBench, event: &EventId, records: Vec<(RecordKey, Record)>) -> Checked {
    let keys: Vec<RecordKey> = records.iter().map(|(key, _)| key.clone()).collect();
    let decided_at = Timestamp::from_micros(1_712_345_678_901_234);
    let mut tx = bench.begin(event, &keys).await?.decided_at(decided_at);
    for (key, record) in &records {
        tx = tx.write(key.clone(), record.clone());
    }
    let versions: Vec<u64> = keys.iter().map(|key| tx.get(key).version + 1).collect();
    ensure_committed(&bench.commit(event, tx.group()).await?, "writing")?;
    let other = bench.open().await?;
    let snapshot = load(&*other, event, &keys).await?;
    ensure_eq!(snapshot.event(), event, "the event of the snapshot");
    for ((key, record), version) in records.into_iter().zip(versions) {
        let expected = Versioned::new(version, decided_at, record);
        ensure_eq!(snapshot.get(&key), Some(&expected), "{key:?}");
    }
    Ok(())
}

pub(super) async fn every_kind_of_record_is_read_as_it_was_written(bench: &RepositoryBench) -> Checked {
    let event = event_id("concert");
    round_trip(bench, &event, samples::created(&event, &bench.runtime)).await?;
    let after = samples::changing(&event, &bench.runtime).into_iter().map(|it| (it.key, it.after));
    round_trip(bench, &event, after.collect()).await
}

const UNTIL: Timestamp = Timestamp::from_micros(4_000_000_000_000_001);

pub(super) async fn every_state_is_read_as_it_was_written(bench: &RepositoryBench) -> Checked {
    let event = event_id("concert");
    bench.stage(&event, 4, &[("floor", 90), ("balcony", 9)], None).await?;
    let id = bench.runtime.reservation_id();
    let owner = reservation(id, &event, "ada", lines(&[nth_ticket(0)], &[]), ReservationState::Booked);
    round_trip(bench, &event, vec![(RecordKey::Reservation(id), owner)]).await?;
    for state in [
        TicketState::Available,
        TicketState::Held { reservation: id, until: UNTIL },
        TicketState::Booked { reservation: id },
        blocked("technical: camera 3"),
        TicketState::Available,
    ] {
        round_trip(bench, &event, vec![(ticket_key(0), ticket(0, state))]).await?;
    }
    for state in [
        ReservationState::Held { until: UNTIL },
        ReservationState::Booked,
        ReservationState::Released,
        ReservationState::Cancelled,
        ReservationState::Expired,
    ] {
        for lines in [
            lines(&[nth_ticket(3), nth_ticket(1)], &[]),
            lines(&[], &[("floor", 7), ("balcony", 1)]),
            lines(&[nth_ticket(1)], &[("floor", 1)]),
        ] {
            let id = bench.runtime.reservation_id();
            let record = reservation(id, &event, "grace", lines, state);
            round_trip(bench, &event, vec![(RecordKey::Reservation(id), record)]).await?;
        }
    }
    Ok(())
}

pub(super) async fn every_operation_is_read_as_it_was_written(bench: &RepositoryBench) -> Checked {
    let event = event_id("concert");
    bench.stage(&event, 1, &[], None).await?;
    let id = bench.runtime.reservation_id();
    let of_one = reservation(id, &event, "ada", lines(&[nth_ticket(0)], &[]), ReservationState::Booked);
    bench.put(&event, vec![(RecordKey::Reservation(id), of_one)]).await?;
    let mut recorded = vec![Recorded::Voided];
    for (n, kind) in ActionKind::ALL.into_iter().enumerate() {
        recorded.push(Recorded::Applied { kind, reservation: None, customer: None, until: None, changed: n as u32 });
        recorded.push(Recorded::Applied {
            kind,
            reservation: Some(id),
            customer: Some(customer_id("ada")),
            until: (n % 2 == 0).then_some(UNTIL),
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
    let id = bench.runtime.reservation_id();
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
