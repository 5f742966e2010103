//! The lock port on a host's own `rslock::LockManager` (<https://docs.rs/rslock>), for teams that are on it already.
//!
//! [`RslockLock`] is the [`Lock`](crate::ports::Lock). It speaks the wire format of every Redlock client, so it excludes
//! those that use the same keys on the same servers, and is excluded by them.
//!
//! # Start it
//!
//! Make the manager as always, over a majority of independent Redis masters; the adapter shares its connections. The
//! runtime must be tokio's, with I/O enabled, because rslock needs it.
//!
//! ```no_run
//! # #[cfg(feature = "tokio")]
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use std::sync::Arc;
//! use std::time::Duration;
//! use ticket_reservation::adapters::rslock::{RslockLock, rslock::LockManager};
//! use ticket_reservation::adapters::tokio::TokioRuntime;
//! use ticket_reservation::ports::{Attempt, Lock, LockKey};
//!
//! let manager = LockManager::new(vec!["redis://10.0.0.1", "redis://10.0.0.2", "redis://10.0.0.3"]);
//! let lock = RslockLock::builder(manager, Arc::new(TokioRuntime::current()?)).build();
//!
//! let attempt = lock.acquire_all(&[LockKey::new("gala/stalls")?], Duration::from_secs(2)).await?;
//! if let Attempt::Granted(leases) = attempt {
//!     lock.release(leases).await?;
//! }
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "tokio"))]
//! # fn main() {}
//! ```
//!
//! For `rediss://` the process needs a provider of cryptography for rustls, of which rslock brings none: the host chooses one
//! for the whole process, at its start. With `rustls = "0.23"` and its feature `ring` among the host's own dependencies:
//!
//! ```text
//! rustls::crypto::ring::default_provider().install_default()
//! ```
//!
//! Where one provider alone is compiled in, rustls takes it without being told; the feature `redlock` brings ring, and
//! `mssql` a second one (its driver asks for aws-lc-rs). Where there is none, or several and none is chosen, rslock panics in the task of every call, and every call fails. This feature
//! brings none by itself, because a second one beside the host's would end that choice for all of the host's TLS.
//!
//! # Options
//!
//! | option | default | means |
//! | --- | --- | --- |
//! | manager | | rslock's own; its retries are not used, one call is one attempt |
//! | runtime | | tells the time, runs the calls, draws random numbers |
//! | [`key_prefix`](RslockLockBuilder::key_prefix) | [`KEY_PREFIX_DEFAULT`] | what stands before each key in Redis |
//! | [`extensions`](RslockLockBuilder::extensions) | no | whether leases are extended, see below |
//!
//! Time limits of connections and answers are those of the manager's `redis::Client`s.
//!
//! # How it works
//!
//! Every call runs in a task of the runtime to its end. A caller who goes away in the middle leaves nothing behind: what
//! the task is granted is given back.
//!
//! rslock takes one key at a time: `acquire_each` has up to [`KEYS_AT_ONCE_MAX`] of them on their way at once,
//! `acquire_all` takes them in order of the keys and gives back what it has when one is refused.
//!
//! rslock answers `Unavailable` when someone else holds a key, and when too few servers answer or let it in. The adapter
//! tells one from the other: within [`QUORUM_TRUSTED`] of a grant it is contention, and otherwise a random key that
//! nobody can hold is asked for. If that is refused too, it is a failure.
//!
//! rslock's release answers nothing. A lease that has not ended is therefore *extended* to its own end first, which is
//! the only question that rslock asks a majority, and released then: one round trip more, and the answer is known.
//!
//! # What it does not guarantee
//!
//! - How long a holder may keep a key yet: rslock does not ask. `retry_after` is the caller's own TTL, which is the upper
//!   bound where everyone uses the same.
//! - Several keys at once: others see that some of the keys of `acquire_all` are taken for a moment before they are given
//!   back.
//! - Extensions, unless the host [asks for them](RslockLockBuilder::extensions): rslock releases a lock on every server when no
//!   majority confirms that it is extended, and whoever does not wait for that answer goes on with a lease that another one
//!   may have. So every extension is answered as [`Unknown`](crate::ports::Extended::Unknown), and a lease ends with its TTL:
//!   choose one that is longer than the work. [`redlock`](crate::adapters) extends, and releases nothing by it.
//! - A reason: which server was out of reach, or refused, and why.
//! - Speed when a server is frozen or silent: rslock waits for every server, up to its connection's time limits (1 s to
//!   connect and 500 ms to answer by default), in every call. A booking service finds most of its locks too late then, and sells
//!   without them.
//! - That whoever is refused met another holder: an attempt that failed by itself, because connections were just made
//!   again or several split the vote, is answered as contention too while a majority grants other keys.
//! - That a server which did not answer in time is rid of a lock when it comes back: what is not released by then ends
//!   with its TTL there.
//! - A lock whose servers answer so late that its TTL has ended before is not given back, and ends with its TTL on each.
//! - Whatever Redlock does not: a server that restarts without its memory forgets its locks, and a holder that was
//!   paused does not know that its lease has ended.
//! - The manager must not be over a Redis Cluster's nodes.

mod config;
mod error;
mod lock;
mod manager;
mod values;

/// The crate whose lock manager this adapter takes, in the version that it takes.
pub use ::rslock;
pub use config::{KEY_PREFIX_DEFAULT, RslockLockBuilder};
pub use lock::{KEYS_AT_ONCE_MAX, RslockLock};
pub use manager::QUORUM_TRUSTED;
