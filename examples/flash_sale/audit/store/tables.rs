//! The tables of a SQL store, which have the same names and columns everywhere: they are the contract, and a program that knows
//! only them comes to the same verdict.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::super::books::*;
use super::super::lines::Lines;

/// The columns of one row, by their names.
pub(super) trait Columns {
    type Error;

    fn number(&self, column: &str) -> Result<i64, Self::Error>;
    fn optional_number(&self, column: &str) -> Result<Option<i64>, Self::Error>;
    fn text(&self, column: &str) -> Result<String, Self::Error>;
    fn optional_text(&self, column: &str) -> Result<Option<String>, Self::Error>;
    fn id(&self, column: &str) -> Result<Uuid, Self::Error>;
    fn optional_id(&self, column: &str) -> Result<Option<Uuid>, Self::Error>;
    /// The lines of a reservation, as the feed has them.
    fn lines(&self) -> Result<Lines, Self::Error>;
}

pub(super) fn counters<C: Columns>(row: &C) -> Result<FeedCounters, C::Error> {
    Ok(FeedCounters { last: row.number("change_sequence")?, purged_through: row.number("changes_purged_through")? })
}

// ---- one row of a table, or of the feed, which has the same columns

pub(super) fn versioned<C: Columns, T>(
    row: &C,
    content: impl FnOnce(&C) -> Result<T, C::Error>,
) -> Result<Row<T>, C::Error> {
    Ok(Row { version: row.number("version")?, decided_at: row.number("decided_at")?, content: content(row)? })
}

pub(super) fn event<C: Columns>(row: &C) -> Result<Event, C::Error> {
    Ok(Event {
        state: row.text("state")?,
        opens_at: row.optional_number("opens_at")?,
        closes_at: row.optional_number("closes_at")?,
        limit_per_customer: row.optional_number("limit_per_customer")?,
    })
}

pub(super) fn ticket<C: Columns>(row: &C) -> Result<Ticket, C::Error> {
    let place = Place { area: row.text("area_id")?, row: row.number("row_rank")?, number: row.number("place_number")? };
    let (owner, until) = (row.optional_id("reservation_id")?, row.optional_number("held_until")?);
    let state = TicketState::of(row.text("state")?, owner, until, row.optional_text("block_reason")?);
    Ok(Ticket { place, state })
}

pub(super) fn pool<C: Columns>(row: &C) -> Result<Pool, C::Error> {
    Ok(Pool { capacity: row.number("capacity")?, held: row.number("held")?, booked: row.number("booked")? })
}

pub(super) fn allowance<C: Columns>(row: &C) -> Result<Allowance, C::Error> {
    Ok(Allowance { held: row.number("held")?, booked: row.number("booked")? })
}

pub(super) fn reservation<C: Columns>(row: &C, lines: Lines) -> Result<Reservation, C::Error> {
    Ok(Reservation {
        customer: row.text("customer_id")?,
        state: ReservationState::of(row.text("state")?, row.optional_number("held_until")?),
        held_at: row.number("held_at")?,
        lines,
    })
}

pub(super) fn line<C: Columns>(row: &C) -> Result<Line, C::Error> {
    Ok(Line {
        number: row.number("line")?,
        event: row.text("event_id")?,
        ticket: row.optional_text("ticket_id")?,
        pool: row.optional_text("pool_id")?,
        quantity: row.number("quantity")?,
        held_until: row.optional_number("held_until")?,
    })
}

pub(super) fn operation<C: Columns>(row: &C) -> Result<Operation, C::Error> {
    Ok(Operation {
        kind: row.text("kind")?,
        reservation: row.optional_id("reservation_id")?,
        customer: row.optional_text("customer_id")?,
        decided_at: row.number("decided_at")?,
    })
}

pub(super) fn change<C: Columns>(row: &C) -> Result<Change, C::Error> {
    let kind = row.text("kind")?;
    let record = match kind.as_str() {
        "event" => Record::Event(versioned(row, event)?),
        "ticket" => Record::Ticket(row.text("ticket_id")?, versioned(row, ticket)?),
        "pool" => Record::Pool(row.text("pool_id")?, versioned(row, pool)?),
        "allowance" => Record::Allowance(row.text("customer_id")?, versioned(row, allowance)?),
        "reservation" => {
            let lines = row.lines()?;
            Record::Reservation(row.id("reservation_id")?, versioned(row, |row| reservation(row, lines))?)
        }
        _ => Record::Odd(kind),
    };
    Ok(Change { sequence: row.number("sequence")?, record })
}

/// Those of a reservation, from its rows.
pub(super) fn lines_of_rows(rows: &[Line]) -> Lines {
    let tickets = rows.iter().filter_map(|line| line.ticket.clone()).collect();
    let pools = rows.iter().filter_map(|line| Some((line.pool.clone()?, line.quantity))).collect();
    Lines::new(tickets, pools)
}

/// Those of each reservation.
pub(super) fn lines_by_reservation(rows: Vec<(Uuid, Line)>) -> BTreeMap<Uuid, Vec<Line>> {
    let mut lines: BTreeMap<Uuid, Vec<Line>> = BTreeMap::new();
    for (reservation, line) in rows {
        lines.entry(reservation).or_default().push(line);
    }
    lines
}
