//! How much is free, which tickets, and which reservations are in which state: judged by the store's clock.

use std::time::Duration;

use crate::conformance::bench::{
    RepositoryBench, area_id, blocked, customer_id, event_id, lines, nth_ticket, place, pool, pool_id, pool_key,
    reservation, ticket, ticket_key,
};
use crate::conformance::check::{Checked, Failure, ensure, ensure_eq};
use crate::domain::{
    EventId, Record, RecordKey, ReservationId, ReservationState, Ticket, TicketId, TicketState, Timestamp,
};
use crate::ports::{
    AreaAvailability, PAGE_MAX, PoolAvailability, ReservationFilter, ReservationQuery, RuntimeExt, TicketQuery,
};

const AN_HOUR: Duration = Duration::from_secs(3_600);

/// Deadlines that have come, and that have not.
struct Deadlines {
    past: Timestamp,
    future: Timestamp,
}

impl Deadlines {
    async fn new(bench: &RepositoryBench) -> Result<Self, Failure> {
        let now = bench.clock().await?;
        Ok(Self { past: now.before(Duration::from_secs(1)), future: now.after(AN_HOUR) })
    }
}

/// Puts a reservation of these lines into the store.
async fn reserve(
    bench: &RepositoryBench,
    event: &EventId,
    tickets: &[u32],
    floor: u32,
    state: ReservationState,
) -> Result<ReservationId, Failure> {
    let id = bench.runtime.reservation_id();
    let tickets: Vec<TicketId> = tickets.iter().copied().map(nth_ticket).collect();
    let pools: &[(&str, u32)] = if floor > 0 { &[("floor", floor)] } else { &[] };
    let record = reservation(id, event, "ada", lines(&tickets, pools), state);
    bench.put(event, vec![(RecordKey::Reservation(id), record)]).await?;
    Ok(id)
}

/// Ten tickets of area A in every state, one of area B, and a pool of 20 with holds that are over and holds that are not.
async fn stage(bench: &RepositoryBench, event: &EventId) -> Checked {
    let Deadlines { past, future } = Deadlines::new(bench).await?;
    bench.stage(event, 10, &[("floor", 20), ("roof", 3)], None).await?;
    let mut of_b = place(3);
    of_b.area = area_id("B");
    let in_b = RecordKey::Ticket(nth_ticket(77));
    bench.put(event, vec![(in_b, Record::Ticket(Ticket::available(of_b)))]).await?;
    let live = reserve(bench, event, &[0, 1], 3, ReservationState::Held { until: future }).await?;
    let over = reserve(bench, event, &[2, 3, 4], 4, ReservationState::Held { until: past }).await?;
    let sold = reserve(bench, event, &[5, 6], 5, ReservationState::Booked).await?;
    let mut records = Vec::new();
    for n in [0, 1] {
        records.push((ticket_key(n), ticket(n, TicketState::Held { reservation: live, until: future })));
    }
    for n in [2, 3, 4] {
        records.push((ticket_key(n), ticket(n, TicketState::Held { reservation: over, until: past })));
    }
    for n in [5, 6] {
        records.push((ticket_key(n), ticket(n, TicketState::Booked { reservation: sold })));
    }
    records.push((ticket_key(7), ticket(7, blocked("camera"))));
    records.push((pool_key("floor"), pool(20, 7, 5)));
    bench.put(event, records).await
}

pub(super) async fn what_is_free_is_counted_for_each_area_and_pool(bench: &RepositoryBench) -> Checked {
    let event = event_id("concert");
    stage(bench, &event).await?;
    // Another event with the same names.
    bench.stage(&event_id("matinee"), 4, &[("floor", 9)], None).await?;
    let found = bench.repository.availability(&event).await?;
    let area = |area: &str, tickets, available, held, booked, blocked| AreaAvailability {
        area: area_id(area),
        tickets,
        available,
        held,
        booked,
        blocked,
    };
    ensure_eq!(found.areas, vec![area("A", 10, 5, 2, 2, 1), area("B", 1, 1, 0, 0, 0)], "the areas");
    let pool = |id: &str, capacity, available, held, booked| {
        let pool = pool_id(id);
        PoolAvailability { pool, capacity, available, held, booked }
    };
    ensure_eq!(found.pools, vec![pool("floor", 20, 12, 3, 5), pool("roof", 3, 3, 0, 0)], "the pools");
    ensure!(found.at <= bench.clock().await?, "it is of a moment that has not come: {}", found.at);
    let elsewhere = bench.repository.availability(&event_id("matinee")).await?;
    ensure_eq!(elsewhere.areas, vec![area("A", 4, 4, 0, 0, 0)], "the areas of the other event");
    ensure_eq!(elsewhere.pools, vec![pool("floor", 9, 9, 0, 0)], "the pools of the other event");
    Ok(())
}

