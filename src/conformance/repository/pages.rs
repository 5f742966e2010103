//! How long a page is.

use std::time::Duration;

use crate::conformance::bench::{
    RepositoryBench, area_id, customer_id, event_id, lines, nth_ticket, operation, operation_made_at, place, pool_key,
    reservation, ticket_key,
};
use crate::conformance::check::{Checked, ensure_eq};
use crate::domain::{Place, Pool, Record, RecordKey, ReservationState, Ticket};
use crate::ports::{PAGE_MAX, PoolQuery, Purged, ReservationQuery, RuntimeExt, TicketQuery};

const HOUR: Duration = Duration::from_secs(3_600);

pub(super) async fn a_page_of_nothing_is_empty(bench: &RepositoryBench) -> Checked {
    let event = event_id("concert");
    bench.stage(&event, 2, &[("floor", 1)], None).await?;
    let past = bench.clock().await?.before(2 * HOUR);
    let id = bench.runtime.reservation_id();
    let held = reservation(id, &event, "ada", lines(&[nth_ticket(0)], &[]), ReservationState::Held { until: past });
    let old = RecordKey::Operation(operation_made_at(&*bench.runtime, past));
    let records = vec![(RecordKey::Reservation(id), held), (old.clone(), operation(&event, None))];
    bench.put(&event, records).await?;
    let tickets = TicketQuery { event: event.clone(), area: None, only_available: false, after: None, limit: 0 };
    ensure_eq!(bench.repository.tickets(&tickets).await?, Vec::new(), "no tickets at most");
    let pools = PoolQuery { event: event.clone(), after: None, limit: 0 };
    ensure_eq!(bench.repository.pools(&pools).await?, Vec::new(), "no pools at most");
    for customer in [None, Some(customer_id("ada"))] {
        let query = ReservationQuery { event: Some(event.clone()), customer, state: None, after: None, limit: 0 };
        ensure_eq!(bench.repository.reservations(&query).await?, Vec::new(), "no reservations at most");
    }
    ensure_eq!(bench.repository.changes(&event, 0, 0).await?, Vec::new(), "no changes at most");
    ensure_eq!(bench.repository.lapsed(0).await?, Vec::new(), "no expired holds at most");
    ensure_eq!(bench.repository.purge(HOUR, 0).await?, Purged::default(), "what was purged, nothing at most");
    ensure_eq!(bench.get(&event, &old).await?.version, 1, "the version of an old operation");
    Ok(())
}

pub(super) async fn a_page_is_never_longer_than_the_longest(bench: &RepositoryBench) -> Checked {
    let event = event_id("stadium");
    let count = PAGE_MAX + 3;
    bench.stage(&event, count as u32, &[("floor", 1_000_000)], None).await?;
    let mut records: Vec<(RecordKey, Record)> = Vec::with_capacity(count);
    for _ in 0..count {
        let id = bench.runtime.reservation_id();
        let record = reservation(id, &event, "ada", lines(&[], &[("floor", 1)]), ReservationState::Released);
        records.push((RecordKey::Reservation(id), record));
    }
    bench.put(&event, records).await?;
    for limit in [PAGE_MAX, PAGE_MAX + 1, usize::MAX] {
        let tickets = TicketQuery { event: event.clone(), area: None, only_available: false, after: None, limit };
        ensure_eq!(bench.repository.tickets(&tickets).await?.len(), PAGE_MAX, "tickets of a page of {limit}");
        let query = ReservationQuery { event: Some(event.clone()), customer: None, state: None, after: None, limit };
        ensure_eq!(bench.repository.reservations(&query).await?.len(), PAGE_MAX, "reservations of a page of {limit}");
        let changes = bench.repository.changes(&event, 0, limit).await?;
        ensure_eq!(changes.len(), PAGE_MAX, "changes of a page of {limit}");
    }
    ensure_eq!(bench.tickets(&event).await?.len(), count, "the tickets of all pages");
    ensure_eq!(bench.reservations(&event).await?.len(), count, "the reservations of all pages");
    Ok(())
}

/// More pools, and more areas, than a page has rows.
pub(super) async fn what_is_free_is_counted_on_more_than_a_page(bench: &RepositoryBench) -> Checked {
    let event = event_id("festival");
    bench.stage(&event, 0, &[], None).await?;
    let count = PAGE_MAX + 3;
    let pools = (0..count).map(|n| (pool_key(&format!("pool-{n}")), Record::Pool(Pool::with_capacity(2))));
    bench.put(&event, pools.collect()).await?;
    let tickets = (0..count as u32).map(|n| {
        let place = Place { area: area_id(&format!("area-{n}")), ..place(n) };
        (ticket_key(n), Record::Ticket(Ticket::available(place)))
    });
    bench.put(&event, tickets.collect()).await?;
    for limit in [PAGE_MAX, PAGE_MAX + 1, usize::MAX] {
        let query = PoolQuery { event: event.clone(), after: None, limit };
        ensure_eq!(bench.repository.pools(&query).await?.len(), PAGE_MAX, "pools of a page of {limit}");
    }
    ensure_eq!(bench.pools(&event).await?.len(), count, "the pools of all pages");
    let found = bench.repository.availability(&event).await?;
    let free: usize = found.pools.iter().map(|pool| pool.available as usize).sum();
    ensure_eq!((found.pools.len(), free), (count, 2 * count), "the pools, and the free places in them");
    let free: usize = found.areas.iter().map(|area| area.available as usize).sum();
    ensure_eq!((found.areas.len(), free), (count, count), "the areas, and the free tickets in them");
    Ok(())
}
