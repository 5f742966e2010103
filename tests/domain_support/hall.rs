//! A hall so small that commands meet. Two events are sold in it, with the same names for everything.

use ticket_reservation::domain::{
    AreaId, CustomerId, EventId, Place, PoolId, ReservationId, SalesWindow, TicketId, Timestamp,
};

/// Two rows of three places in area A, and a row of two in area B.
pub(crate) const TICKETS: u8 = 8;
pub(crate) const POOLS: [(&str, u32); 2] = [("floor", 4), ("balcony", 2)];
pub(crate) const CUSTOMERS: u8 = 3;
pub(crate) const START: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);
pub(crate) const MINUTE: i64 = 60_000_000;

pub(crate) fn event_id(n: u8) -> EventId {
    EventId::new(if n == 0 { "concert" } else { "matinee" }).unwrap()
}

pub(crate) fn events() -> [EventId; 2] {
    [0, 1].map(event_id)
}

pub(crate) fn ticket_id(n: u8) -> TicketId {
    TicketId::new(format!("T{n}")).unwrap()
}

/// From two on, pools that no event has.
pub(crate) fn pool_id(n: u8) -> PoolId {
    PoolId::new(POOLS.get(usize::from(n)).map_or("attic", |(name, _)| name)).unwrap()
}

pub(crate) fn customer_id(n: u8) -> CustomerId {
    CustomerId::new(format!("customer {n}")).unwrap()
}

pub(crate) fn reservation_id(n: u64) -> ReservationId {
    uuid::Uuid::from_u128(0x7000 + u128::from(n)).into()
}

pub(crate) fn area_id(n: u8) -> AreaId {
    AreaId::new(if n == 0 { "A" } else { "B" }).unwrap()
}

pub(crate) fn areas() -> Vec<AreaId> {
    [0, 1].map(area_id).to_vec()
}

/// The last place of row 1 and the first of row 2 have consecutive numbers, and are no neighbours.
pub(crate) fn place(n: u8) -> Place {
    match n {
        0..6 => Place { area: area_id(0), row: 1 + u32::from(n / 3), number: u32::from(n) },
        _ => Place { area: area_id(1), row: 1, number: u32::from(n) },
    }
}

pub(crate) fn minutes_from_start(minutes: i64) -> Timestamp {
    Timestamp::from_micros(START.as_micros() + minutes * MINUTE)
}

/// On what terms everything is sold.
#[derive(Debug, Clone)]
pub(crate) struct Terms {
    pub(crate) limit: Option<u32>,
    pub(crate) books_late_payments: bool,
    pub(crate) window: SalesWindow,
}
