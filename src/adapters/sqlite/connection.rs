use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::busy::{Patience, is_busy, retry_while_busy, wait_for_others};
use super::error::SqliteError;

/// The first SQLite version without the WAL-reset bug.
const LIBRARY_VERSION_MIN: i32 = 3_051_003;

/// How a file is opened: again after a failure in the same way.
#[derive(Debug, Clone)]
pub(super) struct Options {
    pub(super) path: PathBuf,
    pub(super) busy_timeout: Duration,
    /// The busy timeout, or less for a while.
    pub(super) patience: Patience,
    /// Whether a commit waits until it is on the disk.
    pub(super) durable: bool,
    pub(super) cache_kib: u32,
    /// How many pages the log may grow by.
    pub(super) log_pages_max: u32,
}

/// What is done about a file that is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum IfAbsent {
    Create,
    Fail,
}

/// Opens the file, and changes nothing about it.
pub(super) fn connect(options: &Options, if_absent: IfAbsent) -> Result<Connection, SqliteError> {
    check_library(rusqlite::version_number())?;
    let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    if if_absent == IfAbsent::Create {
        flags |= OpenFlags::SQLITE_OPEN_CREATE;
    }
    let error = |error| describe(error, &options.path);
    let mut connection = Connection::open_with_flags(&options.path, flags).map_err(error)?;
    wait_for_others(&mut connection, options.patience.clone()).map_err(error)?;
    Ok(connection)
}

/// Switches the file to WAL mode, and sets up the connection.
pub(super) fn configure(connection: &Connection, options: &Options) -> Result<(), SqliteError> {
    switch_to_wal(connection, options)?;
    set_pragmas(connection, options).map_err(|error| describe(error, &options.path))
}

/// Refuses libraries that can corrupt a file with several writers.
fn check_library(version: i32) -> Result<(), SqliteError> {
    if version >= LIBRARY_VERSION_MIN {
        return Ok(());
    }
    let found = format!("{}.{}.{}", version / 1_000_000, version / 1_000 % 1_000, version % 1_000);
    Err(SqliteError::OldLibrary { found })
}

/// Switching needs the file for itself for a moment, and does not ask the busy handler.
fn switch_to_wal(connection: &Connection, options: &Options) -> Result<(), SqliteError> {
    let mode: String = retry_while_busy(options.busy_timeout, || {
        connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))
    })
    .map_err(|error| describe(error, &options.path))?;
    if mode == "wal" { Ok(()) } else { Err(SqliteError::NoWal { path: options.path.clone(), mode }) }
}

fn set_pragmas(connection: &Connection, options: &Options) -> rusqlite::Result<()> {
    connection.pragma_update(None, "synchronous", if options.durable { "FULL" } else { "OFF" })?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "cache_size", -i64::from(options.cache_kib))?;
    // See `Checkpoints`.
    connection.pragma_update_and_check(None, "wal_autocheckpoint", 0, |_| Ok(()))
}

/// The public error for a failure while opening.
pub(super) fn describe(error: rusqlite::Error, path: &Path) -> SqliteError {
    if is_busy(&error) {
        return SqliteError::Busy(error.into());
    }
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => SqliteError::NotADatabase { path: path.to_owned() },
        _ => SqliteError::Sqlite(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_with_the_wal_reset_bug_are_refused_by_name() {
        for version in [3_007_000, 3_045_001, 3_051_002] {
            assert!(matches!(check_library(version), Err(SqliteError::OldLibrary { .. })), "{version}");
        }
        let error = check_library(3_051_002).unwrap_err();
        assert!(error.to_string().contains("3.51.2"), "{error}");
        for version in [3_051_003, 3_052_000, 4_000_000] {
            assert!(check_library(version).is_ok(), "{version}");
        }
    }

    #[test]
    fn only_a_durable_file_waits_for_the_disk() {
        let folder = tempfile::tempdir().unwrap();
        for (durable, expected) in [(true, 2), (false, 0)] {
            let mut options = super::super::store::testing::session(&folder).options;
            options.durable = durable;
            let connection = connect(&options, IfAbsent::Create).unwrap();
            configure(&connection, &options).unwrap();
            let synchronous: i64 = connection.pragma_query_value(None, "synchronous", |row| row.get(0)).unwrap();
            assert_eq!(synchronous, expected);
        }
    }

    #[test]
    fn the_library_in_this_program_is_new_enough() {
        assert!(check_library(rusqlite::version_number()).is_ok());
    }
}
