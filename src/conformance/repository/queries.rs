use crate::conformance::bench::{
    RepositoryBench, area_id, blocked, customer_id, event_id, lines, nth_ticket, place, pool, pool_id, pool_key,
    reservation, ticket, ticket_id, ticket_key,
};
use crate::conformance::check::{Checked, ensure, ensure_eq};
use crate::domain::{
    CustomerId, Pool, PoolId, Record, RecordKey, ReservationId, ReservationState, Ticket, TicketId, TicketState,
};
use crate::ports::{PAGE_MAX, PoolQuery, ReservationFilter, ReservationQuery, RuntimeExt, TicketQuery};

pub(super) async fn tickets_are_listed_in_order_page_by_page(bench: &RepositoryBench) -> Checked {
    let event = event_id("concert");
    bench.stage(&event, 23, &[], None).await?;
    let mut of_b = place(3);
    of_b.area = area_id("B");
    let records = ["A-00003a", "B-1", "a"]
        .map(|id| (RecordKey::Ticket(ticket_id(id)), Record::Ticket(Ticket::available(of_b.clone()))));
    bench.put(&event, records.to_vec()).await?;
    bench.put(&event, vec![(ticket_key(5), ticket(5, blocked("camera")))]).await?;
    let mut expected: Vec<TicketId> = (0..23).map(nth_ticket).collect();
    let in_b: Vec<TicketId> = ["A-00003a", "B-1", "a"].map(ticket_id).to_vec();
    let in_a = expected.clone();
    expected.extend(in_b.iter().cloned());
    expected.sort_unstable();
    for (area, expected) in [(None, expected), (Some(area_id("A")), in_a), (Some(area_id("B")), in_b)] {
        for limit in [1, 7, 1_000] {
            let mut found: Vec<TicketId> = Vec::new();
            loop {
                let after = found.last().cloned();
                let query =
                    TicketQuery { event: event.clone(), area: area.clone(), only_available: false, after, limit };
                let page = bench.repository.tickets(&query).await?;
                ensure!(page.len() <= limit, "a page of {} tickets, and {limit} are the limit", page.len());
                if page.is_empty() {
                    break;
                }
                found.extend(page.into_iter().map(|(id, ..)| id));
                ensure!(found.len() <= expected.len(), "more tickets than there are: {found:?}");
            }
            ensure_eq!(found, expected, "the tickets of area {area:?}, {limit} a page");
        }
    }
    let all = bench.tickets(&event).await?;
    let camera = all.iter().find(|(id, ..)| *id == nth_ticket(5));
    let expected = Ticket { place: place(5), state: blocked("camera") };
    ensure_eq!(camera, Some(&(nth_ticket(5), 2, expected)), "a listed ticket with its version");
    Ok(())
}

pub(super) async fn pools_are_listed_in_order_page_by_page(bench: &RepositoryBench) -> Checked {
    let event = event_id("concert");
    bench.stage(&event, 0, &[("b", 2), ("a", 1), ("C", 3), ("aa", 4)], None).await?;
    bench.put(&event, vec![(pool_key("a"), pool(1, 0, 1))]).await?;
    // Another event with pools of these names, and more.
    bench.stage(&event_id("matinee"), 0, &[("a", 5), ("ab", 6), ("z", 7)], None).await?;
    let expected = vec![
        (pool_id("C"), 1, Pool::with_capacity(3)),
        (pool_id("a"), 2, Pool { capacity: 1, held: 0, booked: 1 }),
        (pool_id("aa"), 1, Pool::with_capacity(4)),
        (pool_id("b"), 1, Pool::with_capacity(2)),
    ];
    for limit in [1, 2, 3, 4, PAGE_MAX] {
        let mut found: Vec<(PoolId, u64, Pool)> = Vec::new();
        loop {
            let after = found.last().map(|(id, ..)| id.clone());
            let page = bench.repository.pools(&PoolQuery { event: event.clone(), after, limit }).await?;
            ensure!(page.len() <= limit, "a page of {} pools, and {limit} are the limit", page.len());
            if page.is_empty() {
                break;
            }
            found.extend(page);
            ensure!(found.len() <= expected.len(), "more pools than there are: {found:?}");
        }
        ensure_eq!(found, expected, "the pools, {limit} a page");
    }
    // A page may start after a pool that there is not.
    let query = PoolQuery { event, after: Some(pool_id("a0")), limit: PAGE_MAX };
    ensure_eq!(bench.repository.pools(&query).await?, expected[2..], "the pools after a0");
    Ok(())
}

