use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use crate::ports::LockError;

/// Why the lock could not say yes or no. It is the source of the [`LockError`] that the port's methods give.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RedlockError {
    /// Too few nodes took part.
    #[error(transparent)]
    NoQuorum(NoQuorum),
    /// A majority granted the lock, and nothing of its TTL was left by then. It was released.
    #[error("a majority answered after {took:?}, when nothing of the TTL of {ttl:?} was left")]
    TooLate {
        /// How long it took.
        took: Duration,
        /// For how long the lock was wanted.
        ttl: Duration,
    },
    /// A TTL that no lock can have.
    #[error("a TTL of {ttl:?} is not between {min:?} and {max:?}")]
    InvalidTtl {
        /// What was asked for.
        ttl: Duration,
        /// The shortest TTL: what is left of it after the drift must be of use.
        min: Duration,
        /// The longest TTL: the quarantine's, where there is one.
        max: Duration,
    },
    /// More keys than are taken in one step: a server does nothing else meanwhile.
    #[error("{keys} keys are more than the {max} that are taken in one step")]
    TooManyKeys {
        /// How many were asked for.
        keys: usize,
        /// How many there may be: [`KEYS_AT_ONCE_MAX`](super::KEYS_AT_ONCE_MAX).
        max: usize,
    },
    /// The runtime has ended the task that was to answer.
    #[error("the runtime has shut down")]
    ShutDown,
}

impl From<RedlockError> for LockError {
    fn from(error: RedlockError) -> Self {
        Self::new(error)
    }
}

/// Too few nodes took part, and what each of them said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoQuorum {
    nodes: Vec<NodeReport>,
}

impl NoQuorum {
    pub(super) fn new(nodes: Vec<NodeReport>) -> Self {
        Self { nodes }
    }

    /// What each node said, in the order in which the nodes were given.
    #[must_use]
    pub fn nodes(&self) -> &[NodeReport] {
        &self.nodes
    }
}

impl fmt::Display for NoQuorum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no quorum of {} nodes", self.nodes.len())?;
        for (n, report) in self.nodes.iter().enumerate() {
            write!(f, "{}{report}", if n == 0 { ": " } else { ", " })?;
        }
        Ok(())
    }
}

impl std::error::Error for NoQuorum {}

/// What one node said.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NodeReport {
    /// The node's name: its address, without any secret.
    pub node: Arc<str>,
    /// Its vote.
    pub vote: Vote,
}

impl fmt::Display for NodeReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.node, self.vote)
    }
}

/// A node's part in one acquisition.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Vote {
    /// It granted every key.
    Granted,
    /// Someone else holds one of the keys.
    Held {
        /// So long at most, unless it is extended. `None` when it has no TTL.
        remaining: Option<Duration>,
    },
    /// It had not answered when the decision was made.
    Pending,
    /// It did not answer in time.
    TimedOut,
    /// There is no connection to it.
    Unreachable(Arc<str>),
    /// It said no.
    Refused(Refusal),
    /// It granted, and has restarted so lately that it may have forgotten earlier locks: it does not count.
    Quarantined,
}

impl fmt::Display for Vote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Granted => f.write_str("granted"),
            Self::Held { remaining: Some(remaining) } => write!(f, "is held for {remaining:?} at most"),
            Self::Held { remaining: None } => f.write_str("is held without a TTL"),
            Self::Pending => f.write_str("had not answered yet"),
            Self::TimedOut => f.write_str("timed out"),
            Self::Unreachable(why) => write!(f, "cannot be reached ({why})"),
            Self::Refused(refusal) => write!(f, "refused ({refusal})"),
            Self::Quarantined => f.write_str("is quarantined after a restart"),
        }
    }
}

/// Why a server says no.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refusal {
    /// What kind of no it is.
    pub kind: RefusalKind,
    /// The server's own error code, such as `NOPERM`.
    pub code: Arc<str>,
}

/// What kind of no a server said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RefusalKind {
    /// User or password are missing or wrong.
    Authentication,
    /// The user may not do this, or not with this key.
    Permission,
    /// It is a replica.
    ReadOnly,
    /// Its memory is full.
    OutOfMemory,
    /// Something else: the code says what.
    Other,
}

impl Refusal {
    /// From the code with which a server's error begins.
    ///
    /// ```
    /// use ticket_reservation::adapters::redlock::{Refusal, RefusalKind};
    ///
    /// assert_eq!(Refusal::from_code("NOPERM").kind, RefusalKind::Permission);
    /// ```
    #[must_use]
    pub fn from_code(code: &str) -> Self {
        let kind = match code {
            "NOAUTH" | "WRONGPASS" => RefusalKind::Authentication,
            "NOPERM" => RefusalKind::Permission,
            "READONLY" => RefusalKind::ReadOnly,
            "OOM" => RefusalKind::OutOfMemory,
            _ => RefusalKind::Other,
        };
        Self { kind, code: Arc::from(code) }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.code)
    }
}
