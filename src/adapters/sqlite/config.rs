use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::busy::Patience;
use super::connection::Options;
use super::error::SqliteError;
use super::leases::LeaseSession;
use super::lock::SqliteLock;
use super::repository::SqliteRepository;
use super::store::StoreSession;
use crate::adapters::SystemClock;
use crate::ports::{Clock, Runtime};

/// How long a call waits for other processes unless the builder says otherwise.
pub const BUSY_TIMEOUT_DEFAULT: Duration = Duration::from_secs(5);

/// How much of the repository's file is kept in memory unless the builder says otherwise, in KiB.
pub const CACHE_KIB_DEFAULT: u32 = 64 * 1024;

/// How long the log grows before a commit moves it into the database, in pages of 4 KiB.
const LOG_PAGES_MAX: u32 = 8_000;

/// Leases are few and short.
const LEASE_CACHE_KIB: u32 = 2 * 1024;
const LEASE_LOG_PAGES_MAX: u32 = 1_000;

/// A process may change its working directory and opens the file again after a failure: it must be the same one.
fn absolute(path: &Path) -> Result<PathBuf, SqliteError> {
    // SQLite's own name for no file at all: refused where it turns out that it cannot be shared.
    if path == Path::new(":memory:") {
        return Ok(path.to_owned());
    }
    std::path::absolute(path).map_err(|error| SqliteError::Path { path: path.to_owned(), source: error })
}

/// Options of a [`SqliteRepository`].
///
/// Its setters, all at once:
///
/// ```
/// use std::{sync::Arc, time::Duration};
/// use ticket_reservation::adapters::{SystemClock, sqlite::SqliteRepository};
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("sale.db");
/// let repository = SqliteRepository::builder(path)
///     .busy_timeout(Duration::from_secs(2))
///     .cache_kib(16 * 1024)
///     .clock(Arc::new(SystemClock))
///     .open()?;
/// # let _ = repository;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct SqliteRepositoryBuilder {
    path: PathBuf,
    busy_timeout: Duration,
    cache_kib: u32,
    clock: Arc<dyn Clock>,
}

impl SqliteRepositoryBuilder {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, busy_timeout: BUSY_TIMEOUT_DEFAULT, cache_kib: CACHE_KIB_DEFAULT, clock: Arc::new(SystemClock) }
    }

    /// How long a call waits while other processes write, before it fails as transient. Default:
    /// [`BUSY_TIMEOUT_DEFAULT`].
    pub fn busy_timeout(mut self, timeout: Duration) -> Self {
        self.busy_timeout = timeout;
        self
    }

    /// How much of the file is kept in memory, in KiB. Default: [`CACHE_KIB_DEFAULT`].
    pub fn cache_kib(mut self, cache_kib: u32) -> Self {
        self.cache_kib = cache_kib;
        self
    }

    /// The store's clock: the wall clock that all processes share. Default: the operating system's.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Opens the file, creates it and its tables if there are none, and starts the threads.
    ///
    /// This blocks the calling thread: for some milliseconds, and for at most a few times the busy timeout while others
    /// keep the file busy.
    ///
    /// # Errors
    ///
    /// [`SqliteError`] says what is wrong with the file or the library. Nothing of another program is overwritten.
    pub fn open(self) -> Result<SqliteRepository, SqliteError> {
        let options = Options {
            path: absolute(&self.path)?,
            busy_timeout: self.busy_timeout,
            patience: Patience::new(self.busy_timeout),
            durable: true,
            cache_kib: self.cache_kib,
            log_pages_max: LOG_PAGES_MAX,
        };
        SqliteRepository::start(StoreSession::new(options, self.clock))
    }
}

/// Options of a [`SqliteLock`].
///
/// Its setter, in use:
///
/// ```
#[doc = doc_on_sale!()]
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("leases.db");
/// use ticket_reservation::adapters::sqlite::SqliteLock;
///
/// let lock = SqliteLock::builder(path, runtime).busy_timeout(Duration::from_millis(500)).open()?;
/// let attempt = lock.acquire_all(&[LockKey::new("gala")?], Duration::from_secs(2)).await?;
/// assert!(matches!(attempt, Attempt::Granted(_)));
#[doc = doc_end!()]
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct SqliteLockBuilder {
    path: PathBuf,
    busy_timeout: Duration,
    runtime: Arc<dyn Runtime>,
}

impl SqliteLockBuilder {
    pub(super) fn new(path: PathBuf, runtime: Arc<dyn Runtime>) -> Self {
        Self { path, busy_timeout: BUSY_TIMEOUT_DEFAULT, runtime }
    }

    /// How long a call waits while other processes write leases, before it fails. Default: [`BUSY_TIMEOUT_DEFAULT`].
    pub fn busy_timeout(mut self, timeout: Duration) -> Self {
        self.busy_timeout = timeout;
        self
    }

    /// Opens the file, creates it and its tables if there are none, and starts the thread.
    ///
    /// This blocks the calling thread: for some milliseconds, and for at most a few times the busy timeout while others
    /// keep the file busy.
    ///
    /// # Errors
    ///
    /// [`SqliteError`] says what is wrong with the file or the library. Nothing of another program is overwritten.
    pub fn open(self) -> Result<SqliteLock, SqliteError> {
        let options = Options {
            path: absolute(&self.path)?,
            busy_timeout: self.busy_timeout,
            patience: Patience::new(self.busy_timeout),
            durable: false,
            cache_kib: LEASE_CACHE_KIB,
            log_pages_max: LEASE_LOG_PAGES_MAX,
        };
        SqliteLock::start(LeaseSession { options, runtime: self.runtime })
    }
}
