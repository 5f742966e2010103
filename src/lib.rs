//! Sell limited inventory in flash sales, from many server processes, without ever selling one place twice.
//!
//! A host embeds a [`BookingService`](booking::BookingService) over a [`Repository`](ports::Repository) (the store,
//! which decides) and a [`Runtime`](ports::Runtime) (its own), and asks it to hold, confirm, release and so on.
//! Requests that wait for the same event are combined: read once, decided in arrival order by the pure rules of the
//! [`domain`], committed once. A [`Lock`](ports::Lock), where one is given, shares out the work between processes;
//! what is sold never depends on it.
//!
//! ```
//! use std::sync::Arc;
//!
//! use ticket_reservation::adapters::memory::MemoryRepository;
//! # #[cfg(feature = "tokio")]
//! use ticket_reservation::adapters::tokio::TokioRuntime;
//! use ticket_reservation::booking::BookingService;
//! use ticket_reservation::domain::{CreateEvent, CustomerId, EventId, Hold, Lines, PoolId};
//!
//! # #[cfg(feature = "tokio")]
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let (store, runtime) = (Arc::new(MemoryRepository::new()), Arc::new(TokioRuntime::current()?));
//!     let service = BookingService::builder(store, runtime).build()?;
//!     let event = EventId::new("gala-2027")?;
//!     let standing = PoolId::new("standing")?;
//!     service.create_event(&event, service.new_operation_id(), CreateEvent::default()).await?;
//!     service.import(&event, vec![], vec![(standing.clone(), 200)]).await?;
//!
//!     let (alice, reservation) = (CustomerId::new("alice")?, service.new_reservation_id());
//!     let hold = Hold::new(reservation, alice.clone(), Lines::merge([], [(standing, 2)])?);
//!     service.hold(&event, service.new_operation_id(), hold).await?;
//!     let booked = service.confirm(&event, service.new_operation_id(), reservation, alice).await?;
//!     assert_eq!(booked.lines.places(), 2);
//!     Ok(())
//! }
//! # #[cfg(not(feature = "tokio"))]
//! # fn main() {}
//! ```
//!
//! # Features
//!
//! None is on by default; each adds to the others, and without any there is no tokio in the tree.
//!
//! | feature | gives |
//! | --- | --- |
//! | (none) | [`domain`], [`ports`], [`booking`], [`locking`], [`adapters::memory`] |
//! | `sqlite` | `adapters::sqlite`: a repository and a lease lock in files shared by the processes of one machine |
//! | `postgres` | `adapters::postgres`: a repository in a PostgreSQL database |
//! | `mssql` | `adapters::mssql`: a repository in a SQL Server database |
//! | `redlock` | `adapters::redlock`: a lock over a majority of independent Redis servers |
//! | `rslock` | `adapters::rslock`: the lock port on a host's own `rslock::LockManager`, over independent Redis servers |
//! | `tokio` | `adapters::tokio`: the runtime port on tokio |
//! | `tracing` | `adapters::tracing`: what happens, as `tracing` events |
//! | `conformance` | `conformance`: the suites that every repository and lock must pass |
//! | `mocks` | `mocks`: a [mockall](https://docs.rs/mockall) mock of every port, for hosts' own tests |
//!
//! Who wants a lock for work of their own finds in [`locking`] a queue in front of any of them, which hands a lease from
//! one waiter to the next.
//!
//! # Three kinds of "no"
//!
//! A business "no" is a [`Rejection`](domain::Rejection), a technical failure a [`StoreError`](ports::StoreError)
//! that changed nothing, and an outcome that is not known is an [`OutcomeUnknown`](booking::OutcomeUnknown):
//! [`resolve`](booking::BookingService::resolve) finds out, and under its [`OperationId`](domain::OperationId) it
//! happens at most once.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]
#![deny(missing_docs)]
#![doc(html_root_url = "https://docs.rs/ticket-reservation")]

#[macro_use]
mod doc_setup;

pub mod adapters;
pub mod booking;
#[cfg(feature = "conformance")]
pub mod conformance;
pub mod domain;
pub mod locking;
#[cfg(feature = "mocks")]
pub mod mocks;
#[cfg(planted_bugs)]
pub mod planted;
#[cfg(all(planted_bugs, not(feature = "simulation")))]
compile_error!("--cfg planted_bugs is for the simulator: it needs the feature simulation");
pub mod ports;
#[cfg(feature = "simulation")]
pub mod simulation;

pub use uuid;

/// The README's example is compiled and run with the other documentation tests.
#[cfg(all(doctest, feature = "tokio"))]
#[doc = include_str!("../README.md")]
struct Readme;

/// So is that of the operations guide.
#[cfg(all(doctest, feature = "tokio"))]
#[doc = include_str!("../docs/OPERATIONS.md")]
struct Operations;

/// That of the Redlock page is compiled; it needs servers to run.
#[cfg(all(doctest, feature = "redlock"))]
#[doc = include_str!("../docs/backends/redlock.md")]
struct RedlockPage;

/// So is that of the SQLite page.
#[cfg(all(doctest, feature = "sqlite"))]
#[doc = include_str!("../docs/backends/sqlite.md")]
struct SqlitePage;

/// And that of the PostgreSQL page.
#[cfg(all(doctest, feature = "postgres"))]
#[doc = include_str!("../docs/backends/postgres.md")]
struct PostgresPage;

/// And that of the SQL Server page.
#[cfg(all(doctest, feature = "mssql"))]
#[doc = include_str!("../docs/backends/mssql.md")]
struct MssqlPage;
