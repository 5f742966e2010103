//! Lists, counts and the change feed.

use tokio_postgres::Row;

use super::error::Fault;
use super::rows::{CHANGE, Columns, MORE, POOL, RESERVATION, TICKET};
use crate::domain::{EventId, Pool, PoolId, Reservation, ReservationId, Ticket, TicketId, Timestamp};
use crate::ports::{
    AreaAvailability, Availability, Change, PoolAvailability, ReservationFilter, ReservationQuery, Sequence,
};

/// One step of forgetting.
pub(super) const PURGE: &str = "SELECT operations, changes, done_with FROM {schema}.purge_step($1, $2, $3, $4)";

/// Holds of all events, the earliest deadline first.
pub(super) const LAPSED: &str = "SELECT '', 0::bigint, 0::bigint, x.event_id, x.reservation_id
    FROM {schema}.hold AS x WHERE x.nth = 1 AND x.held_until <= (SELECT {schema}.now_micros())
    ORDER BY x.held_until LIMIT $1";

/// The tickets of each area by what has become of them; then each pool, and how many places of it expired holds still count in.
pub(super) const AVAILABILITY: &str = "WITH clock AS MATERIALIZED (SELECT {schema}.now_micros() AS now)
    SELECT 'clock', clock.now, NULL::bigint, NULL::text, NULL::bigint, NULL::bigint, NULL::bigint FROM clock
    UNION ALL
    (SELECT 'area', count(*), count(*) FILTER (WHERE x.state = 'available' OR x.held_until <= clock.now), x.area_id,
        count(*) FILTER (WHERE x.held_until > clock.now), count(*) FILTER (WHERE x.state = 'booked'),
        count(*) FILTER (WHERE x.state = 'blocked')
    FROM {schema}.ticket AS x CROSS JOIN clock WHERE x.event_id = $1 GROUP BY x.area_id ORDER BY x.area_id)
    UNION ALL
    (SELECT 'pool', x.capacity, x.held, x.pool_id, x.booked,
        (SELECT coalesce(sum(h.quantity), 0)::bigint FROM {schema}.hold AS h
         WHERE h.event_id = x.event_id AND h.pool_id = x.pool_id AND h.held_until <= clock.now), NULL
    FROM {schema}.pool AS x CROSS JOIN clock WHERE x.event_id = $1 ORDER BY x.pool_id)";

/// Tickets of an event, or of one area of it, by id.
pub(super) fn tickets_sql(of_area: bool, only_available: bool) -> String {
    format!(
        "SELECT {TICKET} FROM {{schema}}.ticket AS x
         WHERE x.event_id = $1 AND x.ticket_id > $2 {area} {available} ORDER BY x.ticket_id LIMIT $3",
        area = if of_area { "AND x.area_id = $4" } else { "" },
        available = if only_available {
            "AND (x.state = 'available' OR x.held_until <= (SELECT {schema}.now_micros()))"
        } else {
            ""
        },
    )
}

/// Pools of an event by id.
pub(super) fn pools_sql() -> String {
    format!(
        "SELECT {POOL} FROM {{schema}}.pool AS x WHERE x.event_id = $1 AND x.pool_id > $2 ORDER BY x.pool_id LIMIT $3"
    )
}

/// Reservations of an event or of all, of a customer or of all, by id. The parameters are the limit, and then what the query
/// names of: after, event, customer.
pub(super) fn reservations_sql(query: &ReservationQuery) -> String {
    let mut number = 1;
    let mut condition = |is_named: bool, sql: &str| {
        number += usize::from(is_named);
        if is_named { format!("AND {sql} ${number}") } else { String::new() }
    };
    let after = condition(query.after.is_some(), "x.reservation_id >");
    let event = condition(query.event.is_some(), "x.event_id =");
    let customer = condition(query.customer.is_some(), "x.customer_id =");
    let state = match query.state {
        None => "",
        Some(ReservationFilter::Held) => "AND x.held_until > (SELECT {schema}.now_micros())",
        Some(ReservationFilter::Booked) => "AND x.state = 'booked'",
        Some(ReservationFilter::Released) => "AND x.state = 'released'",
        Some(ReservationFilter::Cancelled) => "AND x.state = 'cancelled'",
        Some(ReservationFilter::Expired) => {
            "AND (x.state = 'expired' OR x.held_until <= (SELECT {schema}.now_micros()))"
        }
    };
    format!(
        "SELECT {RESERVATION} FROM {{schema}}.reservation AS x WHERE true {after} {event} {customer} {state}
         ORDER BY x.reservation_id LIMIT $1"
    )
}

