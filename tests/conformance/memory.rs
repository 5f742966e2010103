//! What is kept in memory, which no other process can open.

use std::process::Command;
use std::sync::Arc;

use async_trait::async_trait;
use ticket_reservation::adapters::memory::{MemoryLock, MemoryRepository};
use ticket_reservation::conformance::{
    HarnessError, LockCapability, LockHarness, LockSpace, RepositoryCapability, RepositoryHarness, Store,
};
use ticket_reservation::ports::{Lock, Repository, Runtime};

#[derive(Clone)]
pub(super) struct Memory(pub(super) Arc<dyn Runtime>);

struct MemoryStore(MemoryRepository);

#[async_trait]
impl RepositoryHarness for Memory {
    async fn fresh(&self) -> Result<Box<dyn Store>, HarnessError> {
        Ok(Box::new(MemoryStore(MemoryRepository::new())))
    }

    fn runtime(&self) -> Arc<dyn Runtime> {
        Arc::clone(&self.0)
    }

    fn counts_on(&self) -> bool {
        true
    }

    fn lacks(&self) -> &[RepositoryCapability] {
        &[RepositoryCapability::OtherProcesses]
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn open(&self) -> Result<Arc<dyn Repository>, HarnessError> {
        Ok(Arc::new(self.0.clone()))
    }

    fn worker(&self) -> Option<Command> {
        None
    }
}

/// What no single process can do.
pub(super) const PROCESSES: &[&str] = &[
    "processes::many_processes_sell_nothing_twice",
    "processes::a_killed_process_leaves_nothing_half_done",
    "processes::many_processes_open_one_fresh_store_at_once",
];
pub(super) const LOCK_PROCESSES: &[&str] = &[
    "processes::of_many_processes_one_at_a_time_gets_in",
    "processes::a_killed_process_locks_nothing_for_longer_than_its_ttl",
];

struct MemoryLocks(MemoryLock);

#[async_trait]
impl LockHarness for Memory {
    async fn fresh(&self) -> Result<Box<dyn LockSpace>, HarnessError> {
        Ok(Box::new(MemoryLocks(MemoryLock::new(Arc::clone(&self.0)))))
    }

    fn runtime(&self) -> Arc<dyn Runtime> {
        Arc::clone(&self.0)
    }

    fn lacks(&self) -> &[LockCapability] {
        &[LockCapability::OtherProcesses]
    }
}

#[async_trait]
impl LockSpace for MemoryLocks {
    async fn open(&self) -> Result<Arc<dyn Lock>, HarnessError> {
        Ok(Arc::new(self.0.clone()))
    }

    fn worker(&self) -> Option<Command> {
        None
    }
}
