//! What a store has, beside what it must have.

use std::collections::BTreeSet;
use std::fmt::Debug;

use super::commands::{AREAS, CUSTOMERS, POOLS};
use super::course::Course;
use crate::booking::SeatMap;
use crate::conformance::bench::{RepositoryBench, area_id, customer_id, pool_id};
use crate::conformance::check::{Checked, ensure_eq};
use crate::domain::{EventId, Lapsed, LapsedOf, RecordKey, Reservation, Ticket, TicketId};
use crate::ports::{LoadRequest, PAGE_MAX, PoolQuery, ReservationFilter, ReservationQuery, Sequence, TicketQuery};

/// Short pages, so that there are several.
const PAGE: usize = 16;

/// Row by row, so that a failure shows the first that differs.
fn ensure_same<T: PartialEq + Debug>(found: &[T], expected: &[T], what: &str) -> Checked {
    for (n, (found, expected)) in found.iter().zip(expected).enumerate() {
        ensure_eq!(found, expected, "row {n} of {what}");
    }
    ensure_eq!(found.len(), expected.len(), "the number of {what}");
    Ok(())
}

/// What a load brings: every record that a command has named or that there is, and what comes along. Without `versions` it
/// is not known how many commits there were.
pub(super) async fn records(bench: &RepositoryBench, course: &Course, event: &EventId, versions: bool) -> Checked {
    let reference = course.reference();
    let named = course.commands().iter().filter(|command| command.event == *event).flat_map(|it| it.records());
    let there = reference.records(event).map(|(key, ..)| key.clone());
    let allowances = CUSTOMERS.map(|id| RecordKey::Allowance(customer_id(id)));
    let keys: BTreeSet<RecordKey> = named.chain(there).chain(allowances).collect();
    let areas = AREAS.map(area_id);
    let request =
        LoadRequest { event: event.clone(), records: keys.iter().cloned().collect(), free_in: areas.to_vec() };
    let snapshot = bench.repository.load(&request).await?;
    for key in &keys {
        let (found, mut expected) = (snapshot.get(key), reference.get(event, key));
        if let (false, Some(found)) = (versions, found) {
            expected.version = found.version;
        }
        ensure_eq!(found, Some(&expected), "{key:?} of {event}");
    }
    for area in &areas {
        let mut found = snapshot.free(area).unwrap_or_default().to_vec();
        found.sort_unstable();
        let expected: Vec<TicketId> = reference.free_in(event, area).into_iter().map(|(id, _)| id).collect();
        ensure_same(&found, &expected, &format!("free tickets that a load brings, of area {area} of {event}"))?;
    }
    let pools = POOLS.map(|id| LapsedOf::Pool(pool_id(id)));
    for of in pools.into_iter().chain(CUSTOMERS.map(|id| LapsedOf::Customer(customer_id(id)))) {
        if reference.get(event, &of.record_key()).version > 0 {
            let expected = Lapsed { reservations: reference.lapsed_of(event, &of), more: false };
            ensure_eq!(snapshot.lapsed(&of), Some(&expected), "the expired holds of {of:?} of {event}");
        }
    }
    Ok(())
}

pub(super) async fn feed(bench: &RepositoryBench, course: &Course, event: &EventId) -> Checked {
    let found = bench.changes(event).await?;
    ensure_same(&found, course.reference().changes(event), &format!("changes in the feed of {event}"))
}

/// Everything that is listed about an event, by the store's own clock.
pub(super) async fn lists(bench: &RepositoryBench, course: &Course, event: &EventId) -> Checked {
    let reference = course.reference();
    for area in AREAS.map(area_id).map(Some).into_iter().chain([None]) {
        for only_available in [false, true] {
            let is_wanted = |ticket: &Ticket| {
                area.as_ref().is_none_or(|area| ticket.place.area == *area)
                    && (!only_available || ticket.is_available(reference.clock()))
            };
            let mut expected = reference.tickets(event);
            expected.retain(|(_, _, ticket)| is_wanted(ticket));
            let query =
                TicketQuery { event: event.clone(), area: area.clone(), only_available, after: None, limit: PAGE };
            let found = bench.tickets_of(query).await?;
            let what = format!("tickets of area {area:?} of {event}, only those available: {only_available}");
            ensure_same(&found, &expected, &what)?;
        }
    }
    for state in ReservationFilter::ALL.map(Some).into_iter().chain([None]) {
        for customer in CUSTOMERS.map(customer_id).map(Some).into_iter().chain([None]) {
            let is_wanted = |found: &Reservation| {
                state.is_none_or(|state| ReservationFilter::of(found, reference.clock()) == state)
                    && customer.as_ref().is_none_or(|customer| found.customer == *customer)
            };
            let mut expected = reference.reservations(event);
            expected.retain(|(_, reservation)| is_wanted(reservation));
            let what = format!("reservations of {event}, state {state:?}, customer {customer:?}");
            let query = ReservationQuery { event: Some(event.clone()), customer, state, after: None, limit: PAGE };
            ensure_same(&bench.reservations_of(query).await?, &expected, &what)?;
        }
    }
    let all = PoolQuery { event: event.clone(), after: None, limit: PAGE_MAX };
    ensure_same(&bench.repository.pools(&all).await?, &reference.pools(event), &format!("pools of {event}"))?;
    let found = bench.repository.availability(event).await?;
    let expected = reference.availability(event, found.at);
    ensure_eq!(found, expected, "the availability of {event}");
    seat_map(bench, course, event).await
}

async fn seat_map(bench: &RepositoryBench, course: &Course, event: &EventId) -> Checked {
    let reference = course.reference();
    let map = SeatMap::read(&*bench.repository, event).await?;
    let found: Vec<_> = map.tickets().map(|(id, ticket)| (id.clone(), ticket.clone())).collect();
    let expected: Vec<_> = reference.tickets(event).into_iter().map(|(id, _, ticket)| (id, ticket)).collect();
    ensure_same(&found, &expected, &format!("tickets in the seat map of {event}"))?;
    let found: Vec<_> = map.pools().map(|(id, pool)| (id.clone(), pool.clone())).collect();
    let expected: Vec<_> = reference.pools(event).into_iter().map(|(id, _, pool)| (id, pool)).collect();
    ensure_same(&found, &expected, &format!("pools in the seat map of {event}"))?;
    ensure_eq!(map.through(), reference.changes(event).len() as Sequence, "the end of the feed of {event}");
    Ok(())
}

/// What all events have for the sweeper.
pub(super) async fn lapsed(bench: &RepositoryBench, course: &Course) -> Checked {
    let expected: Vec<_> = course.reference().lapsed(|_| true).map(|it| (it.event.clone(), it.id)).collect();
    let found = bench.repository.lapsed(expected.len() + 1).await?;
    ensure_same(&found, &expected, "expired holds for the sweeper")
}
