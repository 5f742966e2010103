//! The file: it has this library's tables, without what keeps wrong values out of them.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use ticket_reservation::adapters::sqlite::SqliteRepository;
use ticket_reservation::adapters::sqlite::rusqlite::{Connection, params_from_iter};
use ticket_reservation::domain::Timestamp;
use ticket_reservation::ports::Clock;

use crate::rows::{NOW, Row};

pub(crate) struct File {
    connection: Mutex<Connection>,
    pub(crate) repository: SqliteRepository,
    _folder: tempfile::TempDir,
}

#[derive(Debug)]
struct StoppedClock;

impl Clock for StoppedClock {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn unix_time(&self) -> Timestamp {
        Timestamp::from_micros(NOW)
    }
}

impl File {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("sale.db");
        let connection = Connection::open(&path).expect("a file");
        connection.execute_batch(&tables()).expect("tables");
        let repository = SqliteRepository::builder(&path).clock(Arc::new(StoppedClock)).open().expect("a store");
        let settings = "PRAGMA ignore_check_constraints = ON; PRAGMA foreign_keys = OFF; PRAGMA synchronous = OFF";
        connection.execute_batch(settings).expect("settings");
        Self { connection: Mutex::new(connection), repository, _folder: folder }
    }

    /// These rows and no others.
    pub(crate) fn fill(&self, rows: &[Row]) {
        let mut connection = self.connection.lock().expect("a run that panics is the last");
        let transaction = connection.transaction().expect("a transaction");
        for table in crate::rows::TABLES {
            transaction.execute(&format!("DELETE FROM {}", table.name), []).expect("an empty table");
        }
        transaction.execute("UPDATE store SET operations_purged_before = NULL", []).expect("the row of the store");
        for row in rows.iter().take(crate::rows::ROWS_MAX) {
            let (sql, values) = row.insert();
            let mut statement = transaction.prepare(&sql).expect("a statement");
            // A key without a value, or a blob where the index wants a text: SQLite itself refuses it.
            let _ = statement.execute(params_from_iter(values));
        }
        transaction.commit().expect("rows");
    }
}

/// The tables of the library without their types and conditions.
fn tables() -> String {
    let sql = SqliteRepository::schema_sql();
    let mut tables = sql.replace(") STRICT, WITHOUT ROWID;", ") WITHOUT ROWID;").replace(") STRICT;", ");");
    assert!(!tables.contains("STRICT"), "{tables}");
    for kind in ["TEXT    NOT NULL", "INTEGER NOT NULL", "BLOB    NOT NULL"] {
        assert!(tables.contains(kind), "{kind}");
        tables = tables.replace(kind, kind.trim_end_matches("NOT NULL"));
    }
    tables
}
