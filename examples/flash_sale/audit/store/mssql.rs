//! Reads a SQL Server store with statements of the audit's own, while nobody writes.
//!
//! Nothing of the crate but its driver is used.

use std::collections::BTreeMap;

use ticket_reservation::adapters::mssql::SCHEMA_DEFAULT;
use ticket_reservation::adapters::mssql::tiberius::error::Error;
use ticket_reservation::adapters::mssql::tiberius::{Client, Row};
use tokio::net::TcpStream;
use tokio_util::compat::Compat;
use uuid::Uuid;

use super::super::books::Books;
use super::super::lines::Lines;
use super::tables::{
    self, Columns, allowance, change, counters, line, lines_by_reservation, lines_of_rows, operation, pool,
    reservation, ticket, versioned,
};
use crate::database::Database;
use crate::failure::Failure;

type Read<T> = Result<T, Error>;

// The driver does not know the bytes of UTF-8. `{of}` is the condition that a row is of the event.
const EVENT: &str = "SELECT version, decided_at, state, opens_at, closes_at, limit_per_customer, change_sequence,
        changes_purged_through
    FROM {schema}.event WHERE {of}";
const TICKETS: &str = "SELECT CAST(ticket_id AS nvarchar(64)) AS ticket_id, version, decided_at,
        CAST(area_id AS nvarchar(64)) AS area_id, row_rank, place_number, state, reservation_id, held_until, block_reason
    FROM {schema}.ticket WHERE {of}";
const POOLS: &str = "SELECT CAST(pool_id AS nvarchar(64)) AS pool_id, version, decided_at, capacity, held, booked
    FROM {schema}.pool WHERE {of}";
const ALLOWANCES: &str = "SELECT CAST(customer_id AS nvarchar(64)) AS customer_id, version, decided_at, held, booked
    FROM {schema}.allowance WHERE {of}";
const RESERVATIONS: &str =
    "SELECT reservation_id, version, decided_at, CAST(customer_id AS nvarchar(64)) AS customer_id,
        state, held_until, held_at
    FROM {schema}.reservation WHERE {of}";
/// Also those that only one of their event and their reservation knows.
const LINES: &str = "SELECT reservation_id, line, CAST(event_id AS nvarchar(64)) AS event_id,
        CAST(ticket_id AS nvarchar(64)) AS ticket_id, CAST(pool_id AS nvarchar(64)) AS pool_id, quantity, held_until
    FROM {schema}.reservation_line
    WHERE {of} OR reservation_id IN (SELECT reservation_id FROM {schema}.reservation WHERE {of})
    ORDER BY reservation_id, line";
const OPERATIONS: &str = "SELECT operation_id, kind, reservation_id, customer_id, decided_at
    FROM {schema}.operation WHERE {of}";
const CHANGES: &str = "SELECT sequence, decided_at, version, kind, state, ticket_id, pool_id, customer_id, reservation_id,
        held_until, held_at, tickets, pools, quantities, area_id, row_rank, place_number, block_reason, capacity, held, booked,
        opens_at, closes_at, limit_per_customer
    FROM {schema}.change WHERE {of} ORDER BY sequence";

/// As the ids in the tables are compared.
const OF_EVENT: &str = "CAST(event_id AS nvarchar(64)) COLLATE Latin1_General_100_BIN2 = @P1";

type Connection = Client<Compat<TcpStream>>;

/// Reads the sale's tables.
pub(super) async fn read(database: &Database, event: &str) -> Result<Books, Failure> {
    let mut client = database.connect_to_mssql().await?;
    let failed = |error: Error| Failure::caused("the audit cannot read the store", &error);
    read_all(&mut client, event).await.map_err(failed)
}

