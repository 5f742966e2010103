//! What is asked of the store besides loading and committing, and what it answers.

use crate::domain::{AreaId, CustomerId, EventId, Record, RecordKey, ReservationId, TicketId, Timestamp};

/// Most rows of one page of a query. A page that is asked for with a higher limit has so many at most, one with a limit
/// of 0 has none; neither is an error.
pub const PAGE_MAX: usize = 10_000;

/// A position in an event's change feed, from 1. Ascending sequence is commit order.
pub type Sequence = u64;

/// Which tickets to list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TicketQuery {
    /// The event.
    pub event: EventId,
    /// Only tickets of this area.
    pub area: Option<AreaId>,
    /// Only tickets after this id: the last one of the page before.
    pub after: Option<TicketId>,
    /// Most tickets to return, at most [`PAGE_MAX`].
    pub limit: usize,
}

/// Which reservations to list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReservationQuery {
    /// The event.
    pub event: EventId,
    /// Only reservations of this customer.
    pub customer: Option<CustomerId>,
    /// Only reservations after this id: the last one of the page before.
    pub after: Option<ReservationId>,
    /// Most reservations to return, at most [`PAGE_MAX`].
    pub limit: usize,
}

/// One row of an event's change feed: a record as a commit left it.
///
/// What several decisions of one commit did to a record is one row, so a ticket that was released and held again goes from
/// one reservation to the next without having been free. Records of one commit come in the order of their keys, group by
/// group; `decided_at` tells which belong together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Its position.
    pub sequence: Sequence,
    /// When it was decided.
    pub decided_at: Timestamp,
    /// The record's version from this commit on.
    pub version: u64,
    /// Which record. Operations are not in the feed.
    pub key: RecordKey,
    /// Its content from this commit on.
    pub record: Record,
}
