use rusqlite::{Connection, OptionalExtension, TransactionBehavior};

use super::connection::{self, IfAbsent, Options, describe};
use super::error::SqliteError;

/// The random id of a file: tells it from every other one that may stand at the same path one day.
pub(super) type FileId = [u8; 16];

/// The tables of one file, as this version of the crate knows them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Schema {
    /// The table that holds the versions.
    version_table: &'static str,
    /// Creates everything in an empty file.
    pub(super) sql: &'static str,
    /// The version that `sql` makes.
    version: i64,
}

/// The tables of the repository.
///
/// Until the crate's first release version 1 is what `sql` says, and nobody looks after a file that was made before: a
/// statement that names an index such a file lacks fails. From then on whatever changes the tables changes the version.
pub(super) const STORE: Schema = Schema { version_table: "store", sql: include_str!("schema.sql"), version: 1 };

/// The tables of the lock.
pub(super) const LEASES: Schema = Schema { version_table: "lease_store", sql: include_str!("lease.sql"), version: 1 };

/// The row of the version table.
#[derive(Debug)]
struct Versions {
    version: i64,
    /// The least version that may use the tables.
    compatible_with: i64,
    file_id: FileId,
}

/// What is in a file.
#[derive(Debug)]
enum Content {
    Nothing,
    Ours(Versions),
    /// Tables, but none of ours.
    Foreign,
}

impl Schema {
    /// Opens the file, and makes it and its tables if there are none. Several processes may do this at once.
    pub(super) fn open(&self, options: &Options) -> Result<(Connection, FileId), SqliteError> {
        let mut connection = connection::connect(options, IfAbsent::Create)?;
        // Before anything about the file is changed: it may be another program's.
        self.recognize(&connection, options)?;
        connection::configure(&connection, options)?;
        let file = self.install(&mut connection, options)?;
        Ok((connection, file))
    }

    /// Opens the file again after a failure. It must be there still, and be the same one: another one at the same path
    /// knows nothing of what was sold.
    pub(super) fn reopen(&self, options: &Options, file: &FileId) -> Result<Connection, SqliteError> {
        let connection = connection::connect(options, IfAbsent::Fail)?;
        match self.recognize(&connection, options)? {
            Some(found) if found == *file => {
                connection::configure(&connection, options)?;
                Ok(connection)
            }
            _ => Err(SqliteError::AnotherFile { path: options.path.clone() }),
        }
    }

    /// Creates the tables if there are none. The process that gets the write lock first does it.
    pub(super) fn install(&self, connection: &mut Connection, options: &Options) -> Result<FileId, SqliteError> {
        let broken = |error| broken(error, options);
        if let Some(file) = self.recognize(connection, options)? {
            return Ok(file);
        }
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(broken)?;
        if self.recognize(&transaction, options)?.is_none() {
            transaction.execute_batch(self.sql).map_err(broken)?;
        }
        let installed = self.recognize(&transaction, options)?;
        transaction.commit().map_err(broken)?;
        installed.ok_or_else(|| broken(rusqlite::Error::QueryReturnedNoRows))
    }

    /// The file's id; `None` while it is empty. Refuses tables of other programs, and of versions of this one that are
    /// too new.
    fn recognize(&self, connection: &Connection, options: &Options) -> Result<Option<FileId>, SqliteError> {
        match self.content(connection).map_err(|error| broken(error, options))? {
            Content::Nothing => Ok(None),
            Content::Foreign => Err(SqliteError::ForeignFile { path: options.path.clone(), table: self.version_table }),
            Content::Ours(found) if found.compatible_with <= self.version => Ok(Some(found.file_id)),
            Content::Ours(found) => Err(SqliteError::NewerSchema {
                found: found.version,
                needed: found.compatible_with,
                known: self.version,
            }),
        }
    }

    fn content(&self, connection: &Connection) -> rusqlite::Result<Content> {
        // Asked of the file itself: what the connection knows of the schema may be older than the transaction.
        let count = "SELECT count(*), count(*) FILTER (WHERE type = 'table' AND name = ?1) FROM sqlite_schema
                     WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\'";
        match connection.query_row(count, [self.version_table], |row| Ok((row.get(0)?, row.get(1)?)))? {
            (0, _) => return Ok(Content::Nothing),
            (_, 0) => return Ok(Content::Foreign),
            (1_i64.., 1_i64..) => {}
            _ => return Err(rusqlite::Error::QueryReturnedNoRows),
        }
        let select = format!("SELECT schema_version, compatible_with, file_id FROM {}", self.version_table);
        let found = connection.query_row(&select, [], |row| {
            Ok(Versions { version: row.get(0)?, compatible_with: row.get(1)?, file_id: row.get(2)? })
        });
        // A table without its row was not made by `sql`, which is committed as one.
        found.optional()?.map(Content::Ours).ok_or(rusqlite::Error::QueryReturnedNoRows)
    }
}

fn broken(error: rusqlite::Error, options: &Options) -> SqliteError {
    match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::Unknown) | None => SqliteError::Schema(error.into()),
        Some(_) => describe(error, &options.path),
    }
}

#[cfg(test)]
mod tests {
    use super::super::store::testing;
    use super::*;

    fn options(folder: &tempfile::TempDir) -> Options {
        testing::session(folder).options
    }

    #[test]
    fn the_same_file_is_opened_again() {
        let folder = tempfile::tempdir().unwrap();
        let (connection, file) = STORE.open(&options(&folder)).unwrap();
        drop(connection);
        STORE.reopen(&options(&folder), &file).unwrap();
    }

    #[test]
    fn a_file_that_is_gone_is_not_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let options = options(&folder);
        let (connection, file) = STORE.open(&options).unwrap();
        drop(connection);
        std::fs::remove_file(&options.path).unwrap();
        STORE.reopen(&options, &file).unwrap_err();
        assert!(!options.path.exists());
        // An empty one in its place is no better.
        std::fs::write(&options.path, "").unwrap();
        assert!(matches!(STORE.reopen(&options, &file), Err(SqliteError::AnotherFile { .. })));
        assert_eq!(std::fs::read(&options.path).unwrap(), b"");
    }

    #[test]
    fn another_store_at_the_same_path_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (connection, file) = STORE.open(&options(&folder)).unwrap();
        drop(connection);
        std::fs::remove_file(&options(&folder).path).unwrap();
        let (_other, other) = STORE.open(&options(&folder)).unwrap();
        assert_ne!(file, other);
        assert!(matches!(STORE.reopen(&options(&folder), &file), Err(SqliteError::AnotherFile { .. })));
    }

    #[test]
    fn the_version_in_the_sql_is_the_one_this_program_knows() {
        for schema in [STORE, LEASES] {
            let connection = Connection::open_in_memory().unwrap();
            connection.execute_batch(schema.sql).unwrap();
            let Content::Ours(found) = schema.content(&connection).unwrap() else { panic!("{schema:?}") };
            assert_eq!(found.version, schema.version);
        }
    }
}
