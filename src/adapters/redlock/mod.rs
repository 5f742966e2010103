//! A lock over a majority of independent Redis servers, as the Redlock algorithm has it
//! (<https://redis.io/docs/latest/develop/clients/patterns/distributed-locks/>).
//!
//! [`Redlock`] is the [`Lock`](crate::ports::Lock). It tries once and never waits; a
//! [`LockQueue`](crate::locking) in front of it does.
//!
//! # Start it
//!
//! Give it the URLs of an odd number of Redis servers, 2.6.12 or later, that know nothing of each other: no replicas, no cluster.
//!
//! ```no_run
//! # use std::sync::Arc;
//! # use std::time::Duration;
//! use ticket_reservation::adapters::redlock::Redlock;
//! use ticket_reservation::ports::{Attempt, Lock, LockKey};
//!
//! # async fn run(runtime: Arc<dyn ticket_reservation::ports::Runtime>) -> Result<(), Box<dyn std::error::Error>> {
//! let lock = Redlock::builder(runtime)
//!     .nodes(["redis://10.0.0.1", "redis://10.0.0.2", "rediss://user:secret@10.0.0.3:6380"])
//!     .build()?;
//! for node in lock.check().await {
//!     for finding in node.findings {
//!         eprintln!("{} {finding}", node.node);
//!     }
//! }
//! let keys = [LockKey::new("gala/stalls")?];
//! if let Attempt::Granted(leases) = lock.acquire_all(&keys, Duration::from_secs(2)).await? {
//!     lock.release(leases).await?;
//! }
//! lock.shutdown(Duration::from_secs(1)).await;
//! # Ok(())
//! # }
//! ```
//!
//! # Options
//!
//! | option | default | means |
//! | --- | --- | --- |
//! | [`node`](RedlockBuilder::node), [`client`](RedlockBuilder::client), [`server`](RedlockBuilder::server) | | a node: its URL, a client of the host's, or anything that is reached like one |
//! | [`credentials`](RedlockBuilder::credentials) | none | for nodes whose URL has none |
//! | [`key_prefix`](RedlockBuilder::key_prefix) | `redlock:` | what comes before a key in Redis |
//! | [`drift`](RedlockBuilder::drift) | 1 % and 2 ms | what clocks may differ by during a TTL |
//! | [`node_timeout`](RedlockBuilder::node_timeout) | 250 ms | how long a node has to answer; never more than a quarter of the TTL |
//! | [`connect_timeout`](RedlockBuilder::connect_timeout) | 1 s | how long connecting may take |
//! | [`quarantine`](RedlockBuilder::quarantine) | off | whether a node that has restarted counts at once |
//! | [`observer`](RedlockBuilder::observer) | nobody | who is told when a node goes down and comes back |
//!
//! # How it works
//!
//! A lock is a key with a random value on each node: `SET key value NX PX ttl`, and a compare-and-delete to release it. That
//! is the wire format of every Redlock client, so that this one, node-redlock, RedLock.net, redsync and rslock exclude
//! each other on the same key.
//!
//! All nodes are asked at once, and the answer is known as soon as a majority decides it: granted, held by another, or no
//! majority to be had. What comes later is cleaned up in the background, on the connection that it was acquired on. Calls
//! that are ready at the same time share one script per node. Each node has one connection, made anew by one attempt at a
//! time; one that answers nothing is left alone, and tried now and then by nobody who is waited for.
//!
//! # What it does not guarantee
//!
//! - Mutual exclusion while processes stand still: a holder that is stopped past its TTL goes on as if it held the lock. Here a
//!   lock shares out work; what is sold is decided by the store.
//! - Mutual exclusion across restarts of nodes that forget, with [`Quarantine::Off`].
//! - Fairness. Who asks at the right moment gets it.
//! - That a node which cannot be reached forgets a lock before its TTL. It is told when it is reached again, if this process
//!   still runs and has no more to tell it than it keeps.
//!
//! `docs/backends/redlock.md` has the figures.

mod check;
mod config;
mod engine;
mod error;
mod lock;
mod redis_server;
mod server;

pub use check::{Finding, NodeCheck};
pub use config::{Drift, InvalidConfig, Quarantine, RedlockBuilder};
pub use error::{NoQuorum, NodeReport, RedlockError, Refusal, RefusalKind, Vote};
pub use lock::{Acquisition, KEYS_AT_ONCE_MAX, Redlock};
/// The driver, in the version that this adapter uses: for clients of the host's own.
pub use redis_server::redis;
pub use server::{Answer, Ask, Connected, Life, Link, Server, ServerError};
