//! The suites that every adapter must pass, for the tests of third-party adapters too.
//!
//! One call runs a suite and answers with a [`Report`], a line for each case. Every case gets a fresh store. A case that
//! panics or does not end has failed; a case is skipped only because of something that the adapter declares.
//!
//! The suites fight over a small inventory, and over one lock, from several operating-system processes; the one for
//! repositories without a lock, because a lock that works hides what a store does wrong. A [`Runner`] is the `main` of a
//! test program that is both: the suites, and the processes that they start. This is the whole test file of a repository
//! (`harness = false` in its `[[test]]` section):
//!
//! ```no_run
//! # mod mine {
//! #     pub use ticket_reservation::adapters::memory::MemoryRepository;
//! #     use std::{sync::Arc, time::{Duration, Instant}};
//! #     use ticket_reservation::{adapters::SystemClock, domain::Timestamp, ports::{BoxFuture, Clock, Runtime}};
//! #     #[derive(Debug)]
//! #     struct Smol;
//! #     impl Clock for Smol {
//! #         fn now(&self) -> Instant { Instant::now() }
//! #         fn unix_time(&self) -> Timestamp { SystemClock.unix_time() }
//! #     }
//! #     impl Runtime for Smol {
//! #         fn sleep(&self, time: Duration) -> BoxFuture<'static, ()> {
//! #             Box::pin(async move { drop(smol::Timer::after(time).await) })
//! #         }
//! #         fn spawn(&self, task: BoxFuture<'static, ()>) { smol::spawn(task).detach() }
//! #         fn random(&self) -> u64 { rand::random() }
//! #     }
//! #     pub fn new_folder() -> std::io::Result<std::path::PathBuf> { Ok(std::env::temp_dir()) }
//! #     pub fn open(path: &std::ffi::OsStr) -> std::io::Result<MemoryRepository> { Ok(MemoryRepository::new()) }
//! #     pub fn runtime() -> Arc<dyn Runtime> { Arc::new(Smol) }
//! # }
//! use std::{ffi::OsStr, path::PathBuf, process::{Command, ExitCode}, sync::Arc};
//!
//! use async_trait::async_trait;
//! use ticket_reservation::conformance::{HarnessError, RepositoryHarness, Runner, Store, this_program};
//! use ticket_reservation::ports::{Repository, Runtime};
//!
//! struct Harness(Arc<dyn Runtime>);
//! struct Folder(PathBuf);
//!
//! #[async_trait]
//! impl RepositoryHarness for Harness {
//!     async fn fresh(&self) -> Result<Box<dyn Store>, HarnessError> {
//!         Ok(Box::new(Folder(mine::new_folder()?)))
//!     }
//!     async fn join(&self, path: &OsStr) -> Result<Arc<dyn Repository>, HarnessError> {
//!         Ok(Arc::new(mine::open(path)?)) // in another process
//!     }
//!     fn runtime(&self) -> Arc<dyn Runtime> {
//!         Arc::clone(&self.0)
//!     }
//! }
//!
//! #[async_trait]
//! impl Store for Folder {
//!     async fn open(&self) -> Result<Arc<dyn Repository>, HarnessError> {
//!         Ok(Arc::new(mine::open(self.0.as_os_str())?))
//!     }
//!     fn worker(&self) -> Option<Command> {
//!         Some(this_program(&self.0)) // `None` for a store that lives in one process
//!     }
//! }
//!
//! fn main() -> ExitCode {
//!     Runner::new().repository("mine", Harness(mine::runtime())).skips_nothing().run()
//! }
//! ```
//!
//! A lock's looks the same, with [`LockHarness`], [`LockSpace`] and [`Runner::lock`]. Without a runner, in a test of
//! libtest's, the one call is [`repository()`] or [`lock()`]:
//!
//! ```no_run
//! # use ticket_reservation::adapters::memory::MemoryLock;
//! use std::{process::Command, sync::Arc};
//!
//! use async_trait::async_trait;
//! use ticket_reservation::conformance::{self, HarnessError, LockHarness, LockSpace};
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
//! }
//!
//! #[async_trait]
//! impl LockSpace for Locks {
//!     async fn open(&self) -> Result<Arc<dyn Lock>, HarnessError> {
//!         Ok(Arc::new(self.0.clone()))
//!     }
//!     fn worker(&self) -> Option<Command> {
//!         None // these locks live in one process
//!     }
//! }
//!
//! # async fn run(runtime: Arc<dyn Runtime>) {
//! let report = conformance::lock(Harness(runtime)).await;
//! println!("{report}");
//! report.assert_passed();
//! # }
//! ```
//!
//! Its processes are started with [`Store::worker`] and [`LockSpace::worker`] all the same; such a process opens the store
//! or the locks and calls [`worker()`] or [`lock_worker()`].
//!
//! The cases `differential::…` compare a store with the rules alone: the same random commands go to the store, through the
//! service, and to [`decide`](crate::domain::decide()) on a map of records. They are decided at a time of the case's own,
//! days behind the store's clock, so that deadlines pass at once; what the store lists by its own clock is compared too.
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
mod check;
mod common;
mod contest;
mod fixtures;
mod handles;
mod harness;
mod listing;
mod lock;
mod patient;
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

pub use harness::{HarnessError, LockHarness, LockSpace, RepositoryHarness, Store};
pub use lock::{lock, lock_cases, lock_with};
pub use report::{CaseReport, Report, Verdict};
pub use repository::{repository, repository_cases, repository_with};
pub use runner::Runner;
pub use settings::{SEED, Settings};
pub use worker::{WORKER_JOB, WorkerError, is_worker, lock_worker, this_program, worker};
