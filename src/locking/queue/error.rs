use std::time::Duration;

use thiserror::Error;

use crate::ports::LockError;

/// Why a lock was not acquired.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum AcquireError {
    /// It was not free in time.
    #[error("the lock was not free within {waited:?}")]
    TimedOut {
        /// How long was waited for it.
        waited: Duration,
        /// How the lock failed meanwhile, if it did: the last time.
        #[source]
        failure: Option<LockError>,
    },
    /// Too many wait for it already.
    #[error("{waiting} wait for the lock already")]
    QueueFull {
        /// How many.
        waiting: usize,
    },
    /// The queue has been shut down.
    #[error("the queue has been shut down")]
    ShutDown,
}
