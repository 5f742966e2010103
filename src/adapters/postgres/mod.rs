//! The repository in a PostgreSQL database, 14 or later.
//!
//! [`PostgresRepository`] is the [`Repository`](crate::ports::Repository).
//!
//! # Start it
//!
//! Give every process the same database. The first one makes the tables.
//!
//! ```no_run
//! use std::sync::Arc;
//! use ticket_reservation::adapters::postgres::PostgresRepository;
//! use ticket_reservation::ports::{Repository, Runtime};
//!
//! # async fn open(runtime: Arc<dyn Runtime>) -> Result<(), Box<dyn std::error::Error>> {
//! let repository = PostgresRepository::builder("postgresql://box_office:secret@db.example/sale", runtime).build()?;
//! repository.migrate().await?;
//! let repository: Arc<dyn Repository> = Arc::new(repository);
//! # let _ = repository;
//! # Ok(())
//! # }
//! ```
//!
//! # Options
//!
//! | option | default | means |
//! | --- | --- | --- |
//! | url | | host, user and database, as libpq has them |
//! | runtime | | tokio's, with I/O and time: runs the connections |
//! | [`schema`](PostgresRepositoryBuilder::schema) | [`SCHEMA_DEFAULT`] | the schema that the tables are in |
//! | [`root_certificates`](PostgresRepositoryBuilder::root_certificates) | the system's | whom TLS trusts |
//! | [`pool_size`](PostgresRepositoryBuilder::pool_size) | [`POOL_SIZE_DEFAULT`] | how many connections there are at most |
//! | [`acquire_timeout`](PostgresRepositoryBuilder::acquire_timeout) | [`ACQUIRE_TIMEOUT_DEFAULT`] | how long a call waits for one |
//! | [`call_timeout`](PostgresRepositoryBuilder::call_timeout) | [`CALL_TIMEOUT_DEFAULT`] | how long it waits for its answer |
//! | [`idle_timeout`](PostgresRepositoryBuilder::idle_timeout) | 10 min | how long an unused connection is kept |
//! | [`max_lifetime`](PostgresRepositoryBuilder::max_lifetime) | 30 min | how old a connection may become |
//!
//! TLS is required and verified; [`plain_on_loopback`](PostgresRepositoryBuilder::plain_on_loopback) is for databases on the same
//! machine. A connection string that asks for less than verified TLS is refused.
//!
//! # How it works
//!
//! A load is one call of a function in the database, and a commit another: one round trip each, and one transaction. A commit
//! locks the event's row first and compares every version under that lock; the writes repeat the versions, and a row count that
//! differs ends the transaction. Commits of one event come one after another, those of different events side by side. The
//! change feed's positions are given under the same lock, so that who reads it up to one misses nothing before.
//!
//! The store's clock is the database server's. A call waits for a connection and then for its answer, each for the time of
//! its option, and half a second more; a commit that loses the race for a new record does so again, and is tried six times at
//! most. A connection whose call was dropped, or failed half-way, is not used again.
//!
//! # What it does not guarantee
//!
//! - Durability is the server's: with `fsync` off it acknowledges what it may lose, which [`PostgresRepository::check`] reports; a
//!   `synchronous_commit` that is off is switched on for the repository's own connections.
//! - The store's clock follows the server's wall clock. When that steps forward, holds end early; when it steps back, decisions
//!   keep the latest time that they have read.
//! - Commits of one event wait for each other, also while the disk is written: one event does as many commits in a second as the
//!   disk can. Requests that wait meanwhile share the next one.

mod arguments;
mod check;
mod config;
mod error;
mod load;
mod pool;
mod queries;
mod repository;
mod rows;
mod schema;
mod settings;
mod tls;

pub use super::pooling::{ACQUIRE_TIMEOUT_DEFAULT, CALL_TIMEOUT_DEFAULT, POOL_SIZE_DEFAULT};
/// The pool, in the version that this adapter uses.
pub use bb8;
pub use check::{CLOCK_OFFSET_MAX, Finding};
pub use config::{PostgresRepositoryBuilder, SCHEMA_DEFAULT};
pub use error::PostgresError;
pub use pool::{Connection, ConnectionManager};
pub use repository::{PURGE_EVENTS_MAX, PostgresRepository};
/// The driver, in the version that this adapter uses.
pub use tokio_postgres;
