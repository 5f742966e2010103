//! Reads a SQLite store with statements of the audit's own, over a connection that cannot write.
//!
//! Nothing of the crate but its driver is used: the columns of the tables are the contract, and a program that knows
//! only them comes to the same verdict.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use ticket_reservation::adapters::sqlite::rusqlite::types::Type;
use ticket_reservation::adapters::sqlite::rusqlite::{self, Connection, OpenFlags};
use uuid::Uuid;

use super::super::books::*;
use super::super::lines::Lines;
use crate::failure::Failure;
use crate::sale::Sale;
use crate::stores;

/// How long others may keep the file to themselves.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

type Columns<'r> = rusqlite::Row<'r>;
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
    let lines = lines(&connection, event)?;
    let (event_row, feed) = match event_and_feed(&connection, event)? {
        Some((row, feed)) => (Some(row), Some(feed)),
        None => (None, None),
    };
    Ok(Books {
        event: event_row,
        feed,
        tickets: table(&connection, TICKETS, event, |row| Ok((row.get("ticket_id")?, versioned(row, ticket)?)))?,
        pools: table(&connection, POOLS, event, |row| Ok((row.get("pool_id")?, versioned(row, pool)?)))?,
        allowances: table(&connection, ALLOWANCES, event, |row| {
            Ok((row.get("customer_id")?, versioned(row, allowance)?))
        })?,
        reservations: table(&connection, RESERVATIONS, event, |row| {
            let id = id(row, "reservation_id")?;
            let lines = lines.get(&id).map(|lines| lines_of_rows(lines)).unwrap_or_default();
            Ok((id, versioned(row, |row| reservation(row, lines))?))
        })?,
        operations: table(&connection, OPERATIONS, event, |row| Ok((id(row, "operation_id")?, operation(row)?)))?,
        changes: rows(&connection, CHANGES, event, change)?,
        lines,
    })
}

const EVENT: &str = "SELECT version, decided_at, state, opens_at, closes_at, limit_per_customer,
        change_sequence, changes_purged_through
    FROM event WHERE event_id = ?1";
const TICKETS: &str = "SELECT ticket_id, version, decided_at, area_id, row_rank, place_number, state,
        reservation_id, held_until, block_reason
    FROM ticket WHERE event_id = ?1";
const POOLS: &str = "SELECT pool_id, version, decided_at, capacity, held, booked FROM pool WHERE event_id = ?1";
const ALLOWANCES: &str = "SELECT customer_id, version, decided_at, held, booked
    FROM allowance WHERE event_id = ?1";
const RESERVATIONS: &str = "SELECT reservation_id, version, decided_at, customer_id, state, held_until, held_at
    FROM reservation WHERE event_id = ?1";
/// Also those that only one of their event and their reservation knows.
const LINES: &str = "SELECT reservation_id, line, event_id, ticket_id, pool_id, quantity, held_until
    FROM reservation_line
    WHERE event_id = ?1 OR reservation_id IN (SELECT reservation_id FROM reservation WHERE event_id = ?1)
    ORDER BY reservation_id, line";
const OPERATIONS: &str = "SELECT operation_id, kind, reservation_id, customer_id, decided_at
    FROM operation WHERE event_id = ?1";
const CHANGES: &str = "SELECT sequence, version, decided_at, kind, state, ticket_id, pool_id, customer_id,
        reservation_id, held_until, held_at, lines, area_id, row_rank, place_number, block_reason, capacity,
        held, booked, opens_at, closes_at, limit_per_customer
    FROM change WHERE event_id = ?1 ORDER BY sequence";

fn rows<T>(connection: &Connection, sql: &str, event: &str, read: impl FnMut(&Columns<'_>) -> Read<T>) -> Read<Vec<T>> {
    connection.prepare(sql)?.query_map([event], read)?.collect()
}

fn table<K: Ord, T>(
    connection: &Connection,
    sql: &str,
    event: &str,
    read: impl FnMut(&Columns<'_>) -> Read<(K, T)>,
) -> Read<BTreeMap<K, T>> {
    connection.prepare(sql)?.query_map([event], read)?.collect()
}

fn event_and_feed(connection: &Connection, id: &str) -> Read<Option<(Row<Event>, FeedCounters)>> {
    let counters = |row: &Columns<'_>| -> Read<FeedCounters> {
        Ok(FeedCounters { last: row.get("change_sequence")?, purged_through: row.get("changes_purged_through")? })
    };
    Ok(rows(connection, EVENT, id, |row| Ok((versioned(row, event)?, counters(row)?)))?.pop())
}

fn lines(connection: &Connection, event: &str) -> Read<BTreeMap<Uuid, Vec<Line>>> {
    let mut lines: BTreeMap<Uuid, Vec<Line>> = BTreeMap::new();
    for (reservation, line) in rows(connection, LINES, event, |row| Ok((id(row, "reservation_id")?, line(row)?)))? {
        lines.entry(reservation).or_default().push(line);
    }
    Ok(lines)
}

// ---- one row of a table, or of the feed, which has the same columns

fn versioned<T>(row: &Columns<'_>, content: impl FnOnce(&Columns<'_>) -> Read<T>) -> Read<Row<T>> {
    Ok(Row { version: row.get("version")?, decided_at: row.get("decided_at")?, content: content(row)? })
}

