//! The columns of each table's rows, and how a record fills them.

use uuid::Uuid;

use super::array_text::array_text;
use crate::adapters::postgres::rows::VOIDED;
use crate::domain::{
    Allowance, CustomerId, Event, EventState, OperationRecord, Pool, Recorded, Reservation, ReservationState, Ticket,
    TicketState, Timestamp,
};
use crate::ports::PoolShift;

/// Records of one kind that must be at a version, by the number of the check.
#[derive(Debug)]
pub(super) struct Checks<K> {
    pub(super) no: Vec<i64>,
    pub(super) id: Vec<K>,
    pub(super) version: Vec<i64>,
}

impl<K> Default for Checks<K> {
    fn default() -> Self {
        Self { no: Vec::new(), id: Vec::new(), version: Vec::new() }
    }
}

impl<K> Checks<K> {
    pub(super) fn push(&mut self, no: i64, id: K, version: i64) {
        self.no.push(no);
        self.id.push(id);
        self.version.push(version);
    }
}

/// What every written row begins with.
#[derive(Debug, Default)]
pub(super) struct Heads {
    pub(super) group: Vec<i64>,
    /// Its place among the rows of the feed that its group appends.
    pub(super) nth: Vec<i64>,
    pub(super) version: Vec<i64>,
    pub(super) at: Vec<i64>,
}

impl Heads {
    pub(super) fn push(&mut self, head: Head) {
        self.group.push(head.group);
        self.nth.push(head.nth);
        self.version.push(head.version);
        self.at.push(head.at);
    }
}

/// The beginning of one row.
#[derive(Debug, Clone, Copy)]
pub(super) struct Head {
    pub(super) group: i64,
    pub(super) nth: i64,
    pub(super) version: i64,
    pub(super) at: i64,
}

#[derive(Debug, Default)]
pub(super) struct Events<'g> {
    pub(super) heads: Heads,
    pub(super) state: Vec<&'g str>,
    pub(super) opens: Vec<Option<i64>>,
    pub(super) closes: Vec<Option<i64>>,
    pub(super) limit: Vec<Option<i64>>,
}

impl Events<'_> {
    pub(super) fn push(&mut self, event: &Event, head: Head) {
        self.heads.push(head);
        self.state.push(match event.state {
            EventState::Preparing => "preparing",
            EventState::OnSale => "on_sale",
        });
        self.opens.push(micros(event.window.opens));
        self.closes.push(micros(event.window.closes));
        self.limit.push(event.limit_per_customer.map(i64::from));
    }
}

#[derive(Debug, Default)]
pub(super) struct Tickets<'g> {
    pub(super) heads: Heads,
    pub(super) id: Vec<&'g str>,
    pub(super) area: Vec<&'g str>,
    pub(super) row: Vec<i64>,
    pub(super) number: Vec<i64>,
    pub(super) state: Vec<&'g str>,
    pub(super) reservation: Vec<Option<Uuid>>,
    pub(super) until: Vec<Option<i64>>,
    pub(super) reason: Vec<Option<&'g str>>,
}

impl<'g> Tickets<'g> {
    pub(super) fn push(&mut self, id: &'g str, ticket: &'g Ticket, head: Head) {
        self.heads.push(head);
        self.id.push(id);
        self.area.push(ticket.place.area.as_str());
        self.row.push(ticket.place.row.into());
        self.number.push(ticket.place.number.into());
        let (state, reservation, until, reason) = match &ticket.state {
            TicketState::Available => ("available", None, None, None),
            TicketState::Held { reservation, until } => ("held", Some(reservation), Some(until.as_micros()), None),
            TicketState::Booked { reservation } => ("booked", Some(reservation), None, None),
            TicketState::Blocked { reason } => ("blocked", None, None, Some(reason.as_str())),
        };
        self.state.push(state);
        self.reservation.push(reservation.map(|id| *id.as_uuid()));
        self.until.push(until);
        self.reason.push(reason);
    }
}

#[derive(Debug, Default)]
pub(super) struct Pools<'g> {
    pub(super) heads: Heads,
    pub(super) id: Vec<&'g str>,
    pub(super) capacity: Vec<i64>,
    pub(super) held: Vec<i64>,
    pub(super) booked: Vec<i64>,
}

impl<'g> Pools<'g> {
    pub(super) fn push(&mut self, id: &'g str, pool: &Pool, head: Head) {
        self.heads.push(head);
        self.id.push(id);
        self.capacity.push(pool.capacity.into());
        self.held.push(pool.held.into());
        self.booked.push(pool.booked.into());
    }
}

/// By how much pools move, where that is all that is asked of them.
#[derive(Debug, Default)]
pub(super) struct Shifts {
    pub(super) held: Vec<Option<i64>>,
    pub(super) booked: Vec<Option<i64>>,
}

