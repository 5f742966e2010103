use std::time::Duration;

use rusqlite::{Connection, Statement};

use super::busy::Patience;
use super::connection::Options;
use super::transaction::prepare;

/// How long a checkpoint waits for other processes' reads, with the write lock in hand. A read that takes longer (of a
/// host's own program, say) puts the rest of the checkpoint off.
const READERS_WAIT_MAX: Duration = Duration::from_millis(10);

/// Moves the log into the database when it has grown.
///
/// SQLite's own automatic checkpoint never waits. With several processes that write all the time, it never gets to the
/// end of the log, so the log is never started anew: it grew by 200 MB/s in a measurement, and slowed down every read.
#[derive(Debug)]
pub(super) struct Checkpoints<'c> {
    size: Statement<'c>,
    restart: Statement<'c>,
    patience: Patience,
    busy_timeout: Duration,
    /// How many pages may wait in the log.
    pages_max: i64,
    /// At which size of the log it is tried again after others were in the way.
    not_before: i64,
}

/// The log, in pages.
#[derive(Debug, Clone, Copy)]
struct Log {
    size: i64,
    moved: i64,
}

impl<'c> Checkpoints<'c> {
    pub(super) fn new(connection: &'c Connection, options: &Options) -> rusqlite::Result<Self> {
        // A checkpoint before this connection may have ended with less.
        options.patience.set(options.busy_timeout);
        Ok(Self {
            size: prepare(connection, "PRAGMA wal_checkpoint(NOOP)")?,
            restart: prepare(connection, "PRAGMA wal_checkpoint(RESTART)")?,
            patience: options.patience.clone(),
            busy_timeout: options.busy_timeout,
            pages_max: i64::from(options.log_pages_max),
            not_before: 0,
        })
    }

    /// Moves the log into the database if it is long. A failure only puts it off: the log is as good a place.
    pub(super) fn run_if_due(&mut self) {
        let Some(log) = read(&mut self.size) else {
            return;
        };
        // Also a log that is moved already is long: only a checkpoint that nobody was in the way of starts it anew.
        if log.size < self.pages_max {
            self.not_before = 0;
            return;
        }
        if log.size < self.not_before {
            return;
        }
        self.patience.set(READERS_WAIT_MAX.min(self.busy_timeout));
        let left = read(&mut self.restart);
        self.patience.set(self.busy_timeout);
        if left.is_none_or(|log| log.moved < log.size) {
            self.not_before = log.size + self.pages_max / 4;
        }
    }
}

fn read(statement: &mut Statement<'_>) -> Option<Log> {
    statement
        .query_row([], |row| Ok((row.get::<_, i64>(0)?, Log { size: row.get(1)?, moved: row.get(2)? })))
        .ok()
        .filter(|(busy, _)| *busy == 0)
        .map(|(_, log)| log)
}

#[cfg(test)]
mod tests {
    use super::super::connection::{IfAbsent, configure, connect};
    use super::*;

    const PAGES_MAX: u32 = 20;

    fn options(folder: &tempfile::TempDir) -> Options {
        let busy_timeout = Duration::from_secs(5);
        Options {
            path: folder.path().join("log.db"),
            busy_timeout,
            patience: Patience::new(busy_timeout),
            durable: false,
            cache_kib: 1_024,
            log_pages_max: PAGES_MAX,
        }
    }

    fn open(options: &Options) -> Connection {
        let connection = connect(options, IfAbsent::Create).unwrap();
        configure(&connection, options).unwrap();
        connection
    }

    /// Appends as many pages to the log as may wait in it.
    fn fill(connection: &Connection) {
        let bytes = 4_096 * i64::from(PAGES_MAX);
        connection.execute("INSERT INTO filling VALUES (randomblob(?1))", [bytes]).unwrap();
    }

    #[test]
    fn a_long_log_is_moved_into_the_database_and_a_short_one_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let options = options(&folder);
        let connection = open(&options);
        connection.execute_batch("CREATE TABLE filling (bytes BLOB)").unwrap();
        let mut checkpoints = Checkpoints::new(&connection, &options).unwrap();
        checkpoints.run_if_due();
        assert_eq!(read(&mut checkpoints.size).unwrap().moved, 0);
        fill(&connection);
        checkpoints.run_if_due();
        let log = read(&mut checkpoints.size).unwrap();
        assert!(log.size >= i64::from(PAGES_MAX) && log.moved == log.size, "{log:?}");
        // The next commit starts the log anew.
        connection.execute_batch("DELETE FROM filling WHERE FALSE; INSERT INTO filling VALUES (x'00')").unwrap();
        assert!(read(&mut checkpoints.size).unwrap().size < i64::from(PAGES_MAX));
    }

    #[test]
    fn a_long_read_of_another_program_puts_it_off_and_does_not_prevent_it_later() {
        let folder = tempfile::tempdir().unwrap();
        let options = options(&folder);
        let connection = open(&options);
        connection.execute_batch("CREATE TABLE filling (bytes BLOB)").unwrap();
        let mut checkpoints = Checkpoints::new(&connection, &options).unwrap();
        let reader = open(&options);
        reader.execute_batch("BEGIN; SELECT count(*) FROM filling").unwrap();
        fill(&connection);
        checkpoints.run_if_due();
        let log = read(&mut checkpoints.size).unwrap();
        assert!(log.moved < log.size, "{log:?}");
        assert!(checkpoints.not_before > log.size);
        reader.execute_batch("ROLLBACK").unwrap();
        checkpoints.run_if_due();
        assert!(read(&mut checkpoints.size).unwrap().moved < log.size, "not tried again before the log has grown");
        fill(&connection);
        checkpoints.run_if_due();
        let log = read(&mut checkpoints.size).unwrap();
        assert_eq!(log.moved, log.size);
    }

    #[test]
    fn a_log_that_was_moved_and_not_started_anew_is_long_still() {
        let folder = tempfile::tempdir().unwrap();
        let options = options(&folder);
        let connection = open(&options);
        connection.execute_batch("CREATE TABLE filling (bytes BLOB)").unwrap();
        let mut checkpoints = Checkpoints::new(&connection, &options).unwrap();
        let writer = open(&options);
        fill(&connection);
        // SQLite moves what it can while another writer is in the way, and leaves the log to grow.
        writer.execute_batch("BEGIN IMMEDIATE").unwrap();
        checkpoints.run_if_due();
        writer.execute_batch("ROLLBACK").unwrap();
        let put_off = read(&mut checkpoints.size).unwrap();
        assert!(put_off.size >= i64::from(PAGES_MAX), "{put_off:?}");
        assert!(checkpoints.not_before > put_off.size);
        connection.execute("INSERT INTO filling VALUES (randomblob(?1))", [4_096 * i64::from(PAGES_MAX / 2)]).unwrap();
        checkpoints.run_if_due();
        connection.execute_batch("INSERT INTO filling VALUES (x'00')").unwrap();
        assert!(read(&mut checkpoints.size).unwrap().size < i64::from(PAGES_MAX));
    }
}
