//! What a commit is told: the rows of every table as a JSON array of arrays, whose order is that of the procedure's columns.

use serde_json::{Value, json};
use tiberius::ToSql;

use super::error::Fault;
use super::load::guid;
use super::rows::VOIDED;
use crate::domain::{
    Allowance, CustomerId, EventId, EventState, OperationRecord, Pool, Record, RecordKey, Recorded, Reservation,
    ReservationState, Ticket, TicketState, Timestamp,
};
use crate::ports::{Group, PoolShift, Write};

/// The call of the procedure that writes everything.
pub(super) const COMMIT: &str = "EXEC {schema}.commit_groups @P1, @P2, @P3, @P4, @P5, @P6, @P7, @P8, @P9, @P10, @P11";

/// How many rows of one table a statement writes at most. From 5,000 locks on SQL Server may lock the whole table instead, and
/// with it other events
/// (<https://learn.microsoft.com/sql/relational-databases/sql-server-transaction-locking-and-row-versioning-guide#lock-escalation>).
const PART_ROWS: usize = 1_000;

/// Rows of one table.
#[derive(Debug, Default)]
struct Rows(Vec<Value>);

impl Rows {
    /// Adds a row, which is told the number of its part: its first column.
    fn push(&mut self, row: impl FnOnce(usize) -> Value) {
        self.0.push(row(self.0.len() / PART_ROWS));
    }

    fn parts(&self) -> usize {
        self.0.len().div_ceil(PART_ROWS)
    }
}

/// The rows of all tables.
#[derive(Debug, Default)]
struct Tables {
    events: Rows,
    tickets: Rows,
    pools: Rows,
    allowances: Rows,
    reservations: Rows,
    lines: Rows,
    operations: Rows,
}

/// What every written row begins with.
#[derive(Debug, Clone, Copy)]
struct Head {
    group: usize,
    /// Its place among the rows of the feed that its group appends.
    nth: i64,
    version: i64,
    at: i64,
}

/// The parameters of a commit.
#[derive(Debug)]
pub(super) struct Batch<'g> {
    checked: Vec<(usize, &'g RecordKey)>,
    parts: i32,
    texts: [String; 10],
}

impl<'g> Batch<'g> {
    /// Refuses what cannot be right.
    pub(super) fn of(event: &'g EventId, groups: &'g [Group]) -> Result<Self, Fault> {
        let (mut checked, mut checks, mut feed) = (Vec::new(), Vec::new(), Vec::new());
        let mut tables = Tables::default();
        for (number, group) in groups.iter().enumerate() {
            let mut check = |key: &'g RecordKey, version: u64, shift| -> Result<(), Fault> {
                checks.push(check(checked.len(), number, key, signed(version)?, shift));
                checked.push((number, key));
                Ok(())
            };
            let mut nth = 0;
            for (key, version) in &group.reads {
                check(key, *version, None)?;
            }
            for write in &group.writes {
                let shift =
                    group.shifts.iter().find(|shift| matches!(&write.key, RecordKey::Pool(id) if *id == shift.pool));
                check(&write.key, write.version, shift)?;
                if !matches!(write.key, RecordKey::Operation(_)) {
                    nth += 1;
                }
                let at = write.decided_at.as_micros();
                let head = Head { group: number, nth, version: signed(write.version)?, at };
                tables.write(event, write, head, shift)?;
            }
            feed.push(nth);
        }
        let Tables { events, tickets, pools, allowances, reservations, lines, operations } = tables;
        let tables = [events, tickets, pools, allowances, reservations, lines, operations];
        let parts = tables.iter().map(Rows::parts).max().unwrap_or(0);
        let parts = i32::try_from(parts).map_err(|_| Fault::Alarm { what: "more rows than can be counted" })?;
        let [events, tickets, pools, allowances, reservations, lines, operations] =
            tables.map(|rows| Value::Array(rows.0).to_string());
        let (feed, checks) = (Value::from(feed).to_string(), Value::Array(checks).to_string());
        let event = event.as_str().to_owned();
        let texts = [event, feed, checks, events, tickets, pools, allowances, reservations, lines, operations];
        Ok(Self { checked, parts, texts })
    }

    /// The group and the key of a check, by its number.
    pub(super) fn checked(&self, number: i32) -> Option<(usize, &'g RecordKey)> {
        usize::try_from(number).ok().and_then(|at| self.checked.get(at)).copied()
    }

    /// In the order of the procedure's.
    pub(super) fn parameters(&self) -> Vec<&dyn ToSql> {
        let (event, rest) = (&self.texts[0], &self.texts[1..]);
        let first: [&dyn ToSql; 2] = [event, &self.parts];
        first.into_iter().chain(rest.iter().map(|text| text as &dyn ToSql)).collect()
    }
}

/// By how much a group moves the counters of a pool, if it only counts.
fn moved(shift: Option<&PoolShift>) -> (Option<i64>, Option<i64>) {
    (shift.map(|shift| shift.held), shift.map(|shift| shift.booked))
}

/// Number, group, kind, key as text or as UUID, version, and by how much a pool's counters are moved.
fn check(number: usize, group: usize, key: &RecordKey, version: i64, shift: Option<&PoolShift>) -> Value {
    let (kind, id, uuid) = match key {
        RecordKey::Event => ("event", None, None),
        RecordKey::Ticket(id) => ("ticket", Some(id.as_str()), None),
        RecordKey::Pool(id) => ("pool", Some(id.as_str()), None),
        RecordKey::Allowance(id) => ("allowance", Some(id.as_str()), None),
        RecordKey::Reservation(id) => ("reservation", None, Some(guid(id.as_uuid()))),
        RecordKey::Operation(id) => ("operation", None, Some(guid(id.as_uuid()))),
    };
    let (by_held, by_booked) = moved(shift);
    json!([number, group, kind, id, uuid, version, by_held, by_booked])
}

