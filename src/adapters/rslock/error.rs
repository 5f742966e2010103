use std::time::Duration;

use thiserror::Error;

use crate::ports::LockError;

/// Why a call failed.
#[derive(Debug, Error)]
pub(super) enum Fault {
    /// A key that nobody can hold was refused.
    #[error("no majority of the servers grants anything")]
    NoQuorum(#[source] ::rslock::LockError),
    /// The locks were granted too late to be of use.
    #[error("the servers took longer to answer than the lock lasts")]
    TooLate,
    /// More than a lease may last.
    #[error("the TTL is longer than {TTL_MAX:?}")]
    TtlTooLong,
    /// rslock failed in another way.
    #[error("rslock failed")]
    Rslock(#[source] ::rslock::LockError),
    /// A value that proves too little.
    #[error("rslock has made a lock value of {bytes} bytes, at least 16 are needed")]
    ShortValue { bytes: usize },
    /// The task of the call is gone: the runtime has ended, or the task panicked.
    #[error(
        "the call was given up: the runtime has ended, or the task panicked, as for rediss:// without a rustls provider"
    )]
    GivenUp,
}

/// Far beyond what a lock is good for, and well inside the numbers of Redis.
pub(super) const TTL_MAX: Duration = Duration::from_secs(366 * 24 * 60 * 60);

impl From<Fault> for LockError {
    fn from(fault: Fault) -> Self {
        Self::new(fault)
    }
}
