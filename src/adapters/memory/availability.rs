use super::area::AreaIndex;
use super::tables::{EventTables, Tables};
use crate::domain::{AreaId, EventId, PoolId, Timestamp};
use crate::ports::{AreaAvailability, Availability, PoolAvailability};

/// How much of an event is free at `at`.
pub(super) fn availability(tables: &Tables, event: &EventId, at: Timestamp) -> Availability {
    let Some(event) = tables.events.get(event) else { return Availability { at, ..Availability::default() } };
    let pools = event.pools.iter().map(|(id, row)| {
        let lapsed = lapsed_in_pool(tables, event, id, at);
        let pool = &row.content;
        let held = pool.held.saturating_sub(lapsed);
        let available = pool.capacity.saturating_sub(held).saturating_sub(pool.booked);
        PoolAvailability { pool: id.clone(), capacity: pool.capacity, available, held, booked: pool.booked }
    });
    Availability { at, areas: areas(event, at), pools: pools.collect() }
}

fn areas(event: &EventTables, at: Timestamp) -> Vec<AreaAvailability> {
    let area = |(id, index): (&AreaId, &AreaIndex)| {
        let lapsed = index.lapsed(at);
        AreaAvailability {
            area: id.clone(),
            tickets: index.tickets.len() as u64,
            available: (index.available.len() + lapsed) as u64,
            held: (index.held.len() - lapsed) as u64,
            booked: index.booked,
            blocked: index.blocked,
        }
    };
    event.areas.iter().map(area).collect()
}

/// How many places of a pool expired holds still count in.
fn lapsed_in_pool(tables: &Tables, event: &EventTables, pool: &PoolId, at: Timestamp) -> u32 {
    let holds = event.holds_by_pool.get(pool).into_iter().flatten();
    holds
        .take_while(|(until, _)| *until <= at)
        .filter_map(|(_, id)| tables.reservations.get(id))
        .flat_map(|row| row.content.lines.pools())
        .filter(|(of, _)| of == pool)
        .fold(0, |sum, (_, quantity)| sum.saturating_add(*quantity))
}
