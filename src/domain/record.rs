use super::event::Event;
use super::ids::{CustomerId, OperationId, PoolId, ReservationId, TicketId};
use super::operation::OperationRecord;
use super::pool::{Allowance, Pool};
use super::reservation::Reservation;
use super::ticket::Ticket;
use super::time::Timestamp;

/// Names one record of an event.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum RecordKey {
    /// The event itself.
    Event,
    /// A numbered place.
    Ticket(TicketId),
    /// A counted area.
    Pool(PoolId),
    /// What one customer has taken of the event.
    Allowance(CustomerId),
    /// A reservation. Its id names it in all events: the record found may belong to another one.
    Reservation(ReservationId),
    /// A recorded operation. Its id names it in all events: the record found may belong to another one.
    Operation(OperationId),
}

/// The content of one record.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Record {
    /// The event itself.
    Event(Event),
    /// A numbered place.
    Ticket(Ticket),
    /// A counted area.
    Pool(Pool),
    /// What one customer has taken of the event.
    Allowance(Allowance),
    /// A reservation.
    Reservation(Reservation),
    /// A recorded operation.
    Operation(OperationRecord),
}

/// A record as it was read: its content, its version, and when that version was decided.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Versioned {
    /// Counts the commits that changed the record, from 1; 0 while there is none.
    pub version: u64,
    /// The decision time of the commit that wrote this version; the epoch while there is none.
    pub decided_at: Timestamp,
    /// The content; `None` while there is none.
    pub record: Option<Record>,
}

impl Versioned {
    /// A record that does not exist.
    pub const ABSENT: Versioned = Versioned { version: 0, decided_at: Timestamp::EPOCH, record: None };

    /// A record that exists.
    #[must_use]
    pub fn new(version: u64, decided_at: Timestamp, record: Record) -> Self {
        Self { version, decided_at, record: Some(record) }
    }
}
