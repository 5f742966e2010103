//! Rows as records. A table's columns and those of the change feed have the same names.

use std::fmt::Display;

use tiberius::{FromSql, Row};
use uuid::Uuid;

use super::error::{Fault, MssqlError};
use crate::adapters::found::{self, told};
use crate::domain::{
    ActionKind, Allowance, Event, EventState, Fingerprint, InvalidId, Lines, OperationId, OperationRecord, Place, Pool,
    PoolId, Record, RecordKey, Recorded, Reservation, ReservationId, ReservationState, SalesWindow, Ticket, TicketId,
    TicketState, Timestamp, Versioned,
};

/// What an operation that was given up is called in place of a kind.
pub(super) const VOIDED: &str = "voided";

/// The columns of rows named `x`. The driver does not know the bytes of UTF-8.
pub(super) const COLUMNS: [(&str, &str); 8] = [
    ("{columns:event}", "x.state, x.opens_at, x.closes_at, x.limit_per_customer, x.version, x.decided_at"),
    (
        "{columns:ticket}",
        "CAST(x.ticket_id AS nvarchar(64)) AS ticket_id, CAST(x.area_id AS nvarchar(64)) AS area_id, x.row_rank, \
         x.place_number, x.state, x.reservation_id, x.held_until, x.block_reason, x.version, x.decided_at",
    ),
    (
        "{columns:pool}",
        "CAST(x.pool_id AS nvarchar(64)) AS pool_id, x.capacity, x.held, x.booked, x.version, x.decided_at",
    ),
    (
        "{columns:allowance}",
        "CAST(x.customer_id AS nvarchar(64)) AS customer_id, x.held, x.booked, x.version, x.decided_at",
    ),
    (
        "{columns:reservation}",
        "x.reservation_id, CAST(x.event_id AS nvarchar(64)) AS event_id, \
         CAST(x.customer_id AS nvarchar(64)) AS customer_id, x.state, x.held_until, x.held_at, x.version, x.decided_at",
    ),
    (
        "{columns:line}",
        "x.reservation_id, CAST(x.ticket_id AS nvarchar(64)) AS ticket_id, CAST(x.pool_id AS nvarchar(64)) AS pool_id, \
         x.quantity",
    ),
    (
        "{columns:operation}",
        "x.operation_id, CAST(x.event_id AS nvarchar(64)) AS event_id, x.fingerprint, x.kind AS action, x.reservation_id, \
         x.customer_id, x.held_until, x.changed, x.version, x.decided_at",
    ),
    (
        "{columns:change}",
        "x.kind, x.sequence, CAST(x.event_id AS nvarchar(64)) AS event_id, x.decided_at, x.version, x.state, x.ticket_id, \
         x.pool_id, x.customer_id, x.reservation_id, x.held_until, x.held_at, x.tickets, x.pools, x.quantities, x.area_id, \
         x.row_rank, x.place_number, x.block_reason, x.capacity, x.held, x.booked, x.opens_at, x.closes_at, \
         x.limit_per_customer",
    ),
];

/// A number of a row that is no record.
pub(super) fn number(row: &Row, column: &str) -> Result<i64, MssqlError> {
    let odd = || MssqlError::Mssql(tiberius::error::Error::Conversion(format!("there is no number {column}").into()));
    row.try_get(column)?.ok_or_else(odd)
}

/// One row.
#[derive(Debug, Clone, Copy)]
pub(super) struct Columns<'r>(&'r Row);

impl<'r> Columns<'r> {
    pub(super) fn of(row: &'r Row) -> Self {
        Self(row)
    }

