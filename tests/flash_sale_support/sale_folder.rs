//! What a sale on SQLite has in its folder, while it goes on and after it.

#![allow(dead_code, reason = "each test file uses its own part")]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use tempfile::TempDir;
use ticket_reservation::adapters::SystemClock;
use ticket_reservation::adapters::sqlite::rusqlite::{Connection, OpenFlags, Result};
use ticket_reservation::ports::Clock;

/// How long somebody may write at the lock's file who is not held up.
const WRITES_WITHIN: Duration = Duration::from_millis(500);

/// Removed with everything in it when a test ends.
pub(crate) struct SaleFolder(TempDir);

impl SaleFolder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    /// Has a sale work in it.
    pub(crate) fn option(&self) -> String {
        format!("--keep {}", self.0.path().display())
    }

    /// How many bookings are in the store. Before its tables are made there is none.
    pub(crate) fn bookings(&self) -> u64 {
        let sql = "SELECT count(*) FROM reservation WHERE state = 'booked'";
        let count = || -> Result<u32> {
            let store = open(self.file("store.db"), OpenFlags::SQLITE_OPEN_READ_ONLY)?;
            store.query_row(sql, [], |row| row.get(0))
        };
        count().unwrap_or_default().into()
    }

    /// The leases that are in the lock's file and not over, and whose they are.
    pub(crate) fn leases(&self) -> BTreeMap<String, String> {
        let read = || -> Result<_> {
            let file = open(self.file("lock.db"), OpenFlags::SQLITE_OPEN_READ_ONLY)?;
            let mut leases = file.prepare("SELECT lock_key, hex(token) FROM lease WHERE expires_at > ?1")?;
            leases.query_map([SystemClock.unix_time().as_micros()], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
        };
        // Before it is made there is none.
        read().unwrap_or_default()
    }

    /// Whether leases can be taken: nobody stands still in the middle of writing one.
    pub(crate) fn lets_take_leases(&self) -> bool {
        let write = || -> Result<()> {
            let file = open(self.file("lock.db"), OpenFlags::SQLITE_OPEN_READ_WRITE)?;
            file.busy_timeout(WRITES_WITHIN)?;
            file.execute_batch("BEGIN IMMEDIATE; ROLLBACK")
        };
        write().is_ok()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

/// Never makes the file: that is for the sale to do.
fn open(file: PathBuf, how: OpenFlags) -> Result<Connection> {
    Connection::open_with_flags(file, how | OpenFlags::SQLITE_OPEN_NO_MUTEX)
}
