//! Nothing is sold twice: tickets and reservations agree, and they are the plan's tickets.

use std::collections::HashMap;

use uuid::Uuid;

use super::books::{Books, Place, ReservationState, TicketState};
use super::findings::{Findings, Wrong};
use super::journal::{Journal, Kind};

/// Every seat of the plan with its place.
pub(crate) type Plan = HashMap<String, Place>;

/// Checks every ticket, and every ticket of every reservation, as they are at `now`.
pub(crate) fn check(books: &Books, plan: &Plan, journal: &Journal, now: i64, findings: &mut Findings) {
    check_plan(books, plan, findings);
    check_bookings(books, journal, findings);
    check_live_holds(books, now, findings);
    for (id, row) in &books.tickets {
        match &row.content.state {
            TicketState::Available => {}
            TicketState::Held { by, until } => match stands_for(books, id, *by) {
                Some(ReservationState::Held { until: its_own }) if its_own == until => {}
                // A hold that was settled for its standing places leaves its seats as they are: their deadline is over.
                Some(ReservationState::Expired) if *until <= now => {}
                _ => findings.add(Wrong::Other, format!("ticket {id} is held for {by}, which does not hold it")),
            },
            TicketState::Booked { by } => {
                if stands_for(books, id, *by) != Some(&ReservationState::Booked) {
                    let line = format!("ticket {id} is sold to {by}, which has not booked it");
                    findings.add(Wrong::UnrequestedSold, line);
                }
            }
            TicketState::Odd(state) => {
                findings.add(Wrong::Other, format!("ticket {id} is {state}, and nobody did that"));
            }
        }
    }
}

/// The state of a reservation, if this ticket is one of its own.
fn stands_for<'b>(books: &'b Books, ticket: &String, reservation: Uuid) -> Option<&'b ReservationState> {
    let reservation = books.reservation(reservation)?;
    reservation.lines.tickets.contains(ticket).then_some(&reservation.state)
}

fn check_plan(books: &Books, plan: &Plan, findings: &mut Findings) {
    let mut planned: Vec<_> = plan.iter().collect();
    planned.sort_unstable();
    for (id, place) in planned {
        match books.tickets.get(id) {
            None => findings.add(Wrong::Other, format!("ticket {id} of the plan is gone")),
            Some(row) if row.content.place != *place => {
                findings.add(Wrong::Other, format!("ticket {id} is not where the plan has it"));
            }
            Some(_) => {}
        }
    }
    for (id, row) in &books.tickets {
        if !plan.contains_key(id) {
            let sold = matches!(row.content.state, TicketState::Booked { .. });
            let wrong = if sold { Wrong::UnrequestedSold } else { Wrong::Other };
            findings.add(wrong, format!("ticket {id} is not in the plan"));
        }
    }
}

/// Each ticket that a reservation has booked is sold, and to that reservation.
fn check_bookings(books: &Books, journal: &Journal, findings: &mut Findings) {
    let mut booked_by: HashMap<&String, Uuid> = HashMap::new();
    for (id, row) in books.reservations.iter().filter(|(_, row)| row.content.state == ReservationState::Booked) {
        let story = journal.stories.get(id);
        let acknowledged = story.is_some_and(|story| story.request(Kind::Confirm).acknowledged.is_some());
        for ticket in &row.content.lines.tickets {
            if let Some(other) = booked_by.insert(ticket, *id) {
                findings.sold_twice(ticket, format!("ticket {ticket} is booked by {other} and by {id}"));
            }
            match books.tickets.get(ticket).map(|row| &row.content.state) {
                Some(TicketState::Booked { by }) if by == id => {}
                Some(TicketState::Booked { by }) => {
                    findings.sold_twice(ticket, format!("ticket {ticket} is booked by {id} and sold to {by}"));
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
fn check_live_holds(books: &Books, now: i64, findings: &mut Findings) {
    for (id, row) in &books.reservations {
        if row.content.state.until().is_none_or(|until| until <= now) {
            continue;
        }
        for ticket in &row.content.lines.tickets {
            let owner = books.tickets.get(ticket).and_then(|row| row.content.state.owner());
            if owner != Some(*id) {
                findings.add(Wrong::Other, format!("ticket {ticket} is held by {id} and not kept for it"));
            }
        }
    }
}
