//! The audit: compares the store, read through a connection and statements of its own, with what every worker wrote
//! down.
//!
//! It judges by the tables and the logs alone, and shares nothing with the crate that wrote them: [`books`] are plain
//! rows, and each file beside it is one promise that they must keep.

mod books;
mod event;
mod feed;
mod findings;
mod history;
mod journal;
mod lines;
mod operations;
mod places;
mod pools;
mod promises;
mod sold;
mod store;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use ticket_reservation::ports::Repository;

use self::books::{Books, Place, ReservationState};
pub(crate) use self::findings::Findings;
use self::findings::Wrong;
pub(crate) use self::journal::{Journal, Kind};
use self::places::Plan;
pub(crate) use self::sold::{Seat, Sold};
use crate::course::Course;
use crate::database::Database;
use crate::failure::Failure;
use crate::runtime::unix_time;
use crate::sale::Sale;

/// What an audit says.
#[derive(Debug)]
pub(crate) struct Audited {
    pub(crate) findings: Findings,
    /// What the logs say.
    pub(crate) journal: Journal,
    /// What the store says.
    pub(crate) bookings: u64,
    pub(crate) seats_sold: u64,
    pub(crate) standing_sold: u64,
    /// The workers that were killed as it was ordered, from 1.
    pub(crate) killed: BTreeSet<u32>,
    /// What was sold, by whom and when.
    pub(crate) sold: Sold,
    pub(crate) reservations: usize,
    pub(crate) changes: usize,
    pub(crate) took: Duration,
}

impl Audited {
    /// Whether everything holds.
    pub(crate) fn passed(&self) -> bool {
        self.findings.count() == 0
    }
}

/// Audits the sale in `dir`. A store in the memory of this process is read through `memory`.
pub(crate) async fn audit(
    sale: &Sale,
    dir: &Path,
    database: &Database,
    memory: Option<&dyn Repository>,
) -> Result<Audited, Failure> {
    let start = Instant::now();
    let course = Course::read(dir)?;
    let journal =
        Journal::read(dir, sale.processes, &course.killed).map_err(|error| Failure::caused("the logs", &error))?;
    let books = store::read(sale, dir, database, memory, &journal).await?;
    let findings = compare(sale, &books, &journal);

    let booked = || books.reservations.values().filter(|row| row.content.state == ReservationState::Booked);
    let seats_sold = booked().map(|row| row.content.lines.tickets.len() as u64).sum();
    let standing = booked().flat_map(|row| &row.content.lines.pools).map(|(_, quantity)| *quantity);
    Ok(Audited {
        bookings: booked().count() as u64,
        seats_sold,
        standing_sold: u64::try_from(standing.sum::<i64>()).unwrap_or(0),
        reservations: books.reservations.len(),
        changes: books.changes.len(),
        sold: Sold::of(&books, &journal),
        took: start.elapsed(),
        killed: course.killed,
        findings,
        journal,
    })
}

fn compare(sale: &Sale, books: &Books, journal: &Journal) -> Findings {
    // A clock that was set back since must not make holds look alive that had lapsed.
    let now = unix_time().as_micros().max(books.decided_last().unwrap_or(i64::MIN));
    let seats: Plan = sale
        .hall
        .places()
        .map(|(seat, area, row, number)| {
            (seat.to_owned(), Place { area: area.to_owned(), row: row.into(), number: number.into() })
        })
        .collect();
    let standing = sale.hall.standing_places();
    let mut findings = Findings::default();
    for flaw in &journal.flaws {
        findings.add(Wrong::Other, flaw.clone());
    }
    places::check(books, &seats, journal, now, &mut findings);
    pools::check(books, standing, &mut findings);
    promises::check(books, journal, &seats, &mut findings);
    lines::check(books, &sale.event, &mut findings);
    operations::check(books, journal, &mut findings);
    event::check(books, &mut findings);
    feed::check(books, &mut findings);
    history::check(books, journal, &mut findings);
    findings
}
