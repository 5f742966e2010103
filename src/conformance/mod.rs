//! The suites that every adapter must pass, for the tests of third-party adapters too.
//!
//! One call runs a suite and answers with a [`Report`], a line for each case. Every case gets a fresh store. A case that
//! panics or does not end has failed; a case is skipped only because of something that the adapter declares.
//!
//! The suites fight over a small inventory, and over one lock, from several operating-system processes; the one for
//! repositories without a lock, because a lock that works hides what a store does wrong. A [`Runner`] is the `main` of a
//! test program that is both: the suites, and the processes that they start. This is the whole test file of a repository
//! (`harness = false` in its `[[test]]` section), here of this crate's own in an SQLite file:
//!
//! ```
//! # #[cfg(all(feature = "sqlite", feature = "tokio"))]
//! # mod test_file {
//! use std::{ffi::OsStr, process::{Command, ExitCode}, sync::Arc};
//!
//! use async_trait::async_trait;
//! use tempfile::TempDir;
//! use ticket_reservation::adapters::{sqlite::SqliteRepository, tokio::TokioRuntime};
//! use ticket_reservation::conformance::{HarnessError, RepositoryHarness, Runner, Store, this_program};
//! use ticket_reservation::ports::{Repository, Runtime};
//!
//! struct Harness(Arc<dyn Runtime>);
//! struct Folder(TempDir);
//!
//! #[async_trait]
//! impl RepositoryHarness for Harness {
//!     async fn fresh(&self) -> Result<Box<dyn Store>, HarnessError> {
//!         Ok(Box::new(Folder(tempfile::tempdir()?)))
//!     }
//!     async fn join(&self, path: &OsStr) -> Result<Arc<dyn Repository>, HarnessError> {
//!         Ok(Arc::new(SqliteRepository::builder(path).open()?)) // in another process
//!     }
//!     fn runtime(&self) -> Arc<dyn Runtime> {
//!         Arc::clone(&self.0)
//!     }
//! }
//!
//! #[async_trait]
//! impl Store for Folder {
//!     async fn open(&self) -> Result<Arc<dyn Repository>, HarnessError> {
//!         Ok(Arc::new(SqliteRepository::builder(self.0.path().join("store.db")).open()?))
//!     }
//!     fn worker(&self) -> Option<Command> {
//!         Some(this_program(self.0.path().join("store.db")))
//!     }
//! }
//!
//! # pub
//! fn main() -> ExitCode {
//!     let tokio = tokio::runtime::Runtime::new().expect("a runtime");
//!     let runtime = TokioRuntime::new(tokio.handle().clone());
//!     Runner::new().repository("sqlite", Harness(Arc::new(runtime))).skips_nothing().run()
//! }
//! # }
//! # #[cfg(all(feature = "sqlite", feature = "tokio"))]
//! # fn main() -> std::process::ExitCode { test_file::main() }
//! # #[cfg(not(all(feature = "sqlite", feature = "tokio")))]
//! # fn main() {}
//! ```
//!
//! A lock's looks the same, with [`LockHarness`], [`LockSpace`] and [`Runner::lock`]. Without a runner, in a test of
//! libtest's, the one call is [`repository()`] or [`lock()`]:
//!
//! ```
//! # use ticket_reservation::adapters::memory::MemoryLock;
//! use std::{process::Command, sync::Arc};
//!
//! use async_trait::async_trait;
//! use ticket_reservation::conformance::{self, HarnessError, LockCapability, LockHarness, LockSpace};
//! use ticket_reservation::ports::{Lock, Runtime};
//!
//! struct Harness(Arc<dyn Runtime>);
//! struct Locks(MemoryLock);
//!
//! #[async_trait]
//! impl LockHarness for Harness {
//!     async fn fresh(&self) -> Result<Box<dyn LockSpace>, HarnessError> {
//!         Ok(Box::new(Locks(MemoryLock::new(Arc::clone(&self.0)))))
//!     }
//!     fn runtime(&self) -> Arc<dyn Runtime> {
//!         Arc::clone(&self.0)
//!     }
//!     fn lacks(&self) -> &[LockCapability] {
//!         &[LockCapability::OtherProcesses] // these locks live in one process
//!     }
//! }
//!
//! #[async_trait]
//! impl LockSpace for Locks {
//!     async fn open(&self) -> Result<Arc<dyn Lock>, HarnessError> {
//!         Ok(Arc::new(self.0.clone()))
//!     }
//!     fn worker(&self) -> Option<Command> {
//!         None
//!     }
//! }
//!
//! # #[cfg(feature = "tokio")]
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let runtime = Arc::new(ticket_reservation::adapters::tokio::TokioRuntime::current()?);
//! let report = conformance::lock(Harness(runtime)).await;
//! println!("{report}");
//! report.assert_skips_only(&[
//!     "processes::of_many_processes_one_at_a_time_gets_in",
//!     "processes::a_killed_process_locks_nothing_for_longer_than_its_ttl",
//! ]);
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "tokio"))]
//! # fn main() {}
//! ```
//!
//! What an adapter lacks and need not have, its harness declares: see [`RepositoryCapability`] and [`LockCapability`]. The
//! cases about it are skipped, and the last line of the report names them. A store or a lock of a single process declares
//! that too: what is neither declared nor run has failed. A declaration is the adapter's word, so its test says what may be
//! skipped: [`Runner::skips_only`] or [`Report::assert_skips_only`].
//!
//! Its processes are started with [`Store::worker`] and [`LockSpace::worker`] all the same; such a process opens the store
//! or the locks and calls [`worker()`] or [`lock_worker()`].
//!
//! The cases `differential::…` compare a store with the rules alone: the same random commands go to the store, through the
//! service, and to [`decide`](crate::domain::decide()) on a map of records. They are decided at a time of the case's own,
//! days behind the store's clock, so that deadlines pass at once; what the store lists by its own clock is compared too.
//!
//! A case that fails while somebody sets the machine's clock is run again, twice at most, and the last line of the report names
//! it: leases and holds that are kept by that clock may have ended early.
//!
//! Everything random comes from one seed, which the report names when a case fails. [`Settings::seed`] or the environment
//! variable [`SEED`] sets it.
//!
//! [`faults`] has the wrappers that the cases use, for hosts' own tests.

mod alarm;
mod arguments;
mod audit;
mod bench;
mod block_on;
mod capability;
mod check;
mod clocks;
mod common;
mod contest;
mod fixtures;
mod halting;
mod handles;
mod harness;
mod listing;
mod lock;
mod patient;
mod polled;
mod process;
mod report;
mod repository;
mod runner;
mod service;
mod settings;
mod side_by_side;
mod stepped;
mod suite;
mod tx;
mod worker;

pub mod faults;

pub use capability::{LockCapability, RepositoryCapability};
pub use harness::{HarnessError, LockHarness, LockSpace, RepositoryHarness, Store};
pub use lock::{lock, lock_cases, lock_with};
pub use report::{CaseReport, Report, Verdict};
pub use repository::{repository, repository_cases, repository_with};
pub use runner::Runner;
pub use settings::{SEED, Settings};
pub use worker::{WORKER_JOB, WorkerError, is_worker, lock_worker, this_program, worker};
