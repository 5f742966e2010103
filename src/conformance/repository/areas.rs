use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::conformance::bench::{
    RepositoryBench, SOON, area_id, blocked, event_id, lines, nth_ticket, place, pool_id, pool_key, reservation,
    ticket, ticket_id, ticket_key, too_slow,
};
use crate::conformance::check::{Checked, Failure, ensure, ensure_eq};
use crate::domain::{
    AreaId, EventId, LapsedOf, Record, RecordKey, ReservationState, Snapshot, Ticket, TicketId, TicketState,
};
use crate::ports::{LoadRequest, RuntimeExt};

/// Loads the free tickets of areas, and checks that their records are there and that they are free.
async fn free_in(bench: &RepositoryBench, event: &EventId, areas: &[AreaId]) -> Result<Snapshot, Failure> {
    let request = LoadRequest { event: event.clone(), records: Vec::new(), free_in: areas.to_vec() };
    let snapshot = bench.repository.load(&request).await?;
    for area in areas {
        let Some(free) = snapshot.free(area) else {
            return Err(Failure::new(format!("area {area} was asked for and is not in the snapshot")));
        };
        for id in free {
            match snapshot.get(&RecordKey::Ticket(id.clone())).and_then(|versioned| versioned.record.clone()) {
                Some(Record::Ticket(ticket)) => {
                    ensure!(ticket.is_available(snapshot.clock()), "{id} is listed as free and is {:?}", ticket.state);
                    ensure_eq!(ticket.place.area, *area, "the area of {id}");
                }
                other => return Err(Failure::new(format!("{id} is listed as free, its record is {other:?}"))),
            }
        }
    }
    Ok(snapshot)
}

fn sorted(snapshot: &Snapshot, area: &AreaId) -> Vec<TicketId> {
    let mut free = snapshot.free(area).unwrap_or_default().to_vec();
    free.sort_unstable();
    free
}

pub(super) async fn the_free_tickets_of_an_area_are_complete(bench: &RepositoryBench) -> Checked {
    let event = event_id("concert");
    bench.stage(&event, 60, &[], None).await?;
    let mut in_b = place(0);
    in_b.area = area_id("B");
    bench.put(&event, vec![(RecordKey::Ticket(ticket_id("b")), Record::Ticket(Ticket::available(in_b)))]).await?;
    let clock = bench.clock().await?;
    let (past, future) = (clock.before(Duration::from_secs(60)), clock.after(Duration::from_secs(3_600)));
    let states = |id| {
        [
            TicketState::Available,
            TicketState::Held { reservation: id, until: past },
            TicketState::Held { reservation: id, until: future },
            TicketState::Booked { reservation: id },
            blocked("camera"),
        ]
    };
    let mut expected = Vec::new();
    let mut records = Vec::new();
    for n in 0..60 {
        let id = bench.runtime.reservation_id();
        let state = states(id)[n as usize % 5].clone();
        if n % 5 < 2 {
            expected.push(nth_ticket(n));
        }
        let of_one = lines(&[nth_ticket(n)], &[]);
        let of_state = match &state {
            TicketState::Held { until, .. } => Some(ReservationState::Held { until: *until }),
            TicketState::Booked { .. } => Some(ReservationState::Booked),
            _ => None,
        };
        let held = of_state.map(|state| reservation(id, &event, "ada", of_one, state));
        records.extend(held.map(|record| (RecordKey::Reservation(id), record)));
        records.push((ticket_key(n), ticket(n, state)));
    }
    bench.put(&event, records).await?;
    let areas = [area_id("A"), area_id("B")];
    let snapshot = free_in(bench, &event, &areas).await?;
    ensure_eq!(sorted(&snapshot, &areas[0]), expected, "the free tickets of A");
    ensure_eq!(sorted(&snapshot, &areas[1]), vec![ticket_id("b")], "the free tickets of B");
    bench
        .put(&event, vec![(ticket_key(0), ticket(0, blocked("x"))), (ticket_key(4), ticket(4, TicketState::Available))])
        .await?;
    expected[0] = nth_ticket(4);
    expected.sort_unstable();
    let snapshot = free_in(bench, &event, &areas).await?;
    ensure_eq!(sorted(&snapshot, &areas[0]), expected, "the free tickets of A after a change");
    Ok(())
}

