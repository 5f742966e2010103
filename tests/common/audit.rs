//! What must hold of a store at any moment, checked from outside.

use std::collections::HashMap;

use futures_util::FutureExt;
use ticket_reservation::adapters::memory::MemoryRepository;
use ticket_reservation::domain::{
    Pool, PoolId, Reservation, ReservationId, ReservationState, Ticket, TicketId, TicketState,
};
use ticket_reservation::ports::{PAGE_MAX, PoolQuery, Repository, ReservationQuery, TicketQuery};

use super::world::event;

pub(crate) fn all_tickets(store: &MemoryRepository) -> HashMap<TicketId, Ticket> {
    let query = TicketQuery { event: event(), area: None, only_available: false, after: None, limit: PAGE_MAX };
    let rows = store.tickets(&query).now_or_never().unwrap().unwrap();
    rows.into_iter().map(|(id, _, ticket)| (id, ticket)).collect()
}

pub(crate) fn all_pools(store: &MemoryRepository) -> HashMap<PoolId, Pool> {
    let query = PoolQuery { event: event(), after: None, limit: PAGE_MAX };
    let rows = store.pools(&query).now_or_never().unwrap().unwrap();
    rows.into_iter().map(|(id, _, pool)| (id, pool)).collect()
}

pub(crate) fn all_reservations(store: &MemoryRepository) -> HashMap<ReservationId, Reservation> {
    let query = ReservationQuery { event: Some(event()), customer: None, state: None, after: None, limit: PAGE_MAX };
    let rows = store.reservations(&query).now_or_never().unwrap().unwrap();
    rows.into_iter().map(|(_, reservation)| (reservation.id, reservation)).collect()
}

/// Nothing sold twice, all or nothing, pools within capacity and counting exactly what is held and booked in them.
pub(crate) fn audit(store: &MemoryRepository) {
    let tickets = all_tickets(store);
    let reservations = all_reservations(store);
    for (id, ticket) in &tickets {
        let Some(owner) = ticket.owner() else { continue };
        let owner = &reservations[&owner];
        assert!(owner.lines.tickets().contains(id), "{id} says it belongs to {}, which does not name it", owner.id);
        if matches!(ticket.state, TicketState::Booked { .. }) {
            assert_eq!(owner.state, ReservationState::Booked, "{id} is booked by {}", owner.id);
        }
    }
    let mut counted: HashMap<PoolId, (u32, u32)> = HashMap::new();
    for reservation in reservations.values() {
        for (pool, quantity) in reservation.lines.pools() {
            let (held, booked) = counted.entry(pool.clone()).or_default();
            match reservation.state {
                ReservationState::Held { .. } => *held += quantity,
                ReservationState::Booked => *booked += quantity,
                _ => {}
            }
        }
        if reservation.state == ReservationState::Booked {
            for id in reservation.lines.tickets() {
                let booked = TicketState::Booked { reservation: reservation.id };
                assert_eq!(tickets[id].state, booked, "{} has booked {id}", reservation.id);
            }
        }
    }
    for (id, pool) in all_pools(store) {
        assert!(pool.held + pool.booked <= pool.capacity, "{id}: {pool:?}");
        assert_eq!(counted.get(&id).copied().unwrap_or_default(), (pool.held, pool.booked), "{id}");
    }
}
