//! Whether a store that nobody writes to any more holds together.

use std::collections::{BTreeMap, BTreeSet};

use super::bench::RepositoryBench;
use super::check::{Checked, Failure, ensure, ensure_eq};
use crate::domain::{
    Allowance, CustomerId, EventId, Pool, PoolId, Record, RecordKey, Reservation, ReservationState, TicketState,
};

/// Every table against every other one.
pub(super) async fn tables(bench: &RepositoryBench, event: &EventId) -> Checked {
    check_tables(bench, event, true).await
}

/// The same where the clock was wrong, and says nothing about which holds are over.
pub(super) async fn bookings_and_pools(bench: &RepositoryBench, event: &EventId) -> Checked {
    check_tables(bench, event, false).await
}

async fn check_tables(bench: &RepositoryBench, event: &EventId, clock_is_right: bool) -> Checked {
    let tickets = bench.tickets(event).await?;
    let pools = bench.pools(event).await?;
    let reservations = bench.reservations(event).await?;
    let clock = bench.clock().await?;
    let by_id: BTreeMap<_, &Reservation> = reservations.iter().map(|(_, it)| (it.id, it)).collect();
    let state_of: BTreeMap<_, _> = tickets.iter().map(|(id, _, ticket)| (id, &ticket.state)).collect();

    for (id, _, ticket) in &tickets {
        let Some(owner) = ticket.owner() else { continue };
        let Some(reservation) = by_id.get(&owner) else {
            return Err(Failure::new(format!("ticket {id} belongs to {owner}, which does not exist")));
        };
        ensure!(reservation.lines.tickets().contains(id), "ticket {id} belongs to {owner}, which has not asked for it");
        let fits = match (&ticket.state, reservation.state) {
            (TicketState::Booked { .. }, ReservationState::Booked) => true,
            (TicketState::Held { until, .. }, ReservationState::Held { until: expected }) => *until == expected,
            // Settling a hold leaves its tickets alone: they are available from their deadline on.
            (TicketState::Held { until, .. }, ReservationState::Expired) => *until <= clock || !clock_is_right,
            _ => false,
        };
        ensure!(fits, "ticket {id} is {:?}, and its reservation is {:?}", ticket.state, reservation.state);
    }
    for reservation in by_id.values() {
        let live_hold = clock_is_right && reservation.is_live_hold(clock);
        let live = live_hold || reservation.state == ReservationState::Booked;
        for id in reservation.lines.tickets().iter().filter(|_| live) {
            let owned = match state_of.get(id) {
                Some(TicketState::Booked { reservation: owner } | TicketState::Held { reservation: owner, .. }) => {
                    *owner == reservation.id
                }
                _ => false,
            };
            let found = state_of.get(id);
            ensure!(owned, "{} is {:?}, and its ticket {id} is {found:?}", reservation.id, reservation.state);
        }
    }
    let sums = pool_sums(by_id.values().copied());
    for (id, _, pool) in pools {
        let (held, booked) = sums.get(&id).copied().unwrap_or_default();
        let expected = Pool { capacity: pool.capacity, held, booked };
        ensure!(u64::from(held) + u64::from(booked) <= u64::from(pool.capacity), "pool {id} is oversold: {expected:?}");
        ensure_eq!(pool, expected, "pool {id}, compared with the sum of its reservations");
    }
    Ok(())
}

fn pool_sums<'r>(reservations: impl Iterator<Item = &'r Reservation>) -> BTreeMap<PoolId, (u32, u32)> {
    let mut sums: BTreeMap<PoolId, (u32, u32)> = BTreeMap::new();
    for reservation in reservations {
        for (pool, quantity) in reservation.lines.pools() {
            let (held, booked) = sums.entry(pool.clone()).or_default();
            match reservation.state {
                ReservationState::Held { .. } => *held += quantity,
                ReservationState::Booked => *booked += quantity,
                _ => {}
            }
        }
    }
    sums
}

/// The change feed, complete and from its start, against the tables.
pub(super) async fn feed(bench: &RepositoryBench, event: &EventId) -> Checked {
    let mut rebuilt: BTreeMap<RecordKey, (u64, Record)> = BTreeMap::new();
    for (n, change) in bench.changes(event).await?.into_iter().enumerate() {
        ensure_eq!(change.sequence, n as u64 + 1, "the sequence of a change");
        let before = rebuilt.get(&change.key).map_or(0, |(version, _)| *version);
        ensure_eq!(change.version, before + 1, "the version of {:?} at {}", change.key, change.sequence);
        rebuilt.insert(change.key, (change.version, change.record));
    }
    allowances(&rebuilt)?;
    let mut listed: BTreeSet<RecordKey> = BTreeSet::new();
    let tickets = bench.tickets(event).await?.into_iter();
    let tickets = tickets.map(|(id, version, it)| (RecordKey::Ticket(id), (version, Record::Ticket(it))));
    let pools = bench.pools(event).await?.into_iter();
    let pools = pools.map(|(id, version, it)| (RecordKey::Pool(id), (version, Record::Pool(it))));
    let reservations = bench.reservations(event).await?.into_iter();
    let reservations =
        reservations.map(|(version, it)| (RecordKey::Reservation(it.id), (version, Record::Reservation(it))));
    for (key, found) in tickets.chain(pools).chain(reservations) {
        ensure_eq!(rebuilt.get(&key), Some(&found), "{key:?}, rebuilt from the feed");
        listed.insert(key);
    }
    // The rest is in no list: read it by its key.
    let rest: Vec<RecordKey> = rebuilt.keys().filter(|key| !listed.contains(*key)).cloned().collect();
    let snapshot = bench.load(event, &rest).await?;
    for key in rest {
        ensure!(
            matches!(key, RecordKey::Event | RecordKey::Allowance(_)),
            "{key:?} is in the feed and in no list of its kind"
        );
        let found = snapshot.get(&key).and_then(|it| it.record.clone().map(|record| (it.version, record)));
        ensure_eq!(rebuilt.get(&key).cloned(), found, "{key:?}, rebuilt from the feed");
    }
    Ok(())
}

/// Where the event has a limit, what customers have taken is the sum of their reservations.
fn allowances(rebuilt: &BTreeMap<RecordKey, (u64, Record)>) -> Checked {
    let limit = match rebuilt.get(&RecordKey::Event) {
        Some((_, Record::Event(event))) => event.limit_per_customer,
        _ => None,
    };
    let Some(limit) = limit else { return Ok(()) };
    let mut sums: BTreeMap<&CustomerId, Allowance> = BTreeMap::new();
    for (_, record) in rebuilt.values() {
        let Record::Reservation(reservation) = record else { continue };
        let taken = sums.entry(&reservation.customer).or_default();
        match reservation.state {
            ReservationState::Held { .. } => taken.held += reservation.lines.places(),
            ReservationState::Booked => taken.booked += reservation.lines.places(),
            _ => {}
        }
    }
    for (customer, expected) in sums {
        ensure!(expected.taken() <= limit, "{customer} has {expected:?}, and {limit} is the limit");
        let found = match rebuilt.get(&RecordKey::Allowance(customer.clone())) {
            Some((_, Record::Allowance(allowance))) => allowance.clone(),
            _ => Allowance::default(),
        };
        ensure_eq!(found, expected, "the allowance of {customer}, compared with the sum of the reservations");
    }
    Ok(())
}
