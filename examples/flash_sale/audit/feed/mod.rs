//! The change feed re-derives the tables, and everything that happened on the way was allowed.
//!
//! The rows of one commit come in no order that matters: what concerns several records is judged by the times of the
//! decisions, once the feed is read to its end.

mod pools;
mod reservations;
mod tickets;
mod track;

use self::pools::pool_changed;
use self::reservations::Reservations;
use self::tickets::Tickets;
use self::track::Track;
use super::books::{Allowance, Books, Change, Event, Pool, Record, Reservation, Row, Ticket};
use super::findings::{Findings, Wrong};

/// The key of the one event.
const ITSELF: &str = "itself";

/// Replays the feed from its beginning, and compares.
pub(crate) fn check(books: &Books, findings: &mut Findings) {
    let mut replay = Replay::new();
    for change in &books.changes {
        replay.apply(change, findings);
    }
    replay.check_counters(books, findings);
    let history = &replay.reservation_history;
    replay.ticket_history.check_given_up(history, findings);
    replay.ticket_history.check_all_or_nothing(replay.reservations.last(), history, findings);
    replay.compare(books, findings);
}

/// What the feed says so far.
struct Replay<'b> {
    through: i64,
    event: Track<'b, str, Event>,
    tickets: Track<'b, str, Ticket>,
    pools: Track<'b, str, Pool>,
    allowances: Track<'b, str, Allowance>,
    reservations: Track<'b, uuid::Uuid, Reservation>,
    ticket_history: Tickets<'b>,
    reservation_history: Reservations,
}

impl<'b> Replay<'b> {
    fn new() -> Self {
        Self {
            through: 0,
            event: Track::new("the event"),
            tickets: Track::new("ticket"),
            pools: Track::new("pool"),
            allowances: Track::new("the allowance of"),
            reservations: Track::new("reservation"),
            ticket_history: Tickets::default(),
            reservation_history: Reservations::default(),
        }
    }

    fn apply(&mut self, change: &'b Change, findings: &mut Findings) {
        let at = change.sequence;
        if at != self.through + 1 {
            findings.add(Wrong::Other, format!("the change feed goes from {} to {at}", self.through));
        }
        self.through = self.through.max(at);
        match &change.record {
            Record::Event(row) => {
                let before = self.event.step(at, ITSELF, row, findings);
                event_changed(at, before, row, findings);
            }
            Record::Ticket(id, row) => {
                let before = self.tickets.step(at, id, row, findings);
                self.ticket_history.changed(at, id, before, row, findings);
            }
            Record::Pool(id, row) => {
                let before = self.pools.step(at, id, row, findings);
                pool_changed(at, id, before, row, findings);
            }
            Record::Allowance(id, row) => {
                self.allowances.step(at, id, row, findings);
            }
            Record::Reservation(id, row) => {
                let before = self.reservations.step(at, id, row, findings);
                self.reservation_history.changed(at, *id, before, row, findings);
            }
            Record::Odd(kind) => findings.add(Wrong::Other, format!("change {at} is of a kind {kind:?}")),
        }
    }

    /// The event knows how far its feed goes, and nothing is old enough to be purged.
    fn check_counters(&self, books: &Books, findings: &mut Findings) {
        let Some(feed) = books.feed else { return };
        if feed.last != self.through {
            let line = format!("the change feed ends with {}, the event says {}", self.through, feed.last);
            findings.add(Wrong::Other, line);
        }
        if feed.purged_through != 0 {
            findings
                .add(Wrong::Other, format!("the event says that changes up to {} were purged", feed.purged_through));
        }
    }

    fn compare(self, books: &'b Books, findings: &mut Findings) {
        self.event.compare(books.event.iter().map(|row| (ITSELF, row)), findings);
        self.tickets.compare(books.tickets.iter().map(|(id, row)| (id.as_str(), row)), findings);
        self.pools.compare(books.pools.iter().map(|(id, row)| (id.as_str(), row)), findings);
        self.allowances.compare(books.allowances.iter().map(|(id, row)| (id.as_str(), row)), findings);
        self.reservations.compare(&books.reservations, findings);
    }
}

/// Only that the inventory is complete is news about an event.
fn event_changed(at: i64, before: Option<&Row<Event>>, after: &Row<Event>, findings: &mut Findings) {
    let expected = match before {
        None => Event { state: "preparing".to_owned(), ..after.content.clone() },
        Some(before) => Event { state: "on_sale".to_owned(), ..before.content.clone() },
    };
    if after.content != expected {
        findings.add(Wrong::Other, format!("change {at} makes the event {:?}", after.content));
    }
}
