//! Reads a PostgreSQL store with statements of the audit's own, over a connection that cannot write.
//!
//! Nothing of the crate but its driver is used.

use std::collections::BTreeMap;

use ticket_reservation::adapters::postgres::SCHEMA_DEFAULT;
use ticket_reservation::adapters::postgres::tokio_postgres::{self, Client};
use uuid::Uuid;

use super::super::books::Books;
use super::super::lines::Lines;
use super::statements::*;
use super::tables::{self, *};
use crate::database::Database;
use crate::failure::Failure;

type Read<T> = Result<T, tokio_postgres::Error>;

/// A reservation has its lines in columns; the deadline of those of pools stands in what the hold is found by.
const LINES: &str = "SELECT r.reservation_id, l.line, r.event_id, l.ticket_id, l.pool_id, l.quantity, h.held_until
    FROM reservation AS r
    CROSS JOIN LATERAL (
        SELECT t.line, t.id AS ticket_id, NULL AS pool_id, 1::bigint AS quantity
        FROM unnest(r.tickets) WITH ORDINALITY AS t (id, line)
        UNION ALL
        SELECT coalesce(cardinality(r.tickets), 0) + p.line, NULL, p.id, p.quantity
        FROM unnest(r.pools, r.quantities) WITH ORDINALITY AS p (id, quantity, line)
    ) AS l
    LEFT JOIN hold AS h ON h.reservation_id = r.reservation_id AND h.pool_id = l.pool_id
    WHERE r.event_id = $1
    ORDER BY r.reservation_id, l.line";

/// Reads the sale's tables.
pub(super) async fn read(database: &Database, event: &str) -> Result<Books, Failure> {
    let failed = |error: tokio_postgres::Error| Failure::caused("the audit cannot read the store", &error);
    let client = database.connect_to_postgres().await?;
    read_all(&client, event).await.map_err(failed)
}

async fn read_all(client: &Client, event: &str) -> Read<Books> {
    // Everything as it was at one moment.
    client.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
    client.batch_execute(&format!("SET LOCAL search_path = {SCHEMA_DEFAULT}")).await?;
    let lines = rows(client, LINES, event, |row| Ok((row.id("reservation_id")?, line(row)?))).await?;
    let lines = lines_by_reservation(lines);
    let found = rows(client, EVENT, event, |row| Ok((versioned(row, tables::event)?, counters(row)?))).await?.pop();
    let (event_row, feed) = found.unzip();
    let reservations = rows(client, RESERVATIONS, event, |row| {
        let id = row.id("reservation_id")?;
        let lines = lines.get(&id).map(|lines| lines_of_rows(lines)).unwrap_or_default();
        Ok((id, versioned(row, |row| reservation(row, lines))?))
    });
    Ok(Books {
        event: event_row,
        feed,
        tickets: table(client, TICKETS, event, |row| Ok((row.text("ticket_id")?, versioned(row, ticket)?))).await?,
        pools: table(client, POOLS, event, |row| Ok((row.text("pool_id")?, versioned(row, pool)?))).await?,
        allowances: table(client, ALLOWANCES, event, |row| Ok((row.text("customer_id")?, versioned(row, allowance)?)))
            .await?,
        reservations: reservations.await?.into_iter().collect(),
        operations: table(client, OPERATIONS, event, |row| Ok((row.id("operation_id")?, operation(row)?))).await?,
        changes: rows(client, CHANGES, event, change).await?,
        lines,
    })
}

async fn rows<T>(
    client: &Client,
    sql: &str,
    event: &str,
    read: impl FnMut(&tokio_postgres::Row) -> Read<T>,
) -> Read<Vec<T>> {
    client.query(sql, &[&event]).await?.iter().map(read).collect()
}

async fn table<K: Ord, T>(
    client: &Client,
    sql: &str,
    event: &str,
    read: impl FnMut(&tokio_postgres::Row) -> Read<(K, T)>,
) -> Read<BTreeMap<K, T>> {
    Ok(rows(client, sql, event, read).await?.into_iter().collect())
}

impl Columns for tokio_postgres::Row {
    type Error = tokio_postgres::Error;

    fn number(&self, column: &str) -> Read<i64> {
        self.try_get(column)
    }

    fn optional_number(&self, column: &str) -> Read<Option<i64>> {
        self.try_get(column)
    }

    fn text(&self, column: &str) -> Read<String> {
        self.try_get(column)
    }

    fn optional_text(&self, column: &str) -> Read<Option<String>> {
        self.try_get(column)
    }

    fn id(&self, column: &str) -> Read<Uuid> {
        self.try_get(column)
    }

    fn optional_id(&self, column: &str) -> Read<Option<Uuid>> {
        self.try_get(column)
    }

    /// In three columns, of which none is there where there are no such lines.
    fn lines(&self) -> Read<Lines> {
        let tickets: Option<Vec<String>> = self.try_get("tickets")?;
        let pools: Option<Vec<String>> = self.try_get("pools")?;
        let quantities: Option<Vec<i64>> = self.try_get("quantities")?;
        let pools = pools.unwrap_or_default().into_iter().zip(quantities.unwrap_or_default()).collect();
        Ok(Lines::new(tickets.unwrap_or_default(), pools))
    }
}
