//! Lists, counts and the change feed.

use tiberius::Row;

use super::error::Fault;
use super::load::LineRows;
use super::pool::Answer;
use super::rows::Columns;
use crate::domain::{EventId, Pool, PoolId, Reservation, ReservationId, Ticket, TicketId};
use crate::ports::{
    AreaAvailability, Availability, Change, PoolAvailability, ReservationFilter, ReservationQuery, Sequence,
};

/// One step of forgetting.
pub(super) const PURGE: &str = "EXEC {schema}.purge_step @P1, @P2, @P3, @P4";

/// Holds of all events, the earliest deadline first.
pub(super) const LAPSED: &str = "SELECT TOP (@P1) N'lapsed' AS kind, CAST(x.event_id AS nvarchar(64)) AS event_id,
        x.reservation_id
    FROM {schema}.reservation AS x WHERE x.held_until IS NOT NULL AND x.held_until <= {now} ORDER BY x.held_until;
    SELECT N'end' AS kind";

/// How much is free.
pub(super) const AVAILABILITY: &str = "EXEC {schema}.availability @P1, @P2";

/// Pools of an event by id.
pub(super) const POOLS: &str = "DECLARE @event nvarchar(64) = @P1, @after nvarchar(64) = @P2;
    SELECT TOP (@P3) N'pool' AS kind, {columns:pool} FROM {schema}.pool AS x
    WHERE x.event_id = {event} AND x.pool_id > {after} ORDER BY x.pool_id;
    SELECT N'end' AS kind";

/// A page of an event's feed, and the last purged position. Rows up to the position that is read first are all committed, and who
/// reads the purged one last knows what may be missing.
pub(super) const CHANGES: &str = "DECLARE @event nvarchar(64) = @P1, @through bigint;
    SELECT @through = e.change_sequence FROM {schema}.event AS e WHERE e.event_id = {event};
    SELECT TOP (@P3) {columns:change} FROM {schema}.change AS x
    WHERE x.event_id = {event} AND x.sequence > @P2 AND x.sequence <= @through ORDER BY x.sequence;
    SET @through = NULL;
    SELECT @through = e.changes_purged_through FROM {schema}.event AS e WHERE e.event_id = {event};
    SELECT N'end' AS kind, COALESCE(@through, 0) AS changes_purged_through";

/// Tickets of an event, or of one area of it, by id.
pub(super) fn tickets_sql(of_area: bool, only_available: bool) -> String {
    format!(
        "DECLARE @event nvarchar(64) = @P1, @after nvarchar(64) = @P2{declared};
        SELECT TOP (@P3) N'ticket' AS kind, {{columns:ticket}} FROM {{schema}}.ticket AS x
        WHERE x.event_id = {{event}} AND x.ticket_id > {{after}} {area} {available} ORDER BY x.ticket_id;
        SELECT N'end' AS kind",
        declared = if of_area { ", @area nvarchar(64) = @P4" } else { "" },
        area = if of_area { "AND x.area_id = {area}" } else { "" },
        available = if only_available {
            "AND (x.state = N'available' OR x.state = N'held' AND x.held_until <= {now})"
        } else {
            ""
        },
    )
}

/// Reservations of an event or of all, of a customer or of all, by id. The parameters are the limit, and then what the query
/// names of: after, event, customer.
pub(super) fn reservations_sql(query: &ReservationQuery) -> String {
    let mut number = 1;
    let mut declared = String::new();
    let mut condition = |is_named: bool, declaration: &str, sql: &'static str| {
        if !is_named {
            return "";
        }
        number += 1;
        declared.push_str(&format!("DECLARE {declaration} = @P{number}; "));
        sql
    };
    let after = condition(query.after.is_some(), "@after_id binary(16)", "AND x.reservation_id > @after_id");
    let event = condition(query.event.is_some(), "@event nvarchar(64)", "AND x.event_id = {event}");
    let customer = condition(query.customer.is_some(), "@customer nvarchar(64)", "AND x.customer_id = {customer}");
    let state = match query.state {
        None => "",
        Some(ReservationFilter::Held) => "AND x.held_until > {now}",
        Some(ReservationFilter::Booked) => "AND x.state = N'booked'",
        Some(ReservationFilter::Released) => "AND x.state = N'released'",
        Some(ReservationFilter::Cancelled) => "AND x.state = N'cancelled'",
        Some(ReservationFilter::Expired) => "AND (x.state = N'expired' OR x.state = N'held' AND x.held_until <= {now})",
    };
    format!(
        "{declared}
        DECLARE @r TABLE (
            reservation_id binary(16) NOT NULL PRIMARY KEY, event_id {{text}} NOT NULL, customer_id {{text}} NOT NULL,
            state {{word}} NOT NULL, held_until bigint NULL, held_at bigint NOT NULL, version bigint NOT NULL,
            decided_at bigint NOT NULL
        );
        INSERT INTO @r (reservation_id, event_id, customer_id, state, held_until, held_at, version, decided_at)
            SELECT TOP (@P1) x.reservation_id, x.event_id, x.customer_id, x.state, x.held_until, x.held_at, x.version,
                x.decided_at
            FROM {{schema}}.reservation AS x WHERE 1 = 1 {after} {event} {customer} {state} ORDER BY x.reservation_id;
        SELECT N'line' AS kind, {{columns:line}}
            FROM @r AS w INNER JOIN {{schema}}.reservation_line AS x ON x.reservation_id = w.reservation_id {{loops}};
        SELECT N'reservation' AS kind, {{columns:reservation}} FROM @r AS x ORDER BY x.reservation_id;
        SELECT N'end' AS kind"
    )
}

