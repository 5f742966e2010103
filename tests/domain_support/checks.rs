//! What must hold of the store after every step, with and without the model.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use ticket_reservation::domain::{
    Action, Allowance, ChangeSet, Command, CustomerId, EventId, EventState, Hold, Lines, OperationId, Pool, PoolId,
    Record, RecordKey, Reservation, ReservationId, ReservationState, Snapshot, Ticket, TicketId, TicketState,
    Timestamp,
};
use ticket_reservation::ports::{ChangesError, PAGE_MAX, PoolQuery, Repository, ReservationQuery, TicketQuery};

use super::hall::{CUSTOMERS, customer_id, reservation_id};
use super::model::Status;
use super::world::{Job, World, at_once};

/// Each record once, each of them looked at, and none at an earlier time than it had.
pub(crate) fn check_changes(snapshot: &Snapshot, changes: &ChangeSet, seen: &BTreeSet<RecordKey>) -> TestCaseResult {
    let mut keys = BTreeSet::new();
    for (key, record) in &changes.writes {
        prop_assert!(keys.insert(key), "{:?} is written twice", key);
        prop_assert!(seen.contains(key), "{:?} is written and was not looked at", key);
        let before = snapshot.get(key).map_or(Timestamp::EPOCH, |it| it.decided_at);
        prop_assert!(before <= changes.at, "{:?} goes back from {} to {}", key, before, changes.at);
        if let (Some(Record::Reservation(before)), Record::Reservation(after)) =
            (snapshot.get(key).and_then(|it| it.record.as_ref()), record)
        {
            prop_assert_eq!(&before.lines, &after.lines, "the lines of a reservation never change");
            prop_assert_eq!(before.held_at, after.held_at);
        }
    }
    Ok(())
}

/// All that the store has of an event.
struct Rows {
    tickets: BTreeMap<TicketId, Ticket>,
    pools: BTreeMap<PoolId, Pool>,
    reservations: BTreeMap<ReservationId, Reservation>,
}

impl World {
    pub(crate) fn check(&mut self, event: &EventId) -> TestCaseResult {
        let rows = self.rows(event);
        self.check_owners(&rows)?;
        self.check_pools(event, &rows)?;
        self.check_allowances(event, &rows)?;
        self.check_feed(event)?;
        self.check_against_model(event, &rows)
    }

    fn rows(&self, event: &EventId) -> Rows {
        let of = "the memory store does not fail";
        let query =
            TicketQuery { event: event.clone(), area: None, only_available: false, after: None, limit: PAGE_MAX };
        let tickets = at_once(self.repository.tickets(&query)).expect(of);
        let query = PoolQuery { event: event.clone(), after: None, limit: PAGE_MAX };
        let pools = at_once(self.repository.pools(&query)).expect(of);
        let query =
            ReservationQuery { event: Some(event.clone()), customer: None, state: None, after: None, limit: PAGE_MAX };
        let reservations = at_once(self.repository.reservations(&query)).expect(of);
        Rows {
            tickets: tickets.into_iter().map(|(id, _, ticket)| (id, ticket)).collect(),
            pools: pools.into_iter().map(|(id, _, pool)| (id, pool)).collect(),
            reservations: reservations.into_iter().map(|(_, it)| (it.id, it)).collect(),
        }
    }

    /// At most one live owner per ticket, and all or nothing.
    fn check_owners(&self, rows: &Rows) -> TestCaseResult {
        let mut owners: BTreeMap<&TicketId, ReservationId> = BTreeMap::new();
        for (id, reservation) in &rows.reservations {
            // Whatever the clock says now: what nobody can have seen expired is live.
            let state = match reservation.state {
                ReservationState::Booked => TicketState::Booked { reservation: *id },
                ReservationState::Held { until } if self.model.latest < until => {
                    TicketState::Held { reservation: *id, until }
                }
                _ => continue,
            };
            for ticket in reservation.lines.tickets() {
                prop_assert_eq!(&rows.tickets[ticket].state, &state, "{} of {}", ticket, id);
                let other = owners.insert(ticket, *id);
                prop_assert!(other.is_none(), "{} and {:?} both own {}", id, other, ticket);
            }
        }
        for (id, ticket) in &rows.tickets {
            let Some(owner) = ticket.owner() else { continue };
            let names_it = rows.reservations.get(&owner).is_some_and(|it| it.lines.tickets().contains(id));
            prop_assert!(names_it, "{} belongs to {}, which has not asked for it", id, owner);
        }
        Ok(())
    }

