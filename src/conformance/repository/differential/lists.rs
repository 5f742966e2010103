//! What the store must list, by its own clock.

use std::collections::BTreeMap;

use super::reference::Reference;
use crate::domain::{
    AreaId, EventId, Place, Pool, PoolId, Record, RecordKey, Reservation, Ticket, TicketId, TicketState, Timestamp,
};
use crate::ports::{AreaAvailability, Availability, PoolAvailability};

impl Reference {
    pub(super) fn tickets(&self, event: &EventId) -> Vec<(TicketId, u64, Ticket)> {
        let ticket = |(key, version, record): (&RecordKey, u64, &Record)| match (key, record) {
            (RecordKey::Ticket(id), Record::Ticket(ticket)) => Some((id.clone(), version, ticket.clone())),
            _ => None,
        };
        self.records(event).filter_map(ticket).collect()
    }

    pub(super) fn pools(&self, event: &EventId) -> Vec<(PoolId, u64, Pool)> {
        let pool = |(key, version, record): (&RecordKey, u64, &Record)| match (key, record) {
            (RecordKey::Pool(id), Record::Pool(pool)) => Some((id.clone(), version, pool.clone())),
            _ => None,
        };
        self.records(event).filter_map(pool).collect()
    }

    pub(super) fn reservations(&self, event: &EventId) -> Vec<(u64, Reservation)> {
        let reservation = |(_, version, record): (&RecordKey, u64, &Record)| match record {
            Record::Reservation(reservation) => Some((version, reservation.clone())),
            _ => None,
        };
        self.records(event).filter_map(reservation).collect()
    }

    /// The tickets of an area that anyone may hold, and where they are.
    pub(super) fn free_in(&self, event: &EventId, area: &AreaId) -> Vec<(TicketId, Place)> {
        let all = self.tickets(event).into_iter().map(|(id, _, ticket)| (id, ticket));
        let free = all.filter(|(_, ticket)| ticket.place.area == *area && ticket.is_available(self.clock()));
        free.map(|(id, ticket)| (id, ticket.place)).collect()
    }

    /// How much is free, as the store must say it at `at`.
    pub(super) fn availability(&self, event: &EventId, at: Timestamp) -> Availability {
        let mut areas: BTreeMap<AreaId, AreaAvailability> = BTreeMap::new();
        for (_, _, Ticket { place, state }) in self.tickets(event) {
            let area = areas.entry(place.area.clone()).or_insert_with(|| AreaAvailability {
                area: place.area,
                tickets: 0,
                available: 0,
                held: 0,
                booked: 0,
                blocked: 0,
            });
            area.tickets += 1;
            *match state {
                TicketState::Available => &mut area.available,
                TicketState::Held { until, .. } if until <= self.clock() => &mut area.available,
                TicketState::Held { .. } => &mut area.held,
                TicketState::Booked { .. } => &mut area.booked,
                TicketState::Blocked { .. } => &mut area.blocked,
            } += 1;
        }
        let pools = self.pools(event).into_iter().map(|(id, _, Pool { capacity, held, booked })| {
            let held = held - self.lapsed_in(event, &id);
            PoolAvailability { pool: id, capacity, available: capacity - held - booked, held, booked }
        });
        Availability { at, areas: areas.into_values().collect(), pools: pools.collect() }
    }

    /// How many places of a pool are held by holds that have lapsed.
    fn lapsed_in(&self, event: &EventId, pool: &PoolId) -> u32 {
        let lapsed = self.lapsed(|reservation| reservation.event == *event);
        lapsed.flat_map(|it| it.lines.pools()).filter(|(of, _)| of == pool).map(|(_, quantity)| quantity).sum()
    }
}