pub(super) fn tickets(rows: &[Row]) -> Result<Vec<(TicketId, u64, Ticket)>, Fault> {
    let ticket = |row: Columns<'_>| Ok((row.id("ticket_id")?, row.version()?, row.ticket()?));
    rows.iter().map(Columns::of).map(ticket).collect()
}

pub(super) fn pools(rows: &[Row]) -> Result<Vec<(PoolId, u64, Pool)>, Fault> {
    let pool = |row: Columns<'_>| Ok((row.id("pool_id")?, row.version()?, row.pool()?));
    rows.iter().map(Columns::of).map(pool).collect()
}

pub(super) fn reservations(rows: &[Row]) -> Result<Vec<(u64, Reservation)>, Fault> {
    let mut lines = LineRows::default();
    let mut reservations = Vec::new();
    for row in rows.iter().map(Columns::of) {
        match row.kind()? {
            "line" => lines.add(row)?,
            _ => reservations.push((row.version()?, row.reservation(lines.take(row)?)?)),
        }
    }
    Ok(reservations)
}

pub(super) fn lapsed(rows: &[Row]) -> Result<Vec<(EventId, ReservationId)>, Fault> {
    rows.iter().map(Columns::of).map(|row| Ok((row.id("event_id")?, row.reservation_id()?))).collect()
}

/// The page, or the last purged position if rows after `after` are purged.
pub(super) fn changes(answer: &Answer, after: i64) -> Result<Result<Vec<Change>, Sequence>, Fault> {
    let purged_through: i64 = Columns::of(&answer.end).get("changes_purged_through")?;
    if after < purged_through {
        return Ok(Err(Sequence::try_from(purged_through).unwrap_or_default()));
    }
    answer.rows.iter().map(Columns::of).map(change).collect::<Result<_, Fault>>().map(Ok)
}

fn change(row: Columns<'_>) -> Result<Change, Fault> {
    let (key, record) = match row.kind()? {
        "reservation" => row.record_of_reservation(row.lines()?)?,
        _ => row.record()?,
    };
    let (sequence, decided_at) = (row.unsigned("sequence")?, row.time("decided_at")?);
    Ok(Change { sequence, decided_at, version: row.version()?, key, record })
}

pub(super) fn availability(rows: &[Row]) -> Result<Availability, Fault> {
    let mut availability = Availability::default();
    for row in rows.iter().map(Columns::of) {
        match row.kind()? {
            "begin" => availability.at = row.time("now")?,
            "area" => availability.areas.push(AreaAvailability {
                area: row.id("id")?,
                tickets: row.unsigned("tickets")?,
                available: row.unsigned("available")?,
                held: row.unsigned("held")?,
                booked: row.unsigned("booked")?,
                blocked: row.unsigned("blocked")?,
            }),
            "pool" => availability.pools.push(pool_availability(row)?),
            other => return Err(row.fault(format!("no such kind: {other}"))),
        }
    }
    Ok(availability)
}

fn pool_availability(row: Columns<'_>) -> Result<PoolAvailability, Fault> {
    let Pool { capacity, held, booked } = row.pool()?;
    let held = held.saturating_sub(row.count("lapsed")?);
    let available = capacity.saturating_sub(held).saturating_sub(booked);
    Ok(PoolAvailability { pool: row.id("id")?, capacity, available, held, booked })
}
