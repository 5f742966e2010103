//! What a store says, in plain rows of the audit's own: nothing here is read or judged by the crate that is audited.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::lines::Lines;

/// An event's tables. Times are microseconds since the Unix epoch.
#[derive(Debug, Default)]
pub(crate) struct Books {
    pub(crate) event: Option<Row<Event>>,
    /// The event's counters of its change feed, where the reader sees them.
    pub(crate) feed: Option<FeedCounters>,
    pub(crate) tickets: BTreeMap<String, Row<Ticket>>,
    pub(crate) pools: BTreeMap<String, Row<Pool>>,
    pub(crate) allowances: BTreeMap<String, Row<Allowance>>,
    pub(crate) reservations: BTreeMap<Uuid, Row<Reservation>>,
    /// The lines of each reservation, as they stand.
    pub(crate) lines: BTreeMap<Uuid, Vec<Line>>,
    pub(crate) operations: BTreeMap<Uuid, Operation>,
    /// In the order of their sequence.
    pub(crate) changes: Vec<Change>,
}

/// A row that has a version, and when that was decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row<T> {
    pub(crate) version: i64,
    pub(crate) decided_at: i64,
    pub(crate) content: T,
}

/// The terms of sale.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) state: String,
    pub(crate) opens_at: Option<i64>,
    pub(crate) closes_at: Option<i64>,
    pub(crate) limit_per_customer: Option<i64>,
}

/// Where the event says that its change feed begins and ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FeedCounters {
    pub(crate) last: i64,
    pub(crate) purged_through: i64,
}

/// A numbered place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ticket {
    pub(crate) place: Place,
    pub(crate) state: TicketState,
}

/// Where a ticket is. Neighbours have numbers that differ by one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) area: String,
    pub(crate) row: i64,
    pub(crate) number: i64,
}

/// Who has a ticket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TicketState {
    Available,
    Held {
        by: Uuid,
        until: i64,
    },
    Booked {
        by: Uuid,
    },
    /// Nothing that a sale leaves behind.
    Odd(String),
}

impl TicketState {
    /// From the columns of a row.
    pub(crate) fn of(state: String, by: Option<Uuid>, until: Option<i64>, block_reason: Option<String>) -> Self {
        match (state.as_str(), by, until, &block_reason) {
            ("available", None, None, None) => Self::Available,
            ("held", Some(by), Some(until), None) => Self::Held { by, until },
            ("booked", Some(by), None, None) => Self::Booked { by },
            _ => Self::Odd(state),
        }
    }

    /// The reservation that it names.
    pub(crate) fn owner(&self) -> Option<Uuid> {
        match self {
            Self::Held { by, .. } | Self::Booked { by } => Some(*by),
            Self::Available | Self::Odd(_) => None,
        }
    }
}

/// A counted area.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pool {
    pub(crate) capacity: i64,
    pub(crate) held: i64,
    pub(crate) booked: i64,
}

/// What is counted for one customer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Allowance {
    pub(crate) held: i64,
    pub(crate) booked: i64,
}

/// What a customer holds or has booked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reservation {
    pub(crate) customer: String,
    pub(crate) state: ReservationState,
    pub(crate) held_at: i64,
    pub(crate) lines: Lines,
}

/// What has become of a reservation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ReservationState {
    Held {
        until: i64,
    },
    Booked,
    Released,
    Expired,
    /// Nothing that a sale leaves behind.
    Odd(String),
}

impl ReservationState {
    /// From the columns of a row.
    pub(crate) fn of(state: String, until: Option<i64>) -> Self {
        match (state.as_str(), until) {
            ("held", Some(until)) => Self::Held { until },
            ("booked", None) => Self::Booked,
            ("released", None) => Self::Released,
            ("expired", None) => Self::Expired,
            _ => Self::Odd(state),
        }
    }

    /// In a word.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Held { .. } => "held",
            Self::Booked => "booked",
            Self::Released => "released",
            Self::Expired => "expired",
            Self::Odd(state) => state,
        }
    }

    /// Until when it is kept, if it is a hold.
    pub(crate) fn until(&self) -> Option<i64> {
        match self {
            Self::Held { until } => Some(*until),
            _ => None,
        }
    }
}

/// One line of a reservation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) number: i64,
    pub(crate) event: String,
    pub(crate) ticket: Option<String>,
    pub(crate) pool: Option<String>,
    pub(crate) quantity: i64,
    pub(crate) held_until: Option<i64>,
}

/// The record of an operation that was carried out, or refused for good (its kind is `voided` then).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Operation {
    pub(crate) kind: String,
    pub(crate) reservation: Option<Uuid>,
    pub(crate) customer: Option<String>,
    pub(crate) decided_at: i64,
}

/// One row of the change feed: a record as a commit left it.
#[derive(Debug, Clone)]
pub(crate) struct Change {
    pub(crate) sequence: i64,
    pub(crate) record: Record,
}

/// Any record of the feed.
#[derive(Debug, Clone)]
pub(crate) enum Record {
    Event(Row<Event>),
    Ticket(String, Row<Ticket>),
    Pool(String, Row<Pool>),
    Allowance(String, Row<Allowance>),
    Reservation(Uuid, Row<Reservation>),
    /// A kind that there is not.
    Odd(String),
}

impl Books {
    /// The content of a reservation.
    pub(crate) fn reservation(&self, id: Uuid) -> Option<&Reservation> {
        self.reservations.get(&id).map(|row| &row.content)
    }

    /// When anything was decided last.
    pub(crate) fn decided_last(&self) -> Option<i64> {
        let changes = self.changes.iter().filter_map(|change| match &change.record {
            Record::Event(row) => Some(row.decided_at),
            Record::Ticket(_, row) => Some(row.decided_at),
            Record::Pool(_, row) => Some(row.decided_at),
            Record::Allowance(_, row) => Some(row.decided_at),
            Record::Reservation(_, row) => Some(row.decided_at),
            Record::Odd(_) => None,
        });
        changes.chain(self.operations.values().map(|operation| operation.decided_at)).max()
    }
}
