//! What an adapter brings to be tested.

use std::process::Command;
use std::sync::Arc;

use async_trait::async_trait;

use crate::ports::{Lock, Repository, Runtime};

/// Makes stores for the [`repository`](super::repository()) suite.
#[async_trait]
pub trait RepositoryHarness: Send + Sync {
    /// A fresh, empty store. Each case gets its own. It MAY panic when there is none to be had: the case fails then.
    async fn fresh(&self) -> Box<dyn Store>;

    /// The runtime that the adapter and the cases run on.
    fn runtime(&self) -> Arc<dyn Runtime>;
}

/// One store, for one case. Dropping it MAY delete the store.
#[async_trait]
pub trait Store: Send + Sync {
    /// Another handle on the same store, sharing as little with the others as one in another process would.
    async fn open(&self) -> Arc<dyn Repository>;

    /// How to start another operating-system process that opens this store and runs [`worker`](super::worker()) on it.
    /// `None` declares the capability *single process*: no other process can open the store.
    ///
    /// The suite adds the environment variable [`WORKER_JOB`](super::WORKER_JOB) and reads the standard output.
    fn worker(&self) -> Option<Command>;
}

/// Makes locks for the [`lock`](super::lock()) suite.
#[async_trait]
pub trait LockHarness: Send + Sync {
    /// A fresh lock space, of which nothing is held. Each case gets its own.
    async fn fresh(&self) -> Box<dyn LockSpace>;

    /// The runtime that the adapter and the cases run on.
    fn runtime(&self) -> Arc<dyn Runtime>;
}

/// One set of locks, for one case.
#[async_trait]
pub trait LockSpace: Send + Sync {
    /// Another handle on the same locks, as another process would have.
    async fn open(&self) -> Arc<dyn Lock>;
}
