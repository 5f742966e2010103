//! Sweepers that race with one another, and with buyers.

use std::time::Duration;

use crate::booking::BookingService;
use crate::conformance::audit;
use crate::conformance::bench::{
    RepositoryBench, event_id, lines, nth_ticket, pool, pool_id, pool_key, reservation, side_by_side, ticket,
    ticket_key,
};
use crate::conformance::check::{Checked, Failure, ensure, ensure_eq};
use crate::conformance::service;
use crate::domain::{EventId, RecordKey, ReservationState, TicketState};
use crate::ports::{BoxFuture, RuntimeExt};

const SWEEPERS: usize = 4;
const HOLDS: u32 = 60;

/// A pool and seats full of holds that are over, each of one seat and one standing place.
async fn stage(bench: &RepositoryBench, event: &EventId) -> Checked {
    bench.stage(event, HOLDS, &[("floor", HOLDS)], None).await?;
    let until = bench.clock().await?.before(Duration::from_secs(60));
    let mut records = vec![(pool_key("floor"), pool(HOLDS, HOLDS, 0))];
    for seat in 0..HOLDS {
        let id = bench.runtime.reservation_id();
        let of_seat = lines(&[nth_ticket(seat)], &[("floor", 1)]);
        let held = reservation(id, event, "ada", of_seat, ReservationState::Held { until });
        records.push((RecordKey::Reservation(id), held));
        records.push((ticket_key(seat), ticket(seat, TicketState::Held { reservation: id, until })));
    }
    bench.put(event, records).await
}

/// Sweeps until nothing is left. Answers how many holds it has settled.
async fn sweep(service: BookingService) -> Result<usize, Failure> {
    let mut settled = 0;
    for _ in 0..10 * HOLDS {
        settled += service.sweep(7).await?.expired;
        if service.repository().lapsed(1).await?.is_empty() {
            return Ok(settled);
        }
    }
    Err(Failure::new("there is always something left to sweep"))
}

pub(super) async fn sweepers_that_race_settle_every_hold_once(bench: &RepositoryBench) -> Checked {
    let event = event_id("concert");
    stage(bench, &event).await?;
    let mut tasks: Vec<BoxFuture<'static, Result<usize, Failure>>> = Vec::new();
    for _ in 0..SWEEPERS {
        tasks.push(Box::pin(sweep(service::on(bench, bench.open().await?)?)));
    }
    let settled = side_by_side(&bench.runtime, tasks).await?;
    ensure_eq!(settled.into_iter().sum::<usize>(), HOLDS as usize, "the number of holds settled by all sweepers");
    for (version, found) in bench.reservations(&event).await? {
        ensure_eq!((version, found.state), (2, ReservationState::Expired), "a hold after it was settled");
    }
    for (id, _, found) in bench.tickets(&event).await? {
        ensure_eq!(found.state, TicketState::Available, "ticket {id} after its hold was settled");
    }
    let floor = bench.get(&event, &pool_key("floor")).await?.record;
    ensure_eq!(floor, Some(pool(HOLDS, 0, 0)), "the pool after its holds were settled");
    audit::feed(bench, &event).await
}

pub(super) async fn sweepers_and_buyers_do_not_disturb_each_other(bench: &RepositoryBench) -> Checked {
    let event = event_id("concert");
    stage(bench, &event).await?;
    let mut tasks: Vec<BoxFuture<'static, Result<usize, Failure>>> = Vec::new();
    for buyer in 0..SWEEPERS as u32 {
        let sweeper = service::on(bench, bench.open().await?)?;
        tasks.push(Box::pin(async move { sweep(sweeper).await.map(|_| 0) }));
        let buying = service::on(bench, bench.open().await?)?;
        let seats = (buyer..HOLDS).step_by(SWEEPERS);
        let holds: Vec<_> = seats
            .map(|seat| service::hold(bench, &event, "grace", lines(&[nth_ticket(seat)], &[("floor", 1)])))
            .collect();
        tasks.push(Box::pin(async move {
            let mut bought = 0;
            for hold in holds {
                bought += usize::from(service::settled(buying.submit(hold).await)?.is_some());
            }
            Ok(bought)
        }));
    }
    let bought = side_by_side(&bench.runtime, tasks).await?;
    ensure_eq!(bought.into_iter().sum::<usize>(), HOLDS as usize, "the number of places held anew, of {HOLDS}");
    let floor = bench.pools(&event).await?;
    ensure!(floor.iter().any(|(id, _, pool)| *id == pool_id("floor") && pool.held == HOLDS), "the pool is {floor:?}");
    audit::tables(bench, &event).await?;
    audit::feed(bench, &event).await
}
