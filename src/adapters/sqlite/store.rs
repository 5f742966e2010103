use std::sync::Arc;

use rusqlite::Connection;

use super::checkpoint::Checkpoints;
use super::connection::{self, Options};
use super::error::SqliteError;
use super::feed::Feed;
use super::read::Reads;
use super::schema;
use super::thread::Session;
use super::transaction::Transactions;
use super::versions::Versions;
use super::write::Writes;
use crate::ports::Clock;

/// The repository's side of the thread: a connection with every statement of its hot path prepared.
#[derive(Debug)]
pub(super) struct Store<'c> {
    pub(super) connection: &'c Connection,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) transactions: Transactions<'c>,
    pub(super) reads: Reads<'c>,
    pub(super) versions: Versions<'c>,
    pub(super) writes: Writes<'c>,
    pub(super) feed: Feed<'c>,
    checkpoints: Checkpoints<'c>,
}

/// How the repository's file is opened.
#[derive(Debug)]
pub(super) struct StoreSession {
    pub(super) options: Options,
    pub(super) clock: Arc<dyn Clock>,
}

impl Session for StoreSession {
    type Ready<'c> = Store<'c>;

    fn open(&self) -> Result<Connection, SqliteError> {
        let mut connection = connection::open(&self.options)?;
        schema::STORE.install(&mut connection)?;
        Ok(connection)
    }

    fn prepare<'c>(&self, connection: &'c Connection) -> rusqlite::Result<Store<'c>> {
        Ok(Store {
            connection,
            clock: Arc::clone(&self.clock),
            transactions: Transactions::new(connection)?,
            reads: Reads::new(connection)?,
            versions: Versions::new(connection)?,
            writes: Writes::new(connection)?,
            feed: Feed::new(connection)?,
            checkpoints: Checkpoints::new(connection, &self.options)?,
        })
    }

    fn tidy_up(store: &mut Store<'_>) {
        if store.transactions.take_committed() {
            store.checkpoints.run_if_due();
        }
    }
}
