//! What was sold, which worker sold it, and when: for a picture of the hall. Findings are the business of the other files.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::books::{Books, ReservationState, TicketState};
use super::journal::{Journal, Kind};

/// Everything sold.
#[derive(Debug, Default)]
pub(crate) struct Sold {
    /// The seats that the store or a log says are sold.
    pub(crate) seats: BTreeMap<String, Seat>,
    /// The standing places of each booking that has some.
    pub(crate) standing: Vec<Standing>,
}

/// A seat that was sold.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seat {
    /// The worker that sold it, from 1; `None` when no log knows of it.
    pub(crate) worker: Option<u32>,
    /// When its buyer was told, in microseconds since the start; `None` when nobody was.
    pub(crate) at_us: Option<u64>,
    /// Whether the store and the logs disagree about who has it.
    pub(crate) disputed: bool,
}

/// Standing places that were sold.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Standing {
    pub(crate) worker: Option<u32>,
    pub(crate) places: u64,
}

/// Who has a seat, by each source.
#[derive(Debug, Default)]
struct Claims {
    /// The reservations that booked it.
    booked: BTreeSet<Uuid>,
    /// The one that its own row names.
    row: Option<Uuid>,
    /// Those whose buyers were told.
    told: BTreeSet<Uuid>,
}

impl Sold {
    /// As the store and the logs have it.
    pub(super) fn of(books: &Books, journal: &Journal) -> Self {
        let mut sold = Self::default();
        let mut claims: BTreeMap<&String, Claims> = BTreeMap::new();
        for (id, row) in books.reservations.iter().filter(|(_, row)| row.content.state == ReservationState::Booked) {
            for ticket in &row.content.lines.tickets {
                claims.entry(ticket).or_default().booked.insert(*id);
            }
            let places: i64 = row.content.lines.pools.iter().map(|(_, quantity)| *quantity).sum();
            if let Ok(places @ 1..) = u64::try_from(places) {
                sold.standing.push(Standing { worker: seller(journal, *id), places });
            }
        }
        for (ticket, row) in &books.tickets {
            if let TicketState::Booked { by } = row.content.state {
                claims.entry(ticket).or_default().row = Some(by);
            }
        }
        for (id, story) in &journal.stories {
            for ticket in story.request(Kind::Confirm).acknowledged.iter().flat_map(|lines| &lines.tickets) {
                claims.entry(ticket).or_default().told.insert(*id);
            }
        }
        sold.seats = claims.into_iter().map(|(ticket, claims)| (ticket.clone(), claims.seat(books, journal))).collect();
        sold
    }
}

impl Claims {
    fn seat(&self, books: &Books, journal: &Journal) -> Seat {
        let all = || self.told.iter().chain(&self.booked).chain(&self.row);
        let Some(owner) = all().next() else { return Seat { worker: None, at_us: None, disputed: true } };
        let story = journal.stories.get(owner);
        let one = all().all(|other| other == owner) && self.booked.len() == 1 && self.row.is_some();
        let is_its_buyer = story.is_some_and(|story| {
            story.request(Kind::Confirm).may_have_happened()
                && books.reservation(*owner).is_some_and(|found| found.customer == story.customer)
        });
        Seat {
            worker: seller(journal, *owner),
            at_us: story.and_then(|story| story.request(Kind::Confirm).acknowledged_at_us),
            disputed: !one || !is_its_buyer,
        }
    }
}

fn seller(journal: &Journal, reservation: Uuid) -> Option<u32> {
    journal.stories.get(&reservation).and_then(|story| journal.worker(story, Kind::Confirm))
}
