use std::collections::{BTreeMap, BTreeSet};

use super::super::command::{CreateEvent, Import, distinct};
use super::super::event::{Event, EventState};
use super::super::ids::{BlockReason, PoolId, TicketId};
use super::super::pool::Pool;
use super::super::receipt::Outcome;
use super::super::rejection::Rejection;
use super::super::ticket::{Place, Ticket, TicketState};
use super::draft::Draft;
use super::hold::{check_available, check_known};

pub(super) fn create_event(draft: &mut Draft<'_, '_>, terms: &CreateEvent) -> Result<Outcome, Rejection> {
    if draft.event().is_ok() {
        return Err(Rejection::EventExists);
    }
    draft.write_event(Event {
        state: EventState::Preparing,
        window: terms.window,
        limit_per_customer: terms.limit_per_customer,
    });
    Ok(Outcome::Inventory { changed: 0 })
}

/// Adds what is not there. What is there already keeps its state, and must stand at the same place.
pub(super) fn import(draft: &mut Draft<'_, '_>, import: &Import) -> Result<Outcome, Rejection> {
    let event = draft.event()?;
    let mut mismatched_tickets = BTreeSet::new();
    let mut tickets: BTreeMap<&TicketId, &Place> = BTreeMap::new();
    for (id, place) in &import.tickets {
        if tickets.insert(id, place).is_some_and(|before| before != place) {
            mismatched_tickets.insert(id.clone());
        }
    }
    let mut mismatched_pools = BTreeSet::new();
    let mut pools: BTreeMap<&PoolId, u32> = BTreeMap::new();
    for (id, capacity) in &import.pools {
        if pools.insert(id, *capacity).is_some_and(|before| before != *capacity) {
            mismatched_pools.insert(id.clone());
        }
    }
    let mut changed = 0;
    for (id, place) in tickets {
        match draft.view().ticket(id) {
            None => {
                draft.add_ticket(id.clone(), Ticket::available(place.clone()));
                changed += 1;
            }
            Some(ticket) if ticket.place != *place => {
                mismatched_tickets.insert(id.clone());
            }
            Some(_) => {}
        }
    }
    for (id, capacity) in pools {
        match draft.pool(id) {
            Err(_) => {
                draft.write_pool(id.clone(), Pool::with_capacity(capacity));
                changed += 1;
            }
            Ok(pool) if pool.capacity != capacity => {
                mismatched_pools.insert(id.clone());
            }
            Ok(_) => {}
        }
    }
    if !mismatched_tickets.is_empty() || !mismatched_pools.is_empty() {
        return Err(Rejection::InventoryMismatch {
            tickets: mismatched_tickets.into_iter().collect(),
            pools: mismatched_pools.into_iter().collect(),
        });
    }
    if import.last && event.state == EventState::Preparing {
        draft.write_event(Event { state: EventState::OnSale, ..event.clone() });
    }
    Ok(Outcome::Inventory { changed })
}

pub(super) fn block(draft: &mut Draft<'_, '_>, ids: &[TicketId], reason: &BlockReason) -> Result<Outcome, Rejection> {
    draft.event()?;
    let tickets = draft.tickets(distinct(ids));
    let tickets = check_available(tickets, draft.now())?;
    Ok(write_all(draft, tickets, &TicketState::Blocked { reason: reason.clone() }))
}

pub(super) fn unblock(draft: &mut Draft<'_, '_>, ids: &[TicketId]) -> Result<Outcome, Rejection> {
    draft.event()?;
    let tickets = draft.tickets(distinct(ids));
    let tickets = check_known(tickets)?;
    let others: Vec<TicketId> = tickets
        .iter()
        .filter(|(_, ticket)| !matches!(ticket.state, TicketState::Blocked { .. }))
        .map(|(id, _)| (*id).clone())
        .collect();
    if !others.is_empty() {
        return Err(Rejection::NotBlocked { tickets: others });
    }
    Ok(write_all(draft, tickets, &TicketState::Available))
}

fn write_all(draft: &mut Draft<'_, '_>, tickets: Vec<(&TicketId, &Ticket)>, state: &TicketState) -> Outcome {
    for (id, ticket) in &tickets {
        draft.write_ticket(id, ticket, state.clone());
    }
    Outcome::Inventory { changed: u32::try_from(tickets.len()).unwrap_or(u32::MAX) }
}
