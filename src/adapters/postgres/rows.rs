//! Rows as records. Whatever is read comes in one shape, of whose columns each kind of record has its own.

use std::fmt::Display;

use tokio_postgres::Row;
use tokio_postgres::types::FromSql;
use uuid::Uuid;

use super::error::Fault;
use crate::adapters::found::{self, told};
use crate::domain::{
    ActionKind, Allowance, Event, EventState, Fingerprint, InvalidId, Lines, OperationRecord, Place, Pool, PoolId,
    Record, RecordKey, Recorded, Reservation, ReservationId, ReservationState, SalesWindow, Ticket, TicketId,
    TicketState, Timestamp, Versioned,
};

/// What an operation that was given up is called in place of a kind.
pub(super) const VOIDED: &str = "voided";

/// The columns of tickets named `x`, as [`record`] reads them.
pub(super) const TICKET: &str = "'ticket', x.version, x.decided_at, x.ticket_id, NULL::uuid, x.area_id, x.state, \
    x.block_reason, x.row_rank, x.place_number, x.held_until, x.reservation_id, NULL::bytea, NULL::text[], NULL::text[], \
    NULL::bigint[]";

/// The columns of pools named `x`, as [`record`] reads them.
pub(super) const POOL: &str = "'pool', x.version, x.decided_at, x.pool_id, NULL::uuid, NULL::text, NULL::text, NULL::text, \
    x.capacity, x.held, x.booked, NULL::uuid, NULL::bytea, NULL::text[], NULL::text[], NULL::bigint[]";

/// The columns of reservations named `x`, as [`record`] reads them.
pub(super) const RESERVATION: &str = "'reservation', x.version, x.decided_at, x.event_id, x.reservation_id, x.customer_id, \
    x.state, NULL::text, x.held_until, x.held_at, NULL::bigint, NULL::uuid, NULL::bytea, x.tickets, x.pools, x.quantities";

/// The columns of rows of the change feed named `x`, as [`record`] reads them, and their position.
pub(super) const CHANGE: &str = "x.kind, x.version, x.decided_at,
    CASE x.kind WHEN 'ticket' THEN x.ticket_id WHEN 'pool' THEN x.pool_id WHEN 'allowance' THEN x.customer_id
        ELSE x.event_id END,
    CASE x.kind WHEN 'reservation' THEN x.reservation_id END,
    CASE x.kind WHEN 'event' THEN x.state WHEN 'ticket' THEN x.area_id WHEN 'reservation' THEN x.customer_id END,
    CASE WHEN x.kind IN ('ticket', 'reservation') THEN x.state END,
    x.block_reason,
    CASE x.kind WHEN 'event' THEN x.opens_at WHEN 'ticket' THEN x.row_rank WHEN 'pool' THEN x.capacity
        WHEN 'allowance' THEN x.held ELSE x.held_until END,
    CASE x.kind WHEN 'event' THEN x.closes_at WHEN 'ticket' THEN x.place_number WHEN 'pool' THEN x.held
        WHEN 'allowance' THEN x.booked ELSE x.held_at END,
    CASE x.kind WHEN 'event' THEN x.limit_per_customer WHEN 'ticket' THEN x.held_until WHEN 'pool' THEN x.booked END,
    CASE x.kind WHEN 'ticket' THEN x.reservation_id END,
    NULL::bytea, x.tickets, x.pools, x.quantities, x.sequence";

/// Where the columns are.
const KIND: usize = 0;
const VERSION: usize = 1;
const DECIDED_AT: usize = 2;
const ID: usize = 3;
const UUID: usize = 4;
const TEXT_1: usize = 5;
const TEXT_2: usize = 6;
const TEXT_3: usize = 7;
const NUMBER_1: usize = 8;
const NUMBER_2: usize = 9;
const NUMBER_3: usize = 10;
const UUID_1: usize = 11;
const BYTES_1: usize = 12;
const TICKETS: usize = 13;
const POOLS: usize = 14;
const QUANTITIES: usize = 15;

/// The column after those, if there is one more.
pub(super) const MORE: usize = 16;

/// One row.
#[derive(Debug, Clone, Copy)]
pub(super) struct Columns<'r>(&'r Row);

impl<'r> Columns<'r> {
    pub(super) fn of(row: &'r Row) -> Self {
        Self(row)
    }

