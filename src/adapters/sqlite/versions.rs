use rusqlite::{Connection, OptionalExtension, Params, Statement};

use super::error::Fault;
use super::transaction::prepare;
use crate::domain::{EventId, RecordKey};

/// Statements that read the versions of single records.
#[derive(Debug)]
pub(super) struct Versions<'c> {
    event: Statement<'c>,
    ticket: Statement<'c>,
    pool: Statement<'c>,
    allowance: Statement<'c>,
    reservation: Statement<'c>,
    operation: Statement<'c>,
}

/// What a commit needs to know of the event's row.
#[derive(Debug, Clone, Copy)]
pub(super) struct EventHead {
    pub(super) version: u64,
    pub(super) change_sequence: u64,
}

impl<'c> Versions<'c> {
    pub(super) fn new(connection: &'c Connection) -> rusqlite::Result<Self> {
        Ok(Self {
            event: prepare(connection, "SELECT version, change_sequence FROM event WHERE event_id = ?1")?,
            ticket: prepare(connection, "SELECT version FROM ticket WHERE event_id = ?1 AND ticket_id = ?2")?,
            pool: prepare(connection, "SELECT version FROM pool WHERE event_id = ?1 AND pool_id = ?2")?,
            allowance: prepare(connection, "SELECT version FROM allowance WHERE event_id = ?1 AND customer_id = ?2")?,
            reservation: prepare(connection, "SELECT version FROM reservation WHERE reservation_id = ?1")?,
            operation: prepare(connection, "SELECT version FROM operation WHERE operation_id = ?1")?,
        })
    }

    /// The event's row; `None` if there is none.
    pub(super) fn event_head(&mut self, event: &EventId) -> Result<Option<EventHead>, Fault> {
        let found = self.event.query_row([event.as_str()], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        found
            .map(|(version, sequence)| {
                Ok(EventHead { version: unsigned("event", version)?, change_sequence: unsigned("event", sequence)? })
            })
            .transpose()
    }

    /// A record's version; 0 if there is none. The event's own is in its head.
    pub(super) fn of(&mut self, event: &EventId, head: Option<EventHead>, key: &RecordKey) -> Result<u64, Fault> {
        let event = event.as_str();
        match key {
            RecordKey::Event => Ok(head.map_or(0, |head| head.version)),
            RecordKey::Ticket(id) => version(&mut self.ticket, "ticket", (event, id.as_str())),
            RecordKey::Pool(id) => version(&mut self.pool, "pool", (event, id.as_str())),
            RecordKey::Allowance(id) => version(&mut self.allowance, "allowance", (event, id.as_str())),
            RecordKey::Reservation(id) => version(&mut self.reservation, "reservation", [id.as_uuid().as_bytes()]),
            RecordKey::Operation(id) => version(&mut self.operation, "operation", [id.as_uuid().as_bytes()]),
        }
    }
}

fn version(statement: &mut Statement<'_>, table: &'static str, key: impl Params) -> Result<u64, Fault> {
    match statement.query_row(key, |row| row.get(0)).optional()? {
        Some(version) => unsigned(table, version),
        None => Ok(0),
    }
}

fn unsigned(table: &'static str, number: i64) -> Result<u64, Fault> {
    u64::try_from(number).map_err(|error| Fault::Content { table, what: error.to_string() })
}
