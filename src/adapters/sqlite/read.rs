use rusqlite::{Connection, Statement, ToSql, params};

use super::error::Fault;
use super::rows::{self, Columns};
use super::transaction::prepare;
use crate::domain::{
    AreaId, CustomerId, EventId, Lines, OperationId, PoolId, Record, RecordKey, Reservation, ReservationId, TicketId,
    Timestamp, Versioned,
};
use crate::ports::LAPSED_MAX;

/// Statements that read single records, and the lists that a load needs.
#[derive(Debug)]
pub(super) struct Reads<'c> {
    event: Statement<'c>,
    ticket: Statement<'c>,
    pool: Statement<'c>,
    allowance: Statement<'c>,
    reservation: Statement<'c>,
    lines: Statement<'c>,
    operation: Statement<'c>,
    operations_purged_before: Statement<'c>,
    free: Statement<'c>,
    lapsed_in_pool: Statement<'c>,
    lapsed_of_customer: Statement<'c>,
}

/// Holds, the earliest deadline first, that count in a pool.
pub(super) const LAPSED_IN_POOL: &str = "SELECT reservation_id FROM reservation_line
    WHERE event_id = ?1 AND pool_id = ?2 AND held_until <= ?3 ORDER BY held_until LIMIT ?4";

/// Holds of a customer, the earliest deadline first.
pub(super) const LAPSED_OF_CUSTOMER: &str = "SELECT reservation_id FROM reservation
    WHERE event_id = ?1 AND customer_id = ?2 AND held_until <= ?3 ORDER BY held_until LIMIT ?4";

/// The available tickets of an area, in the order of their places.
pub(super) fn free_sql() -> String {
    format!(
        "SELECT ticket_id, version, decided_at, {} FROM ticket
         WHERE event_id = ?1 AND area_id = ?2 AND (state = 'available' OR (state = 'held' AND held_until <= ?3))
         ORDER BY row_rank, place_number",
        rows::TICKET
    )
}

/// One record by its key.
pub(super) fn record_sql(table: &str, columns: &str, key: &str) -> String {
    format!("SELECT version, decided_at, {columns} FROM {table} WHERE {key}")
}

impl<'c> Reads<'c> {
    pub(super) fn new(connection: &'c Connection) -> rusqlite::Result<Self> {
        let record = |table, columns, key| prepare(connection, &record_sql(table, columns, key));
        Ok(Self {
            event: record("event", rows::EVENT, "event_id = ?1")?,
            ticket: record("ticket", rows::TICKET, "event_id = ?1 AND ticket_id = ?2")?,
            pool: record("pool", rows::POOL, "event_id = ?1 AND pool_id = ?2")?,
            allowance: record("allowance", rows::ALLOWANCE, "event_id = ?1 AND customer_id = ?2")?,
            reservation: record("reservation", rows::RESERVATION, "reservation_id = ?1")?,
            lines: prepare(connection, LINES)?,
            operation: record("operation", rows::OPERATION, "operation_id = ?1")?,
            operations_purged_before: prepare(connection, "SELECT operations_purged_before FROM store")?,
            free: prepare(connection, &free_sql())?,
            lapsed_in_pool: prepare(connection, LAPSED_IN_POOL)?,
            lapsed_of_customer: prepare(connection, LAPSED_OF_CUSTOMER)?,
        })
    }

    /// Reads one record, or that there is none.
    pub(super) fn record(&mut self, event: &EventId, key: &RecordKey) -> Result<Versioned, Fault> {
        let event = event.as_str();
        match key {
            RecordKey::Event => one(&mut self.event, "event", &[&event], |c| rows::event(c).map(Record::Event)),
            RecordKey::Ticket(id) => one(&mut self.ticket, "ticket", &[&event, &id.as_str()], |columns| {
                rows::ticket(columns).map(Record::Ticket)
            }),
            RecordKey::Pool(id) => {
                one(&mut self.pool, "pool", &[&event, &id.as_str()], |columns| rows::pool(columns).map(Record::Pool))
            }
            RecordKey::Allowance(id) => one(&mut self.allowance, "allowance", &[&event, &id.as_str()], |columns| {
                rows::allowance(columns).map(Record::Allowance)
            }),
            RecordKey::Reservation(id) => self.reservation(*id),
            RecordKey::Operation(id) => self.operation(*id),
        }
    }

