//! What is asked of the store besides loading and committing, and what it answers.

use crate::domain::{
    AreaId, CustomerId, EventId, PoolId, Record, RecordKey, Reservation, ReservationId, ReservationState, TicketId,
    Timestamp,
};

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
    /// Only tickets that anyone may hold, by the store's clock.
    pub only_available: bool,
    /// Only tickets after this id: the last one of the page before.
    pub after: Option<TicketId>,
    /// Most tickets to return, at most [`PAGE_MAX`].
    pub limit: usize,
}

/// Which pools to list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolQuery {
    /// The event.
    pub event: EventId,
    /// Only pools after this id: the last one of the page before.
    pub after: Option<PoolId>,
    /// Most pools to return, at most [`PAGE_MAX`].
    pub limit: usize,
}

/// Which reservations to list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReservationQuery {
    /// Only reservations of this event; `None` lists those of all events, as a page of one customer's bookings shows them.
    pub event: Option<EventId>,
    /// Only reservations of this customer.
    pub customer: Option<CustomerId>,
    /// Only reservations of which this has become.
    pub state: Option<ReservationFilter>,
    /// Only reservations after this id: the last one of the page before.
    pub after: Option<ReservationId>,
    /// Most reservations to return, at most [`PAGE_MAX`].
    pub limit: usize,
}

/// What has become of a reservation, as the store's clock judges it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ReservationFilter {
    /// Holds whose deadline has not come.
    Held,
    /// Sold.
    Booked,
    /// Given back before confirming.
    Released,
    /// Given back after confirming.
    Cancelled,
    /// Holds whose deadline has come, whether anyone has settled them or not.
    Expired,
}

impl ReservationFilter {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::Held, Self::Booked, Self::Released, Self::Cancelled, Self::Expired];

    /// Which one a reservation is at `now`.
    ///
    /// ```
    #[doc = doc_on_sale!()]
    #[doc = doc_held!()]
    /// let held = service.repository().reservations(&ReservationQuery {
    ///     event: Some(event), customer: Some(alice), state: None, after: None, limit: 10,
    /// }).await?;
    /// let (_, reservation) = &held[0];
    /// assert_eq!(ReservationFilter::of(reservation, reservation.held_at), ReservationFilter::Held);
    #[doc = doc_end!()]
    /// ```
    #[must_use]
    pub fn of(reservation: &Reservation, now: Timestamp) -> Self {
        match reservation.state {
            ReservationState::Held { .. } if reservation.is_live_hold(now) => Self::Held,
            ReservationState::Held { .. } | ReservationState::Expired => Self::Expired,
            ReservationState::Booked => Self::Booked,
            ReservationState::Released => Self::Released,
            ReservationState::Cancelled => Self::Cancelled,
        }
    }
}

/// How much of an event is free, at one moment: every area and every pool of it, however many. Holds whose deadline has
/// come count as available.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Availability {
    /// The store's clock at that moment.
    pub at: Timestamp,
    /// Its areas of numbered places, in ascending order of their ids.
    pub areas: Vec<AreaAvailability>,
    /// Its pools, in ascending order of their ids.
    pub pools: Vec<PoolAvailability>,
}

/// The places of a whole event, numbered and in pools. The four parts add up to `places`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub struct TotalAvailability {
    /// How many places it has.
    pub places: u64,
    /// How many of them anyone may hold.
    pub available: u64,
    /// How many are held.
    pub held: u64,
    /// How many are sold.
    pub booked: u64,
    /// How many are off sale. Those of pools never are.
    pub blocked: u64,
}

impl Availability {
    /// How much of the whole event is free.
    ///
    /// ```
    #[doc = doc_on_sale!()]
    #[doc = doc_held!()]
    /// let total = service.repository().availability(&event).await?.total();
    /// assert_eq!((total.places, total.available, total.held), (204, 202, 2));
    #[doc = doc_end!()]
    /// ```
    #[must_use]
    pub fn total(&self) -> TotalAvailability {
        let mut total = TotalAvailability::default();
        for area in &self.areas {
            total.add(area.tickets, area.available, area.held, area.booked);
            total.blocked = total.blocked.saturating_add(area.blocked);
        }
        for pool in &self.pools {
            total.add(pool.capacity.into(), pool.available.into(), pool.held.into(), pool.booked.into());
        }
        total
    }
}

impl TotalAvailability {
    fn add(&mut self, places: u64, available: u64, held: u64, booked: u64) {
        self.places = self.places.saturating_add(places);
        self.available = self.available.saturating_add(available);
        self.held = self.held.saturating_add(held);
        self.booked = self.booked.saturating_add(booked);
    }
}

/// The numbered places of one area. The four parts add up to `tickets`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AreaAvailability {
    /// The area.
    pub area: AreaId,
    /// How many tickets it has.
    pub tickets: u64,
    /// How many of them anyone may hold.
    pub available: u64,
    /// How many are held.
    pub held: u64,
    /// How many are sold.
    pub booked: u64,
    /// How many are off sale.
    pub blocked: u64,
}

/// The places of one pool. The three parts add up to `capacity`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolAvailability {
    /// The pool.
    pub pool: PoolId,
    /// How many places it has.
    pub capacity: u32,
    /// How many of them anyone may hold.
    pub available: u32,
    /// How many are held.
    pub held: u32,
    /// How many are sold.
    pub booked: u32,
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
