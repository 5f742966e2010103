use std::collections::BTreeMap;

use super::super::event::Event;
use super::super::ids::{CustomerId, PoolId, ReservationId, TicketId};
use super::super::pool::{Allowance, Pool};
use super::super::record::Record;
use super::super::record_key::RecordKey;
use super::super::rejection::Rejection;
use super::super::reservation::{Reservation, ReservationState};
use super::super::snapshot::LapsedOf;
use super::super::ticket::{Ticket, TicketState};
use super::super::time::Timestamp;
use super::super::view::View;

/// What one decision is about to change, on top of what the view shows. Dropping it changes nothing.
pub(super) struct Draft<'v, 's> {
    view: &'v mut View<'s>,
    event: Option<Event>,
    tickets: BTreeMap<TicketId, Ticket>,
    pools: BTreeMap<PoolId, Pool>,
    allowances: BTreeMap<CustomerId, Allowance>,
    reservations: BTreeMap<ReservationId, Reservation>,
}

impl<'v, 's> Draft<'v, 's> {
    pub(super) fn new(view: &'v mut View<'s>) -> Self {
        Self {
            view,
            event: None,
            tickets: BTreeMap::new(),
            pools: BTreeMap::new(),
            allowances: BTreeMap::new(),
            reservations: BTreeMap::new(),
        }
    }

    pub(super) fn into_writes(self) -> Vec<(RecordKey, Record)> {
        let event = self.event.map(|event| (RecordKey::Event, Record::Event(event)));
        let tickets = self.tickets.into_iter().map(|(id, it)| (RecordKey::Ticket(id), Record::Ticket(it)));
        let pools = self.pools.into_iter().map(|(id, it)| (RecordKey::Pool(id), Record::Pool(it)));
        let allowances = self.allowances.into_iter().map(|(id, it)| (RecordKey::Allowance(id), Record::Allowance(it)));
        let reservations =
            self.reservations.into_iter().map(|(id, it)| (RecordKey::Reservation(id), Record::Reservation(it)));
        event.into_iter().chain(tickets).chain(pools).chain(allowances).chain(reservations).collect()
    }

    /// The decision time, true once everything that it depends on has been looked at.
    pub(super) fn now(&self) -> Timestamp {
        self.view.now()
    }