pub(super) async fn an_expired_hold_is_free_without_a_sweeper(bench: &RepositoryBench) -> Checked {
    let event = event_id("concert");
    bench.stage(&event, 1, &[], None).await?;
    let area = [area_id("A")];
    for ttl in SOON {
        let until = bench.clock().await?.after(ttl);
        let id = bench.runtime.reservation_id();
        let held = reservation(id, &event, "ada", lines(&[nth_ticket(0)], &[]), ReservationState::Held { until });
        let of_ticket = ticket(0, TicketState::Held { reservation: id, until });
        bench.put(&event, vec![(ticket_key(0), of_ticket), (RecordKey::Reservation(id), held)]).await?;
        let looked_before = AtomicBool::new(false);
        bench
            .wait_for("the hold is over", || async {
                let snapshot = free_in(bench, &event, &area).await?;
                let over = until <= snapshot.clock();
                let expected = if over { vec![nth_ticket(0)] } else { Vec::new() };
                let side = if over { "after" } else { "before" };
                ensure_eq!(sorted(&snapshot, &area[0]), expected, "the free tickets {side} the deadline");
                looked_before.fetch_or(!over, Ordering::Relaxed);
                Ok(over.then_some(()))
            })
            .await?;
        if looked_before.into_inner() {
            return Ok(());
        }
    }
    Err(too_slow())
}

/// Areas of the same name in two events, of which one is half sold.
pub(super) async fn the_free_tickets_are_of_one_event(bench: &RepositoryBench) -> Checked {
    let (here, there, empty) = (event_id("here"), event_id("there"), event_id("empty"));
    bench.stage(&here, 2, &[], None).await?;
    bench.stage(&there, 5, &[], None).await?;
    bench.stage(&empty, 0, &[], None).await?;
    bench.put(&there, (0..3).map(|n| (ticket_key(n), ticket(n, blocked("camera")))).collect()).await?;
    let area = [area_id("A")];
    for (event, expected) in [(&here, vec![0, 1]), (&there, vec![3, 4]), (&empty, vec![])] {
        let snapshot = free_in(bench, event, &area).await?;
        let expected: Vec<TicketId> = expected.into_iter().map(nth_ticket).collect();
        ensure_eq!(sorted(&snapshot, &area[0]), expected, "the free tickets of A of event {event}");
    }
    Ok(())
}

/// One request for areas and for records, of which some are in the areas and some are not.
pub(super) async fn areas_and_records_are_read_at_once(bench: &RepositoryBench) -> Checked {
    let event = event_id("concert");
    bench.stage(&event, 4, &[("floor", 9)], None).await?;
    bench.put(&event, vec![(ticket_key(1), ticket(1, blocked("camera")))]).await?;
    let records =
        vec![RecordKey::Event, ticket_key(0), ticket_key(1), ticket_key(77), pool_key("floor"), pool_key("nowhere")];
    let expected = bench.load(&event, &records).await?;
    let free_in = vec![area_id("A"), area_id("nowhere")];
    let request = LoadRequest { event: event.clone(), records: records.clone(), free_in };
    let snapshot = bench.repository.load(&request).await?;
    for key in &records {
        ensure_eq!(snapshot.get(key), expected.get(key), "{key:?}, asked for beside areas");
    }
    ensure_eq!(sorted(&snapshot, &area_id("A")), [0, 2, 3].map(nth_ticket).to_vec(), "the free tickets of A");
    ensure_eq!(snapshot.free(&area_id("nowhere")), Some(&[][..]), "the free tickets of nowhere");
    ensure!(snapshot.lapsed(&LapsedOf::Pool(pool_id("floor"))).is_some(), "the list of expired holds is missing");
    Ok(())
}

pub(super) async fn an_unknown_area_has_none(bench: &RepositoryBench) -> Checked {
    let event = event_id("concert");
    for _ in 0..2 {
        let snapshot = free_in(bench, &event, &[area_id("nowhere"), area_id("a")]).await?;
        ensure_eq!(sorted(&snapshot, &area_id("nowhere")), Vec::<TicketId>::new(), "the free tickets of nowhere");
        ensure_eq!(sorted(&snapshot, &area_id("a")), Vec::<TicketId>::new(), "the free tickets of a, which is not A");
        bench.stage(&event, 3, &[], None).await?;
    }
    Ok(())
}