/// The last purged position of an event's feed, and a page of it.
pub(super) fn changes_sql() -> String {
    format!(
        "SELECT {CHANGE}, e.changes_purged_through FROM {{schema}}.event AS e
         LEFT JOIN LATERAL (
             SELECT * FROM {{schema}}.change AS c WHERE c.event_id = e.event_id AND c.sequence > $2
             ORDER BY c.sequence LIMIT $3
         ) AS x ON true
         WHERE e.event_id = $1 ORDER BY x.sequence"
    )
}

pub(super) fn tickets(rows: &[Row]) -> Result<Vec<(TicketId, u64, Ticket)>, Fault> {
    let ticket = |row| {
        let columns = Columns::of(row);
        Ok((columns.id()?, columns.version()?, columns.ticket()?))
    };
    rows.iter().map(ticket).collect()
}

pub(super) fn pools(rows: &[Row]) -> Result<Vec<(PoolId, u64, Pool)>, Fault> {
    let pool = |row| {
        let columns = Columns::of(row);
        Ok((columns.id()?, columns.version()?, columns.pool()?))
    };
    rows.iter().map(pool).collect()
}

pub(super) fn reservations(rows: &[Row]) -> Result<Vec<(u64, Reservation)>, Fault> {
    let reservation = |row| {
        let columns = Columns::of(row);
        Ok((columns.version()?, columns.reservation()?))
    };
    rows.iter().map(reservation).collect()
}

pub(super) fn lapsed(rows: &[Row]) -> Result<Vec<(EventId, ReservationId)>, Fault> {
    let hold = |row| {
        let columns = Columns::of(row);
        Ok((columns.id()?, columns.reservation_id()?))
    };
    rows.iter().map(hold).collect()
}

/// The page, or the last purged position if rows after `after` are purged.
pub(super) fn changes(rows: &[Row], after: i64) -> Result<Result<Vec<Change>, Sequence>, Fault> {
    let Some(first) = rows.first() else { return Ok(Ok(Vec::new())) };
    let purged_through: i64 = Columns::of(first).get(MORE + 1)?;
    if after < purged_through {
        return Ok(Err(Sequence::try_from(purged_through).unwrap_or_default()));
    }
    let mut changes = Vec::new();
    for row in rows {
        let columns = Columns::of(row);
        // An event without a row after that position is one row of nothing.
        if columns.get::<Option<i64>>(MORE)?.is_none() {
            continue;
        }
        let (key, record) = columns.record()?;
        changes.push(Change {
            sequence: columns.unsigned(MORE)?,
            decided_at: columns.decided_at()?,
            version: columns.version()?,
            key,
            record,
        });
    }
    Ok(Ok(changes))
}

pub(super) fn availability(rows: &[Row]) -> Result<Availability, Fault> {
    let mut availability = Availability::default();
    for row in rows {
        let columns = Columns::of(row);
        match columns.kind()? {
            "clock" => availability.at = Timestamp::from_micros(columns.get(1)?),
            "area" => availability.areas.push(AreaAvailability {
                area: columns.id()?,
                tickets: columns.unsigned(1)?,
                available: columns.unsigned(2)?,
                held: columns.unsigned(4)?,
                booked: columns.unsigned(5)?,
                blocked: columns.unsigned(6)?,
            }),
            _ => availability.pools.push(pool_availability(columns)?),
        }
    }
    Ok(availability)
}

fn pool_availability(columns: Columns<'_>) -> Result<PoolAvailability, Fault> {
    let (capacity, held, booked) = (columns.count(1)?, columns.count(2)?, columns.count(4)?);
    let held = held.saturating_sub(columns.count(5)?);
    let available = capacity.saturating_sub(held).saturating_sub(booked);
    Ok(PoolAvailability { pool: columns.id()?, capacity, available, held, booked })
}
