//! Faulty stores in memory.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use ticket_reservation::adapters::memory::MemoryRepository;
use ticket_reservation::conformance::{HarnessError, RepositoryCapability, RepositoryHarness, Store};
use ticket_reservation::ports::{Repository, Runtime};

use super::{Faulty, Shared};
use crate::fault::Fault;
use crate::runtime::TestRuntime;

struct FaultyStore {
    inner: MemoryRepository,
    shared: Arc<Shared>,
    installing: AtomicUsize,
    is_installed: AtomicBool,
}

#[async_trait]
impl Store for FaultyStore {
    async fn open(&self) -> Result<Arc<dyn Repository>, HarnessError> {
        if self.shared.fault == Fault::InstallsForFew && !self.is_installed.load(Ordering::SeqCst) {
            let installing = self.installing.fetch_add(1, Ordering::SeqCst) + 1;
            tokio::time::sleep(Duration::from_millis(20)).await;
            self.is_installed.store(true, Ordering::SeqCst);
            if installing > 4 {
                return Err("table event already exists".into());
            }
        }
        Ok(Faulty::new(Arc::new(self.inner.clone()), &self.shared))
    }

    fn worker(&self) -> Option<Command> {
        None
    }
}

/// Makes stores with one fault.
pub(crate) struct Harness {
    pub(crate) fault: Fault,
    pub(crate) meets: bool,
}

#[async_trait]
impl RepositoryHarness for Harness {
    async fn fresh(&self) -> Result<Box<dyn Store>, HarnessError> {
        let shared = Shared::new(self.fault, self.meets);
        Ok(Box::new(FaultyStore {
            inner: MemoryRepository::new(),
            shared,
            installing: AtomicUsize::new(0),
            is_installed: AtomicBool::new(false),
        }))
    }

    fn runtime(&self) -> Arc<dyn Runtime> {
        TestRuntime::current()
    }

    fn lacks(&self) -> &[RepositoryCapability] {
        &[RepositoryCapability::OtherProcesses]
    }
}