    /// What kind of row it is.
    pub(super) fn kind(self) -> Result<&'r str, Fault> {
        match self.0.try_get("kind") {
            Ok(kind) => kind.ok_or_else(|| Fault::Content { kind: String::new(), what: "it has no kind".to_owned() }),
            Err(error) => Err(Fault::Content { kind: String::new(), what: told(error) }),
        }
    }

    pub(super) fn fault(self, what: impl Display) -> Fault {
        Fault::Content { kind: self.kind().unwrap_or_default().to_owned(), what: told(what) }
    }

    pub(super) fn optional<T: FromSql<'r>>(self, column: &str) -> Result<Option<T>, Fault> {
        self.0.try_get(column).map_err(|error| self.fault(format!("{column}: {error}")))
    }

    pub(super) fn get<T: FromSql<'r>>(self, column: &str) -> Result<T, Fault> {
        self.optional(column)?.ok_or_else(|| self.fault(format!("{column} is null")))
    }

    pub(super) fn unsigned(self, column: &str) -> Result<u64, Fault> {
        u64::try_from(self.get::<i64>(column)?).map_err(|error| self.fault(error))
    }

    pub(super) fn count(self, column: &str) -> Result<u32, Fault> {
        u32::try_from(self.get::<i64>(column)?).map_err(|error| self.fault(error))
    }

    pub(super) fn time(self, column: &str) -> Result<Timestamp, Fault> {
        self.get(column).map(Timestamp::from_micros)
    }

    pub(super) fn optional_time(self, column: &str) -> Result<Option<Timestamp>, Fault> {
        Ok(self.optional(column)?.map(Timestamp::from_micros))
    }

    pub(super) fn id<T: TryFrom<&'r str, Error = InvalidId>>(self, column: &str) -> Result<T, Fault> {
        T::try_from(self.get(column)?).map_err(|error| self.fault(error))
    }

    fn optional_id<T: TryFrom<&'r str, Error = InvalidId>>(self, column: &str) -> Result<Option<T>, Fault> {
        self.optional::<&str>(column)?.map(T::try_from).transpose().map_err(|error| self.fault(error))
    }

    pub(super) fn uuid(self, column: &str) -> Result<Uuid, Fault> {
        Uuid::from_slice(self.get(column)?).map_err(|error| self.fault(error))
    }

    fn optional_uuid(self, column: &str) -> Result<Option<Uuid>, Fault> {
        self.optional(column)?.map(Uuid::from_slice).transpose().map_err(|error| self.fault(error))
    }

    /// The reservation that the row is about.
    pub(super) fn reservation_id(self) -> Result<ReservationId, Fault> {
        self.uuid("reservation_id").map(Into::into)
    }

    fn operation_id(self) -> Result<OperationId, Fault> {
        self.uuid("operation_id")?.try_into().map_err(|error: InvalidId| self.fault(error))
    }

    pub(super) fn version(self) -> Result<u64, Fault> {
        found::version(self.unsigned("version")?).map_err(|what| self.fault(what))
    }

    pub(super) fn versioned(self, record: Record) -> Result<Versioned, Fault> {
        Ok(Versioned::new(self.version()?, self.time("decided_at")?, record))
    }

    /// A record and its key, of every kind but reservations, whose lines are elsewhere.
    pub(super) fn record(self) -> Result<(RecordKey, Record), Fault> {
        Ok(match self.kind()? {
            "event" => (RecordKey::Event, Record::Event(self.event()?)),
            "ticket" => (RecordKey::Ticket(self.id("ticket_id")?), Record::Ticket(self.ticket()?)),
            "pool" => (RecordKey::Pool(self.id("pool_id")?), Record::Pool(self.pool()?)),
            "allowance" => (RecordKey::Allowance(self.id("customer_id")?), Record::Allowance(self.allowance()?)),
            "operation" => (RecordKey::Operation(self.operation_id()?), Record::Operation(self.operation()?)),
            other => return Err(self.fault(format!("no such kind: {other}"))),
        })
    }

    pub(super) fn record_of_reservation(self, lines: Lines) -> Result<(RecordKey, Record), Fault> {
        let reservation = self.reservation(lines)?;
        Ok((RecordKey::Reservation(reservation.id), Record::Reservation(reservation)))
    }

    fn event(self) -> Result<Event, Fault> {
        let state = match self.get("state")? {
            "preparing" => EventState::Preparing,
            "on_sale" => EventState::OnSale,
            other => return Err(self.fault(format!("no such state: {other}"))),
        };
        let window = SalesWindow { opens: self.optional_time("opens_at")?, closes: self.optional_time("closes_at")? };
        let limit: Option<i64> = self.optional("limit_per_customer")?;
        let limit_per_customer = limit.map(u32::try_from).transpose().map_err(|error| self.fault(error))?;
        Ok(Event { state, window, limit_per_customer })
    }

    pub(super) fn ticket(self) -> Result<Ticket, Fault> {
        let place =
            Place { area: self.id("area_id")?, row: self.count("row_rank")?, number: self.count("place_number")? };
        let (reservation, reason) = (self.optional_uuid("reservation_id")?, self.optional_id("block_reason")?);
        let state = match (self.get("state")?, reservation, self.optional_time("held_until")?, reason) {
            ("available", None, None, None) => TicketState::Available,
            ("held", Some(reservation), Some(until), None) => {
                TicketState::Held { reservation: reservation.into(), until }
            }
            ("booked", Some(reservation), None, None) => TicketState::Booked { reservation: reservation.into() },
            ("blocked", None, None, Some(reason)) => TicketState::Blocked { reason },
            (other, ..) => return Err(self.fault(format!("an odd state: {other}"))),
        };
        Ok(Ticket { place, state })
    }

    pub(super) fn pool(self) -> Result<Pool, Fault> {
        let pool = found::pool(self.count("capacity")?, self.count("held")?, self.count("booked")?);
        pool.map_err(|what| self.fault(what))
    }

    fn allowance(self) -> Result<Allowance, Fault> {
        Ok(Allowance { held: self.count("held")?, booked: self.count("booked")? })
    }

    pub(super) fn reservation(self, lines: Lines) -> Result<Reservation, Fault> {
        let state = match (self.get("state")?, self.optional_time("held_until")?) {
            ("held", Some(until)) => ReservationState::Held { until },
            ("booked", None) => ReservationState::Booked,
            ("released", None) => ReservationState::Released,
            ("cancelled", None) => ReservationState::Cancelled,
            ("expired", None) => ReservationState::Expired,
            (other, _) => return Err(self.fault(format!("an odd state: {other}"))),
        };
        Ok(Reservation {
            id: self.reservation_id()?,
            event: self.id("event_id")?,
            customer: self.id("customer_id")?,
            lines,
            state,
            held_at: self.time("held_at")?,
        })
    }

    /// The lines of a reservation in a row of the change feed.
    pub(super) fn lines(self) -> Result<Lines, Fault> {
        let tickets: Vec<String> = self.json("tickets", |text| serde_json::from_str(text))?;
        let pools: Vec<String> = self.json("pools", |text| serde_json::from_str(text))?;
        let quantities: Vec<u32> = self.json("quantities", |text| serde_json::from_str(text))?;
        if pools.len() != quantities.len() {
            return Err(self.fault("pools without quantities"));
        }
        let invalid = |error: InvalidId| self.fault(error);
        let tickets = tickets.iter().map(|id| TicketId::new(id).map_err(invalid)).collect::<Result<Vec<_>, Fault>>()?;
        let pools = pools.iter().map(|id| PoolId::new(id).map_err(invalid)).collect::<Result<Vec<_>, Fault>>()?;
        Lines::merge(tickets, pools.into_iter().zip(quantities)).map_err(|error| self.fault(error))
    }

    fn json<T>(self, column: &str, read: fn(&str) -> serde_json::Result<Vec<T>>) -> Result<Vec<T>, Fault> {
        let Some(text) = self.optional(column)? else { return Ok(Vec::new()) };
        read(text).map_err(|error| self.fault(format!("{column}: {error}")))
    }

    fn operation(self) -> Result<OperationRecord, Fault> {
        let fingerprint: &[u8] = self.get("fingerprint")?;
        let fingerprint = Fingerprint::from_bytes(fingerprint.try_into().map_err(|error| self.fault(error))?);
        let recorded = match self.get("action")? {
            VOIDED => Recorded::Voided,
            kind => Recorded::Applied {
                kind: ActionKind::from_name(kind).ok_or_else(|| self.fault(format!("no such action: {kind}")))?,
                reservation: self.optional_uuid("reservation_id")?.map(Into::into),
                customer: self.optional_id("customer_id")?,
                until: self.optional_time("held_until")?,
                changed: self.count("changed")?,
            },
        };
        Ok(OperationRecord { event: self.id("event_id")?, fingerprint, recorded })
    }
}
