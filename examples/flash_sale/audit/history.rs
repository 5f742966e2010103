//! Whether the order of the change feed is one that the buyers can have seen: what was told to one before another asked comes before
//! it, and who was told that a seat is taken was told so at a moment at which it was.
//!
//! That is linearizability (Herlihy and Wing, 1990) of the event as one object, for a history whose order of writes is known. The feed
//! is that order; each request happened at one moment between its asking and its answer.

use std::collections::{HashMap, HashSet};

use uuid::Uuid;

use super::books::{Books, Record, ReservationState, TicketState};
use super::findings::{Findings, Wrong};
use super::journal::{Journal, Kind, Request};

/// How far the clocks of two workers may be apart: each has compared its own with the machine's once, when it began.
const SKEW_MAX_US: i64 = 200;

/// Something that was done: where it is in the feed, and between which moments it happened.
#[derive(Debug)]
struct Act {
    what: Kind,
    reservation: Uuid,
    position: usize,
    /// As Unix times in microseconds.
    asked_at: i64,
    told_at: Option<i64>,
}

/// Holds the feed against the clocks of those who asked.
pub(crate) fn check(books: &Books, journal: &Journal, findings: &mut Findings) {
    let acts = acts(books, journal);
    check_order(&acts, findings);
    check_refusals(books, journal, &acts, findings);
}

/// In the order of the feed.
fn acts(books: &Books, journal: &Journal) -> Vec<Act> {
    let mut seen = HashSet::new();
    let mut acts = Vec::new();
    for (position, change) in books.changes.iter().enumerate() {
        let Record::Reservation(reservation, row) = &change.record else { continue };
        let what = match row.content.state {
            ReservationState::Held { .. } => Kind::Hold,
            ReservationState::Booked => Kind::Confirm,
            ReservationState::Released => Kind::Release,
            _ => continue,
        };
        if !seen.insert((*reservation, what.name())) {
            continue;
        }
        let Some(story) = journal.stories.get(reservation) else { continue };
        let Request { asked_at: Some(asked_at), told_at, .. } = *story.request(what) else { continue };
        acts.push(Act { what, reservation: *reservation, position, asked_at, told_at });
    }
    acts
}

fn check_order(acts: &[Act], findings: &mut Findings) {
    // The one that was asked for last, of those before.
    let mut last: Option<&Act> = None;
    for act in acts {
        if let (Some(told_at), Some(last)) = (act.told_at, last)
            && told_at + SKEW_MAX_US < last.asked_at
        {
            let line = format!(
                "the {} of {} was acknowledged before the {} of {} was asked for, and comes after it in the feed",
                act.what.name(),
                act.reservation,
                last.what.name(),
                last.reservation
            );
            findings.add(Wrong::Other, line);
        }
        if last.is_none_or(|last| last.asked_at < act.asked_at) {
            last = Some(act);
        }
    }
}

fn check_refusals(books: &Books, journal: &Journal, acts: &[Act], findings: &mut Findings) {
    let window = Window::of(acts, books.changes.len());
    let taken = taken(books);
    for (reservation, story) in &journal.stories {
        let Some((asked_at, told_at)) = story.request(Kind::Hold).unavailable else { continue };
        let tickets = &story.asked.lines.tickets;
        if tickets.is_empty() {
            continue;
        }
        let (first, last) = window.between(asked_at - SKEW_MAX_US, told_at + SKEW_MAX_US);
        // Holds that had lapsed by then look taken here as well: whoever gives the buyer the benefit of the doubt finds less, and
        // never something that is not there.
        let was_taken = |ticket: &String| {
            taken.get(ticket.as_str()).is_some_and(|times| times.iter().any(|(from, to)| *from <= last && first <= *to))
        };
        // What is not in the sale at all is refused too, and is no matter of time.
        if tickets.iter().all(|ticket| books.tickets.contains_key(ticket)) && !tickets.iter().any(was_taken) {
            let line =
                format!("the hold of {reservation} was refused because of a seat, and all were free all the time");
            findings.add(Wrong::Other, line);
        }
    }
}

/// From which position of the feed to which each ticket was not free.
fn taken(books: &Books) -> HashMap<&str, Vec<(usize, usize)>> {
    let mut taken: HashMap<&str, Vec<(usize, usize)>> = HashMap::new();
    for (position, change) in books.changes.iter().enumerate() {
        let Record::Ticket(ticket, row) = &change.record else { continue };
        let times = taken.entry(ticket.as_str()).or_default();
        // The one before ended here.
        if let Some((_, to)) = times.last_mut().filter(|(_, to)| *to == usize::MAX) {
            *to = position.saturating_sub(1);
        }
        if row.content.state != TicketState::Available {
            times.push((position, usize::MAX));
        }
    }
    taken
}

/// Which positions of the feed a moment can be at.
struct Window {
    /// When acts were told, ascending, with the furthest position of those up to there.
    told: Vec<(i64, usize)>,
    /// When acts were asked for, ascending, with the nearest position of those from there on.
    asked: Vec<(i64, usize)>,
    end: usize,
}

impl Window {
    fn of(acts: &[Act], end: usize) -> Self {
        let mut told: Vec<(i64, usize)> = acts.iter().filter_map(|act| Some((act.told_at?, act.position))).collect();
        told.sort_unstable();
        let mut furthest = 0;
        for (_, position) in &mut told {
            furthest = furthest.max(*position);
            *position = furthest;
        }
        let mut asked: Vec<(i64, usize)> = acts.iter().map(|act| (act.asked_at, act.position)).collect();
        asked.sort_unstable();
        let mut nearest = end;
        for (_, position) in asked.iter_mut().rev() {
            nearest = nearest.min(*position);
            *position = nearest;
        }
        Self { told, asked, end }
    }

    /// After everything that was told before `from`, and before everything that was asked for after `to`.
    fn between(&self, from: i64, to: i64) -> (usize, usize) {
        let before = self.told.partition_point(|(at, _)| *at < from);
        let first = before.checked_sub(1).map_or(0, |at| self.told[at].1);
        let after = self.asked.partition_point(|(at, _)| *at <= to);
        let last = self.asked.get(after).map_or(self.end, |(_, position)| position.saturating_sub(1));
        (first, last)
    }
}
