//! How long a page is.

use std::time::Duration;

use crate::conformance::bench::{
    RepositoryBench, customer_id, event_id, lines, nth_ticket, operation, operation_made_at, reservation,
};
use crate::conformance::check::{Checked, ensure_eq};
use crate::domain::{Record, RecordKey, ReservationState};
use crate::ports::{PAGE_MAX, Purged, ReservationQuery, RuntimeExt, TicketQuery};

const HOUR: Duration = Duration::from_secs(3_600);

pub(super) async fn a_page_of_nothing_is_empty(bench: &RepositoryBench) -> Checked {
    let event = event_id("concert");
    bench.stage(&event, 2, &[], None).await?;
    let past = bench.clock().await?.before(2 * HOUR);
    let id = bench.runtime.reservation_id();
    let held = reservation(id, &event, "ada", lines(&[nth_ticket(0)], &[]), ReservationState::Held { until: past });
    let old = RecordKey::Operation(operation_made_at(&*bench.runtime, past));
    let records = vec![(RecordKey::Reservation(id), held), (old.clone(), operation(&event, None))];
    bench.put(&event, records).await?;
    let tickets = TicketQuery { event: event.clone(), area: None, only_available: false, after: None, limit: 0 };
    ensure_eq!(bench.repository.tickets(&tickets).await?, Vec::new(), "no tickets at most");
    for customer in [None, Some(customer_id("ada"))] {
        let query = ReservationQuery { event: event.clone(), customer, state: None, after: None, limit: 0 };
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
        let query = ReservationQuery { event: event.clone(), customer: None, state: None, after: None, limit };
        ensure_eq!(bench.repository.reservations(&query).await?.len(), PAGE_MAX, "reservations of a page of {limit}");
        let changes = bench.repository.changes(&event, 0, limit).await?;
        ensure_eq!(changes.len(), PAGE_MAX, "changes of a page of {limit}");
    }
    ensure_eq!(bench.tickets(&event).await?.len(), count, "the tickets of all pages");
    ensure_eq!(bench.reservations(&event).await?.len(), count, "the reservations of all pages");
    Ok(())
}
