use std::time::Duration;

use thiserror::Error;

use super::ids::{AreaId, PoolId, TicketId};
use super::lines::InvalidLines;
use super::time::Timestamp;

/// A business "no": the command was understood, this request changed nothing, and this is why.
///
/// Asking again under the same operation id is decided again, except after [`Rejection::OperationVoided`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Rejection {
    /// Nothing or too much is asked for.
    #[error("{0}")]
    InvalidLines(#[from] InvalidLines),
    /// A hold must last at least a millisecond and at most the policy's maximum.
    #[error("the hold's TTL must be between 1 ms and {max:?}")]
    InvalidTtl {
        /// The policy's maximum.
        max: Duration,
    },
    /// There is no such event.
    #[error("there is no such event")]
    UnknownEvent,
    /// There is such an event already, and event ids are never used again.
    #[error("the event exists already")]
    EventExists,
    /// The event's inventory is still being imported, or its sales window is closed.
    #[error("the event is not on sale (opens: {opens:?}, closes: {closes:?})")]
    NotOnSale {
        /// When the sale opens; `None` while the inventory is incomplete or if it is always open.
        opens: Option<Timestamp>,
        /// When the sale closes.
        closes: Option<Timestamp>,
    },
    /// The event has no such tickets.
    #[error("the event has no such tickets: {tickets:?}")]
    UnknownTickets {
        /// Which.
        tickets: Vec<TicketId>,
    },
    /// The event has no such pool.
    #[error("the event has no pool {pool}")]
    UnknownPool {
        /// Which.
        pool: PoolId,
    },
    /// The event has no such reservation.
    #[error("the event has no such reservation")]
    UnknownReservation,
    /// The reservation id is taken by another hold.
    #[error("the reservation id is in use")]
    ReservationExists,
    /// The inventory has these already, at another place or with another capacity; or the chunk names them twice, and
    /// differently. Nothing of the chunk was imported.
    #[error("the inventory has these already, and differently: {tickets:?} {pools:?}")]
    InventoryMismatch {
        /// Which tickets.
        tickets: Vec<TicketId>,
        /// Which pools.
        pools: Vec<PoolId>,
    },
    /// Some tickets are held, booked or blocked.
    #[error("not available: {tickets:?}")]
    Unavailable {
        /// Which.
        tickets: Vec<TicketId>,
    },
    /// A pool has fewer free places than asked for.
    #[error("pool {pool} has {free} free places, {wanted} are asked for")]
    Insufficient {
        /// Which pool.
        pool: PoolId,
        /// How many are asked for.
        wanted: u32,
        /// How many are free.
        free: u32,
    },
    /// An area has no such run of free neighbouring places.
    #[error("area {area} has no {wanted} free neighbouring places ({free} free in all)")]
    NoNeighbours {
        /// Which area.
        area: AreaId,
        /// How many are asked for.
        wanted: u32,
        /// How many are free, neighbouring or not.
        free: u32,
    },
    /// The customer would have more places than the event allows.
    #[error("the customer's limit is {limit} places, {taken} are taken, {wanted} are asked for")]
    LimitReached {
        /// The event's limit.
        limit: u32,
        /// How many the customer has.
        taken: u32,
        /// How many are asked for.
        wanted: u32,
    },
    /// The hold's deadline has passed.
    #[error("the hold has expired")]
    HoldExpired,
    /// The reservation belongs to another customer.
    #[error("the reservation belongs to another customer")]
    NotOwner,
    /// The reservation is not in the state that the command needs.
    #[error("the reservation is {state}")]
    WrongState {
        /// The state it is in: `held`, `booked`, `released`, `cancelled` or `expired`.
        state: &'static str,
    },
    /// The hold has been extended as far as the policy allows.
    #[error("the hold cannot be extended beyond {until}")]
    ExtensionLimit {
        /// The latest deadline.
        until: Timestamp,
    },
    /// Some tickets are not blocked.
    #[error("not blocked: {tickets:?}")]
    NotBlocked {
        /// Which.
        tickets: Vec<TicketId>,
    },
    /// The operation id was used for something else.
    #[error("the operation id was used with other content")]
    OperationReused,
    /// The operation id is older than the retention: whether it was carried out is no longer known.
    #[error("the operation id is older than operations are remembered")]
    OperationTooOld,
    /// The operation id's time is far in the future: the caller's clock is wrong.
    #[error("the operation id was made in the future")]
    OperationFromFuture,
    /// The operation was refused for good after an unknown outcome. Ask again with a new operation id.
    #[error("the operation was refused for good after an unknown outcome")]
    OperationVoided,
    /// Others want the same places right now, and the policy or the bound on retries says not to wait.
    #[error("contended, try again in {retry_after:?}")]
    Contended {
        /// When trying again makes sense.
        retry_after: Duration,
    },
    /// Too many requests wait already.
    #[error("too many requests are waiting")]
    Overloaded,
    /// The deadline passed before the request was decided.
    #[error("the deadline passed before the request was decided")]
    DeadlinePassed,
    /// The service is shutting down and takes no more requests.
    #[error("the service is shutting down")]
    ShuttingDown,
}

impl Rejection {
    /// A short name for counting, in lower case. Never changes.
    ///
    /// ```
    /// use ticket_reservation::domain::Rejection;
    ///
    /// let rejection = Rejection::HoldExpired;
    /// assert_eq!(rejection.kind(), "hold_expired");
    /// assert_eq!(rejection.to_string(), "the hold has expired");
    /// ```
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::InvalidLines(_) => "invalid_lines",
            Self::InvalidTtl { .. } => "invalid_ttl",
            Self::UnknownEvent => "unknown_event",
            Self::EventExists => "event_exists",
            Self::NotOnSale { .. } => "not_on_sale",
            Self::UnknownTickets { .. } => "unknown_tickets",
            Self::UnknownPool { .. } => "unknown_pool",
            Self::UnknownReservation => "unknown_reservation",
            Self::ReservationExists => "reservation_exists",
            Self::InventoryMismatch { .. } => "inventory_mismatch",
            Self::Unavailable { .. } => "unavailable",
            Self::Insufficient { .. } => "insufficient",
            Self::NoNeighbours { .. } => "no_neighbours",
            Self::LimitReached { .. } => "limit_reached",
            Self::HoldExpired => "hold_expired",
            Self::NotOwner => "not_owner",
            Self::WrongState { .. } => "wrong_state",
            Self::ExtensionLimit { .. } => "extension_limit",
            Self::NotBlocked { .. } => "not_blocked",
            Self::OperationReused => "operation_reused",
            Self::OperationTooOld => "operation_too_old",
            Self::OperationFromFuture => "operation_from_future",
            Self::OperationVoided => "operation_voided",
            Self::Contended { .. } => "contended",
            Self::Overloaded => "overloaded",
            Self::DeadlinePassed => "deadline_passed",
            Self::ShuttingDown => "shutting_down",
        }
    }

    /// Whether the refusal comes from how busy the service is, not from the state of the sale.
    ///
    /// ```
    /// use ticket_reservation::domain::Rejection;
    ///
    /// assert!(Rejection::Overloaded.is_about_load());
    /// assert!(!Rejection::HoldExpired.is_about_load());
    /// ```
    #[must_use]
    pub fn is_about_load(&self) -> bool {
        matches!(self, Self::Contended { .. } | Self::Overloaded | Self::DeadlinePassed | Self::ShuttingDown)
    }
}