    pub(super) fn view(&mut self) -> &mut View<'s> {
        self.view
    }

    pub(super) fn event(&mut self) -> Result<&'s Event, Rejection> {
        self.view.event().ok_or(Rejection::UnknownEvent)
    }

    pub(super) fn write_event(&mut self, event: Event) {
        self.event = Some(event);
    }

    /// Looks at tickets, so that the decision time takes them into account.
    pub(super) fn tickets<'t>(
        &mut self,
        ids: impl IntoIterator<Item = &'t TicketId>,
    ) -> Vec<(&'t TicketId, Option<&'s Ticket>)> {
        ids.into_iter().map(|id| (id, self.view.ticket(id))).collect()
    }

    pub(super) fn write_ticket(&mut self, id: &TicketId, ticket: &Ticket, state: TicketState) {
        self.tickets.insert(id.clone(), Ticket { place: ticket.place.clone(), state });
    }

    pub(super) fn add_ticket(&mut self, id: TicketId, ticket: Ticket) {
        self.tickets.insert(id, ticket);
    }

    pub(super) fn write_reservation(&mut self, reservation: Reservation) {
        self.reservations.insert(reservation.id, reservation);
    }

    pub(super) fn write_pool(&mut self, id: PoolId, pool: Pool) {
        self.pools.insert(id, pool);
    }

    /// Frees those tickets that still say that `owner` has them.
    pub(super) fn free_owned(&mut self, owner: ReservationId, tickets: Vec<(&TicketId, Option<&Ticket>)>) {
        for (id, ticket) in tickets {
            if let Some(ticket) = ticket.filter(|ticket| ticket.owner() == Some(owner)) {
                self.write_ticket(id, ticket, TicketState::Available);
            }
        }
    }

    /// A pool as the decision has left it so far.
    pub(super) fn pool(&mut self, id: &PoolId) -> Result<Pool, Rejection> {
        match self.pools.get(id) {
            Some(pool) => Ok(pool.clone()),
            None => self.view.pool(id).cloned().ok_or_else(|| Rejection::UnknownPool { pool: id.clone() }),
        }
    }

    /// Changes a pool; one that does not exist is left alone.
    pub(super) fn change_pool(&mut self, id: &PoolId, change: impl FnOnce(&mut Pool)) {
        if let Ok(mut pool) = self.pool(id) {
            change(&mut pool);
            self.pools.insert(id.clone(), pool);
        }
    }

    fn allowance(&mut self, customer: &CustomerId) -> Allowance {
        match self.allowances.get(customer) {
            Some(allowance) => allowance.clone(),
            None => self.view.allowance(customer),
        }
    }

    /// Changes what a customer has taken, where the event counts that at all.
    pub(super) fn change_allowance(&mut self, customer: &CustomerId, change: impl FnOnce(&mut Allowance)) {
        if self.view.event().is_some_and(|event| event.limit_per_customer.is_some()) {
            let mut allowance = self.allowance(customer);
            change(&mut allowance);
            self.allowances.insert(customer.clone(), allowance);
        }
    }

    /// Holds `quantity` places of a pool, reclaiming expired holds as far as needed.
    pub(super) fn hold_in_pool(&mut self, id: &PoolId, quantity: u32, now: Timestamp) -> Result<(), Rejection> {
        let mut pool = self.pool(id)?;
        if pool.free() < quantity {
            for lapsed in self.view.lapsed(&LapsedOf::Pool(id.clone())) {
                self.reclaim(*lapsed, now);
                pool = self.pool(id)?;
                if pool.free() >= quantity {
                    break;
                }
            }
        }
        if pool.free() < quantity {
            return Err(Rejection::Insufficient { pool: id.clone(), wanted: quantity, free: pool.free() });
        }
        pool.held += quantity;
        self.pools.insert(id.clone(), pool);
        Ok(())
    }

    /// Counts `quantity` held places for a customer, if the event's limit allows it, reclaiming the customer's expired
    /// holds as far as needed.
    pub(super) fn hold_in_allowance(
        &mut self,
        customer: &CustomerId,
        quantity: u32,
        now: Timestamp,
    ) -> Result<(), Rejection> {
        let Some(limit) = self.event()?.limit_per_customer else { return Ok(()) };
        // Together they may be more than 32 bits hold, even where the limit is as high as it can be.
        let allows = |it: &Allowance| it.taken().checked_add(quantity).is_some_and(|taken| taken <= limit);
        let mut allowance = self.allowance(customer);
        if !allows(&allowance) {
            for lapsed in self.view.lapsed(&LapsedOf::Customer(customer.clone())) {
                self.reclaim(*lapsed, now);
                allowance = self.allowance(customer);
                if allows(&allowance) {
                    break;
                }
            }
        }
        if !allows(&allowance) {
            return Err(Rejection::LimitReached { limit, taken: allowance.taken(), wanted: quantity });
        }
        allowance.held += quantity;
        self.allowances.insert(customer.clone(), allowance);
        Ok(())
    }

    /// Ends a hold whose deadline has passed: it counts in no pool and no allowance any more. Its tickets need no
    /// change: whose deadline has passed is available. Says whether there was something to end.
    pub(super) fn reclaim(&mut self, id: ReservationId, now: Timestamp) -> bool {
        if self.reservations.contains_key(&id) {
            return false;
        }
        let event = self.view.event_id();
        let Some(reservation) = self.view.reservation(id).filter(|it| it.is_lapsed(now) && it.event == *event) else {
            return false;
        };
        for (pool, quantity) in reservation.lines.pools() {
            self.change_pool(pool, |pool| pool.held = pool.held.saturating_sub(*quantity));
        }
        let places = reservation.lines.places();
        self.change_allowance(&reservation.customer, |it| it.held = it.held.saturating_sub(places));
        self.write_reservation(Reservation { state: ReservationState::Expired, ..reservation.clone() });
        true
    }
}
