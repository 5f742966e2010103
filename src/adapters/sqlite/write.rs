use rusqlite::{Connection, Params, Statement, params};

use super::error::Fault;
use super::rows::VOIDED;
use super::transaction::prepare;
use crate::domain::{
    Allowance, CustomerId, Event, EventId, EventState, OperationId, OperationRecord, Pool, PoolId, Record, RecordKey,
    Recorded, Reservation, ReservationState, Ticket, TicketId, TicketState, Timestamp,
};
use crate::ports::Write;

/// Statements that write single records. Every one repeats the version that the decision was based on.
#[derive(Debug)]
pub(super) struct Writes<'c> {
    event: Pair<'c>,
    ticket: Pair<'c>,
    pool: Pair<'c>,
    allowance: Pair<'c>,
    reservation: Pair<'c>,
    insert_line: Statement<'c>,
    move_deadline: Statement<'c>,
    insert_operation: Statement<'c>,
}

/// How a record is written first, and how it is changed. Both take the same parameters; the last one is the version
/// that it was read with.
#[derive(Debug)]
struct Pair<'c> {
    insert: Statement<'c>,
    update: Statement<'c>,
}

impl<'c> Pair<'c> {
    fn new(connection: &'c Connection, insert: &str, update: &str) -> rusqlite::Result<Self> {
        Ok(Self { insert: prepare(connection, insert)?, update: prepare(connection, update)? })
    }

    fn write(&mut self, version: u64, parameters: impl Params) -> Result<(), Fault> {
        let statement = if version == 0 { &mut self.insert } else { &mut self.update };
        exactly_one(statement.execute(parameters)?)
    }
}

/// The check before saw the same version under the same lock, so another count means that something is badly wrong.
fn exactly_one(rows: usize) -> Result<(), Fault> {
    if rows == 1 { Ok(()) } else { Err(Fault::Alarm { what: "a write did not meet the row that its check saw" }) }
}

