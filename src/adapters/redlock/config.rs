use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use super::lock::{Redlock, TTL_MAX};
use super::redis_server;
use super::server::Server;
use crate::ports::{NoObserver, Observer, Runtime};

/// What the clocks of the nodes and of this process may differ by while a lock is held: a part of its TTL, and a little
/// more for the precision of expiry. The default is that of the Redlock algorithm
/// (<https://redis.io/docs/latest/develop/clients/patterns/distributed-locks/>): 1 % and 2 ms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drift {
    /// Thousandths of the TTL.
    pub per_mille: u32,
    /// This much besides.
    pub besides: Duration,
}

impl Default for Drift {
    fn default() -> Self {
        Self { per_mille: 10, besides: Duration::from_millis(2) }
    }
}

impl Drift {
    /// What is taken from a TTL.
    ///
    /// ```
    /// use std::time::Duration;
    /// use ticket_reservation::adapters::redlock::Drift;
    ///
    /// assert_eq!(Drift::default().of(Duration::from_secs(2)), Duration::from_millis(22));
    /// ```
    #[must_use]
    pub fn of(&self, ttl: Duration) -> Duration {
        (ttl.saturating_mul(self.per_mille) / 1_000).saturating_add(self.besides)
    }

    /// The shortest TTL, in whole milliseconds, of which so much is left. With a drift of all there is, none is long enough.
    pub(super) fn ttl_for(&self, validity: Duration) -> Duration {
        let Some(left_per_mille) = 1_000_u32.checked_sub(self.per_mille).filter(|left| *left > 0) else {
            return Duration::MAX;
        };
        let ttl = validity.saturating_add(self.besides).saturating_mul(1_000) / left_per_mille;
        Duration::from_millis(u64::try_from(ttl.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX))
    }
}

/// What becomes of a node that has restarted, and may have forgotten locks that others still rely on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Quarantine {
    /// It counts at once. Right where the lock only shares out work, as in booking, or where nodes keep what they
    /// have acknowledged (`appendfsync always`).
    #[default]
    Off,
    /// A node whose `run_id` has changed, or which has been up for less than this, is asked but does not count, until every
    /// lock that it may have forgotten has ended. No lock with a longer TTL is granted.
    For(Duration),
}

#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) key_prefix: Arc<str>,
    pub(super) drift: Drift,
    pub(super) node_timeout: Duration,
    pub(super) connect_timeout: Duration,
    pub(super) quarantine: Quarantine,
}

/// Why there is no lock to be made of this.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum InvalidConfig {
    /// No node was given.
    #[error("a lock needs at least one node")]
    NoNodes,
    /// A node's URL cannot be used.
    #[error("the URL of node {node} cannot be used: {why}")]
    Url {
        /// Which one, from 1.
        node: usize,
        /// Why. It does not repeat the URL, which may hold a password.
        why: String,
    },
    /// A node asks for TLS without checking whom it talks to.
    #[error(
        "node {node} asks for TLS without verification: give a client with the certificate to trust instead, see \
         `Client::build_with_tls`"
    )]
    UnverifiedTls {
        /// Which one, from 1.
        node: usize,
    },
    /// The same node was given twice, which would vote twice; so would two databases of one server.
    #[error("node {0} was given twice")]
    Duplicate(Arc<str>),
    /// The key prefix is too long.
    #[error("a key prefix has at most {KEY_PREFIX_MAX} bytes")]
    KeyPrefix,
}

/// Longest key prefix, in bytes.
const KEY_PREFIX_MAX: usize = 256;

/// A node as it was given.
pub(super) enum Given {
    Url(String),
    Server(Result<Arc<dyn Server>, RefusedClient>),
}

/// A client that asks for TLS without verification.
pub(super) struct RefusedClient;

/// Makes a [`Redlock`]. See the [module](super) for the options and their defaults.
#[must_use]
pub struct RedlockBuilder {
    runtime: Arc<dyn Runtime>,
    observer: Arc<dyn Observer>,
    pub(super) given: Vec<Given>,
    credentials: Option<Credentials>,
    settings: Settings,
}

/// For nodes whose URL names no user and no password.
pub(super) struct Credentials {
    pub(super) user: Option<String>,
    pub(super) password: String,
}

