//! From columns to records. Everything read is checked: a file can be changed by other programs.

use std::fmt::Display;

use rusqlite::Row;
use rusqlite::types::ValueRef;
use uuid::Uuid;

use super::error::Fault;
use crate::adapters::found::{self, told};
use crate::domain::{
    ActionKind, Allowance, AreaId, Event, EventState, Fingerprint, InvalidId, Lines, OperationRecord, Place, Pool,
    Recorded, Reservation, ReservationId, ReservationState, SalesWindow, Ticket, TicketState, Timestamp,
};

/// The name of the kind of an operation that was voided.
pub(super) const VOIDED: &str = "voided";

/// The columns of one row of a table, read in order.
pub(super) struct Columns<'r> {
    table: &'static str,
    row: &'r Row<'r>,
    next: usize,
}

impl<'r> Columns<'r> {
    pub(super) fn of(table: &'static str, row: &'r Row<'_>) -> Self {
        Self { table, row, next: 0 }
    }

    /// Goes on reading at a column, counted from 0.
    pub(super) fn go_to(&mut self, column: usize) {
        self.next = column;
    }

    pub(super) fn fault(&self, what: impl Display) -> Fault {
        Fault::Content { table: self.table, what: told(what) }
    }

    fn value(&mut self) -> Result<ValueRef<'r>, Fault> {
        let value = self.row.get_ref(self.next)?;
        self.next += 1;
        Ok(value)
    }

    pub(super) fn optional_integer(&mut self) -> Result<Option<i64>, Fault> {
        let value = self.value()?;
        value.as_i64_or_null().map_err(|error| self.fault(error))
    }

    fn integer(&mut self) -> Result<i64, Fault> {
        self.optional_integer()?.ok_or_else(|| self.fault("no number"))
    }

    pub(super) fn unsigned(&mut self) -> Result<u64, Fault> {
        let number = self.integer()?;
        u64::try_from(number).map_err(|error| self.fault(error))
    }

    /// The version of a record that is there, or a position in the change feed: they count from 1.
    pub(super) fn version(&mut self) -> Result<u64, Fault> {
        found::version(self.unsigned()?).map_err(|what| self.fault(what))
    }

    pub(super) fn time(&mut self) -> Result<Timestamp, Fault> {
        self.integer().map(Timestamp::from_micros)
    }

    fn optional_time(&mut self) -> Result<Option<Timestamp>, Fault> {
        Ok(self.optional_integer()?.map(Timestamp::from_micros))
    }

    pub(super) fn count(&mut self) -> Result<u32, Fault> {
        self.optional_count()?.ok_or_else(|| self.fault("no number"))
    }

    fn optional_count(&mut self) -> Result<Option<u32>, Fault> {
        let number = self.optional_integer()?;
        number.map(|number| u32::try_from(number).map_err(|error| self.fault(error))).transpose()
    }

    pub(super) fn optional_text(&mut self) -> Result<Option<&'r str>, Fault> {
        let value = self.value()?;
        value.as_str_or_null().map_err(|error| self.fault(error))
    }

    pub(super) fn text(&mut self) -> Result<&'r str, Fault> {
        self.optional_text()?.ok_or_else(|| self.fault("no text"))
    }

    pub(super) fn optional_id<T>(&mut self) -> Result<Option<T>, Fault>
    where
        T: TryFrom<&'r str, Error = InvalidId>,
    {
        let text = self.optional_text()?;
        text.map(|text| T::try_from(text).map_err(|error| self.fault(error))).transpose()
    }

    pub(super) fn id<T>(&mut self) -> Result<T, Fault>
    where
        T: TryFrom<&'r str, Error = InvalidId>,
    {
        self.optional_id()?.ok_or_else(|| self.fault("no id"))
    }

    fn optional_bytes(&mut self) -> Result<Option<[u8; 16]>, Fault> {
        let value = self.value()?;
        let bytes = value.as_blob_or_null().map_err(|error| self.fault(error))?;
        bytes.map(|bytes| bytes.try_into().map_err(|error| self.fault(error))).transpose()
    }

    fn bytes(&mut self) -> Result<[u8; 16], Fault> {
        self.optional_bytes()?.ok_or_else(|| self.fault("no bytes"))
    }

    pub(super) fn reservation_id(&mut self) -> Result<ReservationId, Fault> {
        self.bytes().map(|bytes| Uuid::from_bytes(bytes).into())
    }

    fn optional_reservation_id(&mut self) -> Result<Option<ReservationId>, Fault> {
        Ok(self.optional_bytes()?.map(|bytes| Uuid::from_bytes(bytes).into()))
    }
}