impl<'c> Writes<'c> {
    pub(super) fn new(connection: &'c Connection) -> rusqlite::Result<Self> {
        Ok(Self {
            event: Pair::new(
                connection,
                "INSERT INTO event (event_id, state, opens_at, closes_at, limit_per_customer, decided_at, version)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7 + 1)",
                "UPDATE event SET state = ?2, opens_at = ?3, closes_at = ?4, limit_per_customer = ?5, decided_at = ?6,
                     version = ?7 + 1
                 WHERE event_id = ?1 AND version = ?7",
            )?,
            ticket: Pair::new(
                connection,
                "INSERT INTO ticket (event_id, ticket_id, area_id, row_rank, place_number, state, reservation_id,
                     held_until, block_reason, decided_at, version)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11 + 1)",
                // The place is repeated in the condition: it never changes, and is not written again.
                "UPDATE ticket SET state = ?6, reservation_id = ?7, held_until = ?8, block_reason = ?9,
                     decided_at = ?10, version = ?11 + 1
                 WHERE event_id = ?1 AND ticket_id = ?2 AND version = ?11
                     AND area_id = ?3 AND row_rank = ?4 AND place_number = ?5",
            )?,
            pool: Pair::new(
                connection,
                "INSERT INTO pool (event_id, pool_id, capacity, held, booked, decided_at, version)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7 + 1)",
                "UPDATE pool SET capacity = ?3, held = ?4, booked = ?5, decided_at = ?6, version = ?7 + 1
                 WHERE event_id = ?1 AND pool_id = ?2 AND version = ?7",
            )?,
            allowance: Pair::new(
                connection,
                "INSERT INTO allowance (event_id, customer_id, held, booked, decided_at, version)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6 + 1)",
                "UPDATE allowance SET held = ?3, booked = ?4, decided_at = ?5, version = ?6 + 1
                 WHERE event_id = ?1 AND customer_id = ?2 AND version = ?6",
            )?,
            reservation: Pair::new(
                connection,
                "INSERT INTO reservation (event_id, reservation_id, customer_id, state, held_until, held_at,
                     decided_at, version)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8 + 1)",
                "UPDATE reservation SET customer_id = ?3, state = ?4, held_until = ?5, held_at = ?6, decided_at = ?7,
                     version = ?8 + 1
                 WHERE reservation_id = ?2 AND version = ?8 AND event_id = ?1",
            )?,
            insert_line: prepare(
                connection,
                "INSERT INTO reservation_line (event_id, reservation_id, line, ticket_id, pool_id, quantity,
                     held_until)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?,
            move_deadline: prepare(
                connection,
                "UPDATE reservation_line SET held_until = ?2
                 WHERE reservation_id = ?1 AND pool_id IS NOT NULL AND held_until IS NOT ?2",
            )?,
            insert_operation: prepare(
                connection,
                "INSERT INTO operation (event_id, operation_id, fingerprint, kind, reservation_id, customer_id,
                     held_until, changed, decided_at, version)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, 1)",
            )?,
        })
    }

    /// Writes one record over the version it was read with.
    pub(super) fn write(&mut self, event: &EventId, write: &Write) -> Result<(), Fault> {
        let at = Stamp { version: write.version, decided_at: write.decided_at.as_micros() };
        match (&write.key, &write.record) {
            (RecordKey::Event, Record::Event(record)) => self.write_event(event, record, at),
            (RecordKey::Ticket(id), Record::Ticket(record)) => self.write_ticket(event, id, record, at),
            (RecordKey::Pool(id), Record::Pool(record)) => self.write_pool(event, id, record, at),
            (RecordKey::Allowance(id), Record::Allowance(record)) => self.write_allowance(event, id, record, at),
            (RecordKey::Reservation(id), Record::Reservation(record)) if *id == record.id && record.event == *event => {
                self.write_reservation(record, at)
            }
            (RecordKey::Operation(id), Record::Operation(record)) if record.event == *event => {
                self.write_operation(*id, record, at)
            }
            _ => Err(Fault::Alarm { what: "a record was to be written under a key or an event that is not its own" }),
        }
    }

    fn write_event(&mut self, id: &EventId, event: &Event, at: Stamp) -> Result<(), Fault> {
        let state = event_state(event);
        let window = event.window;
        let (opens, closes) = (micros(window.opens), micros(window.closes));
        let limit = event.limit_per_customer;
        self.event.write(at.version, params![id.as_str(), state, opens, closes, limit, at.decided_at, at.sql_version()])
    }

    fn write_ticket(&mut self, event: &EventId, id: &TicketId, ticket: &Ticket, at: Stamp) -> Result<(), Fault> {
        let state = TicketColumns::of(&ticket.state);
        let parameters = params![
            event.as_str(),
            id.as_str(),
            ticket.place.area.as_str(),
            ticket.place.row,
            ticket.place.number,
            state.name,
            state.reservation,
            state.held_until,
            state.block_reason,
            at.decided_at,
            at.sql_version(),
        ];
        self.ticket.write(at.version, parameters)
    }

    fn write_pool(&mut self, event: &EventId, id: &PoolId, pool: &Pool, at: Stamp) -> Result<(), Fault> {
        let (event, id) = (event.as_str(), id.as_str());
        let parameters = params![event, id, pool.capacity, pool.held, pool.booked, at.decided_at, at.sql_version()];
        self.pool.write(at.version, parameters)
    }

    fn write_allowance(
        &mut self,
        event: &EventId,
        id: &CustomerId,
        allowance: &Allowance,
        at: Stamp,
    ) -> Result<(), Fault> {
        let (event, id) = (event.as_str(), id.as_str());
        let parameters = params![event, id, allowance.held, allowance.booked, at.decided_at, at.sql_version()];
        self.allowance.write(at.version, parameters)
    }

    fn write_reservation(&mut self, reservation: &Reservation, at: Stamp) -> Result<(), Fault> {
        let id = reservation.id.as_uuid().as_bytes();
        let held_until = held_until(reservation);
        let parameters = params![
            reservation.event.as_str(),
            id,
            reservation.customer.as_str(),
            reservation.state.name(),
            held_until,
            reservation.held_at.as_micros(),
            at.decided_at,
            at.sql_version(),
        ];
        self.reservation.write(at.version, parameters)?;
        if at.version == 0 {
            self.insert_lines(reservation, held_until)
        } else if reservation.lines.pools().is_empty() {
            Ok(())
        } else {
            self.move_deadline.execute(params![id, held_until])?;
            Ok(())
        }
    }

    fn insert_lines(&mut self, reservation: &Reservation, held_until: Option<i64>) -> Result<(), Fault> {
        let event = reservation.event.as_str();
        let id = reservation.id.as_uuid().as_bytes();
        let lines = &reservation.lines;
        let mut number = 0_u32;
        for ticket in lines.tickets() {
            number += 1;
            let nothing: Option<&str> = None;
            let parameters = params![event, id, number, ticket.as_str(), nothing, 1, None::<i64>];
            exactly_one(self.insert_line.execute(parameters)?)?;
        }
        for (pool, quantity) in lines.pools() {
            number += 1;
            let nothing: Option<&str> = None;
            let parameters = params![event, id, number, nothing, pool.as_str(), quantity, held_until];
            exactly_one(self.insert_line.execute(parameters)?)?;
        }
        Ok(())
    }

    fn write_operation(&mut self, id: OperationId, operation: &OperationRecord, at: Stamp) -> Result<(), Fault> {
        if at.version != 0 {
            return Err(Fault::Alarm { what: "a recorded operation was to be changed" });
        }
        let (kind, reservation, customer, until, changed) = match &operation.recorded {
            Recorded::Applied { kind, reservation, customer, until, changed } => {
                (kind.name(), reservation.as_ref(), customer.as_ref(), *until, *changed)
            }
            Recorded::Voided => (VOIDED, None, None, None, 0),
        };
        let parameters = params![
            operation.event.as_str(),
            id.as_uuid().as_bytes(),
            operation.fingerprint.as_bytes(),
            kind,
            reservation.map(|id| id.as_uuid().as_bytes()),
            customer.map(CustomerId::as_str),
            micros(until),
            changed,
            at.decided_at,
        ];
        exactly_one(self.insert_operation.execute(parameters)?)
    }
}