pub(super) async fn reservations_are_listed_by_event_and_customer(bench: &RepositoryBench) -> Checked {
    let (here, there) = (event_id("here"), event_id("there"));
    let mut expected: Vec<(ReservationId, CustomerId)> = Vec::new();
    for event in [&here, &there] {
        bench.stage(event, 1, &[("floor", 100)], None).await?;
        for n in 0..25_u32 {
            let id = bench.runtime.reservation_id();
            let customer = if n % 3 == 0 { "ada" } else { "grace" };
            let state = if n % 2 == 0 { ReservationState::Booked } else { ReservationState::Released };
            let record = reservation(id, event, customer, lines(&[], &[("floor", n + 1)]), state);
            bench.put(event, vec![(RecordKey::Reservation(id), record)]).await?;
            if event == &here {
                expected.push((id, customer_id(customer)));
            }
        }
    }
    // The last one changes hands: from now on it is listed with its new customer alone.
    let (moved, _) = expected.remove(24);
    let record = reservation(moved, &here, "mary", lines(&[], &[("floor", 25)]), ReservationState::Booked);
    bench.put(&here, vec![(RecordKey::Reservation(moved), record)]).await?;
    expected.push((moved, customer_id("mary")));
    expected.sort_unstable_by_key(|(id, _)| *id.as_uuid().as_bytes());
    for customer in [None, Some("ada"), Some("grace"), Some("mary"), Some("nobody")] {
        let customer = customer.map(customer_id);
        let wanted = expected.iter().filter(|(_, of)| customer.as_ref().is_none_or(|customer| customer == of));
        let wanted: Vec<ReservationId> = wanted.map(|(id, _)| *id).collect();
        for limit in [1, 4, PAGE_MAX] {
            let mut found: Vec<ReservationId> = Vec::new();
            loop {
                let after = found.last().copied();
                let query = ReservationQuery {
                    event: Some(here.clone()),
                    customer: customer.clone(),
                    state: None,
                    after,
                    limit,
                };
                let page = bench.repository.reservations(&query).await?;
                ensure!(page.len() <= limit, "a page of {} reservations, and {limit} are the limit", page.len());
                if page.is_empty() {
                    break;
                }
                for (version, found) in &page {
                    let stored = bench.get(&here, &RecordKey::Reservation(found.id)).await?;
                    ensure_eq!(*version, stored.version, "the version of a listed reservation");
                    ensure_eq!(Some(Record::Reservation(found.clone())), stored.record, "a listed reservation");
                }
                found.extend(page.into_iter().map(|(_, reservation)| reservation.id));
                ensure!(found.len() <= wanted.len(), "more reservations of {customer:?} than there are");
            }
            ensure_eq!(found, wanted, "the reservations of {customer:?}, {limit} a page");
        }
    }
    Ok(())
}

