use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use thiserror::Error;

use super::ids::{PoolId, TicketId};

/// Most lines (tickets and pools together) of one reservation, and most tickets of one block or unblock.
pub const LINES_MAX: usize = 1_000;

/// Why a set of lines is refused before anything is looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum InvalidLines {
    /// There is nothing to reserve.
    #[error("nothing is asked for")]
    Empty,
    /// More lines than [`LINES_MAX`].
    #[error("at most {LINES_MAX} lines at once, these are {lines}")]
    TooMany {
        /// How many there are.
        lines: usize,
    },
    /// More tickets and pools in one chunk of an import than [`IMPORT_CHUNK_MAX`](super::IMPORT_CHUNK_MAX).
    #[error("at most {} tickets and pools in one chunk of an import, these are {lines}", super::IMPORT_CHUNK_MAX)]
    ImportTooLarge {
        /// How many there are.
        lines: usize,
    },
    /// A pool quantity of zero.
    #[error("a pool quantity must be at least 1")]
    ZeroQuantity,
    /// The places add up to more than `u32::MAX`.
    #[error("the quantities add up to more than {}", u32::MAX)]
    Overflow,
}

/// What a reservation consists of: named tickets and quantities of pools, each named once, in the order of their ids.
///
/// Naming a ticket twice asks for it once; naming a pool twice adds up. Cloning is cheap.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Lines(Arc<Content>);

#[derive(Debug, PartialEq, Eq, Default)]
struct Content {
    tickets: Vec<TicketId>,
    pools: Vec<(PoolId, u32)>,
}

impl Lines {
    /// Merges duplicates, and refuses what can never be a reservation. Best available adds its tickets later, so
    /// an empty set is refused by [`Lines::check_not_empty`], not here.
    ///
    /// # Errors
    ///
    /// [`InvalidLines`] when a quantity is zero, there are more than [`LINES_MAX`] lines, or the sum overflows.
    ///
    /// # Example
    ///
    /// ```
    /// use ticket_reservation::domain::{Lines, PoolId, TicketId};
    ///
    /// let (seat, standing) = (TicketId::new("A-12")?, PoolId::new("standing")?);
    /// let lines = Lines::merge([seat.clone(), seat.clone()], [(standing.clone(), 2), (standing.clone(), 1)])?;
    /// assert_eq!(lines.tickets(), [seat]);
    /// assert_eq!(lines.pools(), [(standing, 3)]);
    /// assert_eq!(lines.places(), 4);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn merge(
        tickets: impl IntoIterator<Item = TicketId>,
        pools: impl IntoIterator<Item = (PoolId, u32)>,
    ) -> Result<Self, InvalidLines> {
        let tickets: BTreeSet<TicketId> = tickets.into_iter().collect();
        let mut merged: BTreeMap<PoolId, u32> = BTreeMap::new();
        for (pool, quantity) in pools {
            if quantity == 0 {
                return Err(InvalidLines::ZeroQuantity);
            }
            let sum = merged.entry(pool).or_insert(0);
            *sum = sum.checked_add(quantity).ok_or(InvalidLines::Overflow)?;
        }
        let content = Content { tickets: tickets.into_iter().collect(), pools: merged.into_iter().collect() };
        let lines = Self(Arc::new(content));
        let count = lines.tickets().len() + lines.pools().len();
        if count > LINES_MAX {
            return Err(InvalidLines::TooMany { lines: count });
        }
        lines.checked_places().ok_or(InvalidLines::Overflow)?;
        Ok(lines)
    }

    /// Whether there is anything to reserve.
    ///
    /// # Errors
    ///
    /// [`InvalidLines::Empty`] when there is no line.
    ///
    /// # Example
    ///
    /// ```
    /// use ticket_reservation::domain::{InvalidLines, Lines};
    ///
    /// assert_eq!(Lines::default().check_not_empty(), Err(InvalidLines::Empty));
    /// ```
    pub fn check_not_empty(&self) -> Result<(), InvalidLines> {
        if self.tickets().is_empty() && self.pools().is_empty() { Err(InvalidLines::Empty) } else { Ok(()) }
    }

    /// The tickets, ascending.
    #[must_use]
    pub fn tickets(&self) -> &[TicketId] {
        &self.0.tickets
    }

    /// The pools with their quantities, ascending.
    #[must_use]
    pub fn pools(&self) -> &[(PoolId, u32)] {
        &self.0.pools
    }

    /// How many places these lines are: one for each ticket, and the quantities.
    ///
    /// ```
    /// use ticket_reservation::domain::{Lines, PoolId, TicketId};
    ///
    /// let lines = Lines::merge([TicketId::new("A-12")?], [(PoolId::new("standing")?, 2)])?;
    /// assert_eq!(lines.places(), 3);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn places(&self) -> u32 {
        self.checked_places().unwrap_or(u32::MAX)
    }

    fn checked_places(&self) -> Option<u32> {
        let tickets = u32::try_from(self.tickets().len()).ok()?;
        self.pools().iter().try_fold(tickets, |sum, (_, quantity)| sum.checked_add(*quantity))
    }
}
