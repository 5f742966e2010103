//! What can go wrong, and what is known afterwards.
//!
//! | SQLite says | answer | because |
//! | --- | --- | --- |
//! | `BUSY`, `LOCKED`, `PROTOCOL`, `SCHEMA`, `NOMEM` | `Transient` | another process writes; nothing was changed |
//! | `FULL`, `READONLY`, `PERM`, `CANTOPEN`, `CORRUPT`, `NOTADB` | `Permanent` | someone has to repair something |
//! | `IOERR` before `COMMIT` | `Permanent` | the transaction was rolled back; the connection is opened again |
//! | a violated constraint, a row count that differs | `Permanent` | an invariant is broken: an alarm |
//! | `COMMIT` is `BUSY`, and the transaction is still open | `Transient`, after `ROLLBACK` | it was not applied |
//! | `COMMIT` fails otherwise, or the transaction is gone | `Unknown` | the log may hold it; the connection is opened again |
//! | nothing: too many calls are waiting | `Transient` | the call was not begun |
//! | `CANTOPEN`, `IOERR` when the file is opened again | `Transient` | it may be out of reach for a moment |
//! | the adapter's own code panics | reads `Permanent`, writes `Unknown` | an adapter bug; the connection is opened again |

use std::error::Error as StdError;
use std::path::PathBuf;

use rusqlite::ErrorCode;
use thiserror::Error;

use crate::ports::{LockError, StoreError, StoreErrorKind};

type Source = Box<dyn StdError + Send + Sync>;

