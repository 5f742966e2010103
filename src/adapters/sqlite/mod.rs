//! The repository and the lease lock in SQLite files that the processes of one machine share: the embedded default.
//!
//! [`SqliteRepository`] is the [`Repository`](crate::ports::Repository), [`SqliteLock`] the
//! [`Lock`](crate::ports::Lock). They want a file each: a lease is not worth a durable commit, a sale is.
//!
//! # Start it
//!
//! Give every process the same paths, on a local disk. The first one creates the files and their tables.
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Duration;
//! use ticket_reservation::adapters::sqlite::SqliteRepository;
//! use ticket_reservation::ports::Repository;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("sale.db");
//! let repository = SqliteRepository::builder(path).busy_timeout(Duration::from_secs(2)).open()?;
//! let repository: Arc<dyn Repository> = Arc::new(repository);
//! # let _ = repository;
//! # Ok(())
//! # }
//! ```
//!
//! # Options
//!
//! | option | default | of | means |
//! | --- | --- | --- | --- |
//! | path | | both | the file; `-wal` and `-shm` files appear beside it and belong to it |
//! | [`busy_timeout`](SqliteRepositoryBuilder::busy_timeout) | 5 s | both | how long a call waits while other processes write |
//! | [`cache_kib`](SqliteRepositoryBuilder::cache_kib) | 64 MiB | repository | how much of the file is kept in memory |
//! | [`clock`](SqliteRepositoryBuilder::clock) | the system's | repository | the store's clock |
//! | runtime | | lock | tells the time and draws tokens |
//!
//! # How it works
//!
//! Each open repository has two threads of its own, `ticket-sqlite` for bookings and `ticket-queries` for the host's
//! queries, and each lock has one, `ticket-leases`. A thread owns a connection and does one call after another, so no call
//! ever blocks the host's runtime, and no query keeps a booking waiting. At most [`CALLS_MAX`] calls wait in front of it, and
//! one more fails at once, the repository's as transient; the booking service makes at most one load and one commit
//! per event. A call whose future is dropped before its turn is not begun. Each waits for other processes for about the
//! busy timeout at most, so a call ends, at worst, after as long for each one that waits before it.
//!
//! The repository's file is in WAL mode with `synchronous=FULL`: a commit is answered after its log has reached the
//! disk. Every write takes the file's write lock first (`BEGIN IMMEDIATE`), compares the version of every record that
//! the decision read, and repeats it in the write itself. The lock's file has `synchronous=OFF`. When the log has
//! grown, the thread moves it into the database after it has answered, and keeps other writers waiting for that long;
//! SQLite's automatic checkpoint is off, because several busy processes never let it finish.
//!
//! A purge step looks at the change feeds of at most [`PURGE_EVENTS_MAX`] events, and the next one goes on after them:
//! with more events, a step that removes nothing does not say that nothing is old. Each open repository goes its own
//! rounds.
//!
//! The tables are for reading with other programs too; [`SqliteRepository::schema_sql`] explains them. Do not write to
//! them. Nor copy or open the files with anything but SQLite in a process that uses them: closing any handle of a file
//! drops all of that process's locks on it (<https://sqlite.org/howtocorrupt.html>).
//!
//! After a failure of the disk the file is opened again. It must be the same one: every file has a random id, and
//! another file at the same path is refused.
//!
//! # What it does not guarantee
//!
//! - It is for the processes of one machine. SQLite's locks do not work on network file systems.
//! - The store's clock, and the end of a lease, follow the machine's wall clock. When that steps forward, leases end
//!   early, which costs time and never a place; holds end early too. When it steps back, decisions keep the latest time
//!   they have read, and a lease lasts for at most its TTL from when it is next looked at.
//! - Processes that write at once take turns in no particular order.
//! - A power failure may cost all leases, and damage the lock's file: delete it then, or keep it where a restart clears
//!   it.
//! - Durability is the disk's: hardware that acknowledges what it has not written can lose it.

mod availability;
mod busy;
mod checkpoint;
mod commit;
mod config;
mod connection;
mod error;
mod feed;
#[cfg(test)]
mod full;
mod leases;
mod lines_text;
mod load;
mod lock;
#[cfg(test)]
mod plans;
mod queries;
mod read;
mod repository;
mod retention;
mod rows;
mod schema;
mod store;
mod thread;
mod transaction;
mod versions;
mod write;

pub use config::{BUSY_TIMEOUT_DEFAULT, CACHE_KIB_DEFAULT, SqliteLockBuilder, SqliteRepositoryBuilder};
pub use error::SqliteError;
pub use lock::SqliteLock;
pub use repository::SqliteRepository;
pub use retention::PURGE_EVENTS_MAX;
/// The driver, in the version that this adapter uses: for reading its files in the host's own way.
pub use rusqlite;
pub use thread::CALLS_MAX;
