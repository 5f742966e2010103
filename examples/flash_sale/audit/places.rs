//! Nothing is sold twice: tickets and reservations agree, and they are the plan's tickets.

use std::collections::HashMap;

use ticket_reservation::domain::{Place, Reservation, ReservationState, TicketId, TicketState};

use super::books::Books;
use super::findings::{Findings, Wrong};
use crate::journal::Journal;

/// Every seat of the plan with its place.
pub(crate) type Plan = HashMap<TicketId, Place>;

/// Checks every ticket, and every ticket of every reservation.
pub(crate) fn check(books: &Books, plan: &Plan, journal: &Journal, findings: &mut Findings) {
    check_plan(books, plan, findings);
    check_bookings(books, journal, findings);
    check_live_holds(books, findings);
    for (id, (_, ticket)) in &books.tickets {
        let stands_for = |owner| {
            let reservation: Option<&Reservation> = books.reservation(owner);
            reservation.filter(|reservation| reservation.lines.tickets().contains(id)).map(|found| found.state)
        };
        match &ticket.state {
            TicketState::Available => {}
            TicketState::Held { reservation, until } => match stands_for(reservation) {
                Some(ReservationState::Held { until: its_own }) if its_own == *until => {}
                // A hold that was settled for its standing places leaves its seats as they are: their deadline is over.
                Some(ReservationState::Expired) if *until <= books.clock => {}
                _ => {
                    let line = format!("ticket {id} is held for {reservation}, which does not hold it");
                    findings.add(Wrong::Other, line);
                }
            },
            TicketState::Booked { reservation } => {
                if stands_for(reservation) != Some(ReservationState::Booked) {
                    let line = format!("ticket {id} is sold to {reservation}, which has not booked it");
                    findings.add(Wrong::UnrequestedSold, line);
                }
            }
            _ => findings.add(Wrong::Other, format!("ticket {id} is blocked, and nobody blocked it")),
        }
    }
}

fn check_plan(books: &Books, plan: &Plan, findings: &mut Findings) {
    for (id, place) in plan {
        match books.tickets.get(id) {
            None => findings.add(Wrong::Other, format!("ticket {id} of the plan is gone")),
            Some((_, ticket)) if ticket.place != *place => {
                findings.add(Wrong::Other, format!("ticket {id} is not where the plan has it"));
            }
            Some(_) => {}
        }
    }
    for (id, (_, ticket)) in &books.tickets {
        if !plan.contains_key(id) {
            let sold = matches!(ticket.state, TicketState::Booked { .. });
            let wrong = if sold { Wrong::UnrequestedSold } else { Wrong::Other };
            findings.add(wrong, format!("ticket {id} is not in the plan"));
        }
    }
}

/// Each ticket that a reservation has booked is sold, and to that reservation.
fn check_bookings(books: &Books, journal: &Journal, findings: &mut Findings) {
    let mut booked_by: HashMap<&TicketId, &Reservation> = HashMap::new();
    let booked = books.reservations.values().map(|(_, found)| found).filter(|it| it.state == ReservationState::Booked);
    for reservation in booked {
        let id = reservation.id;
        let story = journal.stories.get(&id);
        let acknowledged = story.is_some_and(|story| story.confirm.acknowledged.is_some());
        for ticket in reservation.lines.tickets() {
            if let Some(other) = booked_by.insert(ticket, reservation) {
                findings.sold_twice(ticket, format!("ticket {ticket} is booked by {} and by {id}", other.id));
            }
            match books.tickets.get(ticket).map(|(_, ticket)| &ticket.state) {
                Some(TicketState::Booked { reservation }) if *reservation == id => {}
                Some(TicketState::Booked { reservation }) => {
                    findings.sold_twice(ticket, format!("ticket {ticket} is booked by {id} and sold to {reservation}"));
                }
                _ => {
                    let wrong = if acknowledged { Wrong::LostAcknowledged } else { Wrong::Other };
                    findings.add(wrong, format!("ticket {ticket} is booked by {id} and not sold to it"));
                }
            }
        }
    }
}

/// Until its deadline, a hold has all of its tickets.
fn check_live_holds(books: &Books, findings: &mut Findings) {
    for (_, reservation) in books.reservations.values() {
        if !reservation.is_live_hold(books.clock) {
            continue;
        }
        for ticket in reservation.lines.tickets() {
            let owner = books.tickets.get(ticket).and_then(|(_, ticket)| ticket.owner());
            if owner != Some(reservation.id) {
                findings
                    .add(Wrong::Other, format!("ticket {ticket} is held by {} and not kept for it", reservation.id));
            }
        }
    }
}