async fn read_all(client: &mut Connection, event: &str) -> Read<Books> {
    let lines = rows(client, LINES, event, |row| Ok((row.id("reservation_id")?, line(row)?))).await?;
    let lines = lines_by_reservation(lines);
    let found = rows(client, EVENT, event, |row| Ok((versioned(row, tables::event)?, counters(row)?))).await?.pop();
    let (event_row, feed) = found.unzip();
    let reservations = rows(client, RESERVATIONS, event, |row| {
        let id = row.id("reservation_id")?;
        let lines = lines.get(&id).map(|lines| lines_of_rows(lines)).unwrap_or_default();
        Ok((id, versioned(row, |row| reservation(row, lines))?))
    });
    let reservations = reservations.await?.into_iter().collect();
    let allowances = |row: &Row| Ok((row.text("customer_id")?, versioned(row, allowance)?));
    Ok(Books {
        event: event_row,
        feed,
        tickets: table(client, TICKETS, event, |row| Ok((row.text("ticket_id")?, versioned(row, ticket)?))).await?,
        pools: table(client, POOLS, event, |row| Ok((row.text("pool_id")?, versioned(row, pool)?))).await?,
        allowances: table(client, ALLOWANCES, event, allowances).await?,
        reservations,
        operations: table(client, OPERATIONS, event, |row| Ok((row.id("operation_id")?, operation(row)?))).await?,
        changes: rows(client, CHANGES, event, change).await?,
        lines,
    })
}

async fn rows<T>(client: &mut Connection, sql: &str, event: &str, read: impl FnMut(&Row) -> Read<T>) -> Read<Vec<T>> {
    let sql = sql.replace("{schema}", SCHEMA_DEFAULT).replace("{of}", OF_EVENT);
    client.query(sql, &[&event]).await?.into_first_result().await?.iter().map(read).collect()
}

async fn table<K: Ord, T>(
    client: &mut Connection,
    sql: &str,
    event: &str,
    read: impl FnMut(&Row) -> Read<(K, T)>,
) -> Read<BTreeMap<K, T>> {
    Ok(rows(client, sql, event, read).await?.into_iter().collect())
}

fn missing(column: &str) -> Error {
    Error::Conversion(format!("{column} is null").into())
}

/// A column with a JSON array in it.
fn list<T>(row: &Row, column: &str, read: fn(&str) -> serde_json::Result<Vec<T>>) -> Read<Vec<T>> {
    let Some(text) = row.optional_text(column)? else { return Ok(Vec::new()) };
    read(&text).map_err(|error| Error::Conversion(format!("{column}: {error}").into()))
}

impl Columns for Row {
    type Error = Error;

    fn number(&self, column: &str) -> Read<i64> {
        self.optional_number(column)?.ok_or_else(|| missing(column))
    }

    fn optional_number(&self, column: &str) -> Read<Option<i64>> {
        self.try_get(column)
    }

    fn text(&self, column: &str) -> Read<String> {
        self.optional_text(column)?.ok_or_else(|| missing(column))
    }

    fn optional_text(&self, column: &str) -> Read<Option<String>> {
        Ok(self.try_get::<&str, _>(column)?.map(ToOwned::to_owned))
    }

    fn id(&self, column: &str) -> Read<Uuid> {
        self.optional_id(column)?.ok_or_else(|| missing(column))
    }

    fn optional_id(&self, column: &str) -> Read<Option<Uuid>> {
        let odd = |_| Error::Conversion(format!("{column} is no UUID").into());
        self.try_get::<&[u8], _>(column)?.map(Uuid::from_slice).transpose().map_err(odd)
    }

    /// In three columns, of which none is there where there are no such lines.
    fn lines(&self) -> Read<Lines> {
        let tickets = list(self, "tickets", |text| serde_json::from_str(text))?;
        let pools: Vec<String> = list(self, "pools", |text| serde_json::from_str(text))?;
        let quantities: Vec<i64> = list(self, "quantities", |text| serde_json::from_str(text))?;
        Ok(Lines::new(tickets, pools.into_iter().zip(quantities).collect()))
    }
}
