//! What buyers were told is true, and nothing happened that nobody asked for.

use std::collections::HashMap;

use ticket_reservation::domain::{Lines, Reservation, ReservationId, ReservationState, TicketId};

use super::books::Books;
use super::findings::{Findings, Wrong};
use super::places::Plan;
use crate::journal::{Journal, Story, Wanted};

/// Holds every story of the logs against the store, and every reservation of the store against the logs.
pub(crate) fn check(books: &Books, journal: &Journal, plan: &Plan, findings: &mut Findings) {
    let mut sold_to: HashMap<&TicketId, ReservationId> = HashMap::new();
    for (id, story) in &journal.stories {
        check_acknowledged(*id, story, books.reservation(id), findings);
        for ticket in story.confirm.acknowledged.iter().flat_map(Lines::tickets) {
            if let Some(other) = sold_to.insert(ticket, *id) {
                findings.sold_twice(ticket, format!("ticket {ticket} was acknowledged as sold to {other} and to {id}"));
            }
        }
    }
    for (_, reservation) in books.reservations.values() {
        let booked = reservation.state == ReservationState::Booked;
        let unasked = if booked { Wrong::UnrequestedSold } else { Wrong::Other };
        let id = reservation.id;
        let Some(story) = journal.stories.get(&id) else {
            findings.add(unasked, format!("reservation {id} is {}, and nobody asked for it", reservation.state.name()));
            continue;
        };
        if story.customer != reservation.customer {
            let line = format!("reservation {id} belongs to {}, asked for by {}", reservation.customer, story.customer);
            findings.add(unasked, line);
        }
        if !story.hold.may_have_happened() {
            findings.add(unasked, format!("reservation {id} is {}, and it was refused", reservation.state.name()));
        }
        if let Err(why) = has_what_was_asked(&story.asked, &reservation.lines, plan) {
            findings.add(why.wrong(booked), format!("reservation {id} {}", why.line));
        }
        check_state(story, reservation, findings);
    }
}

/// What was acknowledged is in the store, with exactly the lines that were acknowledged.
fn check_acknowledged(id: ReservationId, story: &Story, found: Option<&Reservation>, findings: &mut Findings) {
    for (what, acknowledged) in [("hold", &story.hold.acknowledged), ("booking", &story.confirm.acknowledged)] {
        let Some(lines) = acknowledged else { continue };
        let lost = match found {
            None => "is not in the store".to_owned(),
            Some(found) if found.lines != *lines => "has other lines in the store".to_owned(),
            Some(found) if what == "booking" && found.state != ReservationState::Booked => {
                format!("is {} in the store", found.state.name())
            }
            Some(_) => continue,
        };
        findings.add(Wrong::LostAcknowledged, format!("the acknowledged {what} {id} {lost}"));
        return;
    }
}

/// A reservation's state is one that somebody asked for.
fn check_state(story: &Story, reservation: &Reservation, findings: &mut Findings) {
    let id = reservation.id;
    match reservation.state {
        ReservationState::Booked if !story.confirm.was_sent() => {
            findings.add(Wrong::UnrequestedSold, format!("reservation {id} is booked, and nobody confirmed it"));
        }
        ReservationState::Booked if !story.confirm.may_have_happened() => {
            findings.add(Wrong::UnrequestedSold, format!("reservation {id} is booked, and that was refused"));
        }
        ReservationState::Booked if story.release.acknowledged.is_some() => {
            findings.add(Wrong::UnrequestedSold, format!("reservation {id} is booked, and it was given back"));
        }
        ReservationState::Released if !story.release.may_have_happened() => {
            findings.add(Wrong::Other, format!("reservation {id} is released, and nobody gave it back"));
        }
        ReservationState::Cancelled => {
            findings.add(Wrong::Other, format!("reservation {id} is cancelled, and nobody cancelled it"));
        }
        state if story.release.acknowledged.is_some() && state != ReservationState::Released => {
            findings.add(Wrong::Other, format!("reservation {id} was given back, and is {}", state.name()));
        }
        _ => {}
    }
}

struct Mismatch {
    more_than_asked: bool,
    line: String,
}

impl Mismatch {
    fn wrong(&self, booked: bool) -> Wrong {
        if booked && self.more_than_asked { Wrong::UnrequestedSold } else { Wrong::Other }
    }
}

/// All or nothing: every line that was asked for, nothing else, and side by side what the library chose.
fn has_what_was_asked(asked: &Wanted, lines: &Lines, plan: &Plan) -> Result<(), Mismatch> {
    let less = |line: &str| Err(Mismatch { more_than_asked: false, line: line.to_owned() });
    let more = |line: &str| Err(Mismatch { more_than_asked: true, line: line.to_owned() });
    if asked.lines.tickets().iter().any(|ticket| !lines.tickets().contains(ticket)) {
        return less("lacks tickets that were asked for");
    }
    let chosen: Vec<&TicketId> =
        lines.tickets().iter().filter(|ticket| !asked.lines.tickets().contains(ticket)).collect();
    if lines.pools().iter().any(|line| !asked.lines.pools().contains(line)) {
        return more("has standing places that nobody asked for");
    }
    if asked.lines.pools().len() != lines.pools().len() {
        return less("lacks standing places that were asked for");
    }
    let Some((area, quantity)) = &asked.best_available else {
        return if chosen.is_empty() { Ok(()) } else { more("has tickets that nobody asked for") };
    };
    match chosen.len().cmp(&(*quantity as usize)) {
        std::cmp::Ordering::Less => return less("has fewer chosen tickets than were asked for"),
        std::cmp::Ordering::Greater => return more("has more chosen tickets than were asked for"),
        std::cmp::Ordering::Equal => {}
    }
    let mut places: Vec<_> = chosen.iter().filter_map(|ticket| plan.get(*ticket)).collect();
    places.sort_unstable();
    let beside = places.windows(2).all(|pair| pair[0].row == pair[1].row && pair[0].number + 1 == pair[1].number);
    if places.len() == chosen.len() && beside && places.iter().all(|place| place.area == *area) {
        Ok(())
    } else {
        more("has chosen tickets that are not side by side in the area asked for")
    }
}