fn event(row: &Columns<'_>) -> Read<Event> {
    Ok(Event {
        state: row.get("state")?,
        opens_at: row.get("opens_at")?,
        closes_at: row.get("closes_at")?,
        limit_per_customer: row.get("limit_per_customer")?,
    })
}

fn ticket(row: &Columns<'_>) -> Read<Ticket> {
    let place = Place { area: row.get("area_id")?, row: row.get("row_rank")?, number: row.get("place_number")? };
    let owner = optional_id(row, "reservation_id")?;
    let state = TicketState::of(row.get("state")?, owner, row.get("held_until")?, row.get("block_reason")?);
    Ok(Ticket { place, state })
}

fn pool(row: &Columns<'_>) -> Read<Pool> {
    Ok(Pool { capacity: row.get("capacity")?, held: row.get("held")?, booked: row.get("booked")? })
}

fn allowance(row: &Columns<'_>) -> Read<Allowance> {
    Ok(Allowance { held: row.get("held")?, booked: row.get("booked")? })
}

fn reservation(row: &Columns<'_>, lines: Lines) -> Read<Reservation> {
    Ok(Reservation {
        customer: row.get("customer_id")?,
        state: ReservationState::of(row.get("state")?, row.get("held_until")?),
        held_at: row.get("held_at")?,
        lines,
    })
}

fn line(row: &Columns<'_>) -> Read<Line> {
    Ok(Line {
        number: row.get("line")?,
        event: row.get("event_id")?,
        ticket: row.get("ticket_id")?,
        pool: row.get("pool_id")?,
        quantity: row.get("quantity")?,
        held_until: row.get("held_until")?,
    })
}

fn operation(row: &Columns<'_>) -> Read<Operation> {
    Ok(Operation {
        kind: row.get("kind")?,
        reservation: optional_id(row, "reservation_id")?,
        customer: row.get("customer_id")?,
        decided_at: row.get("decided_at")?,
    })
}

fn change(row: &Columns<'_>) -> Read<Change> {
    let kind: String = row.get("kind")?;
    let record = match kind.as_str() {
        "event" => Record::Event(versioned(row, event)?),
        "ticket" => Record::Ticket(row.get("ticket_id")?, versioned(row, ticket)?),
        "pool" => Record::Pool(row.get("pool_id")?, versioned(row, pool)?),
        "allowance" => Record::Allowance(row.get("customer_id")?, versioned(row, allowance)?),
        "reservation" => {
            let lines = lines_of_text(row)?;
            Record::Reservation(id(row, "reservation_id")?, versioned(row, |row| reservation(row, lines))?)
        }
        _ => Record::Odd(kind),
    };
    Ok(Change { sequence: row.get("sequence")?, record })
}

fn lines_of_rows(rows: &[Line]) -> Lines {
    let tickets = rows.iter().filter_map(|line| line.ticket.clone()).collect();
    let pools = rows.iter().filter_map(|line| Some((line.pool.clone()?, line.quantity))).collect();
    Lines::new(tickets, pools)
}

/// The feed has the lines of a reservation as `{"tickets":[id, ...],"pools":{id:quantity, ...}}`.
fn lines_of_text(row: &Columns<'_>) -> Read<Lines> {
    #[derive(Deserialize)]
    struct Text {
        tickets: Vec<String>,
        pools: BTreeMap<String, i64>,
    }
    let text: String = row.get("lines")?;
    let lines: Text = serde_json::from_str(&text).map_err(|error| {
        let error = io::Error::new(ErrorKind::InvalidData, format!("the lines {text:?}: {error}"));
        rusqlite::Error::FromSqlConversionFailure(0, Type::Text, Box::new(error))
    })?;
    Ok(Lines::new(lines.tickets, lines.pools.into_iter().collect()))
}

fn id(row: &Columns<'_>, column: &str) -> Read<Uuid> {
    row.get(column).map(Uuid::from_bytes)
}

fn optional_id(row: &Columns<'_>, column: &str) -> Read<Option<Uuid>> {
    let bytes: Option<[u8; 16]> = row.get(column)?;
    Ok(bytes.map(Uuid::from_bytes))
}
