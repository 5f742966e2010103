//! The SQL Server that the environment names. Each store has a schema of its own, which stays: the database is thrown away.

use std::ffi::OsStr;
use std::process::Command;
use std::sync::Arc;

use async_trait::async_trait;
use ticket_reservation::conformance::{HarnessError, RepositoryHarness, Store, this_program};
use ticket_reservation::ports::{Repository, Runtime};

use crate::mssql_server;

#[derive(Clone)]
pub(super) struct Mssql {
    pub(super) connection_string: String,
    pub(super) runtime: Arc<dyn Runtime>,
}

struct Schema(String, Mssql);

#[async_trait]
impl RepositoryHarness for Mssql {
    async fn fresh(&self) -> Result<Box<dyn Store>, HarnessError> {
        Ok(Box::new(Schema(format!("case {:016x}", self.runtime.random()), self.clone())))
    }

    fn runtime(&self) -> Arc<dyn Runtime> {
        Arc::clone(&self.runtime)
    }

    fn counts_on(&self) -> bool {
        true
    }

    async fn join(&self, schema: &OsStr) -> Result<Arc<dyn Repository>, HarnessError> {
        Schema(schema.to_str().ok_or("not UTF-8")?.to_owned(), self.clone()).open().await
    }
}

#[async_trait]
impl Store for Schema {
    async fn open(&self) -> Result<Arc<dyn Repository>, HarnessError> {
        let Self(schema, Mssql { connection_string, runtime }) = self;
        let builder = mssql_server::builder(connection_string, schema, Arc::clone(runtime));
        let repository = builder.pool_size(4).build()?;
        repository.migrate().await?;
        Ok(Arc::new(repository))
    }

    fn worker(&self) -> Option<Command> {
        Some(this_program(&self.0))
    }
}