pub(super) async fn of_an_unknown_event_nothing_is_free(bench: &RepositoryBench) -> Checked {
    bench.stage(&event_id("concert"), 1, &[("floor", 1)], None).await?;
    let found = bench.repository.availability(&event_id("nowhere")).await?;
    ensure_eq!((found.areas.len(), found.pools.len()), (0, 0), "the numbers of areas and pools");
    Ok(())
}

pub(super) async fn the_available_tickets_are_listed_page_by_page(bench: &RepositoryBench) -> Checked {
    let event = event_id("concert");
    stage(bench, &event).await?;
    let in_a: Vec<TicketId> = [2, 3, 4, 8, 9].map(nth_ticket).to_vec();
    let all: Vec<TicketId> = in_a.iter().cloned().chain([nth_ticket(77)]).collect();
    for (area, expected) in [(None, all), (Some(area_id("A")), in_a), (Some(area_id("C")), Vec::new())] {
        for limit in [1, 2, PAGE_MAX] {
            let mut found: Vec<TicketId> = Vec::new();
            loop {
                let (event, area, after) = (event.clone(), area.clone(), found.last().cloned());
                let query = TicketQuery { event, area, only_available: true, after, limit };
                let page = bench.repository.tickets(&query).await?;
                ensure!(page.len() <= limit, "a page of {} tickets, and {limit} are the limit", page.len());
                if page.is_empty() {
                    break;
                }
                found.extend(page.into_iter().map(|(id, ..)| id));
                ensure!(found.len() <= expected.len(), "more tickets than are available: {found:?}");
            }
            ensure_eq!(found, expected, "the available tickets of area {area:?}, {limit} a page");
        }
    }
    Ok(())
}

pub(super) async fn reservations_are_listed_by_what_has_become_of_them(bench: &RepositoryBench) -> Checked {
    let event = event_id("concert");
    bench.stage(&event, 10, &[("floor", 100)], None).await?;
    let Deadlines { past, future } = Deadlines::new(bench).await?;
    let mut expected: Vec<(ReservationId, ReservationFilter)> = Vec::new();
    for _ in 0..3 {
        for (state, filter) in [
            (ReservationState::Held { until: future }, ReservationFilter::Held),
            (ReservationState::Held { until: past }, ReservationFilter::Expired),
            (ReservationState::Expired, ReservationFilter::Expired),
            (ReservationState::Booked, ReservationFilter::Booked),
            (ReservationState::Released, ReservationFilter::Released),
            (ReservationState::Cancelled, ReservationFilter::Cancelled),
        ] {
            expected.push((reserve(bench, &event, &[], 1, state).await?, filter));
        }
    }
    expected.sort_unstable_by_key(|(id, _)| *id.as_uuid().as_bytes());
    for state in ReservationFilter::ALL {
        let wanted: Vec<ReservationId> =
            expected.iter().filter(|(_, filter)| *filter == state).map(|(id, _)| *id).collect();
        for customer in [None, Some(customer_id("ada"))] {
            for limit in [1, 2, PAGE_MAX] {
                let mut found: Vec<ReservationId> = Vec::new();
                loop {
                    let (event, customer, after) = (Some(event.clone()), customer.clone(), found.last().copied());
                    let query = ReservationQuery { event, customer, state: Some(state), after, limit };
                    let page = bench.repository.reservations(&query).await?;
                    ensure!(page.len() <= limit, "a page of {} reservations, and {limit} are the limit", page.len());
                    if page.is_empty() {
                        break;
                    }
                    found.extend(page.into_iter().map(|(_, reservation)| reservation.id));
                    ensure!(found.len() <= wanted.len(), "more {state:?} reservations than there are");
                }
                ensure_eq!(found, wanted, "the {state:?} reservations of {customer:?}, {limit} a page");
            }
        }
    }
    Ok(())
}