impl Tables {
    fn write(&mut self, event: &EventId, write: &Write, head: Head, shift: Option<&PoolShift>) -> Result<(), Fault> {
        let Head { group, nth, version, at } = head;
        match (&write.key, &write.record) {
            (RecordKey::Event, Record::Event(record)) => {
                let state = match record.state {
                    EventState::Preparing => "preparing",
                    EventState::OnSale => "on_sale",
                };
                let (opens, closes) = (micros(record.window.opens), micros(record.window.closes));
                let limit = record.limit_per_customer;
                self.events.push(|part| json!([part, group, nth, version, at, state, opens, closes, limit]));
            }
            (RecordKey::Ticket(id), Record::Ticket(record)) => self.ticket(id.as_str(), record, head),
            (RecordKey::Pool(id), Record::Pool(record)) => {
                let Pool { capacity, held, booked } = record;
                let (by_held, by_booked) = moved(shift);
                self.pools.push(|part| {
                    json!([part, group, nth, version, at, id.as_str(), capacity, held, booked, by_held, by_booked])
                });
            }
            (RecordKey::Allowance(id), Record::Allowance(record)) => {
                let Allowance { held, booked } = record;
                self.allowances.push(|part| json!([part, group, nth, version, at, id.as_str(), held, booked]));
            }
            (RecordKey::Reservation(id), Record::Reservation(record)) if *id == record.id && record.event == *event => {
                self.reservation(record, head);
            }
            (RecordKey::Operation(id), Record::Operation(record)) if record.event == *event => {
                if version != 0 {
                    return Err(Fault::Alarm { what: "a recorded operation was to be changed" });
                }
                self.operation(guid(id.as_uuid()), record, head);
            }
            _ => {
                let what = "a record was to be written under a key or an event that is not its own";
                return Err(Fault::Alarm { what });
            }
        }
        Ok(())
    }

    fn ticket(&mut self, id: &str, ticket: &Ticket, Head { group, nth, version, at }: Head) {
        let (state, reservation, until, reason) = match &ticket.state {
            TicketState::Available => ("available", None, None, None),
            TicketState::Held { reservation, until } => ("held", Some(reservation), Some(until.as_micros()), None),
            TicketState::Booked { reservation } => ("booked", Some(reservation), None, None),
            TicketState::Blocked { reason } => ("blocked", None, None, Some(reason.as_str())),
        };
        let reservation = reservation.map(|id| guid(id.as_uuid()));
        let place = &ticket.place;
        self.tickets.push(|part| {
            json!([
                part,
                group,
                nth,
                version,
                at,
                id,
                place.area.as_str(),
                place.row,
                place.number,
                state,
                reservation,
                until,
                reason
            ])
        });
    }

    fn reservation(&mut self, reservation: &Reservation, Head { group, nth, version, at }: Head) {
        let id = guid(reservation.id.as_uuid());
        let until = match reservation.state {
            ReservationState::Held { until } => Some(until.as_micros()),
            _ => None,
        };
        let (tickets, pools) = (reservation.lines.tickets(), reservation.lines.pools());
        self.reservations.push(|part| {
            json!([
                part,
                group,
                nth,
                version,
                at,
                id,
                reservation.customer.as_str(),
                reservation.state.name(),
                until,
                reservation.held_at.as_micros(),
                list(tickets.iter().map(|id| Value::from(id.as_str()))),
                list(pools.iter().map(|(id, _)| Value::from(id.as_str()))),
                list(pools.iter().map(|(_, quantity)| Value::from(*quantity))),
            ])
        });
        // All lines of a new one; of one that changes those of pools, whose deadline moves with it.
        let is_new = version == 0;
        for (line, ticket) in (1_usize..).zip(tickets).filter(|_| is_new) {
            self.lines.push(|part| json!([part, group, id, line, ticket.as_str(), null, 1, null, is_new]));
        }
        for (line, (pool, quantity)) in (tickets.len() + 1..).zip(pools) {
            self.lines.push(|part| json!([part, group, id, line, null, pool.as_str(), quantity, until, is_new]));
        }
    }

    fn operation(&mut self, id: String, operation: &OperationRecord, Head { group, at, .. }: Head) {
        let (kind, reservation, customer, until, changed) = match &operation.recorded {
            Recorded::Applied { kind, reservation, customer, until, changed } => {
                (kind.name(), reservation.as_ref(), customer.as_ref(), *until, *changed)
            }
            Recorded::Voided => (VOIDED, None, None, None, 0),
        };
        let fingerprint = uuid::Uuid::from_bytes(*operation.fingerprint.as_bytes());
        let reservation = reservation.map(|id| guid(id.as_uuid()));
        let customer = customer.map(CustomerId::as_str);
        self.operations.push(|part| {
            json!([part, group, at, id, guid(&fingerprint), kind, reservation, customer, micros(until), changed])
        });
    }
}

/// An array; none if it is empty.
fn list(elements: impl Iterator<Item = Value>) -> Option<Value> {
    let elements: Vec<Value> = elements.collect();
    (!elements.is_empty()).then_some(Value::Array(elements))
}

fn micros(time: Option<Timestamp>) -> Option<i64> {
    time.map(Timestamp::as_micros)
}

/// No version reaches the bound: that would be 2^63 commits.
fn signed(version: u64) -> Result<i64, Fault> {
    i64::try_from(version).map_err(|_| Fault::Alarm { what: "a counter ran over" })
}