impl RedlockBuilder {
    pub(super) fn new(runtime: Arc<dyn Runtime>) -> Self {
        let settings = Settings {
            key_prefix: Arc::from("redlock:"),
            drift: Drift::default(),
            node_timeout: Duration::from_millis(250),
            connect_timeout: Duration::from_secs(1),
            quarantine: Quarantine::Off,
        };
        Self { runtime, observer: Arc::new(NoObserver), given: Vec::new(), credentials: None, settings }
    }

    /// A node by its URL: `redis://[user:password@]host[:port][/db]`, or `rediss://` for TLS, which is verified and never
    /// falls back to a plain connection.
    pub fn node(mut self, url: impl Into<String>) -> Self {
        self.given.push(Given::Url(url.into()));
        self
    }

    /// Nodes by their URLs.
    pub fn nodes<U: Into<String>>(self, urls: impl IntoIterator<Item = U>) -> Self {
        urls.into_iter().fold(self, Self::node)
    }

    /// A node by something else that is reached in the way of a Redis server.
    pub fn server(mut self, server: Arc<dyn Server>) -> Self {
        self.given.push(Given::Server(Ok(server)));
        self
    }

    /// User and password for the nodes whose URLs have none. `None` is the server's default user.
    pub fn credentials(mut self, user: Option<&str>, password: impl Into<String>) -> Self {
        self.credentials = Some(Credentials { user: user.map(str::to_owned), password: password.into() });
        self
    }

    /// What comes before a lock's key in Redis, at most 256 bytes. All clients that are to exclude each other need the same
    /// one: RedLock.net's is `redlock:`, that of node-redlock, redsync and rslock is empty.
    pub fn key_prefix(mut self, prefix: impl AsRef<str>) -> Self {
        self.settings.key_prefix = Arc::from(prefix.as_ref());
        self
    }

    /// What clocks may differ by while a lock is held.
    pub fn drift(mut self, drift: Drift) -> Self {
        self.settings.drift = drift;
        self
    }

    /// How long a node has for its answer, 1 ms to 60 s; a quarter of the TTL at most in any case. One that says nothing
    /// for so long is left alone until a new connection to it can be made.
    pub fn node_timeout(mut self, timeout: Duration) -> Self {
        self.settings.node_timeout = timeout.clamp(Duration::from_millis(1), Duration::from_secs(60));
        self
    }

    /// How long making a connection may take, 1 ms to 60 s.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.settings.connect_timeout = timeout.clamp(Duration::from_millis(1), Duration::from_secs(60));
        self
    }

    /// What becomes of nodes that have restarted.
    pub fn quarantine(mut self, quarantine: Quarantine) -> Self {
        self.settings.quarantine = match quarantine {
            Quarantine::Off => Quarantine::Off,
            Quarantine::For(max_ttl) => Quarantine::For(max_ttl.min(TTL_MAX)),
        };
        self
    }

    /// Who is told when a node goes down and comes back.
    pub fn observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observer = observer;
        self
    }

    /// Makes the lock. It connects when it is first used, in tasks of the runtime.
    ///
    /// # Errors
    ///
    /// [`InvalidConfig`] when there is no node, the same one twice, or one that cannot be used.
    pub fn build(self) -> Result<Redlock, InvalidConfig> {
        if self.settings.key_prefix.len() > KEY_PREFIX_MAX {
            return Err(InvalidConfig::KeyPrefix);
        }
        let mut servers: Vec<Arc<dyn Server>> = Vec::with_capacity(self.given.len());
        for (number, given) in (1..).zip(self.given) {
            let server = match given {
                Given::Url(url) => redis_server::server(&url, self.credentials.as_ref(), number)?,
                Given::Server(server) => {
                    server.map_err(|RefusedClient| InvalidConfig::UnverifiedTls { node: number })?
                }
            };
            if servers.iter().any(|other| other.address() == server.address()) {
                return Err(InvalidConfig::Duplicate(Arc::from(server.name())));
            }
            servers.push(server);
        }
        if servers.is_empty() {
            return Err(InvalidConfig::NoNodes);
        }
        Ok(Redlock::over(servers, self.settings, self.runtime, &self.observer))
    }
}

impl std::fmt::Debug for RedlockBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedlockBuilder")
            .field("nodes", &self.given.len())
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
