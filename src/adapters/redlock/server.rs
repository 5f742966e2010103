//! What the engine needs from one Redis server. The folder `redis_server` implements it on the redis crate; a test or another client
//! implements it on something else.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use thiserror::Error;

use super::check::Finding;
use super::error::Refusal;
use crate::ports::{BoxFuture, LockToken};

/// One thing that is asked of a server. The server MUST do each by itself and at once: nothing else comes between its
/// steps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// Set all keys to the token for the TTL if each is absent, or has this token already; else set none. One that has it MUST NOT
    /// end earlier than it would have without: what is asked may be asked again, long after it was granted and extended.
    Acquire {
        /// The keys, as the server knows them.
        keys: Vec<Arc<str>>,
        /// The value.
        token: LockToken,
        /// For how long.
        ttl: Duration,
    },
    /// Let the key live for the TTL from now if it has this token. It MUST NOT end earlier than it would have without.
    Extend {
        /// The key.
        key: Arc<str>,
        /// The value that it must have.
        token: LockToken,
        /// For how long, from now.
        ttl: Duration,
    },
    /// Delete the key if it has this token.
    Release {
        /// The key.
        key: Arc<str>,
        /// The value that it must have.
        token: LockToken,
    },
}

impl Ask {
    /// The keys that it is about.
    #[must_use]
    pub fn keys(&self) -> &[Arc<str>] {
        match self {
            Self::Acquire { keys, .. } => keys,
            Self::Extend { key, .. } | Self::Release { key, .. } => std::slice::from_ref(key),
        }
    }

    /// The value that it sets, or that the key must have.
    #[must_use]
    pub fn token(&self) -> &LockToken {
        match self {
            Self::Acquire { token, .. } | Self::Extend { token, .. } | Self::Release { token, .. } => token,
        }
    }
}

/// What a server answers to one [`Ask`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It was done.
    Done,
    /// Not acquired: another value is there, and may stay so long, if it ends by itself at all.
    Held(Option<Duration>),
    /// Not extended or released: the key is absent.
    Absent,
    /// Not extended or released: another value is there.
    NotOwner,
    /// The server does not do it.
    Refused(Refusal),
}

/// Why a server gave no answers.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ServerError {
    /// There is no connection, or it ended before the answers came: whether the asks were done is not known.
    #[error("{0}")]
    Closed(Arc<str>),
    /// The server did none of them.
    #[error("it refused: {0}")]
    Refused(Refusal),
}

/// A server that can be connected to.
#[async_trait]
pub trait Server: Send + Sync + Debug {
    /// What it is called in reports. No secret is part of it.
    fn name(&self) -> &str;

    /// What it is told apart by from other servers: two with the same address are one, and may not vote twice. Its name,
    /// unless that says more, such as a number of a database.
    fn address(&self) -> &str {
        self.name()
    }

    /// Connects. The engine drops the future when that takes too long, and never has two of them at once.
    ///
    /// # Errors
    ///
    /// [`ServerError`] when there is no connection to be had.
    async fn connect(&self) -> Result<Connected, ServerError>;
}

/// A new connection.
#[derive(Debug)]
pub struct Connected {
    /// The connection.
    pub link: Arc<dyn Link>,
    /// What the server says about its own life. `None` when it does not say.
    pub life: Option<Life>,
}

/// One life of a server's process: what it kept in memory only is as old at most.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Life {
    /// Another one after each restart.
    pub run_id: Arc<str>,
    /// Since when it runs.
    pub uptime: Duration,
}

/// A connection.
///
/// # Contract
///
/// Asks MUST be done in the order in which the futures of [`Link::ask`] are first polled. What was polled once MUST be sent
/// as long as the future lives.
pub trait Link: Send + Sync + Debug {
    /// Asks, and waits for an answer to each ask, in the same order.
    fn ask(&self, asks: Arc<[Ask]>) -> BoxFuture<'static, Result<Vec<Answer>, ServerError>>;

    /// Looks for what would make the server unfit to hold locks, with a key of that name for trying.
    fn check(&self, key: Arc<str>) -> BoxFuture<'static, Result<Vec<Finding>, ServerError>>;
}