    /// The counters of pools are the sums of the reservations, and within the capacity.
    fn check_pools(&self, event: &EventId, rows: &Rows) -> TestCaseResult {
        for (id, pool) in &rows.pools {
            let (mut held, mut booked) = (0, 0);
            for reservation in rows.reservations.values() {
                let quantity = reservation.lines.pools().iter().find(|(of, _)| of == id).map_or(0, |(_, it)| *it);
                match reservation.state {
                    ReservationState::Held { .. } => held += quantity,
                    ReservationState::Booked => booked += quantity,
                    _ => {}
                }
            }
            prop_assert_eq!((pool.held, pool.booked), (held, booked), "{} of {} against its reservations", id, event);
            prop_assert!(held + booked <= pool.capacity, "{} of {} is oversold: {:?}", id, event, pool);
        }
        Ok(())
    }

    /// Where there is a limit, allowances are the sums of the reservations, and within it.
    fn check_allowances(&self, event: &EventId, rows: &Rows) -> TestCaseResult {
        let Some(limit) = self.model.sales.get(event).and_then(|sale| sale.terms.limit_per_customer) else {
            return Ok(());
        };
        let keys: Vec<(CustomerId, RecordKey)> =
            (0..CUSTOMERS).map(|n| (customer_id(n), RecordKey::Allowance(customer_id(n)))).collect();
        let snapshot = self.load(event, &keys.iter().map(|(_, key)| key.clone()).collect());
        for (customer, key) in keys {
            let found = match snapshot.get(&key).and_then(|it| it.record.clone()) {
                Some(Record::Allowance(allowance)) => allowance,
                _ => Allowance::default(),
            };
            let mut sum = Allowance::default();
            for reservation in rows.reservations.values().filter(|it| it.customer == customer) {
                match reservation.state {
                    ReservationState::Held { .. } => sum.held += reservation.lines.places(),
                    ReservationState::Booked => sum.booked += reservation.lines.places(),
                    _ => {}
                }
            }
            prop_assert_eq!(&found, &sum, "the allowance of {} against the reservations", customer);
            prop_assert!(found.taken() <= limit, "{} has {:?}, the limit is {}", customer, found, limit);
        }
        Ok(())
    }

    /// The time of a record never goes back, and the feed has no gap.
    fn check_feed(&mut self, event: &EventId) -> TestCaseResult {
        let (read, times) = self.feeds.entry(event.clone()).or_default();
        let rows = match at_once(self.repository.changes(event, *read, PAGE_MAX)) {
            Err(ChangesError::Truncated { purged_through }) => {
                *read = purged_through;
                at_once(self.repository.changes(event, purged_through, PAGE_MAX))
            }
            rows => rows,
        };
        for change in rows.expect("the memory store does not fail") {
            prop_assert_eq!(change.sequence, *read + 1, "the feed has a gap");
            *read = change.sequence;
            let before = times.insert(change.key.clone(), change.decided_at);
            let fell = before.is_some_and(|before| before > change.decided_at);
            prop_assert!(!fell, "{:?} was decided at {:?} and then at {:?}", change.key, before, change.decided_at);
        }
        Ok(())
    }

