use rusqlite::params;

use super::error::Fault;
use super::read::{LINES, read_lines};
use super::rows::{self, Columns};
use super::store::Store;
use super::transaction::prepare;
use crate::domain::{EventId, Pool, PoolId, Reservation, ReservationId, Ticket, TicketId};
use crate::ports::{PAGE_MAX, PoolQuery, ReservationFilter, ReservationQuery, TicketQuery};

/// Tickets of an event, or of one area of it, by id.
pub(super) fn tickets_sql(of_area: bool, only_available: bool) -> String {
    let (index, area) = if of_area { ("INDEXED BY ticket_by_area", "AND area_id = ?4") } else { ("", "") };
    format!(
        "SELECT ticket_id, version, {} FROM ticket {index}
         WHERE event_id = ?1 AND ticket_id > ?2 {area} {available} ORDER BY ticket_id LIMIT ?3",
        rows::TICKET,
        available = if only_available { "AND (state = 'available' OR held_until <= ?5)" } else { "" },
    )
}

/// Pools of an event by id.
pub(super) fn pools_sql() -> String {
    format!(
        "SELECT pool_id, version, {} FROM pool WHERE event_id = ?1 AND pool_id > ?2 ORDER BY pool_id LIMIT ?3",
        rows::POOL
    )
}

/// Reservations of an event or of all, of a customer or of all, by id.
pub(super) fn reservations_sql(of_event: bool, of_customer: bool, state: Option<ReservationFilter>) -> String {
    // A customer has few reservations, in the order of their deadlines: they are sorted. An event's are in order. None is
    // found by its state, which changes: every confirmation would move a row of one more index.
    let index = match (of_event, of_customer) {
        (_, true) => "INDEXED BY reservation_by_customer",
        (true, false) => "INDEXED BY reservation_by_event",
        (false, false) => "",
    };
    format!(
        "SELECT reservation_id, version, {} FROM reservation {index}
         WHERE reservation_id > ?2 {event} {customer} {state} ORDER BY reservation_id LIMIT ?3",
        rows::RESERVATION,
        event = if of_event { "AND event_id = ?1" } else { "" },
        customer = if of_customer { "AND customer_id = ?4" } else { "" },
        state = match state {
            None => "",
            Some(ReservationFilter::Held) => "AND held_until > ?5",
            Some(ReservationFilter::Booked) => "AND state = 'booked'",
            Some(ReservationFilter::Released) => "AND state = 'released'",
            Some(ReservationFilter::Cancelled) => "AND state = 'cancelled'",
            Some(ReservationFilter::Expired) => "AND (state = 'expired' OR held_until <= ?5)",
        },
    )
}

/// Holds of all events, the earliest deadline first.
pub(super) const LAPSED: &str =
    "SELECT reservation_id, event_id FROM reservation WHERE held_until <= ?1 ORDER BY held_until LIMIT ?2";

/// No page is longer than the port says.
pub(super) fn page(limit: usize) -> i64 {
    limit.min(PAGE_MAX) as i64
}

impl Store<'_> {
    pub(super) fn tickets(&mut self, query: &TicketQuery) -> Result<Vec<(TicketId, u64, Ticket)>, Fault> {
        let now = self.clock.unix_time();
        let mut statement = prepare(self.connection, &tickets_sql(query.area.is_some(), query.only_available))?;
        statement.raw_bind_parameter(1, query.event.as_str())?;
        statement.raw_bind_parameter(2, query.after.as_ref().map_or("", TicketId::as_str))?;
        statement.raw_bind_parameter(3, page(query.limit))?;
        if let Some(area) = &query.area {
            statement.raw_bind_parameter(4, area.as_str())?;
        }
        if query.only_available {
            statement.raw_bind_parameter(5, now.as_micros())?;
        }
        let mut rows = statement.raw_query();
        let mut tickets = Vec::new();
        while let Some(row) = rows.next()? {
            let mut columns = Columns::of("ticket", row);
            tickets.push((columns.id()?, columns.version()?, rows::ticket(&mut columns)?));
        }
        Ok(tickets)
    }

    pub(super) fn pools(&mut self, query: &PoolQuery) -> Result<Vec<(PoolId, u64, Pool)>, Fault> {
        let mut statement = prepare(self.connection, &pools_sql())?;
        // Every id comes after the empty text.
        let after = query.after.as_ref().map_or("", PoolId::as_str);
        let mut rows = statement.query(params![query.event.as_str(), after, page(query.limit)])?;
        let mut pools = Vec::new();
        while let Some(row) = rows.next()? {
            let mut columns = Columns::of("pool", row);
            pools.push((columns.id()?, columns.version()?, rows::pool(&mut columns)?));
        }
        Ok(pools)
    }

    /// Reservations and their lines, all at one moment.
    pub(super) fn reservations(&mut self, query: &ReservationQuery) -> Result<Vec<(u64, Reservation)>, Fault> {
        self.transactions.begin_read()?;
        let reservations = self.reservations_in_transaction(query);
        self.transactions.undo(reservations)
    }

    fn reservations_in_transaction(&mut self, query: &ReservationQuery) -> Result<Vec<(u64, Reservation)>, Fault> {
        let now = self.clock.unix_time();
        let sql = reservations_sql(query.event.is_some(), query.customer.is_some(), query.state);
        let mut statement = prepare(self.connection, &sql)?;
        if let Some(event) = &query.event {
            statement.raw_bind_parameter(1, event.as_str())?;
        }
        // Every blob comes after the empty one.
        let after = query.after.as_ref().map_or(&[][..], |id| id.as_uuid().as_bytes());
        statement.raw_bind_parameter(2, after)?;
        statement.raw_bind_parameter(3, page(query.limit))?;
        if let Some(customer) = &query.customer {
            statement.raw_bind_parameter(4, customer.as_str())?;
        }
        if matches!(query.state, Some(ReservationFilter::Held | ReservationFilter::Expired)) {
            statement.raw_bind_parameter(5, now.as_micros())?;
        }
        let mut lines = prepare(self.connection, LINES)?;
        let mut rows = statement.raw_query();
        let mut reservations = Vec::new();
        while let Some(row) = rows.next()? {
            let mut columns = Columns::of("reservation", row);
            let (id, version) = (columns.reservation_id()?, columns.version()?);
            let mut reservation = rows::reservation(id, &mut columns)?;
            reservation.lines = read_lines(&mut lines, &reservation)?;
            reservations.push((version, reservation));
        }
        Ok(reservations)
    }

    pub(super) fn lapsed(&mut self, limit: usize) -> Result<Vec<(EventId, ReservationId)>, Fault> {
        let now = self.clock.unix_time();
        let mut statement = prepare(self.connection, LAPSED)?;
        let mut rows = statement.query(params![now.as_micros(), page(limit)])?;
        let mut lapsed = Vec::new();
        while let Some(row) = rows.next()? {
            let mut columns = Columns::of("reservation", row);
            let id = columns.reservation_id()?;
            lapsed.push((columns.id()?, id));
        }
        Ok(lapsed)
    }
}
