use std::time::Duration;

use super::super::best_available::{BestAvailable, pick};
use super::super::command::Hold;
use super::super::event::{Event, EventState};
use super::super::ids::TicketId;
use super::super::lines::Lines;
use super::super::policies::Policies;
use super::super::receipt::Outcome;
use super::super::rejection::Rejection;
use super::super::reservation::{Reservation, ReservationState};
use super::super::ticket::{Ticket, TicketState};
use super::super::time::Timestamp;
use super::super::view::View;
use super::draft::Draft;

pub(super) fn hold(draft: &mut Draft<'_, '_>, hold: &Hold, policies: &Policies) -> Result<Outcome, Rejection> {
    let ttl = check_ttl(hold.ttl, policies)?;
    let event = draft.event()?;
    let id_is_taken = draft.view().reservation(hold.reservation).is_some();
    let lines = choose_lines(draft.view(), hold)?;
    let tickets = draft.tickets(lines.tickets());
    let now = draft.now();

    check_on_sale(event, now)?;
    if id_is_taken {
        return Err(Rejection::ReservationExists);
    }
    let tickets = check_available(tickets, now)?;
    for (pool, quantity) in lines.pools() {
        draft.hold_in_pool(pool, *quantity, now)?;
    }
    draft.hold_in_allowance(&hold.customer, lines.places(), now)?;

    let until = now.after(ttl);
    for (id, ticket) in tickets {
        draft.write_ticket(id, ticket, TicketState::Held { reservation: hold.reservation, until });
    }
    let reservation = Reservation {
        id: hold.reservation,
        event: draft.view().event_id().clone(),
        customer: hold.customer.clone(),
        lines,
        state: ReservationState::Held { until },
        held_at: now,
    };
    draft.write_reservation(reservation.clone());
    Ok(Outcome::Reservation(reservation))
}

pub(super) fn check_ttl(ttl: Option<Duration>, policies: &Policies) -> Result<Duration, Rejection> {
    let ttl = ttl.unwrap_or(policies.hold_ttl);
    if ttl < Duration::from_millis(1) || ttl > policies.hold_ttl_max {
        return Err(Rejection::InvalidTtl { max: policies.hold_ttl_max });
    }
    Ok(ttl)
}

pub(super) fn check_on_sale(event: &Event, now: Timestamp) -> Result<(), Rejection> {
    let is_open = event.window.contains(now);
    #[cfg(planted_bugs)]
    let is_open = is_open || crate::planted::is(crate::planted::Bug::WindowIgnored);
    if event.state == EventState::OnSale && is_open {
        Ok(())
    } else {
        // While the inventory is incomplete nobody knows when the sale opens.
        let opens = event.window.opens.filter(|_| event.state == EventState::OnSale);
        Err(Rejection::NotOnSale { opens, closes: event.window.closes })
    }
}

/// All tickets, or which of them are unknown or taken.
pub(super) fn check_available<'t, 's>(
    tickets: Vec<(&'t TicketId, Option<&'s Ticket>)>,
    now: Timestamp,
) -> Result<Vec<(&'t TicketId, &'s Ticket)>, Rejection> {
    let known = check_known(tickets)?;
    let taken: Vec<TicketId> =
        known.iter().filter(|(_, ticket)| !ticket.is_available(now)).map(|(id, _)| (*id).clone()).collect();
    if taken.is_empty() { Ok(known) } else { Err(Rejection::Unavailable { tickets: taken }) }
}

/// All tickets, or which of them are unknown.
pub(super) fn check_known<'t, 's>(
    tickets: Vec<(&'t TicketId, Option<&'s Ticket>)>,
) -> Result<Vec<(&'t TicketId, &'s Ticket)>, Rejection> {
    let mut known = Vec::with_capacity(tickets.len());
    let mut unknown = Vec::new();
    for (id, ticket) in tickets {
        match ticket {
            Some(ticket) => known.push((id, ticket)),
            None => unknown.push(id.clone()),
        }
    }
    if unknown.is_empty() { Ok(known) } else { Err(Rejection::UnknownTickets { tickets: unknown }) }
}

/// The lines asked for, with the tickets picked before or now.
fn choose_lines(view: &mut View<'_>, hold: &Hold) -> Result<Lines, Rejection> {
    let Some(best) = &hold.best_available else { return Ok(hold.lines.clone()) };
    let picked = match view.picked() {
        [] => choose(view, best, hold.lines.tickets())?,
        picked => picked.to_vec(),
    };
    Ok(Lines::merge(hold.lines.tickets().iter().cloned().chain(picked), hold.lines.pools().iter().cloned())?)
}

fn choose(view: &mut View<'_>, best: &BestAvailable, named: &[TicketId]) -> Result<Vec<TicketId>, Rejection> {
    let now = view.now();
    let free = || {
        let others = view.free(&best.area).iter().filter(|id| named.binary_search(id).is_err());
        others.filter_map(|id| match view.peek_ticket(id) {
            Some((ticket, decided_at)) if ticket.is_available(now.max(decided_at)) => Some((id, &ticket.place)),
            _ => None,
        })
    };
    if let Some(picked) = pick(free(), best.quantity) {
        return Ok(picked);
    }
    let free = u32::try_from(free().count()).unwrap_or(u32::MAX);
    view.touch_taken(&best.area);
    Err(Rejection::NoNeighbours { area: best.area.clone(), wanted: best.quantity, free })
}