    /// The store says what the acknowledged commands come to, and nothing else.
    fn check_against_model(&self, event: &EventId, rows: &Rows) -> TestCaseResult {
        let bookings: BTreeMap<_, _> = self.model.bookings.iter().filter(|(_, it)| it.event == *event).collect();
        let (asked, kept): (Vec<_>, Vec<_>) = (bookings.keys().copied().collect(), rows.reservations.keys().collect());
        prop_assert_eq!(asked, kept, "the reservations of {}", event);
        for (id, booking) in bookings {
            let kept = &rows.reservations[id];
            let as_asked = match booking.status {
                Status::Held(until) => {
                    kept.state == ReservationState::Held { until }
                        || (until <= self.model.latest && kept.state == ReservationState::Expired)
                }
                Status::Booked => kept.state == ReservationState::Booked,
                Status::Released => kept.state == ReservationState::Released,
                Status::Cancelled => kept.state == ReservationState::Cancelled,
            };
            prop_assert!(as_asked, "{} is {:?}, and should be {:?}", id, kept.state, booking.status);
            let told = (&kept.customer, &kept.lines, kept.held_at, &kept.event);
            prop_assert_eq!(told, (&booking.customer, &booking.lines, booking.held_at, event));
        }
        let Some(sale) = self.model.sales.get(event) else {
            prop_assert!(rows.tickets.is_empty() && rows.pools.is_empty(), "an event that does not exist has places");
            return Ok(());
        };
        let places: BTreeMap<_, _> = rows.tickets.iter().map(|(id, it)| (id.clone(), it.place.clone())).collect();
        prop_assert_eq!(&places, &sale.places);
        let capacities: BTreeMap<_, _> = rows.pools.iter().map(|(id, it)| (id.clone(), it.capacity)).collect();
        prop_assert_eq!(&capacities, &sale.capacities);
        for (id, ticket) in &rows.tickets {
            let blocked = match &ticket.state {
                TicketState::Blocked { reason } => Some(reason),
                _ => None,
            };
            prop_assert_eq!(blocked, sale.blocked.get(id), "{} of {}", id, event);
        }
        let snapshot = self.load(event, &BTreeSet::from([RecordKey::Event]));
        let Some(Record::Event(kept)) = snapshot.get(&RecordKey::Event).and_then(|it| it.record.as_ref()) else {
            return Err(TestCaseError::fail("the event is gone"));
        };
        let told = (kept.state == EventState::OnSale, kept.window, kept.limit_per_customer);
        prop_assert_eq!(told, (sale.on_sale, sale.terms.window, sale.terms.limit_per_customer));
        Ok(())
    }

    /// Everything that is free or over can be had by someone else at once, though nobody has swept.
    pub(crate) fn check_free_is_sellable(&self, event: &EventId) -> TestCaseResult {
        let (model, clock) = (&self.model, self.now());
        let Some(sale) = model.sales.get(event).filter(|sale| sale.on_sale && sale.terms.window.contains(clock)) else {
            return Ok(());
        };
        // A clock that has stepped back does not see what was over.
        if clock < model.latest {
            return Ok(());
        }
        let most = sale.terms.limit_per_customer.unwrap_or(u32::MAX);
        let taken = model.taken(event, sale.places.keys(), clock, None);
        let free = sale.places.keys().filter(|ticket| !taken.contains(ticket)).cloned();
        let free: Vec<TicketId> = free.take(most as usize).collect();
        let mut left = most - u32::try_from(free.len()).expect("so few tickets");
        let mut pools = Vec::new();
        for pool in sale.capacities.keys() {
            let quantity = model.free_in_pool(event, pool, clock, None).unwrap_or(0).min(left);
            left -= quantity;
            if quantity > 0 {
                pools.push((pool.clone(), quantity));
            }
        }
        let wish = Lines::merge(free, pools).expect("so few lines");
        if wish.places() == 0 {
            return Ok(());
        }
        let hold = Hold::new(reservation_id(u64::MAX), CustomerId::new("someone else").expect("an id"), wish);
        let operation = OperationId::from_parts(clock, [0xff; 10]);
        let command = Command { event: event.clone(), operation, action: Action::Hold(hold) };
        let job = Job::Ask { command: command.clone(), picked: Vec::new() };
        let (_, decided) = self.load_and_decide(event, &[&[job]])?;
        prop_assert_eq!(decided[0].successes.len(), 1, "{:?} is free, and refused", command.action);
        Ok(())
    }
}
