//! The largest and the smallest of everything that the domain can make.

use std::time::Duration;

use super::records::round_trip;
use crate::conformance::bench::{
    RepositoryBench, area_id, blocked, customer_id, event_id, lines, nth_ticket, place, pool, pool_id, pool_key,
    reservation, ticket, ticket_id, ticket_key,
};
use crate::conformance::check::{Checked, ensure, ensure_eq};
use crate::domain::{
    ActionKind, Allowance, Event, EventState, Fingerprint, LapsedOf, OperationRecord, Place, Record, RecordKey,
    Recorded, Reservation, ReservationState, SalesWindow, Ticket, TicketId, TicketState, Timestamp,
};
use crate::ports::RuntimeExt;

const FIRST: Timestamp = Timestamp::from_micros(i64::MIN);
const LAST: Timestamp = Timestamp::from_micros(i64::MAX);

pub(super) async fn the_terms_of_an_event_are_kept(bench: &RepositoryBench) -> Checked {
    let micros = Timestamp::from_micros;
    let windows = [
        SalesWindow { opens: None, closes: None },
        SalesWindow { opens: Some(micros(1)), closes: None },
        SalesWindow { opens: None, closes: Some(micros(4_102_444_799_999_999)) },
        SalesWindow { opens: Some(Timestamp::EPOCH), closes: Some(micros(1_700_000_000_000_001)) },
        SalesWindow { opens: Some(FIRST), closes: Some(LAST) },
        SalesWindow { opens: Some(micros(-1)), closes: Some(micros(i64::MAX - 1)) },
    ];
    for (n, window) in windows.into_iter().enumerate() {
        for limit_per_customer in [None, Some(0), Some(u32::MAX)] {
            let event = event_id(&format!("event {n} {limit_per_customer:?}"));
            let record = Record::Event(Event { state: EventState::Preparing, window, limit_per_customer });
            round_trip(bench, &event, vec![(RecordKey::Event, record)]).await?;
        }
    }
    Ok(())
}

pub(super) async fn extreme_values_are_kept(bench: &RepositoryBench) -> Checked {
    let event = event_id("extremes");
    bench.stage(&event, 999, &[("floor", u32::MAX)], None).await?;
    let longest = "x".repeat(64);
    let far = Place { area: area_id(&longest), row: u32::MAX, number: u32::MAX };
    let record = Record::Ticket(Ticket::available(far));
    round_trip(bench, &event, vec![(RecordKey::Ticket(ticket_id(&longest)), record)]).await?;
    round_trip(bench, &event, vec![(pool_key("none"), pool(0, 0, 0))]).await?;
    round_trip(bench, &event, vec![(pool_key(&longest), pool(u32::MAX, u32::MAX - 1, 1))]).await?;
    let allowance = Record::Allowance(Allowance { held: u32::MAX, booked: u32::MAX });
    round_trip(bench, &event, vec![(RecordKey::Allowance(customer_id(&longest)), allowance)]).await?;
    let id = bench.runtime.reservation_id();
    let tickets: Vec<TicketId> = (0..999).map(nth_ticket).collect();
    let of_all = lines(&tickets, &[("floor", 4_000_000_000)]);
    let record = reservation(id, &event, &longest, of_all, ReservationState::Booked);
    round_trip(bench, &event, vec![(RecordKey::Reservation(id), record)]).await?;
    let text = "quote ' quote \" back\\slash % _ ; -- ünïcödé 座席 🎫 \u{10ffff}";
    let record = Record::Ticket(Ticket { place: place(0), state: blocked(text) });
    round_trip(bench, &event, vec![(ticket_key(0), record)]).await
}

/// Deadlines that stop at the end of time, and times before there were computers.
pub(super) async fn extreme_times_are_kept_and_compared(bench: &RepositoryBench) -> Checked {
    let event = event_id("concert");
    bench.stage(&event, 8, &[("floor", 9)], None).await?;
    ensure_eq!(bench.clock().await?.after(Duration::MAX), LAST, "a deadline that never comes");
    let times = [FIRST, Timestamp::from_micros(-1), Timestamp::EPOCH, Timestamp::from_micros(i64::MAX - 1), LAST];
    let mut over = Vec::new();
    for (n, until) in (0..).zip(times) {
        let id = bench.runtime.reservation_id();
        let of_both = lines(&[nth_ticket(n)], &[("floor", 1)]);
        let Record::Reservation(held) = reservation(id, &event, "ada", of_both, ReservationState::Held { until })
        else {
            continue;
        };
        let held = Record::Reservation(Reservation { held_at: until, ..held });
        let of_ticket = ticket(n, TicketState::Held { reservation: id, until });
        round_trip(bench, &event, vec![(ticket_key(n), of_ticket), (RecordKey::Reservation(id), held)]).await?;
        let recorded = Recorded::Applied {
            kind: ActionKind::Hold,
            reservation: Some(id),
            customer: Some(customer_id("ada")),
            until: Some(until),
            changed: 0,
        };
        let fingerprint = Fingerprint::from_bytes([0; 16]);
        let operation = Record::Operation(OperationRecord { event: event.clone(), fingerprint, recorded });
        round_trip(bench, &event, vec![(RecordKey::Operation(bench.runtime.operation_id()), operation)]).await?;
        if until <= Timestamp::EPOCH {
            over.push(id);
        }
    }
    let snapshot = bench.load(&event, &[pool_key("floor")]).await?;
    let lapsed = snapshot.lapsed(&LapsedOf::Pool(pool_id("floor"))).map(|lapsed| lapsed.reservations.clone());
    ensure_eq!(lapsed, Some(over.clone()), "the holds that are over");
    let swept: Vec<_> = bench.repository.lapsed(100).await?.into_iter().map(|(_, id)| id).collect();
    ensure_eq!(swept, over, "the holds that are over, for the sweeper");
    for decided_at in [FIRST, LAST] {
        let tx = bench.begin(&event, &[ticket_key(7)]).await?.decided_at(decided_at);
        bench.commit(&event, tx.write(ticket_key(7), ticket(7, blocked("x"))).group()).await?;
        ensure_eq!(bench.get(&event, &ticket_key(7)).await?.decided_at, decided_at, "the time of a decision");
        let last = bench.changes(&event).await?.pop().map(|change| change.decided_at);
        ensure!(last == Some(decided_at), "the time of a decision in the feed: {last:?}, decided at {decided_at}");
    }
    Ok(())
}
