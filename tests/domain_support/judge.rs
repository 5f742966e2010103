//! What the model says to a command: every reason to refuse it, in no order. Without a reason it must succeed, with one it
//! must be refused, and for one of them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ticket_reservation::domain::{
    Action, Command, CustomerId, EventId, Hold, Import, LatePayment, OPERATION_CLOCK_SKEW_MAX, Rejection,
    ReservationId, TicketId, Timestamp, Transfer,
};

use super::model::{Booking, Model, Sale, Status, has_neighbours};

type Reasons = BTreeSet<&'static str>;

/// The circumstances of a decision.
#[derive(Debug, Clone, Copy)]
pub(crate) struct At<'a> {
    /// What the store's clock says.
    pub(crate) clock: Timestamp,
    /// The decision time.
    pub(crate) now: Timestamp,
    /// What best available chose earlier.
    pub(crate) picked: &'a [TicketId],
}

impl Model {
    /// For a command that no operation record answers.
    pub(crate) fn reasons_against(&self, command: &Command, at: At<'_>) -> Reasons {
        let mut reasons = Reasons::new();
        let mut refuse = |when: bool, why| reasons.extend(when.then_some(why));
        refuse(command.check().is_err(), "invalid_lines");
        let made_at = command.operation.made_at();
        let forgotten = self.purged_before.max(at.clock.before(self.policies.retention));
        refuse(made_at < forgotten, "operation_too_old");
        refuse(made_at > at.clock.after(OPERATION_CLOCK_SKEW_MAX), "operation_from_future");
        let sale = self.sales.get(&command.event);
        refuse(matches!((&command.action, sale), (Action::CreateEvent(_), Some(_))), "event_exists");
        refuse(!matches!(command.action, Action::CreateEvent(_)) && sale.is_none(), "unknown_event");
        if let Action::Hold(Hold { ttl, .. }) | Action::Extend { ttl, .. } = &command.action {
            reasons.extend(self.against_ttl(*ttl));
        }
        let Some(sale) = sale else { return reasons };
        let event = &command.event;
        reasons.extend(match &command.action {
            Action::Import(import) => against_import(sale, import),
            Action::Hold(hold) => self.against_hold(event, sale, hold, at),
            Action::Block { tickets, .. } => {
                let mut reasons = against_unknown(sale, tickets);
                if !self.taken(event, tickets, at.now, None).is_empty() {
                    reasons.insert("unavailable");
                }
                reasons
            }
            Action::Unblock { tickets } => {
                let mut reasons = against_unknown(sale, tickets);
                if tickets.iter().any(|ticket| !sale.blocked.contains_key(ticket)) {
                    reasons.insert("not_blocked");
                }
                reasons
            }
            action => self.against_change(event, action, at),
        });
        reasons
    }

