//! Ids and records for cases.

use crate::domain::{
    ActionKind, AreaId, BlockReason, CustomerId, EventId, Fingerprint, Lines, OperationId, OperationRecord, Place,
    Pool, PoolId, Record, RecordKey, Recorded, Reservation, ReservationId, ReservationState, Ticket, TicketId,
    TicketState, Timestamp,
};
use crate::ports::Runtime;

/// A literal of the suite is a valid id.
pub(super) fn literal<T, E: std::fmt::Debug>(id: Result<T, E>) -> T {
    id.expect("the suite's own ids are valid")
}

pub(super) fn event_id(text: &str) -> EventId {
    literal(EventId::new(text))
}

pub(super) fn ticket_id(text: impl AsRef<str>) -> TicketId {
    literal(TicketId::new(text))
}

pub(super) fn pool_id(text: &str) -> PoolId {
    literal(PoolId::new(text))
}

pub(super) fn customer_id(text: impl AsRef<str>) -> CustomerId {
    literal(CustomerId::new(text))
}

pub(super) fn area_id(text: &str) -> AreaId {
    literal(AreaId::new(text))
}

pub(super) fn lines(tickets: &[TicketId], pools: &[(&str, u32)]) -> Lines {
    let pools = pools.iter().map(|(id, quantity)| (pool_id(id), *quantity));
    literal(Lines::merge(tickets.iter().cloned(), pools))
}

/// The ticket with a number, as [`RepositoryBench::stage`] makes them.
pub(super) fn nth_ticket(n: u32) -> TicketId {
    ticket_id(format!("A-{n:05}"))
}

pub(super) fn ticket_key(n: u32) -> RecordKey {
    RecordKey::Ticket(nth_ticket(n))
}

pub(super) fn pool_key(id: &str) -> RecordKey {
    RecordKey::Pool(pool_id(id))
}

pub(super) fn place(n: u32) -> Place {
    Place { area: area_id("A"), row: n / 20 + 1, number: n % 20 + 1 }
}

pub(super) fn ticket(n: u32, state: TicketState) -> Record {
    Record::Ticket(Ticket { place: place(n), state })
}

pub(super) fn pool(capacity: u32, held: u32, booked: u32) -> Record {
    Record::Pool(Pool { capacity, held, booked })
}

pub(super) fn blocked(reason: &str) -> TicketState {
    TicketState::Blocked { reason: literal(BlockReason::new(reason)) }
}

pub(super) fn reservation(
    id: ReservationId,
    event: &EventId,
    customer: &str,
    lines: Lines,
    state: ReservationState,
) -> Record {
    let held_at = Timestamp::from_micros(1_700_000_000_123_456);
    Record::Reservation(Reservation {
        id,
        event: event.clone(),
        customer: customer_id(customer),
        lines,
        state,
        held_at,
    })
}

/// An operation record about a reservation.
pub(super) fn operation(event: &EventId, reservation: Option<ReservationId>) -> Record {
    Record::Operation(OperationRecord {
        event: event.clone(),
        fingerprint: Fingerprint::from_bytes([7; 16]),
        recorded: Recorded::Applied {
            kind: ActionKind::Hold,
            reservation,
            customer: reservation.map(|_| customer_id("ada")),
            until: reservation.map(|_| Timestamp::from_micros(1_700_000_600_000_001)),
            changed: 0,
        },
    })
}

/// A new operation id that was made at `time`.
pub(super) fn operation_made_at(runtime: &dyn Runtime, time: Timestamp) -> OperationId {
    let mut random = [0; 10];
    random[..8].copy_from_slice(&runtime.random().to_be_bytes());
    OperationId::from_parts(time, random)
}
