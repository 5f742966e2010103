//! One record of each kind, in two versions.

use std::sync::Arc;

use crate::conformance::bench::{
    blocked, customer_id, lines, nth_ticket, operation, pool, pool_key, reservation, ticket, ticket_key,
};
use crate::domain::{
    Allowance, Event, EventId, EventState, Record, RecordKey, ReservationState, SalesWindow, TicketState, Timestamp,
};
use crate::ports::{Runtime, RuntimeExt};

/// A record that changes, before and after.
pub(super) struct Sample {
    pub(super) key: RecordKey,
    pub(super) before: Record,
    pub(super) after: Record,
}

pub(super) fn event(state: EventState) -> Record {
    Record::Event(Event { state, window: SalesWindow::default(), limit_per_customer: Some(4) })
}

/// The kinds that change. The event comes first: the others belong to it.
pub(super) fn changing(event_id: &EventId, runtime: &Arc<dyn Runtime>) -> Vec<Sample> {
    let id = runtime.reservation_id();
    let until = Timestamp::from_micros(4_000_000_000_000_001);
    // What the reservation names stands before it in the list: a store may have foreign keys.
    let of_both = || lines(&[nth_ticket(0)], &[("floor", 2)]);
    vec![
        Sample { key: RecordKey::Event, before: event(EventState::Preparing), after: event(EventState::OnSale) },
        Sample { key: ticket_key(0), before: ticket(0, TicketState::Available), after: ticket(0, blocked("camera")) },
        Sample { key: pool_key("floor"), before: pool(10, 0, 0), after: pool(10, 2, 1) },
        Sample {
            key: RecordKey::Allowance(customer_id("ada")),
            before: Record::Allowance(Allowance { held: 3, booked: 0 }),
            after: Record::Allowance(Allowance { held: 0, booked: 3 }),
        },
        Sample {
            key: RecordKey::Reservation(id),
            before: reservation(id, event_id, "ada", of_both(), ReservationState::Held { until }),
            after: reservation(id, event_id, "ada", of_both(), ReservationState::Booked),
        },
    ]
}

/// Every kind, as it is created; an operation never changes.
pub(super) fn created(event_id: &EventId, runtime: &Arc<dyn Runtime>) -> Vec<(RecordKey, Record)> {
    let mut records: Vec<_> = changing(event_id, runtime).into_iter().map(|it| (it.key, it.before)).collect();
    let reservation = match &records[4].0 {
        RecordKey::Reservation(id) => Some(*id),
        _ => None,
    };
    records.push((RecordKey::Operation(runtime.operation_id()), operation(event_id, reservation)));
    records
}
