//! Faulty stores in memory.

use std::process::Command;
use std::sync::Arc;

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
}

#[async_trait]
impl Store for FaultyStore {
    async fn open(&self) -> Result<Arc<dyn Repository>, HarnessError> {
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
        Ok(Box::new(FaultyStore { inner: MemoryRepository::new(), shared }))
    }

    fn runtime(&self) -> Arc<dyn Runtime> {
        TestRuntime::current()
    }

    fn lacks(&self) -> &[RepositoryCapability] {
        &[RepositoryCapability::OtherProcesses]
    }
}