impl Shifts {
    pub(super) fn push(&mut self, shift: Option<&PoolShift>) {
        self.held.push(shift.map(|shift| shift.held));
        self.booked.push(shift.map(|shift| shift.booked));
    }
}

#[derive(Debug, Default)]
pub(super) struct Allowances<'g> {
    pub(super) heads: Heads,
    pub(super) id: Vec<&'g str>,
    pub(super) held: Vec<i64>,
    pub(super) booked: Vec<i64>,
}

impl<'g> Allowances<'g> {
    pub(super) fn push(&mut self, id: &'g str, allowance: &Allowance, head: Head) {
        self.heads.push(head);
        self.id.push(id);
        self.held.push(allowance.held.into());
        self.booked.push(allowance.booked.into());
    }
}

#[derive(Debug, Default)]
pub(super) struct Reservations<'g> {
    pub(super) heads: Heads,
    pub(super) id: Vec<Uuid>,
    pub(super) customer: Vec<&'g str>,
    pub(super) state: Vec<&'g str>,
    pub(super) until: Vec<Option<i64>>,
    pub(super) held_at: Vec<i64>,
    /// The lines: arrays as texts.
    pub(super) tickets: Vec<Option<String>>,
    pub(super) pools: Vec<Option<String>>,
    pub(super) quantities: Vec<Option<String>>,
}

impl<'g> Reservations<'g> {
    pub(super) fn push(&mut self, reservation: &'g Reservation, head: Head) {
        self.heads.push(head);
        let until = match reservation.state {
            ReservationState::Held { until } => Some(until.as_micros()),
            _ => None,
        };
        self.id.push(*reservation.id.as_uuid());
        self.customer.push(reservation.customer.as_str());
        self.state.push(reservation.state.name());
        self.until.push(until);
        self.held_at.push(reservation.held_at.as_micros());
        let lines = &reservation.lines;
        self.tickets.push(array_text(lines.tickets().iter().map(|id| id.as_str())));
        self.pools.push(array_text(lines.pools().iter().map(|(id, _)| id.as_str())));
        self.quantities.push(array_text(lines.pools().iter().map(|(_, quantity)| quantity.to_string())));
    }
}

/// What reservations that are held are found by.
#[derive(Debug, Default)]
pub(super) struct Holds<'g> {
    pub(super) group: Vec<i64>,
    pub(super) reservation: Vec<Uuid>,
    pub(super) is_new: Vec<bool>,
    pub(super) nth: Vec<i64>,
    pub(super) until: Vec<i64>,
    pub(super) pool: Vec<Option<&'g str>>,
    pub(super) quantity: Vec<Option<i64>>,
    pub(super) held_by: Vec<Option<&'g str>>,
}

impl<'g> Holds<'g> {
    /// A row for each pool, or one without a pool.
    pub(super) fn push(&mut self, reservation: &'g Reservation, head: Head) {
        let ReservationState::Held { until } = reservation.state else { return };
        let pools = reservation.lines.pools();
        for index in 0..pools.len().max(1) {
            let pool = pools.get(index);
            self.group.push(head.group);
            self.reservation.push(*reservation.id.as_uuid());
            self.is_new.push(head.version == 0);
            self.nth.push(index as i64 + 1);
            self.until.push(until.as_micros());
            self.pool.push(pool.map(|(id, _)| id.as_str()));
            self.quantity.push(pool.map(|(_, quantity)| (*quantity).into()));
            self.held_by.push((index == 0).then(|| reservation.customer.as_str()));
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Operations<'g> {
    pub(super) group: Vec<i64>,
    pub(super) at: Vec<i64>,
    pub(super) id: Vec<Uuid>,
    pub(super) fingerprint: Vec<&'g [u8]>,
    pub(super) kind: Vec<&'g str>,
    pub(super) reservation: Vec<Option<Uuid>>,
    pub(super) customer: Vec<Option<&'g str>>,
    pub(super) until: Vec<Option<i64>>,
    pub(super) changed: Vec<i64>,
}

impl<'g> Operations<'g> {
    pub(super) fn push(&mut self, id: Uuid, operation: &'g OperationRecord, head: Head) {
        let (kind, reservation, customer, until, changed) = match &operation.recorded {
            Recorded::Applied { kind, reservation, customer, until, changed } => {
                (kind.name(), reservation.as_ref(), customer.as_ref(), *until, *changed)
            }
            Recorded::Voided => (VOIDED, None, None, None, 0),
        };
        self.group.push(head.group);
        self.at.push(head.at);
        self.id.push(id);
        self.fingerprint.push(operation.fingerprint.as_bytes());
        self.kind.push(kind);
        self.reservation.push(reservation.map(|id| *id.as_uuid()));
        self.customer.push(customer.map(CustomerId::as_str));
        self.until.push(micros(until));
        self.changed.push(changed.into());
    }
}

fn micros(time: Option<Timestamp>) -> Option<i64> {
    time.map(Timestamp::as_micros)
}
