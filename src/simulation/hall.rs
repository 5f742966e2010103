//! What is sold in every world: one event, seats of one area, pools.

use super::dice::Dice;
use super::settings::Settings;
use crate::domain::{AreaId, BlockReason, CustomerId, EventId, Place, PoolId, TicketId};

pub(super) fn event() -> EventId {
    EventId::new("gala").expect("an id")
}

pub(super) fn area() -> AreaId {
    AreaId::new("stalls").expect("an id")
}

pub(super) fn pool(number: usize) -> PoolId {
    PoolId::new(format!("standing-{number}")).expect("an id")
}

pub(super) fn customer(number: usize) -> CustomerId {
    CustomerId::new(format!("customer-{number}")).expect("an id")
}

pub(super) fn reason() -> BlockReason {
    BlockReason::new("camera").expect("a reason")
}

fn ticket(row: u32, number: u32) -> TicketId {
    TicketId::new(format!("{row}-{number}")).expect("an id")
}

pub(super) fn any_ticket(settings: &Settings, dice: &mut Dice) -> TicketId {
    // The first places are wanted most.
    let mut at = |count: u32| 1 + dice.below(count as usize).min(dice.below(count as usize)) as u32;
    ticket(at(settings.rows), at(settings.seats_in_row))
}

pub(super) fn places(settings: &Settings) -> Vec<(TicketId, Place)> {
    let of_row =
        |row| (1..=settings.seats_in_row).map(move |number| (ticket(row, number), Place { area: area(), row, number }));
    (1..=settings.rows).flat_map(of_row).collect()
}

pub(super) fn pools(settings: &Settings) -> Vec<(PoolId, u32)> {
    settings.pools.iter().enumerate().map(|(number, capacity)| (pool(number), *capacity)).collect()
}
