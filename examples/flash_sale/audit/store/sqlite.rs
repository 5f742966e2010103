//! Reads a SQLite store with statements of the audit's own, over a connection that cannot write.
//!
//! Nothing of the crate but its driver is used.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use ticket_reservation::adapters::sqlite::rusqlite::types::Type;
use ticket_reservation::adapters::sqlite::rusqlite::{self, Connection, OpenFlags};
use uuid::Uuid;

use super::super::books::Books;
use super::super::lines::Lines;
use super::statements::*;
use super::tables::{self, *};
use crate::failure::Failure;
use crate::sale::Sale;
use crate::stores;

/// How long others may keep the file to themselves.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

type Read<T> = rusqlite::Result<T>;

/// Reads the sale's tables. A file that is missing or empty is not made into a store.
pub(super) fn read(sale: &Sale, dir: &Path) -> Result<Books, Failure> {
    let file = stores::file(sale, dir);
    let shown = file.display();
    match fs::metadata(&file) {
        Ok(found) if !found.is_file() => {
            return Err(Failure::usage(format!("the sale's store {shown} is no file")));
        }
        Ok(found) if found.len() == 0 => return Err(Failure::broken(format!("the sale's store {shown} is empty"))),
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(Failure::usage(format!("the sale's store {shown} is gone")));
        }
        Err(error) => return Err(Failure::caused(format!("the sale's store {shown}"), &error)),
    }
    read_all(&file, &sale.event)
        .map_err(|error| Failure::caused(format!("the audit cannot read the store {shown}"), &error))
}

fn read_all(file: &Path, event: &str) -> Read<Books> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(file, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    // Everything as it was at one moment.
    connection.execute_batch("BEGIN")?;
    let lines = rows(&connection, LINES, event, |row| Ok((row.id("reservation_id")?, line(row)?)))?;
    let lines = lines_by_reservation(lines);
    let found = rows(&connection, EVENT, event, |row| Ok((versioned(row, tables::event)?, counters(row)?)))?.pop();
    let (event_row, feed) = found.unzip();
    Ok(Books {
        event: event_row,
        feed,
        tickets: table(&connection, TICKETS, event, |row| Ok((row.text("ticket_id")?, versioned(row, ticket)?)))?,
        pools: table(&connection, POOLS, event, |row| Ok((row.text("pool_id")?, versioned(row, pool)?)))?,
        allowances: table(&connection, ALLOWANCES, event, |row| {
            Ok((row.text("customer_id")?, versioned(row, allowance)?))
        })?,
        reservations: table(&connection, RESERVATIONS, event, |row| {
            let id = row.id("reservation_id")?;
            let lines = lines.get(&id).map(|lines| lines_of_rows(lines)).unwrap_or_default();
            Ok((id, versioned(row, |row| reservation(row, lines))?))
        })?,
        operations: table(&connection, OPERATIONS, event, |row| Ok((row.id("operation_id")?, operation(row)?)))?,
        changes: rows(&connection, CHANGES, event, |row| change(row))?,
        lines,
    })
}

fn rows<T>(
    connection: &Connection,
    sql: &str,
    event: &str,
    read: impl FnMut(&rusqlite::Row<'_>) -> Read<T>,
) -> Read<Vec<T>> {
    connection.prepare(sql)?.query_map([event], read)?.collect()
}

fn table<K: Ord, T>(
    connection: &Connection,
    sql: &str,
    event: &str,
    read: impl FnMut(&rusqlite::Row<'_>) -> Read<(K, T)>,
) -> Read<BTreeMap<K, T>> {
    connection.prepare(sql)?.query_map([event], read)?.collect()
}

impl Columns for rusqlite::Row<'_> {
    type Error = rusqlite::Error;

    fn number(&self, column: &str) -> Read<i64> {
        self.get(column)
    }

    fn optional_number(&self, column: &str) -> Read<Option<i64>> {
        self.get(column)
    }

    fn text(&self, column: &str) -> Read<String> {
        self.get(column)
    }

    fn optional_text(&self, column: &str) -> Read<Option<String>> {
        self.get(column)
    }

    fn id(&self, column: &str) -> Read<Uuid> {
        self.get(column).map(Uuid::from_bytes)
    }

    fn optional_id(&self, column: &str) -> Read<Option<Uuid>> {
        let bytes: Option<[u8; 16]> = self.get(column)?;
        Ok(bytes.map(Uuid::from_bytes))
    }

    /// `{"tickets":[id, ...],"pools":{id:quantity, ...}}`.
    fn lines(&self) -> Read<Lines> {
        #[derive(Deserialize)]
        struct Text {
            tickets: Vec<String>,
            pools: BTreeMap<String, i64>,
        }
        let text: String = self.get("lines")?;
        let lines: Text = serde_json::from_str(&text).map_err(|error| {
            let error = io::Error::new(ErrorKind::InvalidData, format!("the lines {text:?}: {error}"));
            rusqlite::Error::FromSqlConversionFailure(0, Type::Text, Box::new(error))
        })?;
        Ok(Lines::new(lines.tickets, lines.pools.into_iter().collect()))
    }
}