/// The columns of an event, in the order in which [`event`] reads them.
pub(super) const EVENT: &str = "state, opens_at, closes_at, limit_per_customer";

pub(super) fn event(columns: &mut Columns<'_>) -> Result<Event, Fault> {
    let state = match columns.text()? {
        "preparing" => EventState::Preparing,
        "on_sale" => EventState::OnSale,
        other => return Err(columns.fault(other)),
    };
    let window = SalesWindow { opens: columns.optional_time()?, closes: columns.optional_time()? };
    Ok(Event { state, window, limit_per_customer: columns.optional_count()? })
}

/// The columns of a ticket, in the order in which [`ticket`] reads them.
pub(super) const TICKET: &str = "area_id, row_rank, place_number, state, reservation_id, held_until, block_reason";

pub(super) fn ticket(columns: &mut Columns<'_>) -> Result<Ticket, Fault> {
    let place = Place { area: columns.id::<AreaId>()?, row: columns.count()?, number: columns.count()? };
    let state = columns.text()?;
    let (reservation, until) = (columns.optional_reservation_id()?, columns.optional_time()?);
    let state = match (state, reservation, until, columns.optional_id()?) {
        ("available", None, None, None) => TicketState::Available,
        ("held", Some(reservation), Some(until), None) => TicketState::Held { reservation, until },
        ("booked", Some(reservation), None, None) => TicketState::Booked { reservation },
        ("blocked", None, None, Some(reason)) => TicketState::Blocked { reason },
        _ => return Err(columns.fault(state)),
    };
    Ok(Ticket { place, state })
}

/// The columns of a pool, in the order in which [`pool`] reads them.
pub(super) const POOL: &str = "capacity, held, booked";

pub(super) fn pool(columns: &mut Columns<'_>) -> Result<Pool, Fault> {
    found::pool(columns.count()?, columns.count()?, columns.count()?).map_err(|what| columns.fault(what))
}

/// The columns of an allowance, in the order in which [`allowance`] reads them.
pub(super) const ALLOWANCE: &str = "held, booked";

pub(super) fn allowance(columns: &mut Columns<'_>) -> Result<Allowance, Fault> {
    Ok(Allowance { held: columns.count()?, booked: columns.count()? })
}

/// The columns of a reservation, in the order in which [`reservation`] reads them.
pub(super) const RESERVATION: &str = "event_id, customer_id, state, held_until, held_at";

/// A reservation without its lines.
pub(super) fn reservation(id: ReservationId, columns: &mut Columns<'_>) -> Result<Reservation, Fault> {
    let (event, customer) = (columns.id()?, columns.id()?);
    let state = match (columns.text()?, columns.optional_time()?) {
        ("held", Some(until)) => ReservationState::Held { until },
        ("booked", None) => ReservationState::Booked,
        ("released", None) => ReservationState::Released,
        ("cancelled", None) => ReservationState::Cancelled,
        ("expired", None) => ReservationState::Expired,
        (state, _) => return Err(columns.fault(state)),
    };
    Ok(Reservation { id, event, customer, lines: Lines::default(), state, held_at: columns.time()? })
}

/// The columns of an operation, in the order in which [`operation`] reads them.
pub(super) const OPERATION: &str = "event_id, fingerprint, kind, reservation_id, customer_id, held_until, changed";

pub(super) fn operation(columns: &mut Columns<'_>) -> Result<OperationRecord, Fault> {
    let event = columns.id()?;
    let fingerprint = Fingerprint::from_bytes(columns.bytes()?);
    let kind = columns.text()?;
    let recorded = if kind == VOIDED {
        Recorded::Voided
    } else {
        Recorded::Applied {
            kind: ActionKind::from_name(kind).ok_or_else(|| columns.fault(kind))?,
            reservation: columns.optional_reservation_id()?,
            customer: columns.optional_id()?,
            until: columns.optional_time()?,
            changed: columns.count()?,
        }
    };
    Ok(OperationRecord { event, fingerprint, recorded })
}
