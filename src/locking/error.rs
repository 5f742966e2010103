use std::time::Duration;

use thiserror::Error;

use crate::ports::LockError;

/// Why no guard was given. Nothing is held afterwards.
///
/// ```
#[doc = doc_locked!()]
/// match queue.acquire(&key, Duration::from_secs(3)).await {
///     Ok(guard) => drop(guard),
///     Err(AcquireError::TimedOut { waited }) => eprintln!("busy: nothing for {waited:?}"),
///     Err(AcquireError::Failed { source, .. }) => eprintln!("{source}: {:?}", std::error::Error::source(&source)),
///     Err(AcquireError::QueueFull { waiting }) => eprintln!("overloaded: {waiting} wait"),
///     Err(error) => return Err(error.into()),
/// }
#[doc = doc_end!()]
/// ```
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum AcquireError {
    /// It did not become this caller's turn in time.
    #[error("the lock was not to be had within {waited:?}")]
    TimedOut {
        /// How long the caller waited.
        waited: Duration,
    },
    /// The lock's store failed when it was asked last.
    #[error("the lock's store failed; given up after {waited:?}")]
    Failed {
        /// How long the caller waited.
        waited: Duration,
        /// How it failed last.
        source: LockError,
    },
    /// As many callers as may wait for one key do already.
    #[error("{waiting} callers wait for this key already")]
    QueueFull {
        /// How many.
        waiting: usize,
    },
    /// The queue was shut down.
    #[error("the queue was shut down")]
    ShutDown,
}
