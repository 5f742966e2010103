use std::sync::{Arc, OnceLock};

use rusqlite::Connection;

use super::busy::Patience;
use super::checkpoint::Checkpoints;
use super::connection::Options;
use super::error::SqliteError;
use super::feed::Feed;
use super::read::Reads;
use super::schema::{self, FileId};
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
    /// The last event, in order of the ids, that a purge step is done with. Empty before the first one.
    pub(super) purged_last: String,
    checkpoints: Checkpoints<'c>,
}

/// Queries keep a fourth of what bookings keep in memory.
const QUERIES_CACHE_SHARE: u32 = 4;

/// How the repository's file is opened.
#[derive(Debug)]
pub(super) struct StoreSession {
    pub(super) options: Options,
    pub(super) clock: Arc<dyn Clock>,
    /// The file that was opened first; the only one that is opened again.
    file: Arc<OnceLock<FileId>>,
}

impl StoreSession {
    pub(super) fn new(options: Options, clock: Arc<dyn Clock>) -> Self {
        Self { options, clock, file: Arc::default() }
    }

    /// Another connection to the same file, for queries.
    pub(super) fn for_queries(&self) -> Self {
        let options = Options {
            // A checkpoint of the first connection has less patience for a while.
            patience: Patience::new(self.options.busy_timeout),
            cache_kib: self.options.cache_kib / QUERIES_CACHE_SHARE,
            ..self.options.clone()
        };
        Self { options, clock: Arc::clone(&self.clock), file: Arc::clone(&self.file) }
    }
}

impl Session for StoreSession {
    type Ready<'c> = Store<'c>;

    fn open(&self) -> Result<Connection, SqliteError> {
        if let Some(file) = self.file.get() {
            return schema::STORE.reopen(&self.options, file);
        }
        let (connection, file) = schema::STORE.open(&self.options)?;
        self.file.get_or_init(|| file);
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
            purged_last: String::new(),
            checkpoints: Checkpoints::new(connection, &self.options)?,
        })
    }

    fn tidy_up(store: &mut Store<'_>) {
        if store.transactions.take_committed() {
            store.checkpoints.run_if_due();
        }
    }
}

#[cfg(test)]
pub(super) mod testing {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::domain::Timestamp;

    /// The time of every store of a test.
    pub(in super::super) const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

    #[derive(Debug)]
    struct StoppedClock;

    impl Clock for StoppedClock {
        fn now(&self) -> Instant {
            Instant::now()
        }
        fn unix_time(&self) -> Timestamp {
            NOW
        }
    }

    pub(in super::super) fn session(folder: &tempfile::TempDir) -> StoreSession {
        let busy_timeout = Duration::from_secs(5);
        let options = Options {
            path: folder.path().join("sale.db"),
            busy_timeout,
            patience: Patience::new(busy_timeout),
            durable: false,
            cache_kib: 1_024,
            log_pages_max: 1_000,
        };
        StoreSession::new(options, Arc::new(StoppedClock))
    }
}
