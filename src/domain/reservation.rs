use super::ids::{CustomerId, EventId, ReservationId};
use super::lines::Lines;
use super::time::Timestamp;

/// What has become of a reservation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ReservationState {
    /// Kept for the customer until a deadline. From the deadline on it is over, whatever this says.
    Held {
        /// The first moment at which the hold is over.
        until: Timestamp,
    },
    /// Confirmed: sold.
    Booked,
    /// Given back by the customer before confirming.
    Released,
    /// Given back after confirming.
    Cancelled,
    /// The deadline passed, and its pool places were given back.
    Expired,
}

impl ReservationState {
    /// The field's name for the state, in lower case.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Held { .. } => "held",
            Self::Booked => "booked",
            Self::Released => "released",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
        }
    }
}

/// What a customer holds or has booked: several lines, all or nothing.
///
/// ```
/// use ticket_reservation::domain::*;
///
/// let (held_at, until) = (Timestamp::from_micros(1_000), Timestamp::from_micros(2_000));
/// let reservation = Reservation {
///     id: ReservationId::from_parts(held_at, [7; 10]),
///     event: EventId::new("gala")?,
///     customer: CustomerId::new("alice")?,
///     lines: Lines::merge([TicketId::new("A-12")?], [])?,
///     state: ReservationState::Held { until },
///     held_at,
/// };
/// assert_eq!(reservation.state.name(), "held");
/// assert!(reservation.is_live_hold(held_at));
/// assert!(reservation.is_lapsed(until));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reservation {
    /// Its id, made by the caller.
    pub id: ReservationId,
    /// The event that its lines belong to.
    pub event: EventId,
    /// Whose it is.
    pub customer: CustomerId,
    /// What it consists of. Never changes.
    pub lines: Lines,
    /// What has become of it.
    pub state: ReservationState,
    /// When it was held first; extending counts from here.
    pub held_at: Timestamp,
}

impl Reservation {
    /// Whether it is a hold whose deadline has not come at `now`.
    #[must_use]
    pub fn is_live_hold(&self, now: Timestamp) -> bool {
        matches!(self.state, ReservationState::Held { until } if now < until)
    }

    /// Whether it is a hold whose deadline has come, and that still counts in its pools.
    #[must_use]
    pub fn is_lapsed(&self, now: Timestamp) -> bool {
        matches!(self.state, ReservationState::Held { until } if until <= now)
    }
}
