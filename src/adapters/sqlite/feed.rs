use rusqlite::{Connection, Row, Statement, params};

use super::error::Fault;
use super::lines_text;
use super::rows::{self, Columns};
use super::transaction::prepare;
use super::write::{TicketColumns, event_state, held_until, micros};
use crate::domain::{EventId, Record, RecordKey};
use crate::ports::{Change, Sequence, Write};

/// Statements that append to the change feed.
#[derive(Debug)]
pub(super) struct Feed<'c> {
    event: Statement<'c>,
    ticket: Statement<'c>,
    pool: Statement<'c>,
    allowance: Statement<'c>,
    reservation: Statement<'c>,
    move_sequence: Statement<'c>,
    /// Reused from row to row.
    lines: String,
}

impl<'c> Feed<'c> {
    pub(super) fn new(connection: &'c Connection) -> rusqlite::Result<Self> {
        let append = |kind: &str, columns: &str, values: &str| {
            let sql = format!(
                "INSERT INTO change (event_id, sequence, decided_at, version, kind, {columns})
                 VALUES (?1, ?2, ?3, ?4, '{kind}', {values})"
            );
            prepare(connection, &sql)
        };
        Ok(Self {
            event: append("event", rows::EVENT, "?5, ?6, ?7, ?8")?,
            ticket: append("ticket", &format!("ticket_id, {}", rows::TICKET), "?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12")?,
            pool: append("pool", "pool_id, capacity, held, booked", "?5, ?6, ?7, ?8")?,
            allowance: append("allowance", "customer_id, held, booked", "?5, ?6, ?7")?,
            reservation: append(
                "reservation",
                "reservation_id, customer_id, state, held_until, held_at, lines",
                "?5, ?6, ?7, ?8, ?9, ?10",
            )?,
            move_sequence: prepare(
                connection,
                "UPDATE event SET change_sequence = ?3 WHERE event_id = ?1 AND change_sequence = ?2",
            )?,
            lines: String::new(),
        })
    }

    /// Appends a record as a commit leaves it. Answers whether it belongs in the feed.
    pub(super) fn append(&mut self, event: &EventId, sequence: Sequence, write: &Write) -> Result<bool, Fault> {
        let event = event.as_str();
        let (sequence, version) = (number(sequence)?, number(write.version.saturating_add(1))?);
        let at = write.decided_at.as_micros();
        let appended = match (&write.key, &write.record) {
            (RecordKey::Event, Record::Event(record)) => {
                let (opens, closes) = (micros(record.window.opens), micros(record.window.closes));
                let limit = record.limit_per_customer;
                let parameters = params![event, sequence, at, version, event_state(record), opens, closes, limit];
                self.event.execute(parameters)?
            }
            (RecordKey::Ticket(id), Record::Ticket(record)) => {
                let (place, state) = (&record.place, TicketColumns::of(&record.state));
                self.ticket.execute(params![
                    event,
                    sequence,
                    at,
                    version,
                    id.as_str(),
                    place.area.as_str(),
                    place.row,
                    place.number,
                    state.name,
                    state.reservation,
                    state.held_until,
                    state.block_reason,
                ])?
            }
            (RecordKey::Pool(id), Record::Pool(record)) => {
                let (capacity, held, booked) = (record.capacity, record.held, record.booked);
                self.pool.execute(params![event, sequence, at, version, id.as_str(), capacity, held, booked])?
            }
            (RecordKey::Allowance(id), Record::Allowance(record)) => {
                let (held, booked) = (record.held, record.booked);
                self.allowance.execute(params![event, sequence, at, version, id.as_str(), held, booked])?
            }
            (RecordKey::Reservation(id), Record::Reservation(record)) => {
                lines_text::write(&mut self.lines, &record.lines);
                self.reservation.execute(params![
                    event,
                    sequence,
                    at,
                    version,
                    id.as_uuid().as_bytes(),
                    record.customer.as_str(),
                    record.state.name(),
                    held_until(record),
                    record.held_at.as_micros(),
                    self.lines.as_str(),
                ])?
            }
            _ => return Ok(false),
        };
        if appended == 1 { Ok(true) } else { Err(Fault::Alarm { what: "a row of the change feed was not written" }) }
    }

    /// Moves the event's counter past the rows appended. Last in each commit.
    pub(super) fn move_sequence(&mut self, event: &EventId, from: Sequence, to: Sequence) -> Result<(), Fault> {
        let moved = self.move_sequence.execute(params![event.as_str(), number(from)?, number(to)?])?;
        if moved == 1 {
            Ok(())
        } else {
            Err(Fault::Alarm { what: "the counter of the change feed was not where it was" })
        }
    }
}

/// Neither a version nor a sequence reaches the bound: that would be 2^63 commits.
fn number(number: u64) -> Result<i64, Fault> {
    i64::try_from(number).map_err(|_| Fault::Alarm { what: "a counter ran over" })
}

/// A page of the change feed. Each kind of record finds its columns side by side, so some stand there repeatedly.
pub(super) fn page_sql() -> String {
    format!(
        "SELECT sequence, decided_at, version, kind,
             {EVENT},
             ticket_id, {TICKET},
             pool_id, {POOL},
             customer_id, {ALLOWANCE},
             reservation_id, {RESERVATION}, lines
         FROM change WHERE event_id = ?1 AND sequence > ?2 ORDER BY sequence LIMIT ?3",
        EVENT = rows::EVENT,
        TICKET = rows::TICKET,
        POOL = rows::POOL,
        ALLOWANCE = rows::ALLOWANCE,
        RESERVATION = rows::RESERVATION,
    )
}

/// Where the columns of each kind start in [`page_sql`].
const EVENT_AT: usize = 4;
const TICKET_AT: usize = EVENT_AT + 4;
const POOL_AT: usize = TICKET_AT + 8;
const ALLOWANCE_AT: usize = POOL_AT + 4;
const RESERVATION_AT: usize = ALLOWANCE_AT + 3;

/// One row of [`page_sql`].
pub(super) fn change(row: &Row<'_>) -> Result<Change, Fault> {
    let mut columns = Columns::of("change", row);
    let sequence = columns.version()?;
    let (decided_at, version) = (columns.time()?, columns.version()?);
    let (key, record) = match columns.text()? {
        "event" => {
            columns.go_to(EVENT_AT);
            (RecordKey::Event, Record::Event(rows::event(&mut columns)?))
        }
        "ticket" => {
            columns.go_to(TICKET_AT);
            (RecordKey::Ticket(columns.id()?), Record::Ticket(rows::ticket(&mut columns)?))
        }
        "pool" => {
            columns.go_to(POOL_AT);
            (RecordKey::Pool(columns.id()?), Record::Pool(rows::pool(&mut columns)?))
        }
        "allowance" => {
            columns.go_to(ALLOWANCE_AT);
            (RecordKey::Allowance(columns.id()?), Record::Allowance(rows::allowance(&mut columns)?))
        }
        "reservation" => {
            columns.go_to(RESERVATION_AT);
            let id = columns.reservation_id()?;
            let mut reservation = rows::reservation(id, &mut columns)?;
            reservation.lines = lines_text::read(columns.text()?).map_err(|error| columns.fault(error))?;
            (RecordKey::Reservation(id), Record::Reservation(reservation))
        }
        other => return Err(columns.fault(other)),
    };
    Ok(Change { sequence, decided_at, version, key, record })
}
