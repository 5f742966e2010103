use rusqlite::{Connection, OptionalExtension, TransactionBehavior};

use super::error::SqliteError;

/// The tables of one file, as this version of the crate knows them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Schema {
    /// The table that holds the versions.
    pub(super) version_table: &'static str,
    /// Creates everything in an empty file.
    pub(super) install: &'static str,
    /// The version that `install` makes.
    pub(super) version: i64,
    /// The least version that may use what `install` makes.
    pub(super) compatible_with: i64,
}

/// The tables of the repository.
pub(super) const STORE: Schema =
    Schema { version_table: "store", install: include_str!("schema.sql"), version: 1, compatible_with: 1 };

/// The tables of the lock.
pub(super) const LEASES: Schema =
    Schema { version_table: "lease_store", install: include_str!("lease.sql"), version: 1, compatible_with: 1 };

impl Schema {
    /// Creates the tables if there are none, and refuses those of a version that this program must not use. Several
    /// processes may do this at once: the one that gets the write lock first creates them.
    pub(super) fn install(&self, connection: &mut Connection) -> Result<(), SqliteError> {
        if let Some(found) = self.installed(connection).map_err(broken)? {
            return self.check(found);
        }
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(broken)?;
        if let Some(found) = self.installed(&transaction).map_err(broken)? {
            return self.check(found);
        }
        transaction.execute_batch(self.install).map_err(broken)?;
        let insert = format!(
            "INSERT INTO {} (singleton, schema_version, compatible_with) VALUES (1, ?1, ?2)",
            self.version_table
        );
        transaction.execute(&insert, [self.version, self.compatible_with]).map_err(broken)?;
        transaction.commit().map_err(broken)
    }

    /// The version of the tables, and the least version that may use them; `None` while there are none.
    fn installed(&self, connection: &Connection) -> rusqlite::Result<Option<(i64, i64)>> {
        // Asked of the file itself: what the connection knows of the schema may be older than the transaction.
        let exists = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = ?1";
        if connection.query_row(exists, [self.version_table], |row| row.get::<_, i64>(0))? == 0 {
            return Ok(None);
        }
        let select = format!("SELECT schema_version, compatible_with FROM {}", self.version_table);
        let found = connection.query_row(&select, [], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        // A table without its row was not made by `install`, which commits both together.
        found.map(Some).ok_or(rusqlite::Error::QueryReturnedNoRows)
    }

    fn check(&self, (found, needed): (i64, i64)) -> Result<(), SqliteError> {
        if needed <= self.version {
            Ok(())
        } else {
            Err(SqliteError::NewerSchema { found, needed, known: self.version })
        }
    }
}

fn broken(error: rusqlite::Error) -> SqliteError {
    match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked) => {
            SqliteError::Busy(error.into())
        }
        Some(rusqlite::ErrorCode::Unknown) | None => SqliteError::Schema(error.into()),
        Some(_) => SqliteError::Sqlite(error.into()),
    }
}
