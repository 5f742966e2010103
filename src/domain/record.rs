use super::event::Event;
use super::operation::OperationRecord;
use super::pool::{Allowance, Pool};
use super::reservation::Reservation;
use super::ticket::Ticket;
use super::time::Timestamp;

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
///
/// ```
/// use ticket_reservation::domain::{Pool, Record, Timestamp, Versioned};
///
/// let read = Versioned::new(1, Timestamp::from_micros(1_000), Record::Pool(Pool::with_capacity(200)));
/// assert!(read.version > Versioned::ABSENT.version);
/// ```
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