/// The version that a record was read with, and when its new content was decided.
#[derive(Debug, Clone, Copy)]
struct Stamp {
    version: u64,
    decided_at: i64,
}

impl Stamp {
    /// No record reaches the bound: that would be 2^63 commits.
    fn sql_version(self) -> i64 {
        i64::try_from(self.version).unwrap_or(i64::MAX)
    }
}

/// The columns of a ticket's state.
pub(super) struct TicketColumns<'t> {
    pub(super) name: &'static str,
    pub(super) reservation: Option<&'t [u8; 16]>,
    pub(super) held_until: Option<i64>,
    pub(super) block_reason: Option<&'t str>,
}

impl<'t> TicketColumns<'t> {
    pub(super) fn of(state: &'t TicketState) -> Self {
        let none = Self { name: "available", reservation: None, held_until: None, block_reason: None };
        match state {
            TicketState::Available => none,
            TicketState::Held { reservation, until } => Self {
                name: "held",
                reservation: Some(reservation.as_uuid().as_bytes()),
                held_until: Some(until.as_micros()),
                ..none
            },
            TicketState::Booked { reservation } => {
                Self { name: "booked", reservation: Some(reservation.as_uuid().as_bytes()), ..none }
            }
            TicketState::Blocked { reason } => Self { name: "blocked", block_reason: Some(reason.as_str()), ..none },
        }
    }
}

pub(super) fn event_state(event: &Event) -> &'static str {
    match event.state {
        EventState::Preparing => "preparing",
        EventState::OnSale => "on_sale",
    }
}

pub(super) fn held_until(reservation: &Reservation) -> Option<i64> {
    match reservation.state {
        ReservationState::Held { until } => Some(until.as_micros()),
        _ => None,
    }
}

pub(super) fn micros(time: Option<Timestamp>) -> Option<i64> {
    time.map(Timestamp::as_micros)
}
