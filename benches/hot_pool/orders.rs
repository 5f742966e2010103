//! What the parent tells a worker, and what the worker answers. Lines of JSON on its standard input and output.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use ticket_reservation::domain::{EventId, PoolId};

/// Set in a worker's environment.
pub(crate) const WORKER: &str = "HOT_POOL_WORKER";

/// The worker's first line is the server's address; it answers `ready` when it is connected.
pub(crate) const READY: &str = "ready";

pub(crate) const PROCESSES: usize = 4;

/// Who sells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Side {
    /// The booking service.
    Service,
    /// A transaction for each request, on so many connections in each process.
    ByHand { connections: usize },
}

/// What the buyers want, again and again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Demand {
    Hold,
    /// A hold and its confirmation.
    Book,
}

impl Demand {
    pub(crate) const ALL: [Self; 2] = [Self::Hold, Self::Book];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Hold => "hold",
            Self::Book => "book",
        }
    }
}

/// Each further line.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Turn {
    pub(crate) side: Side,
    pub(crate) demand: Demand,
    /// How long it goes on before it is measured, and how long it is measured.
    pub(crate) settle: Duration,
    pub(crate) time: Duration,
}

/// The answer to it.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(crate) struct Outcome {
    /// Acknowledged from the first request of the turn to the last.
    pub(crate) held: u64,
    pub(crate) booked: u64,
    /// Holds a second or bookings a second, as is demanded, while it was measured.
    pub(crate) per_second: f64,
    /// While it was measured: commits that wrote something, requests decided in commits, and groups that were decided again.
    pub(crate) commits: u64,
    pub(crate) requests: u64,
    pub(crate) conflicts: u64,
    /// How long nineteen of twenty requests took at most.
    pub(crate) p95_ms: f64,
}

/// What the service sells.
pub(crate) fn event() -> EventId {
    EventId::new("gala").expect("an id")
}

pub(crate) fn pool() -> PoolId {
    PoolId::new("standing").expect("an id")
}
