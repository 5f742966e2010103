use std::time::Duration;

use super::super::command::Transfer;
use super::super::ids::{CustomerId, ReservationId, TicketId};
use super::super::policies::{LatePayment, Policies};
use super::super::receipt::Outcome;
use super::super::rejection::Rejection;
use super::super::reservation::{Reservation, ReservationState};
use super::super::ticket::{Ticket, TicketState};
use super::super::time::Timestamp;
use super::draft::Draft;
use super::hold::{check_available, check_on_sale, check_ttl};

type Tickets<'s> = Vec<(&'s TicketId, Option<&'s Ticket>)>;

/// The reservation and its tickets, if it is this customer's and of this event.
fn owned<'s>(
    draft: &mut Draft<'_, 's>,
    id: ReservationId,
    customer: &CustomerId,
) -> Result<(&'s Reservation, Tickets<'s>), Rejection> {
    draft.event()?;
    let event = draft.view().event_id();
    let reservation = draft
        .view()
        .reservation(id)
        .filter(|reservation| reservation.event == *event)
        .ok_or(Rejection::UnknownReservation)?;
    #[cfg(planted_bugs)]
    let customer =
        if crate::planted::is(crate::planted::Bug::AnyonesReservation) { &reservation.customer } else { customer };
    if reservation.customer != *customer {
        return Err(Rejection::NotOwner);
    }
    let tickets = draft.tickets(reservation.lines.tickets());
    Ok((reservation, tickets))
}

/// The deadline of a live hold, or why it is none.
fn live_until(reservation: &Reservation, tickets: &Tickets<'_>, now: Timestamp) -> Result<Timestamp, Rejection> {
    match reservation.state {
        ReservationState::Held { until } if now < until && owns_all(reservation, tickets) => Ok(until),
        ReservationState::Held { .. } | ReservationState::Expired => Err(Rejection::HoldExpired),
        state => Err(Rejection::WrongState { state: state.name() }),
    }
}

/// Ticket rows alone say who owns a place.
fn owns_all(reservation: &Reservation, tickets: &Tickets<'_>) -> bool {
    tickets.iter().all(|(_, ticket)| ticket.is_some_and(|ticket| ticket.owner() == Some(reservation.id)))
}

fn write(draft: &mut Draft<'_, '_>, reservation: &Reservation, state: ReservationState) -> Outcome {
    let changed = Reservation { state, ..reservation.clone() };
    draft.write_reservation(changed.clone());
    Outcome::Reservation(changed)
}

fn write_tickets(draft: &mut Draft<'_, '_>, tickets: &Tickets<'_>, state: &TicketState) {
    for (id, ticket) in tickets {
        if let Some(ticket) = ticket {
            draft.write_ticket(id, ticket, state.clone());
        }
    }
}

pub(super) fn extend(
    draft: &mut Draft<'_, '_>,
    id: ReservationId,
    customer: &CustomerId,
    ttl: Option<Duration>,
    policies: &Policies,
) -> Result<Outcome, Rejection> {
    let ttl = check_ttl(ttl, policies)?;
    let (reservation, tickets) = owned(draft, id, customer)?;
    let now = draft.now();
    let current = live_until(reservation, &tickets, now)?;
    let latest = reservation.held_at.after(policies.hold_ttl_max);
    if latest <= current {
        return Err(Rejection::ExtensionLimit { until: latest });
    }
    let until = now.after(ttl).min(latest).max(current);
    write_tickets(draft, &tickets, &TicketState::Held { reservation: id, until });
    Ok(write(draft, reservation, ReservationState::Held { until }))
}

