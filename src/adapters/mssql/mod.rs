//! The repository in a SQL Server database, 2019 or later, or in Azure SQL.
//!
//! [`MssqlRepository`] is the [`Repository`](crate::ports::Repository).
//!
//! # Start it
//!
//! Give every process the same database. The first one makes the tables.
//!
//! ```no_run
//! use std::sync::Arc;
//! use ticket_reservation::adapters::mssql::MssqlRepository;
//! use ticket_reservation::ports::{Repository, Runtime};
//!
//! # async fn open(runtime: Arc<dyn Runtime>) -> Result<(), Box<dyn std::error::Error>> {
//! let database = "Server=tcp:db.example,1433;Database=sale;User ID=box_office;Password=secret";
//! let repository = MssqlRepository::builder(database, runtime).build()?;
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
//! | connection string | | server, port, user and database, as ADO.NET has them |
//! | runtime | | tokio's, with I/O and time: the connections are its |
//! | [`schema`](MssqlRepositoryBuilder::schema) | [`SCHEMA_DEFAULT`] | the schema that the tables are in |
//! | [`root_certificates`](MssqlRepositoryBuilder::root_certificates) | none | whom TLS trusts beside the system's |
//! | [`pool_size`](MssqlRepositoryBuilder::pool_size) | [`POOL_SIZE_DEFAULT`] | how many connections there are at most |
//! | [`acquire_timeout`](MssqlRepositoryBuilder::acquire_timeout) | [`ACQUIRE_TIMEOUT_DEFAULT`] | how long a call waits for one |
//! | [`call_timeout`](MssqlRepositoryBuilder::call_timeout) | [`CALL_TIMEOUT_DEFAULT`] | how long it waits for its answer |
//! | [`idle_timeout`](MssqlRepositoryBuilder::idle_timeout) | 10 min | how long an unused connection is kept |
//! | [`max_lifetime`](MssqlRepositoryBuilder::max_lifetime) | 30 min | how old a connection may become |
//!
//! TLS is required and verified; [`plain_on_loopback`](MssqlRepositoryBuilder::plain_on_loopback) is for databases on the same
//! machine. A connection string that asks for less than verified TLS is refused.
//!
//! # How it works
//!
//! A load is one call of a stored procedure, and a commit another: one round trip each, and one transaction. A commit writes the
//! event's row first and compares every version while it has that row's lock; the writes repeat the versions, and a row count that
//! differs ends the transaction. Commits of one event come one after another, those of different events side by side. The
//! change feed's positions are given under the same lock, so that who reads it up to one misses nothing before. None of this rests on
//! lock hints or on whether the database has `READ_COMMITTED_SNAPSHOT`.
//!
//! A load keeps commits of its event waiting while it reads, and not while its answer is sent, so that what it reads was true at one
//! moment; where the server does not do that, the load sees that one came in between, and reads again in a second round trip.
//!
//! The store's clock is the database server's (`SYSUTCDATETIME`). A call waits for a connection and then for its answer, each for the
//! time of its option, and half a second more; a load does so three times at most, and a commit six times. A connection whose call
//! was dropped or failed is not used again.
//!
//! # What it does not guarantee
//!
//! - Durability is the database's: with `DELAYED_DURABILITY = FORCED` it acknowledges what it may lose, which
//!   [`MssqlRepository::check`] reports.
//! - The store's clock follows the server's wall clock. When that steps forward, holds end early; when it steps back, decisions
//!   keep the latest time that they have read.
//! - Commits of one event wait for each other, also while the disk is written: one event does as many commits in a second as the
//!   disk can. Requests that wait meanwhile share the next one.

mod batch;
mod check;
mod config;
mod connection_string;
mod error;
mod load;
mod pool;
mod queries;
mod repository;
mod rows;
mod schema;
mod settings;

pub use super::pooling::{ACQUIRE_TIMEOUT_DEFAULT, CALL_TIMEOUT_DEFAULT, POOL_SIZE_DEFAULT};
/// The pool, in the version that this adapter uses.
pub use bb8;
pub use check::{CLOCK_OFFSET_MAX, Finding};
pub use config::{MssqlRepositoryBuilder, SCHEMA_DEFAULT};
pub use error::MssqlError;
pub use pool::{Connection, ConnectionManager};
pub use repository::{MssqlRepository, PURGE_EVENTS_MAX, PURGE_ROWS_MAX};
/// The driver, in the version that this adapter uses.
pub use tiberius;
