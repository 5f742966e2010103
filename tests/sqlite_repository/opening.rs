//! Which files are opened, which are refused, and what their schema is.

use std::path::Path;
use std::time::Duration;

use ticket_reservation::adapters::sqlite::rusqlite::Connection;
use ticket_reservation::adapters::sqlite::{SqliteError, SqliteRepository};

use crate::fixture::fixture;

fn open_error(path: &Path) -> SqliteError {
    SqliteRepository::builder(path).busy_timeout(Duration::from_millis(20)).open().unwrap_err()
}

#[test]
fn a_file_that_is_no_database_is_refused_and_left_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("letter.txt");
    let text = "Dear customer, ".repeat(1_000);
    std::fs::write(&path, &text).unwrap();
    let error = open_error(&path);
    assert!(matches!(error, SqliteError::NotADatabase { .. }), "{error:?}");
    assert!(error.to_string().contains("letter.txt"));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
}

#[test]
fn a_schema_that_needs_a_newer_program_is_refused_and_a_compatible_one_is_not() {
    let f = fixture();
    let outside = f.outside();
    outside.execute_batch("UPDATE store SET schema_version = 9, compatible_with = 1").unwrap();
    SqliteRepository::builder(f.path()).open().unwrap();
    outside.execute_batch("UPDATE store SET compatible_with = 2").unwrap();
    let error = open_error(&f.path());
    assert!(matches!(error, SqliteError::NewerSchema { found: 9, needed: 2, known: 1, .. }), "{error:?}");
}

#[test]
fn tables_of_another_program_are_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("other.db");
    let other = Connection::open(&path).unwrap();
    other.execute_batch("CREATE TABLE invoice (title TEXT); INSERT INTO invoice VALUES ('birthday')").unwrap();
    drop(other);
    let before = std::fs::read(&path).unwrap();
    let error = open_error(&path);
    assert!(matches!(error, SqliteError::ForeignFile { .. }), "{error:?}");
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[tokio::test]
async fn a_host_may_have_tables_of_its_own_beside_ours() {
    let f = fixture();
    f.outside().execute_batch("CREATE TABLE invoice (title TEXT)").unwrap();
    SqliteRepository::builder(f.path()).open().unwrap();
}

#[test]
fn a_schema_that_lacks_a_table_is_refused_when_it_is_opened() {
    let f = fixture();
    f.outside().execute_batch("DROP TABLE change").unwrap();
    let error = open_error(&f.path());
    assert!(matches!(error, SqliteError::Schema(_)), "{error:?}");
}

#[test]
fn a_damaged_schema_is_refused() {
    let f = fixture();
    f.outside().execute_batch("DELETE FROM store").unwrap();
    let error = open_error(&f.path());
    assert!(matches!(error, SqliteError::Schema(_)), "{error:?}");
}

#[test]
fn the_schema_can_be_printed() {
    let printed = Connection::open_in_memory().unwrap();
    printed.execute_batch(SqliteRepository::schema_sql()).unwrap();
    for table in ["event", "ticket", "pool", "reservation", "reservation_line", "operation", "change"] {
        assert!(printed.table_exists(None, table).unwrap(), "{table}");
    }
}

#[test]
fn a_folder_that_does_not_exist_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let error = open_error(&folder.path().join("missing").join("sale.db"));
    assert!(matches!(error, SqliteError::Sqlite(_)), "{error:?}");
}

#[test]
fn a_store_in_memory_cannot_be_shared_and_is_refused() {
    let error = open_error(Path::new(":memory:"));
    assert!(matches!(error, SqliteError::NoWal { .. }), "{error:?}");
}

#[test]
fn the_file_is_durable_and_its_tables_are_strict() {
    let f = fixture();
    let outside = f.outside();
    let mode: String = outside.query_row("PRAGMA journal_mode", [], |row| row.get(0)).unwrap();
    assert_eq!(mode, "wal");
    let loose: i64 = outside
        .query_row(
            "SELECT count(*) FROM pragma_table_list WHERE schema = 'main' AND name NOT LIKE 'sqlite_%' AND NOT strict",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(loose, 0);
}