/// Why a file could not be opened as a store.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SqliteError {
    /// The SQLite library in this program is older than 3.51.3. Before that version, several writers could corrupt a
    /// database in WAL mode (<https://sqlite.org/wal.html#walresetbug>).
    #[error("SQLite {found} can corrupt a database with several writers, at least 3.51.3 is needed")]
    OldLibrary {
        /// The library's version.
        found: String,
    },
    /// The file is no SQLite database.
    #[error("{} is not an SQLite database", path.display())]
    NotADatabase {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be in WAL mode, which processes need to share it: it is in memory, or on a network file system.
    #[error("{} cannot be switched to WAL mode, its journal mode stays {mode}", path.display())]
    NoWal {
        /// The file.
        path: PathBuf,
        /// The mode it stays in.
        mode: String,
    },
    /// A newer version of this crate wrote the file's schema, and says that this version must not use it.
    #[error("the schema has version {found}, which needs version {needed}, this program knows version {known}")]
    NewerSchema {
        /// The schema's version.
        found: i64,
        /// The least version that may use it.
        needed: i64,
        /// The version of this program.
        known: i64,
    },
    /// The path cannot be made absolute: it is empty, or the working directory is gone.
    #[error("{path:?} is no usable path")]
    Path {
        /// The path.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file has tables, but not this adapter's: it is another program's, or the repository was given the lock's
    /// file or the lock the repository's.
    #[error("{} has tables, and none is {table}: each repository and each lock needs a file of its own", path.display())]
    ForeignFile {
        /// The file.
        path: PathBuf,
        /// The table that every file of its kind has.
        table: &'static str,
    },
    /// After a failure the file had to be opened again, and there is another one now at its path, which knows nothing
    /// of what was sold.
    #[error("{} is not the file that it was: it was replaced while it was in use", path.display())]
    AnotherFile {
        /// The file.
        path: PathBuf,
    },
    /// Some of this adapter's tables are missing, or damaged.
    #[error("the schema cannot be used")]
    Schema(#[source] Source),
    /// Another process kept the file busy for longer than the busy timeout.
    #[error("the file stayed busy for longer than the busy timeout")]
    Busy(#[source] Source),
    /// SQLite or the operating system failed.
    #[error("SQLite failed")]
    Sqlite(#[source] Source),
    /// The thread that owns the connection could not be started.
    #[error("the thread of the connection could not be started")]
    Thread(#[source] std::io::Error),
}

impl SqliteError {
    /// Whether opening the file again may succeed soon: it is busy, or out of reach for a moment.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Busy(_) => true,
            Self::Sqlite(source) => {
                let code = source.downcast_ref::<rusqlite::Error>().and_then(rusqlite::Error::sqlite_error_code);
                matches!(code, Some(ErrorCode::CannotOpen | ErrorCode::SystemIoFailure))
            }
            _ => false,
        }
    }
}

/// Why a call failed.
#[derive(Debug, Error)]
pub(super) enum Fault {
    /// Nothing was changed by this statement.
    #[error("SQLite failed")]
    Sqlite(#[from] rusqlite::Error),
    /// The commit's outcome is not known.
    #[error("the commit failed")]
    Commit(#[source] rusqlite::Error),
    /// A row holds what no commit writes.
    #[error("a row of table {table} holds what this library never writes: {what}")]
    Content { table: &'static str, what: String },
    /// An update met another version than the check before it, in the same transaction.
    #[error("an invariant is broken: {what}")]
    Alarm { what: &'static str },
    /// The connection broke before and cannot be opened again.
    #[error("the store cannot be opened again")]
    Reopen(#[source] SqliteError),
    /// As many calls are waiting for the thread as may.
    #[error("too many calls are waiting")]
    TooManyCalls,
    /// The thread died with the call, or before it.
    #[error("the call was given up because of a bug in the sqlite adapter")]
    GivenUp,
}

impl Fault {
    /// Whether the connection must not be used any more.
    pub(super) fn breaks_connection(&self) -> bool {
        match self {
            Self::Commit(_) => true,
            Self::Sqlite(error) => matches!(
                error.sqlite_error_code(),
                Some(ErrorCode::SystemIoFailure | ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
            ),
            _ => false,
        }
    }

    /// The answer to a call that changes nothing.
    pub(super) fn of_read(self) -> StoreError {
        match self.kind() {
            StoreErrorKind::Transient => StoreError::transient(self),
            _ => StoreError::permanent(self),
        }
    }

    /// The answer to a call that may have changed something.
    pub(super) fn of_write(self) -> StoreError {
        match self.kind() {
            StoreErrorKind::Transient => StoreError::transient(self),
            StoreErrorKind::Unknown => StoreError::unknown(self),
            _ => StoreError::permanent(self),
        }
    }

    fn kind(&self) -> StoreErrorKind {
        match self {
            Self::Sqlite(error) => kind_of(error),
            Self::Commit(_) | Self::GivenUp => StoreErrorKind::Unknown,
            Self::TooManyCalls => StoreErrorKind::Transient,
            Self::Reopen(error) if error.may_pass() => StoreErrorKind::Transient,
            Self::Content { .. } | Self::Alarm { .. } | Self::Reopen(_) => StoreErrorKind::Permanent,
        }
    }
}

impl From<Fault> for LockError {
    fn from(fault: Fault) -> Self {
        Self::new(fault)
    }
}

fn kind_of(error: &rusqlite::Error) -> StoreErrorKind {
    match error.sqlite_error_code() {
        Some(
            ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::FileLockingProtocolFailed
            | ErrorCode::SchemaChanged
            | ErrorCode::OutOfMemory,
        ) => StoreErrorKind::Transient,
        _ => StoreErrorKind::Permanent,
    }
}

/// Whether a failed `COMMIT` may have reached the disk although the transaction is still open.
pub(super) fn may_have_reached_the_disk(error: &rusqlite::Error) -> bool {
    !matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::ConstraintViolation)
    )
}

#[cfg(test)]
mod tests {
    use rusqlite::ffi;

    use super::*;

    fn failure(code: i32) -> rusqlite::Error {
        rusqlite::Error::SqliteFailure(ffi::Error::new(code), None)
    }

    #[test]
    fn busy_is_transient_and_an_io_error_before_the_commit_is_permanent() {
        assert_eq!(Fault::Sqlite(failure(ffi::SQLITE_BUSY)).of_write().kind(), StoreErrorKind::Transient);
        let fault = Fault::Sqlite(failure(ffi::SQLITE_IOERR_READ));
        assert!(fault.breaks_connection());
        assert_eq!(fault.of_write().kind(), StoreErrorKind::Permanent);
        assert_eq!(Fault::Sqlite(failure(ffi::SQLITE_FULL)).of_write().kind(), StoreErrorKind::Permanent);
    }

    #[test]
    fn a_file_that_cannot_be_opened_again_at_the_moment_is_tried_again_and_another_one_is_not() {
        let reopen = |error| Fault::Reopen(error).of_write().kind();
        let sqlite = |code| SqliteError::Sqlite(failure(code).into());
        assert_eq!(reopen(sqlite(ffi::SQLITE_CANTOPEN)), StoreErrorKind::Transient);
        assert_eq!(reopen(sqlite(ffi::SQLITE_IOERR_READ)), StoreErrorKind::Transient);
        assert_eq!(reopen(sqlite(ffi::SQLITE_CORRUPT)), StoreErrorKind::Permanent);
        assert_eq!(reopen(SqliteError::AnotherFile { path: "sale.db".into() }), StoreErrorKind::Permanent);
    }

    #[test]
    fn an_fsync_error_on_commit_is_unknown_and_breaks_the_connection() {
        let error = failure(ffi::SQLITE_IOERR_FSYNC);
        assert!(may_have_reached_the_disk(&error));
        let fault = Fault::Commit(error);
        assert!(fault.breaks_connection());
        assert_eq!(fault.of_write().kind(), StoreErrorKind::Unknown);
    }

    #[test]
    fn a_busy_commit_did_not_reach_the_disk() {
        assert!(!may_have_reached_the_disk(&failure(ffi::SQLITE_BUSY)));
    }

    #[test]
    fn a_read_that_is_given_up_is_never_unknown() {
        assert_eq!(Fault::GivenUp.of_read().kind(), StoreErrorKind::Permanent);
        assert_eq!(Fault::GivenUp.of_write().kind(), StoreErrorKind::Unknown);
    }
}
