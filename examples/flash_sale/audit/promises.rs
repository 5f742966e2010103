//! What buyers were told is true, and nothing happened that nobody asked for.

use std::cmp::Ordering;
use std::collections::HashMap;

use uuid::Uuid;

use super::books::{Books, Reservation, ReservationState};
use super::findings::{Findings, Wrong};
use super::journal::{Journal, Kind, Story, Wanted};
use super::lines::Lines;
use super::places::Plan;

/// Holds every story of the logs against the store, and every reservation of the store against the logs.
pub(crate) fn check(books: &Books, journal: &Journal, plan: &Plan, findings: &mut Findings) {
    let mut sold_to: HashMap<&String, Uuid> = HashMap::new();
    for (id, story) in &journal.stories {
        check_acknowledged(*id, story, books.reservation(*id), findings);
        for ticket in story.request(Kind::Confirm).acknowledged.iter().flat_map(|lines| &lines.tickets) {
            if let Some(other) = sold_to.insert(ticket, *id) {
                findings.sold_twice(ticket, format!("ticket {ticket} was acknowledged as sold to {other} and to {id}"));
            }
        }
    }
    for (id, reservation) in books.reservations.iter().map(|(id, row)| (*id, &row.content)) {
        let booked = reservation.state == ReservationState::Booked;
        let unasked = if booked { Wrong::UnrequestedSold } else { Wrong::Other };
        let state = reservation.state.name();
        let Some(story) = journal.stories.get(&id) else {
            findings.add(unasked, format!("reservation {id} is {state}, and nobody asked for it"));
            continue;
        };
        if story.customer != reservation.customer {
            let line = format!("reservation {id} belongs to {}, asked for by {}", reservation.customer, story.customer);
            findings.add(unasked, line);
        }
        if !story.request(Kind::Hold).may_have_happened() {
            findings.add(unasked, format!("reservation {id} is {state}, and it was refused"));
        }
        if let Err(why) = has_what_was_asked(&story.asked, &reservation.lines, plan) {
            findings.add(why.wrong(booked), format!("reservation {id} {}", why.line));
        }
        check_state(id, story, &reservation.state, findings);
    }
}

/// What was acknowledged is in the store, with exactly the lines that were acknowledged.
fn check_acknowledged(id: Uuid, story: &Story, found: Option<&Reservation>, findings: &mut Findings) {
    for kind in Kind::ALL {
        let Some(lines) = &story.request(kind).acknowledged else { continue };
        let lost = match found {
            None => "is not in the store".to_owned(),
            Some(found) if found.lines != *lines => "has other lines in the store".to_owned(),
            Some(found) if kind == Kind::Confirm && found.state != ReservationState::Booked => {
                format!("is {} in the store", found.state.name())
            }
            Some(_) => continue,
        };
        findings.add(Wrong::LostAcknowledged, format!("the acknowledged {} of {id} {lost}", kind.name()));
        return;
    }
}

/// A reservation's state is one that somebody asked for.
fn check_state(id: Uuid, story: &Story, state: &ReservationState, findings: &mut Findings) {
    let (confirm, release) = (story.request(Kind::Confirm), story.request(Kind::Release));
    let given_back = release.acknowledged.is_some();
    let (wrong, line) = match state {
        ReservationState::Booked if !confirm.was_sent() => (Wrong::UnrequestedSold, "booked, and nobody confirmed it"),
        ReservationState::Booked if !confirm.may_have_happened() => {
            (Wrong::UnrequestedSold, "booked, and that was refused")
        }
        ReservationState::Booked if given_back => (Wrong::UnrequestedSold, "booked, and it was given back"),
        ReservationState::Released if !release.was_sent() => (Wrong::Other, "released, and nobody gave it back"),
        ReservationState::Released if !release.may_have_happened() => (Wrong::Other, "released, and that was refused"),
        ReservationState::Odd(state) => {
            findings.add(Wrong::Other, format!("reservation {id} is {state}, and nobody asked for that"));
            return;
        }
        state if given_back && *state != ReservationState::Released => {
            findings.add(Wrong::Other, format!("reservation {id} was given back, and is {}", state.name()));
            return;
        }
        _ => return,
    };
    findings.add(wrong, format!("reservation {id} is {line}"));
}

struct Mismatch {
    more_than_asked: bool,
    line: &'static str,
}

impl Mismatch {
    fn wrong(&self, booked: bool) -> Wrong {
        if booked && self.more_than_asked { Wrong::UnrequestedSold } else { Wrong::Other }
    }
}

/// All or nothing: every line that was asked for, nothing else, and side by side what the library chose.
fn has_what_was_asked(asked: &Wanted, lines: &Lines, plan: &Plan) -> Result<(), Mismatch> {
    let less = |line| Err(Mismatch { more_than_asked: false, line });
    let more = |line| Err(Mismatch { more_than_asked: true, line });
    if asked.lines.tickets.iter().any(|ticket| !lines.tickets.contains(ticket)) {
        return less("lacks tickets that were asked for");
    }
    if lines.pools.iter().any(|line| !asked.lines.pools.contains(line)) {
        return more("has standing places that nobody asked for");
    }
    if asked.lines.pools.len() != lines.pools.len() {
        return less("lacks standing places that were asked for");
    }
    let chosen: Vec<&String> = lines.tickets.iter().filter(|ticket| !asked.lines.tickets.contains(ticket)).collect();
    let Some((area, quantity)) = &asked.best_available else {
        return if chosen.is_empty() { Ok(()) } else { more("has tickets that nobody asked for") };
    };
    match chosen.len().cmp(quantity) {
        Ordering::Less => less("has fewer chosen tickets than were asked for"),
        Ordering::Greater => more("has more chosen tickets than were asked for"),
        Ordering::Equal if are_neighbours(&chosen, area, plan) => Ok(()),
        Ordering::Equal => more("has chosen tickets that are not side by side in the area asked for"),
    }
}

fn are_neighbours(tickets: &[&String], area: &str, plan: &Plan) -> bool {
    let mut places: Vec<_> = tickets.iter().filter_map(|ticket| plan.get(*ticket)).collect();
    places.sort_unstable();
    let beside = places.windows(2).all(|pair| pair[0].row == pair[1].row && pair[0].number + 1 == pair[1].number);
    beside && places.len() == tickets.len() && places.iter().all(|place| place.area == area)
}
