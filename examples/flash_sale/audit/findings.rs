//! What an audit found.

use std::collections::HashSet;

/// How many findings are told in full.
const LINES_MAX: usize = 20;

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// Something was sold twice, or more than there is.
    DoubleBooked,
    /// Something that was acknowledged is not there.
    LostAcknowledged,
    /// Something was sold that nobody asked for.
    UnrequestedSold,
    /// Anything else that must hold and does not.
    Other,
}

/// Counts findings, and tells the first ones.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) double_booked: u64,
    pub(crate) lost_acknowledged: u64,
    pub(crate) unrequested_sold: u64,
    pub(crate) other: u64,
    /// The first findings, each in one line.
    pub(crate) lines: Vec<String>,
    sold_twice: HashSet<String>,
}

impl Findings {
    /// Something is wrong.
    pub(crate) fn add(&mut self, wrong: Wrong, line: impl Into<String>) {
        match wrong {
            Wrong::DoubleBooked => self.double_booked += 1,
            Wrong::LostAcknowledged => self.lost_acknowledged += 1,
            Wrong::UnrequestedSold => self.unrequested_sold += 1,
            Wrong::Other => self.other += 1,
        }
        if self.lines.len() < LINES_MAX {
            self.lines.push(line.into());
        }
    }

    /// A ticket was sold twice. Counted once, however often it shows.
    pub(crate) fn sold_twice(&mut self, ticket: &str, line: impl Into<String>) {
        if self.sold_twice.insert(ticket.to_owned()) {
            self.add(Wrong::DoubleBooked, line);
        }
    }

    /// How many there are.
    pub(crate) fn count(&self) -> u64 {
        self.double_booked + self.lost_acknowledged + self.unrequested_sold + self.other
    }

    /// How many are not told in full.
    pub(crate) fn untold(&self) -> u64 {
        self.count() - self.lines.len() as u64
    }
}
