//! The audit: compares the store, read through its own connection, with what every worker wrote down.
//!
//! It knows the repository port and the logs, and nothing of how the crate works inside.

mod books;
mod feed;
mod findings;
mod places;
mod pools;
mod promises;

use std::path::Path;
use std::time::{Duration, Instant};

use ticket_reservation::domain::ReservationState;
use ticket_reservation::ports::Repository;

use self::books::Books;
pub(crate) use self::findings::Findings;
use self::findings::Wrong;
use self::places::Plan;
use crate::failure::Failure;
use crate::journal::Journal;
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
    pub(crate) reservations: usize,
    pub(crate) changes: u64,
    pub(crate) took: Duration,
}

impl Audited {
    /// Whether everything holds.
    pub(crate) fn passed(&self) -> bool {
        self.findings.count() == 0
    }
}

/// Audits the sale in `dir` against the store behind `repository`.
pub(crate) async fn audit(sale: &Sale, dir: &Path, repository: &dyn Repository) -> Result<Audited, Failure> {
    let start = Instant::now();
    let store_failed = |error| Failure::caused("the audit cannot read the store", &error);
    let unusable = |error| Failure::usage(format!("the sale's plan has an unusable id: {error}"));
    let event = sale.event()?;
    let seats: Plan = sale.hall.tickets().map_err(unusable)?.into_iter().collect();
    let standing = sale.hall.pools().map_err(unusable)?;
    let journal = Journal::read(dir, sale.processes).map_err(|error| Failure::caused("the logs", &error))?;
    let books = Books::read(repository, &event).await.map_err(store_failed)?;

    let mut findings = Findings::default();
    for flaw in &journal.flaws {
        findings.add(Wrong::Other, flaw.clone());
    }
    places::check(&books, &seats, &journal, &mut findings);
    pools::check(&books, &standing, &mut findings);
    promises::check(&books, &journal, &seats, &mut findings);
    let changes = feed::check(repository, &event, &books, &mut findings).await.map_err(store_failed)?;

    let booked = || books.reservations.values().filter(|(_, found)| found.state == ReservationState::Booked);
    let seats_sold = booked().map(|(_, found)| found.lines.tickets().len() as u64).sum();
    let places: u64 = booked().map(|(_, found)| u64::from(found.lines.places())).sum();
    Ok(Audited {
        bookings: booked().count() as u64,
        seats_sold,
        standing_sold: places - seats_sold,
        reservations: books.reservations.len(),
        changes,
        took: start.elapsed(),
        findings,
        journal,
    })
}