    fn against_ttl(&self, ttl: Option<Duration>) -> Option<&'static str> {
        let ttl = ttl.unwrap_or(self.policies.hold_ttl);
        let allowed = Duration::from_millis(1)..=self.policies.hold_ttl_max;
        (!allowed.contains(&ttl)).then_some("invalid_ttl")
    }

    fn against_window(&self, sale: &Sale, now: Timestamp) -> Option<&'static str> {
        let opens = sale.terms.window.opens.unwrap_or(Timestamp::from_micros(i64::MIN));
        let closes = sale.terms.window.closes.unwrap_or(Timestamp::from_micros(i64::MAX));
        (!sale.on_sale || now < opens || closes <= now).then_some("not_on_sale")
    }

    fn against_limit(
        &self,
        event: &EventId,
        customer: &CustomerId,
        places: u64,
        now: Timestamp,
        but: Option<ReservationId>,
    ) -> Option<&'static str> {
        let limit = self.sales[event].terms.limit_per_customer?;
        (self.taken_by(event, customer, now, but) + places > u64::from(limit)).then_some("limit_reached")
    }

    fn against_hold(&self, event: &EventId, sale: &Sale, hold: &Hold, at: At<'_>) -> Reasons {
        let mut named: Vec<TicketId> = hold.lines.tickets().to_vec();
        let best = hold.best_available.as_ref();
        let mut places = u64::from(hold.lines.places());
        let mut reasons = Reasons::new();
        if let Some(best) = best {
            places += u64::from(best.quantity);
            let free = self.free_places(event, &best.area, &named, at.now);
            if at.picked.is_empty() && !has_neighbours(&free, best.quantity) {
                reasons.insert("no_neighbours");
            }
        }
        named.extend(at.picked.iter().cloned());
        reasons.extend(against_unknown(sale, &named));
        reasons.extend(self.against_window(sale, at.now));
        reasons.extend(self.bookings.contains_key(&hold.reservation).then_some("reservation_exists"));
        reasons.extend((!self.taken(event, &named, at.now, None).is_empty()).then_some("unavailable"));
        for (pool, quantity) in hold.lines.pools() {
            reasons.extend(match self.free_in_pool(event, pool, at.now, None) {
                None => Some("unknown_pool"),
                Some(free) => (free < *quantity).then_some("insufficient"),
            });
        }
        reasons.extend(self.against_limit(event, &hold.customer, places, at.now, None));
        reasons
    }

    /// Against what changes a reservation.
    fn against_change(&self, event: &EventId, action: &Action, at: At<'_>) -> Reasons {
        let mut reasons = Reasons::new();
        let Some((id, who)) = subject(action) else { return reasons };
        let Some(booking) = self.bookings.get(&id).filter(|it| it.event == *event) else {
            reasons.insert("unknown_reservation");
            return reasons;
        };
        if booking.customer != *who {
            reasons.insert("not_owner");
        }
        let cancels = matches!(action, Action::Cancel { .. });
        match booking.status {
            Status::Booked if cancels || matches!(action, Action::Transfer(_)) => {}
            Status::Held(until) if at.now < until && !cancels => {}
            Status::Held(until) if until <= at.now && !cancels => {
                reasons.extend(self.against_late(event, id, booking, action, at.now));
            }
            _ => drop(reasons.insert("wrong_state")),
        }
        match (action, booking.status) {
            (Action::Extend { .. }, Status::Held(until)) => {
                let used_up = booking.held_at.after(self.policies.hold_ttl_max) <= until;
                reasons.extend(used_up.then_some("extension_limit"));
            }
            (Action::Transfer(Transfer { to, .. }), _) => {
                reasons.extend(self.against_limit(event, to, booking.lines.places().into(), at.now, Some(id)));
            }
            _ => {}
        }
        reasons
    }

    /// Against an action on a hold that is over: only a late payment may pass, if all of it is still free.
    fn against_late(
        &self,
        event: &EventId,
        id: ReservationId,
        booking: &Booking,
        action: &Action,
        now: Timestamp,
    ) -> Reasons {
        let mut reasons = Reasons::new();
        if !matches!(action, Action::Confirm { .. }) || self.policies.late_payment != LatePayment::RebookIfFree {
            reasons.insert("hold_expired");
            return reasons;
        }
        reasons.extend(self.against_window(&self.sales[event], now));
        let taken = self.taken(event, booking.lines.tickets(), now, Some(id));
        reasons.extend((!taken.is_empty()).then_some("unavailable"));
        for (pool, quantity) in booking.lines.pools() {
            let free = self.free_in_pool(event, pool, now, Some(id));
            reasons.extend(free.is_none_or(|free| free < *quantity).then_some("insufficient"));
        }
        reasons.extend(self.against_limit(event, &booking.customer, booking.lines.places().into(), now, Some(id)));
        reasons
    }

    /// Whether a refusal tells the truth about what it names.
    pub(crate) fn tells_the_truth(&self, command: &Command, rejection: &Rejection, at: At<'_>) -> bool {
        let event = &command.event;
        let subject = subject(&command.action).map(|(id, _)| id);
        let hold = match &command.action {
            Action::Hold(hold) => Some(hold),
            _ => None,
        };
        match rejection {
            Rejection::Unavailable { tickets } => {
                let asked: Vec<TicketId> = match &command.action {
                    Action::Hold(hold) => hold.lines.tickets().iter().chain(at.picked).cloned().collect(),
                    Action::Block { tickets, .. } => tickets.clone(),
                    _ => subject.map(|id| self.bookings[&id].lines.tickets().to_vec()).unwrap_or_default(),
                };
                *tickets == self.taken(event, &asked, at.now, subject)
            }
            Rejection::Insufficient { pool, free, .. } => {
                self.free_in_pool(event, pool, at.now, subject) == Some(*free)
            }
            Rejection::LimitReached { limit, taken, .. } => {
                let receiver = match &command.action {
                    Action::Confirm { customer, .. } => Some(customer),
                    _ => command.receiving_customer(),
                };
                let really = receiver.map(|who| self.taken_by(event, who, at.now, subject));
                really == Some(u64::from(*taken)) && self.sales[event].terms.limit_per_customer == Some(*limit)
            }
            Rejection::NoNeighbours { area, free, .. } => {
                let named = hold.map(|hold| hold.lines.tickets()).unwrap_or_default();
                self.free_places(event, area, named, at.now).len() == *free as usize
            }
            Rejection::WrongState { state } => {
                let status = subject.and_then(|id| self.bookings.get(&id)).map(|it| it.status);
                *state
                    == match status {
                        Some(Status::Held(until)) if at.now < until => "held",
                        Some(Status::Held(_)) => "expired",
                        Some(Status::Booked) => "booked",
                        Some(Status::Released) => "released",
                        Some(Status::Cancelled) => "cancelled",
                        None => "unknown",
                    }
            }
            _ => true,
        }
    }
}

/// The reservation that a command changes, and whose it says it is.
pub(crate) fn subject(action: &Action) -> Option<(ReservationId, &CustomerId)> {
    match action {
        Action::Extend { reservation, customer, .. }
        | Action::Confirm { reservation, customer }
        | Action::Release { reservation, customer }
        | Action::Cancel { reservation, customer } => Some((*reservation, customer)),
        Action::Transfer(Transfer { reservation, from, .. }) => Some((*reservation, from)),
        _ => None,
    }
}

fn against_unknown(sale: &Sale, tickets: &[TicketId]) -> Reasons {
    let unknown = tickets.iter().any(|ticket| !sale.places.contains_key(ticket));
    unknown.then_some("unknown_tickets").into_iter().collect()
}

fn against_import(sale: &Sale, import: &Import) -> Reasons {
    let mut places: BTreeMap<_, _> = sale.places.iter().collect();
    let mut capacities: BTreeMap<_, _> = sale.capacities.iter().collect();
    let tickets = import.tickets.iter().any(|(id, place)| *places.entry(id).or_insert(place) != place);
    let pools = import.pools.iter().any(|(id, capacity)| *capacities.entry(id).or_insert(capacity) != capacity);
    (tickets || pools).then_some("inventory_mismatch").into_iter().collect()
}