    fn operation(&mut self, id: OperationId) -> Result<Versioned, Fault> {
        one(&mut self.operation, "operation", &[&id.as_uuid().as_bytes()], |columns| {
            rows::operation(columns).map(Record::Operation)
        })
    }

    fn reservation(&mut self, id: ReservationId) -> Result<Versioned, Fault> {
        let mut found = one(&mut self.reservation, "reservation", &[&id.as_uuid().as_bytes()], |columns| {
            rows::reservation(id, columns).map(Record::Reservation)
        })?;
        if let Some(Record::Reservation(reservation)) = &mut found.record {
            reservation.lines = read_lines(&mut self.lines, reservation)?;
        }
        Ok(found)
    }

    /// The time before which operations may have been purged.
    pub(super) fn operations_purged_before(&mut self) -> Result<Option<Timestamp>, Fault> {
        let before: Option<i64> = self.operations_purged_before.query_row([], |row| row.get(0))?;
        Ok(before.map(Timestamp::from_micros))
    }

    /// The tickets of an area that are available at `now`.
    pub(super) fn free(
        &mut self,
        event: &EventId,
        area: &AreaId,
        now: Timestamp,
    ) -> Result<Vec<(TicketId, Versioned)>, Fault> {
        let mut rows = self.free.query(params![event.as_str(), area.as_str(), now.as_micros()])?;
        let mut free = Vec::new();
        while let Some(row) = rows.next()? {
            let mut columns = Columns::of("ticket", row);
            let id = columns.id()?;
            let (version, decided_at) = (columns.version()?, columns.time()?);
            free.push((id, Versioned::new(version, decided_at, Record::Ticket(rows::ticket(&mut columns)?))));
        }
        Ok(free)
    }

    /// Holds in a pool whose deadline is not after `now`: one more than the bound, if there are more.
    pub(super) fn lapsed_in_pool(
        &mut self,
        event: &EventId,
        pool: &PoolId,
        now: Timestamp,
    ) -> Result<Vec<ReservationId>, Fault> {
        lapsed(&mut self.lapsed_in_pool, event, pool.as_str(), now)
    }

    /// Holds of a customer whose deadline is not after `now`: one more than the bound, if there are more.
    pub(super) fn lapsed_of_customer(
        &mut self,
        event: &EventId,
        customer: &CustomerId,
        now: Timestamp,
    ) -> Result<Vec<ReservationId>, Fault> {
        lapsed(&mut self.lapsed_of_customer, event, customer.as_str(), now)
    }
}

/// The lines of a reservation, in order.
pub(super) const LINES: &str =
    "SELECT ticket_id, pool_id, quantity FROM reservation_line WHERE reservation_id = ?1 ORDER BY line";

pub(super) fn read_lines(statement: &mut Statement<'_>, reservation: &Reservation) -> Result<Lines, Fault> {
    let mut rows = statement.query([reservation.id.as_uuid().as_bytes()])?;
    let (mut tickets, mut pools) = (Vec::new(), Vec::new());
    while let Some(row) = rows.next()? {
        let mut columns = Columns::of("reservation_line", row);
        match (columns.optional_id()?, columns.optional_id()?) {
            (Some(ticket), None) => tickets.push(ticket),
            (None, Some(pool)) => pools.push((pool, columns.count()?)),
            _ => return Err(columns.fault("neither ticket nor pool")),
        }
    }
    Lines::merge(tickets, pools).map_err(|error| Fault::Content { table: "reservation_line", what: error.to_string() })
}

fn one(
    statement: &mut Statement<'_>,
    table: &'static str,
    key: &[&dyn ToSql],
    record: impl FnOnce(&mut Columns<'_>) -> Result<Record, Fault>,
) -> Result<Versioned, Fault> {
    let mut rows = statement.query(key)?;
    let Some(row) = rows.next()? else {
        return Ok(Versioned::ABSENT);
    };
    let mut columns = Columns::of(table, row);
    Ok(Versioned::new(columns.version()?, columns.time()?, record(&mut columns)?))
}

fn lapsed(
    statement: &mut Statement<'_>,
    event: &EventId,
    of: &str,
    now: Timestamp,
) -> Result<Vec<ReservationId>, Fault> {
    let mut rows = statement.query(params![event.as_str(), of, now.as_micros(), LAPSED_MAX as i64 + 1])?;
    let mut lapsed = Vec::new();
    while let Some(row) = rows.next()? {
        lapsed.push(Columns::of("reservation", row).reservation_id()?);
    }
    Ok(lapsed)
}