/// What a customer has in all events is one list, in the order of the ids; and so is what everybody has.
pub(super) async fn reservations_are_listed_over_all_events(bench: &RepositoryBench) -> Checked {
    let events = ["there", "here", "elsewhere"].map(event_id);
    for event in &events {
        bench.stage(event, 1, &[("floor", 100)], None).await?;
    }
    let mut all: Vec<(ReservationId, CustomerId, ReservationFilter)> = Vec::new();
    for n in 0..24 {
        let (id, event) = (bench.runtime.reservation_id(), &events[n % 3]);
        let customer = if n % 4 == 0 { "ada" } else { "grace" };
        let (state, filter) = match n % 5 {
            0 | 1 => (ReservationState::Released, ReservationFilter::Released),
            _ => (ReservationState::Booked, ReservationFilter::Booked),
        };
        let record = reservation(id, event, customer, lines(&[], &[("floor", 1)]), state);
        bench.put(event, vec![(RecordKey::Reservation(id), record)]).await?;
        all.push((id, customer_id(customer), filter));
    }
    all.sort_unstable_by_key(|(id, ..)| *id.as_uuid().as_bytes());
    for customer in [Some("ada"), Some("grace"), Some("nobody"), None].map(|customer| customer.map(customer_id)) {
        for state in [None, Some(ReservationFilter::Booked)] {
            let is_wanted = |(_, of, filter): &&(ReservationId, CustomerId, ReservationFilter)| {
                customer.as_ref().is_none_or(|customer| customer == of) && state.is_none_or(|state| state == *filter)
            };
            let wanted: Vec<ReservationId> = all.iter().filter(is_wanted).map(|(id, ..)| *id).collect();
            for limit in [1, 4, PAGE_MAX] {
                let mut found: Vec<ReservationId> = Vec::new();
                loop {
                    let after = found.last().copied();
                    let query = ReservationQuery { event: None, customer: customer.clone(), state, after, limit };
                    let page = bench.repository.reservations(&query).await?;
                    ensure!(page.len() <= limit, "a page of {} reservations, and {limit} are the limit", page.len());
                    if page.is_empty() {
                        break;
                    }
                    found.extend(page.into_iter().map(|(_, reservation)| reservation.id));
                    ensure!(found.len() <= wanted.len(), "more reservations of {customer:?} than there are");
                }
                ensure_eq!(found, wanted, "the reservations of {customer:?} in all events, {limit} a page");
            }
        }
    }
    Ok(())
}

/// Areas, tickets, pools and customers of the same names in several events, mixed in the order in which they were made.
pub(super) async fn lists_are_of_one_event(bench: &RepositoryBench) -> Checked {
    let events = ["here", "there"].map(event_id);
    let mut expected: Vec<Vec<ReservationId>> = vec![Vec::new(), Vec::new()];
    for (n, event) in events.iter().enumerate() {
        bench.stage(event, 3 + n as u32, &[("floor", 100 + n as u32)], None).await?;
    }
    for n in 0..12 {
        let id = bench.runtime.reservation_id();
        let event = &events[n % 2];
        let record = reservation(id, event, "ada", lines(&[], &[("floor", 1)]), ReservationState::Released);
        bench.put(event, vec![(RecordKey::Reservation(id), record)]).await?;
        expected[n % 2].push(id);
    }
    for (n, event) in events.iter().enumerate() {
        let tickets: Vec<TicketId> = (0..3 + n as u32).map(nth_ticket).collect();
        for area in [None, Some(area_id("A"))] {
            let query = TicketQuery {
                event: event.clone(),
                area: area.clone(),
                only_available: false,
                after: None,
                limit: PAGE_MAX,
            };
            let found: Vec<TicketId> = bench.repository.tickets(&query).await?.into_iter().map(|(id, ..)| id).collect();
            ensure_eq!(found, tickets, "the tickets of area {area:?} of event {event}");
        }
        let pools = bench.pools(event).await?;
        let floor = Pool::with_capacity(100 + n as u32);
        ensure_eq!(pools, vec![(pool_id("floor"), 1, floor)], "the pools of event {event}");
        expected[n].sort_unstable_by_key(|id| *id.as_uuid().as_bytes());
        for customer in [None, Some(customer_id("ada"))] {
            let query = ReservationQuery {
                event: Some(event.clone()),
                customer: customer.clone(),
                state: None,
                after: None,
                limit: PAGE_MAX,
            };
            let found: Vec<ReservationId> =
                bench.repository.reservations(&query).await?.into_iter().map(|(_, found)| found.id).collect();
            ensure_eq!(found, expected[n], "the reservations of {customer:?} of event {event}");
        }
    }
    Ok(())
}

pub(super) async fn unknown_events_have_nothing(bench: &RepositoryBench) -> Checked {
    bench.stage(&event_id("concert"), 1, &[("floor", 1)], None).await?;
    bench.put(&event_id("concert"), vec![(ticket_key(0), ticket(0, TicketState::Available))]).await?;
    let event = event_id("nowhere");
    ensure_eq!(bench.tickets(&event).await?.len(), 0, "the number of tickets");
    ensure_eq!(bench.pools(&event).await?.len(), 0, "the number of pools");
    ensure_eq!(bench.reservations(&event).await?.len(), 0, "the number of reservations");
    ensure_eq!(bench.repository.changes(&event, 0, PAGE_MAX).await?.len(), 0, "the number of changes");
    Ok(())
}