pub(super) fn confirm(
    draft: &mut Draft<'_, '_>,
    id: ReservationId,
    customer: &CustomerId,
    late_payment: LatePayment,
) -> Result<Outcome, Rejection> {
    let (reservation, tickets) = owned(draft, id, customer)?;
    let now = draft.now();
    match live_until(reservation, &tickets, now) {
        Ok(_) => {}
        Err(Rejection::HoldExpired) if late_payment == LatePayment::RebookIfFree => {
            hold_again(draft, reservation, &tickets, now)?;
        }
        Err(rejection) => return Err(rejection),
    }
    write_tickets(draft, &tickets, &TicketState::Booked { reservation: id });
    for (pool, quantity) in reservation.lines.pools() {
        draft.change_pool(pool, |pool| {
            pool.held = pool.held.saturating_sub(*quantity);
            pool.booked = pool.booked.saturating_add(*quantity);
        });
    }
    let places = reservation.lines.places();
    draft.change_allowance(customer, |allowance| {
        allowance.held = allowance.held.saturating_sub(places);
        allowance.booked = allowance.booked.saturating_add(places);
    });
    Ok(write(draft, reservation, ReservationState::Booked))
}

/// Makes an expired hold count as held again, if its places are free. A hold that was not reclaimed yet still counts
/// in its pools and its allowance.
fn hold_again(
    draft: &mut Draft<'_, '_>,
    reservation: &Reservation,
    tickets: &Tickets<'_>,
    now: Timestamp,
) -> Result<(), Rejection> {
    check_on_sale(draft.event()?, now)?;
    check_available(tickets.clone(), now)?;
    if reservation.state == ReservationState::Expired {
        for (pool, quantity) in reservation.lines.pools() {
            draft.hold_in_pool(pool, *quantity, now)?;
        }
        draft.hold_in_allowance(&reservation.customer, reservation.lines.places(), now)?;
    }
    Ok(())
}

pub(super) fn release(
    draft: &mut Draft<'_, '_>,
    id: ReservationId,
    customer: &CustomerId,
) -> Result<Outcome, Rejection> {
    let (reservation, tickets) = owned(draft, id, customer)?;
    live_until(reservation, &tickets, draft.now())?;
    draft.free_owned(id, tickets);
    for (pool, quantity) in reservation.lines.pools() {
        draft.change_pool(pool, |pool| pool.held = pool.held.saturating_sub(*quantity));
    }
    let places = reservation.lines.places();
    draft.change_allowance(customer, |allowance| allowance.held = allowance.held.saturating_sub(places));
    Ok(write(draft, reservation, ReservationState::Released))
}

pub(super) fn cancel(
    draft: &mut Draft<'_, '_>,
    id: ReservationId,
    customer: &CustomerId,
) -> Result<Outcome, Rejection> {
    let (reservation, tickets) = owned(draft, id, customer)?;
    check_booked(reservation, draft.now())?;
    draft.free_owned(id, tickets);
    for (pool, quantity) in reservation.lines.pools() {
        draft.change_pool(pool, |pool| pool.booked = pool.booked.saturating_sub(*quantity));
    }
    let places = reservation.lines.places();
    draft.change_allowance(customer, |allowance| allowance.booked = allowance.booked.saturating_sub(places));
    Ok(write(draft, reservation, ReservationState::Cancelled))
}

fn check_booked(reservation: &Reservation, now: Timestamp) -> Result<(), Rejection> {
    match reservation.state {
        ReservationState::Booked => Ok(()),
        _ if reservation.is_lapsed(now) => Err(Rejection::WrongState { state: ReservationState::Expired.name() }),
        state => Err(Rejection::WrongState { state: state.name() }),
    }
}

pub(super) fn transfer(draft: &mut Draft<'_, '_>, transfer: &Transfer) -> Result<Outcome, Rejection> {
    let (reservation, tickets) = owned(draft, transfer.reservation, &transfer.from)?;
    let now = draft.now();
    let booked = reservation.state == ReservationState::Booked;
    if !booked {
        live_until(reservation, &tickets, now)?;
    }
    let places = reservation.lines.places();
    draft.change_allowance(&transfer.from, |allowance| {
        let count = if booked { &mut allowance.booked } else { &mut allowance.held };
        *count = count.saturating_sub(places);
    });
    draft.hold_in_allowance(&transfer.to, places, now)?;
    if booked {
        draft.change_allowance(&transfer.to, |allowance| {
            allowance.held = allowance.held.saturating_sub(places);
            allowance.booked = allowance.booked.saturating_add(places);
        });
    }
    let changed = Reservation { customer: transfer.to.clone(), ..reservation.clone() };
    draft.write_reservation(changed.clone());
    Ok(Outcome::Reservation(changed))
}
