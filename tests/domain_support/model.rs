//! A model of the sale that is too simple to be wrong: a list of reservations and what became of each. It has no counters,
//! no versions and no rows of tickets, and reclaims nothing: what is free follows from the list and the time.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use ticket_reservation::domain::{
    AreaId, BlockReason, Command, CreateEvent, CustomerId, EventId, Lines, OperationId, Place, Policies, PoolId,
    Receipt, ReservationId, TicketId, Timestamp,
};

#[derive(Debug, Clone)]
pub(crate) struct Model {
    pub(crate) policies: Policies,
    pub(crate) sales: BTreeMap<EventId, Sale>,
    pub(crate) bookings: BTreeMap<ReservationId, Booking>,
    /// Operations that took effect, and their answers. Never forgotten here.
    pub(crate) done: BTreeMap<OperationId, Rc<(Command, Receipt)>>,
    pub(crate) voided: BTreeMap<OperationId, Rc<Command>>,
    pub(crate) purged_before: Timestamp,
    /// The latest time at which anything was decided.
    pub(crate) latest: Timestamp,
}

#[derive(Debug, Clone)]
pub(crate) struct Sale {
    pub(crate) terms: CreateEvent,
    pub(crate) on_sale: bool,
    pub(crate) places: BTreeMap<TicketId, Place>,
    pub(crate) blocked: BTreeMap<TicketId, BlockReason>,
    pub(crate) capacities: BTreeMap<PoolId, u32>,
}

#[derive(Debug, Clone)]
pub(crate) struct Booking {
    pub(crate) event: EventId,
    pub(crate) customer: CustomerId,
    pub(crate) lines: Lines,
    pub(crate) held_at: Timestamp,
    pub(crate) status: Status,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    /// Over from its deadline on.
    Held(Timestamp),
    Booked,
    Released,
    Cancelled,
}

impl Booking {
    pub(crate) fn is_live(&self, now: Timestamp) -> bool {
        matches!(self.status, Status::Held(until) if now < until)
    }

    pub(crate) fn is_over(&self, now: Timestamp) -> bool {
        matches!(self.status, Status::Held(until) if until <= now)
    }

    /// Whether it has its places at `now`.
    fn counts(&self, now: Timestamp) -> bool {
        self.status == Status::Booked || self.is_live(now)
    }
}

impl Model {
    pub(crate) fn new(policies: Policies, start: Timestamp) -> Self {
        Self {
            policies,
            sales: BTreeMap::new(),
            bookings: BTreeMap::new(),
            done: BTreeMap::new(),
            voided: BTreeMap::new(),
            purged_before: Timestamp::from_micros(i64::MIN),
            latest: start,
        }
    }

    /// The reservations that have their places at `now`, but for one.
    fn counting<'m>(
        &'m self,
        event: &'m EventId,
        now: Timestamp,
        but: Option<ReservationId>,
    ) -> impl Iterator<Item = &'m Booking> {
        let of_event = self.bookings.iter().filter(move |(id, it)| it.event == *event && Some(**id) != but);
        of_event.map(|(_, booking)| booking).filter(move |booking| booking.counts(now))
    }

    /// Those of the tickets that are not free for reservation `but` at `now`, each once and in order.
    pub(crate) fn taken<'t>(
        &self,
        event: &EventId,
        tickets: impl IntoIterator<Item = &'t TicketId>,
        now: Timestamp,
        but: Option<ReservationId>,
    ) -> Vec<TicketId> {
        let mut taken: BTreeSet<&TicketId> = self.sales[event].blocked.keys().collect();
        taken.extend(self.counting(event, now, but).flat_map(|booking| booking.lines.tickets()));
        let wanted: BTreeSet<&TicketId> = tickets.into_iter().collect();
        wanted.into_iter().filter(|ticket| taken.contains(ticket)).cloned().collect()
    }

    pub(crate) fn free_in_pool(
        &self,
        event: &EventId,
        pool: &PoolId,
        now: Timestamp,
        but: Option<ReservationId>,
    ) -> Option<u32> {
        let capacity = self.sales[event].capacities.get(pool)?;
        let lines = self.counting(event, now, but).flat_map(|booking| booking.lines.pools());
        let taken: u64 = lines.filter(|(id, _)| id == pool).map(|(_, quantity)| u64::from(*quantity)).sum();
        // A clock that has stepped back sees holds as live whose places were sold again since.
        Some(capacity.saturating_sub(u32::try_from(taken).unwrap_or(u32::MAX)))
    }

    pub(crate) fn taken_by(
        &self,
        event: &EventId,
        customer: &CustomerId,
        now: Timestamp,
        but: Option<ReservationId>,
    ) -> u64 {
        let places = |booking: &Booking| u64::from(booking.lines.places());
        self.counting(event, now, but).filter(|it| it.customer == *customer).map(places).sum()
    }

    /// The free places of an area that are not named.
    pub(crate) fn free_places(
        &self,
        event: &EventId,
        area: &AreaId,
        named: &[TicketId],
        now: Timestamp,
    ) -> BTreeSet<(u32, u32)> {
        let sale = &self.sales[event];
        let taken = self.taken(event, sale.places.keys(), now, None);
        let free = sale.places.iter().filter(|(id, it)| it.area == *area && !taken.contains(id) && !named.contains(id));
        free.map(|(_, place)| (place.row, place.number)).collect()
    }
}

/// Whether so many of the places stand next to each other.
pub(crate) fn has_neighbours(places: &BTreeSet<(u32, u32)>, quantity: u32) -> bool {
    places.iter().any(|(row, first)| {
        let last = first.checked_add(quantity.saturating_sub(1));
        last.is_some_and(|last| (*first..=last).all(|number| places.contains(&(*row, number))))
    })
}
