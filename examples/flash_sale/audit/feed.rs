//! The change feed re-derives the tables.

use std::collections::HashMap;

use ticket_reservation::domain::{EventId, Record, RecordKey, ReservationId, ReservationState, TicketId, TicketState};
use ticket_reservation::ports::{Change, ChangesError, PAGE_MAX, Repository, Sequence, StoreError};

use super::books::Books;
use super::findings::{Findings, Wrong};

/// What the feed says so far.
#[derive(Default)]
struct Replay {
    records: HashMap<RecordKey, (u64, Record)>,
    through: Sequence,
    /// Tickets that went over to someone else before the deadline of who held them.
    taken_early: Vec<(TicketId, ReservationId, ReservationId)>,
}

/// Replays the feed from its beginning, and compares. Answers how many rows it has.
pub(crate) async fn check(
    repository: &dyn Repository,
    event: &EventId,
    books: &Books,
    findings: &mut Findings,
) -> Result<u64, StoreError> {
    let mut replay = Replay::default();
    let mut rows = 0;
    loop {
        let page = match repository.changes(event, replay.through, PAGE_MAX).await {
            Ok(page) => page,
            Err(ChangesError::Store(error)) => return Err(error),
            Err(error) => {
                findings.add(Wrong::Other, format!("the change feed does not begin at its beginning: {error}"));
                return Ok(rows);
            }
        };
        if page.is_empty() {
            break;
        }
        rows += page.len() as u64;
        for change in page {
            replay.apply(change, findings);
        }
    }
    replay.compare(books, findings);
    Ok(rows)
}

impl Replay {
    fn apply(&mut self, change: Change, findings: &mut Findings) {
        let Change { sequence, decided_at, version, key, record } = change;
        if sequence != self.through + 1 {
            findings.add(Wrong::Other, format!("the change feed goes from {} to {sequence}", self.through));
        }
        self.through = self.through.max(sequence);
        let before = self.records.get(&key);
        let expected = before.map_or(1, |(version, _)| version + 1);
        if version != expected {
            let line = format!("change {sequence} makes version {version} of {}, not {expected}", Named(&key));
            findings.add(Wrong::Other, line);
        }
        if let (RecordKey::Ticket(id), Some((_, Record::Ticket(before))), Record::Ticket(after)) =
            (&key, before, &record)
        {
            let owner = after.owner();
            match before.state {
                TicketState::Booked { reservation } if owner != Some(reservation) => {
                    findings.sold_twice(id, format!("change {sequence} takes the sold ticket {id} from {reservation}"));
                }
                TicketState::Held { reservation, until } if decided_at < until => {
                    if let Some(owner) = owner.filter(|owner| *owner != reservation) {
                        self.taken_early.push((id.clone(), reservation, owner));
                    }
                }
                _ => {}
            }
        }
        self.records.insert(key, (version, record));
    }

    fn compare(mut self, books: &Books, findings: &mut Findings) {
        for (ticket, from, to) in &self.taken_early {
            // One commit may hold what was given back in the same batch; anything else is a sale of a live hold.
            if books.reservation(from).is_none_or(|reservation| reservation.state != ReservationState::Released) {
                findings.sold_twice(ticket, format!("ticket {ticket} went from {from} to {to} before its deadline"));
            }
        }
        for (id, (version, ticket)) in &books.tickets {
            self.same(RecordKey::Ticket(id.clone()), *version, Record::Ticket(ticket.clone()), findings);
        }
        for (id, (version, pool)) in &books.pools {
            self.same(RecordKey::Pool(id.clone()), *version, Record::Pool(pool.clone()), findings);
        }
        for (id, (version, reservation)) in &books.reservations {
            self.same(RecordKey::Reservation(*id), *version, Record::Reservation(reservation.clone()), findings);
        }
        for key in self.records.keys() {
            if matches!(key, RecordKey::Ticket(_) | RecordKey::Pool(_) | RecordKey::Reservation(_)) {
                findings.add(Wrong::Other, format!("the change feed has {}, which is not in the store", Named(key)));
            }
        }
    }

    fn same(&mut self, key: RecordKey, version: u64, record: Record, findings: &mut Findings) {
        match self.records.remove(&key) {
            None => findings.add(Wrong::Other, format!("the change feed does not know {}", Named(&key))),
            Some(found) if found != (version, record) => {
                findings.add(Wrong::Other, format!("the change feed ends with another {}", Named(&key)));
            }
            Some(_) => {}
        }
    }
}

/// A record in words.
struct Named<'k>(&'k RecordKey);

impl std::fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            RecordKey::Ticket(id) => write!(f, "ticket {id}"),
            RecordKey::Pool(id) => write!(f, "pool {id}"),
            RecordKey::Reservation(id) => write!(f, "reservation {id}"),
            RecordKey::Allowance(id) => write!(f, "the allowance of {id}"),
            other => write!(f, "{other:?}"),
        }
    }
}
