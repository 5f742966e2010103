//! Every adapter of this crate against the conformance suites, each case a test of its own.
//!
//! A program without libtest's `main`, because it is also the worker process of the suites. Each adapter's own part is what
//! a third-party adapter's whole test file looks like.

#[cfg(feature = "sqlite")]
use std::ffi::OsStr;
use std::process::{Command, ExitCode};
use std::sync::Arc;

use async_trait::async_trait;
use ticket_reservation::adapters::memory::{MemoryLock, MemoryRepository};
use ticket_reservation::conformance::{HarnessError, LockHarness, LockSpace, RepositoryHarness, Runner, Store};
use ticket_reservation::ports::{Lock, Repository, Runtime};

#[path = "common/runtime.rs"]
mod runtime;
use runtime::TestRuntime;

#[derive(Clone)]
struct Memory(Arc<dyn Runtime>);

struct MemoryStore(MemoryRepository);

#[async_trait]
impl RepositoryHarness for Memory {
    async fn fresh(&self) -> Result<Box<dyn Store>, HarnessError> {
        Ok(Box::new(MemoryStore(MemoryRepository::new())))
    }

    fn runtime(&self) -> Arc<dyn Runtime> {
        Arc::clone(&self.0)
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

struct MemoryLocks(MemoryLock);

#[async_trait]
impl LockHarness for Memory {
    async fn fresh(&self) -> Result<Box<dyn LockSpace>, HarnessError> {
        Ok(Box::new(MemoryLocks(MemoryLock::new(Arc::clone(&self.0)))))
    }

    fn runtime(&self) -> Arc<dyn Runtime> {
        Arc::clone(&self.0)
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

#[cfg(feature = "sqlite")]
mod sqlite {
    use tempfile::TempDir;
    use ticket_reservation::adapters::sqlite::{SqliteLock, SqliteRepository};
    use ticket_reservation::conformance::this_program;

    use super::*;

    #[derive(Clone)]
    pub(super) struct Sqlite(pub(super) Arc<dyn Runtime>);

    /// A folder that goes when the case has ended.
    struct Folder(TempDir, Sqlite);

    #[async_trait]
    impl RepositoryHarness for Sqlite {
        async fn fresh(&self) -> Result<Box<dyn Store>, HarnessError> {
            Ok(Box::new(Folder(tempfile::tempdir()?, self.clone())))
        }

        fn runtime(&self) -> Arc<dyn Runtime> {
            Arc::clone(&self.0)
        }

        async fn join(&self, path: &OsStr) -> Result<Arc<dyn Repository>, HarnessError> {
            Ok(Arc::new(SqliteRepository::builder(path).open()?))
        }
    }

    #[async_trait]
    impl Store for Folder {
        async fn open(&self) -> Result<Arc<dyn Repository>, HarnessError> {
            RepositoryHarness::join(&self.1, self.0.path().join("store.db").as_os_str()).await
        }

        fn worker(&self) -> Option<Command> {
            Some(this_program(self.0.path().join("store.db")))
        }
    }

    #[async_trait]
    impl LockHarness for Sqlite {
        async fn fresh(&self) -> Result<Box<dyn LockSpace>, HarnessError> {
            Ok(Box::new(Folder(tempfile::tempdir()?, self.clone())))
        }

        fn runtime(&self) -> Arc<dyn Runtime> {
            Arc::clone(&self.0)
        }

        async fn join(&self, path: &OsStr) -> Result<Arc<dyn Lock>, HarnessError> {
            Ok(Arc::new(SqliteLock::builder(path, Arc::clone(&self.0)).open()?))
        }
    }

    #[async_trait]
    impl LockSpace for Folder {
        async fn open(&self) -> Result<Arc<dyn Lock>, HarnessError> {
            LockHarness::join(&self.1, self.0.path().join("locks.db").as_os_str()).await
        }

        fn worker(&self) -> Option<Command> {
            Some(this_program(self.0.path().join("locks.db")))
        }
    }
}

fn main() -> ExitCode {
    let tokio = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a tokio runtime");
    let runtime: Arc<dyn Runtime> = {
        let _inside = tokio.enter();
        TestRuntime::current()
    };
    let memory = Memory(Arc::clone(&runtime));
    let runner = Runner::new().repository("memory", memory.clone()).lock("memory", memory);
    #[cfg(feature = "sqlite")]
    let runner = {
        let sqlite = sqlite::Sqlite(Arc::clone(&runtime));
        runner.repository("sqlite", sqlite.clone()).skips_nothing().lock("sqlite", sqlite).skips_nothing()
    };
    runner.run()
}