    /// What kind of row it is.
    pub(super) fn kind(self) -> Result<&'r str, Fault> {
        self.0.try_get(KIND).map_err(|error| Fault::Content { kind: String::new(), what: told(error) })
    }

    pub(super) fn fault(self, what: impl Display) -> Fault {
        Fault::Content { kind: self.kind().unwrap_or_default().to_owned(), what: told(what) }
    }

    pub(super) fn get<T: FromSql<'r>>(self, at: usize) -> Result<T, Fault> {
        self.0.try_get(at).map_err(|error| self.fault(error))
    }

    pub(super) fn unsigned(self, at: usize) -> Result<u64, Fault> {
        u64::try_from(self.get::<i64>(at)?).map_err(|error| self.fault(error))
    }

    pub(super) fn count(self, at: usize) -> Result<u32, Fault> {
        u32::try_from(self.get::<i64>(at)?).map_err(|error| self.fault(error))
    }

    fn time(self, at: usize) -> Result<Timestamp, Fault> {
        self.get(at).map(Timestamp::from_micros)
    }

    fn optional_time(self, at: usize) -> Result<Option<Timestamp>, Fault> {
        Ok(self.get::<Option<i64>>(at)?.map(Timestamp::from_micros))
    }

    fn id_at<T: TryFrom<&'r str, Error = InvalidId>>(self, at: usize) -> Result<T, Fault> {
        self.id_of(self.get(at)?)
    }

    fn id_of<T: TryFrom<&'r str, Error = InvalidId>>(self, text: &'r str) -> Result<T, Fault> {
        T::try_from(text).map_err(|error| self.fault(error))
    }

    /// The id of what the row is about.
    pub(super) fn id<T: TryFrom<&'r str, Error = InvalidId>>(self) -> Result<T, Fault> {
        self.id_at(ID)
    }

    pub(super) fn version(self) -> Result<u64, Fault> {
        found::version(self.unsigned(VERSION)?).map_err(|what| self.fault(what))
    }

    /// The reservation that the row is about.
    pub(super) fn reservation_id(self) -> Result<ReservationId, Fault> {
        self.get::<Uuid>(UUID).map(Into::into)
    }

    /// The store's clock, and the time before which operations may have been purged.
    pub(super) fn store(self) -> Result<(Timestamp, Option<Timestamp>), Fault> {
        Ok((self.time(NUMBER_1)?, self.optional_time(NUMBER_2)?))
    }

    pub(super) fn versioned(self, record: Record) -> Result<Versioned, Fault> {
        Ok(Versioned::new(self.version()?, self.time(DECIDED_AT)?, record))
    }

    pub(super) fn decided_at(self) -> Result<Timestamp, Fault> {
        self.time(DECIDED_AT)
    }

    /// A record and its key, of any kind.
    pub(super) fn record(self) -> Result<(RecordKey, Record), Fault> {
        Ok(match self.kind()? {
            "event" => (RecordKey::Event, Record::Event(self.event()?)),
            "ticket" | "free" => (RecordKey::Ticket(self.id()?), Record::Ticket(self.ticket()?)),
            "pool" => (RecordKey::Pool(self.id()?), Record::Pool(self.pool()?)),
            "allowance" => (
                RecordKey::Allowance(self.id()?),
                Record::Allowance(Allowance { held: self.count(NUMBER_1)?, booked: self.count(NUMBER_2)? }),
            ),
            "reservation" => {
                let reservation = self.reservation()?;
                (RecordKey::Reservation(reservation.id), Record::Reservation(reservation))
            }
            "operation" => (RecordKey::Operation(self.operation_id()?), Record::Operation(self.operation()?)),
            other => return Err(self.fault(format!("no such kind: {other}"))),
        })
    }

    fn event(self) -> Result<Event, Fault> {
        let state = match self.get(TEXT_1)? {
            "preparing" => EventState::Preparing,
            "on_sale" => EventState::OnSale,
            other => return Err(self.fault(format!("no such state: {other}"))),
        };
        let window = SalesWindow { opens: self.optional_time(NUMBER_1)?, closes: self.optional_time(NUMBER_2)? };
        let limit: Option<i64> = self.get(NUMBER_3)?;
        let limit_per_customer = limit.map(u32::try_from).transpose().map_err(|error| self.fault(error))?;
        Ok(Event { state, window, limit_per_customer })
    }

    pub(super) fn ticket(self) -> Result<Ticket, Fault> {
        let place = Place { area: self.id_at(TEXT_1)?, row: self.count(NUMBER_1)?, number: self.count(NUMBER_2)? };
        let (reservation, reason): (Option<Uuid>, Option<&str>) = (self.get(UUID_1)?, self.get(TEXT_3)?);
        let state = match (self.get(TEXT_2)?, reservation, self.optional_time(NUMBER_3)?, reason) {
            ("available", None, None, None) => TicketState::Available,
            ("held", Some(reservation), Some(until), None) => {
                TicketState::Held { reservation: reservation.into(), until }
            }
            ("booked", Some(reservation), None, None) => TicketState::Booked { reservation: reservation.into() },
            ("blocked", None, None, Some(reason)) => TicketState::Blocked { reason: self.id_of(reason)? },
            (other, ..) => return Err(self.fault(format!("an odd state: {other}"))),
        };
        Ok(Ticket { place, state })
    }

    pub(super) fn pool(self) -> Result<Pool, Fault> {
        let pool = found::pool(self.count(NUMBER_1)?, self.count(NUMBER_2)?, self.count(NUMBER_3)?);
        pool.map_err(|what| self.fault(what))
    }

    pub(super) fn reservation(self) -> Result<Reservation, Fault> {
        let state = match (self.get(TEXT_2)?, self.optional_time(NUMBER_1)?) {
            ("held", Some(until)) => ReservationState::Held { until },
            ("booked", None) => ReservationState::Booked,
            ("released", None) => ReservationState::Released,
            ("cancelled", None) => ReservationState::Cancelled,
            ("expired", None) => ReservationState::Expired,
            (other, _) => return Err(self.fault(format!("an odd state: {other}"))),
        };
        Ok(Reservation {
            id: self.reservation_id()?,
            event: self.id()?,
            customer: self.id_at(TEXT_1)?,
            lines: self.lines()?,
            state,
            held_at: self.time(NUMBER_2)?,
        })
    }

    fn lines(self) -> Result<Lines, Fault> {
        let tickets: Vec<&str> = self.get::<Option<_>>(TICKETS)?.unwrap_or_default();
        let pools: Vec<&str> = self.get::<Option<_>>(POOLS)?.unwrap_or_default();
        let quantities: Vec<i64> = self.get::<Option<_>>(QUANTITIES)?.unwrap_or_default();
        if pools.len() != quantities.len() {
            return Err(self.fault("pools without quantities"));
        }
        let tickets = tickets.into_iter().map(|id| self.id_of(id)).collect::<Result<Vec<TicketId>, Fault>>()?;
        let pool = |(id, quantity)| {
            let quantity = u32::try_from(quantity).map_err(|error| self.fault(error))?;
            Ok((self.id_of(id)?, quantity))
        };
        let pools = pools.into_iter().zip(quantities).map(pool).collect::<Result<Vec<(PoolId, u32)>, Fault>>()?;
        Lines::merge(tickets, pools).map_err(|error| self.fault(error))
    }

    fn operation_id(self) -> Result<crate::domain::OperationId, Fault> {
        self.get::<Uuid>(UUID)?.try_into().map_err(|error: InvalidId| self.fault(error))
    }

    fn operation(self) -> Result<OperationRecord, Fault> {
        let fingerprint: &[u8] = self.get(BYTES_1)?;
        let fingerprint = Fingerprint::from_bytes(fingerprint.try_into().map_err(|error| self.fault(error))?);
        let recorded = match self.get(TEXT_1)? {
            VOIDED => Recorded::Voided,
            kind => Recorded::Applied {
                kind: ActionKind::from_name(kind).ok_or_else(|| self.fault(format!("no such action: {kind}")))?,
                reservation: self.get::<Option<Uuid>>(UUID_1)?.map(Into::into),
                customer: self.get::<Option<&str>>(TEXT_2)?.map(|id| self.id_of(id)).transpose()?,
                until: self.optional_time(NUMBER_1)?,
                changed: self.count(NUMBER_2)?,
            },
        };
        Ok(OperationRecord { event: self.id()?, fingerprint, recorded })
    }
}
