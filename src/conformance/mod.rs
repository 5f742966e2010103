//! The suites that every adapter must pass, for the tests of third-party adapters too.
//!
//! One call runs a suite and answers with a [`Report`], a line for each case. Every case gets a fresh store. A case that
//! panics or does not end has failed; a case is skipped only because of something that the adapter declares.
//!
//! ```no_run
//! # mod mine {
//! #     pub struct Runtime;
//! #     pub use ticket_reservation::adapters::memory::MemoryRepository as MyRepository;
//! # }
//! use std::sync::Arc;
//!
//! use async_trait::async_trait;
//! use ticket_reservation::conformance::{self, RepositoryHarness, Store};
//! use ticket_reservation::ports::{Repository, Runtime};
//!
//! struct Harness(Arc<dyn Runtime>);
//! struct Fresh(mine::MyRepository);
//!
//! #[async_trait]
//! impl RepositoryHarness for Harness {
//!     async fn fresh(&self) -> Box<dyn Store> {
//!         Box::new(Fresh(mine::MyRepository::new()))
//!     }
//!     fn runtime(&self) -> Arc<dyn Runtime> {
//!         Arc::clone(&self.0)
//!     }
//! }
//!
//! #[async_trait]
//! impl Store for Fresh {
//!     async fn open(&self) -> Arc<dyn Repository> {
//!         Arc::new(self.0.clone())
//!     }
//!     fn worker(&self) -> Option<std::process::Command> {
//!         None // this store lives in one process
//!     }
//! }
//!
//! # async fn run(runtime: Arc<dyn Runtime>) {
//! let report = conformance::repository(&Harness(runtime)).await;
//! println!("{report}");
//! report.assert_passed();
//! # }
//! ```
//!
//! The suite for repositories fights over a small inventory from several operating-system processes, without a lock: a
//! lock that works hides what a store does wrong. It starts them with [`Store::worker`]; such a process opens the store
//! and calls [`worker()`].
//!
//! [`faults`] has the wrappers that the cases use, for hosts' own tests.

mod audit;
mod bench;
mod check;
mod contest;
mod fixtures;
mod harness;
mod lock;
mod report;
mod repository;
mod service;
mod suite;
mod tx;
mod worker;

pub mod faults;

pub use harness::{LockHarness, LockSpace, RepositoryHarness, Store};
pub use lock::{lock, lock_cases, lock_where};
pub use report::{CaseReport, Report, Verdict};
pub use repository::{repository, repository_cases, repository_where};
pub use worker::{WORKER_JOB, WorkerError, is_worker, worker};
