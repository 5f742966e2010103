//! One private server for all cases of a process, started when the first one needs it. Each store has a schema of its own.

use std::ffi::OsStr;
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use ticket_reservation::adapters::postgres::PostgresRepository;
use ticket_reservation::conformance::{HarnessError, RepositoryHarness, Store, this_program};
use ticket_reservation::ports::{Repository, Runtime};

use crate::postgres_server::{Durability, PostgresServer};

#[derive(Clone)]
pub(super) struct Postgres {
    server: Arc<Mutex<Option<PostgresServer>>>,
    runtime: Arc<dyn Runtime>,
}

/// A schema and the server's address.
struct Schema {
    name: String,
    url: String,
    runtime: Arc<dyn Runtime>,
}

impl Postgres {
    pub(super) fn new(runtime: &Arc<dyn Runtime>) -> Self {
        Self { server: Arc::default(), runtime: Arc::clone(runtime) }
    }
}

impl Schema {
    async fn open(&self) -> Result<Arc<dyn Repository>, HarnessError> {
        let builder = PostgresRepository::builder(&self.url, Arc::clone(&self.runtime)).schema(&self.name);
        let repository = builder.plain_on_loopback().pool_size(4).build()?;
        repository.migrate().await?;
        Ok(Arc::new(repository))
    }
}

#[async_trait]
impl RepositoryHarness for Postgres {
    async fn fresh(&self) -> Result<Box<dyn Store>, HarnessError> {
        let mut server = self.server.lock().unwrap_or_else(PoisonError::into_inner);
        if server.is_none() {
            *server = Some(PostgresServer::start(Durability::Forgetful)?);
        }
        let url = server.as_ref().map(PostgresServer::url).unwrap_or_default();
        let name = format!("case {:016x}", self.runtime.random());
        Ok(Box::new(Schema { name, url, runtime: Arc::clone(&self.runtime) }))
    }

    fn runtime(&self) -> Arc<dyn Runtime> {
        Arc::clone(&self.runtime)
    }

    fn counts_on(&self) -> bool {
        true
    }

    async fn join(&self, address: &OsStr) -> Result<Arc<dyn Repository>, HarnessError> {
        let (url, name) = address.to_str().and_then(|it| it.split_once('|')).ok_or("no address of a store")?;
        let schema = Schema { name: name.to_owned(), url: url.to_owned(), runtime: Arc::clone(&self.runtime) };
        schema.open().await
    }
}

#[async_trait]
impl Store for Schema {
    async fn open(&self) -> Result<Arc<dyn Repository>, HarnessError> {
        Schema::open(self).await
    }

    fn worker(&self) -> Option<Command> {
        Some(this_program(format!("{}|{}", self.url, self.name)))
    }
}
