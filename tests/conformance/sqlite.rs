//! Files of this machine: each store and each lock space has a folder of its own.

use std::ffi::OsStr;
use std::process::Command;
use std::sync::Arc;

use async_trait::async_trait;
use tempfile::TempDir;
use ticket_reservation::adapters::sqlite::{SqliteLock, SqliteRepository};
use ticket_reservation::conformance::{HarnessError, LockHarness, LockSpace, RepositoryHarness, Store, this_program};
use ticket_reservation::ports::{Lock, Repository, Runtime};

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

    fn counts_on(&self) -> bool {
        true
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
