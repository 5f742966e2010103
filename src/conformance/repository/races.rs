//! Many handles in one process at the same records, without a lock.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use crate::conformance::bench::{
    RepositoryBench, Tx, commit, event_id, lines, load, nth_ticket, pool, pool_key, reservation, side_by_side, ticket,
    ticket_key,
};
use crate::conformance::check::{Checked, Failure, ensure, ensure_eq};
use crate::domain::{EventId, Record, RecordKey, ReservationState, TicketState, Versioned};
use crate::ports::{BoxFuture, GroupOutcome, Repository, RuntimeExt};

const HANDLES: u32 = 4;

fn booked(versioned: &Versioned) -> Result<u32, Failure> {
    match &versioned.record {
        Some(Record::Pool(pool)) => Ok(pool.booked),
        other => Err(Failure::new(format!("expected a pool, found {other:?}"))),
    }
}

pub(super) async fn no_update_is_lost(bench: &RepositoryBench) -> Checked {
    const UPDATES: u32 = 25;
    let event = event_id("concert");
    bench.stage(&event, 0, &[("floor", 1_000)], None).await?;
    let mut tasks: Vec<BoxFuture<'static, Result<(), Failure>>> = Vec::new();
    for _ in 0..HANDLES {
        let (repository, event) = (bench.open().await?, event.clone());
        tasks.push(Box::pin(async move {
            let mut done = 0;
            while done < UPDATES {
                let tx = Tx::begin(&*repository, &event, &[pool_key("floor")]).await?;
                let count = booked(&tx.get(&pool_key("floor")))?;
                let group = tx.write(pool_key("floor"), pool(1_000, 0, count + 1)).group();
                done += u32::from(commit(&*repository, &event, group).await? == GroupOutcome::Committed);
            }
            Ok(())
        }));
    }
    side_by_side(&bench.runtime, tasks).await?;
    let found = bench.get(&event, &pool_key("floor")).await?;
    ensure_eq!(booked(&found)?, HANDLES * UPDATES, "the sum of all updates");
    ensure_eq!(found.version, 1 + u64::from(HANDLES * UPDATES), "the version after all updates");
    Ok(())
}

/// Places move between two pools, and who reads both always sees the same number of them.
pub(super) async fn a_load_is_one_moment(bench: &RepositoryBench) -> Checked {
    let event = event_id("concert");
    bench.stage(&event, 0, &[("left", PLACES), ("right", PLACES)], None).await?;
    bench.put(&event, vec![(pool_key("left"), pool(PLACES, 0, PLACES))]).await?;
    let (over, loads) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
    let (repository, of_writer) = (bench.open().await?, event.clone());
    let (over_writer, loads_seen) = (Arc::clone(&over), Arc::clone(&loads));
    let writer = async move {
        let moved = move_places(&*repository, &of_writer, &loads_seen).await;
        over_writer.store(true, Ordering::Release);
        moved
    };
    let mut tasks: Vec<BoxFuture<'static, Checked>> = vec![Box::pin(writer)];
    for _ in 0..2 {
        let (repository, event) = (bench.open().await?, event.clone());
        let (over, loads) = (Arc::clone(&over), Arc::clone(&loads));
        tasks.push(Box::pin(async move {
            while !over.load(Ordering::Acquire) {
                let snapshot = load(&*repository, &event, &[pool_key("left"), pool_key("right")]).await?;
                let count = |id| snapshot.get(&pool_key(id)).map_or(Ok(0), booked);
                ensure_eq!(count("left")? + count("right")?, PLACES, "the places of both pools in one snapshot");
                loads.fetch_add(1, Ordering::AcqRel);
            }
            Ok(())
        }));
    }
    side_by_side(&bench.runtime, tasks).await?;
    bench.note(format!("{} loads beside the commits", loads.load(Ordering::Acquire)));
    Ok(())
}

const PLACES: u32 = 100_000;

/// Goes on until enough was read beside it.
async fn move_places(repository: &dyn Repository, event: &EventId, loads: &AtomicU32) -> Checked {
    const MOVES_MIN: u32 = 60;
    const LOADS_MIN: u32 = 60;
    let mut n = 0;
    while n < MOVES_MIN || (loads.load(Ordering::Acquire) < LOADS_MIN && n < PLACES) {
        n += 1;
        let tx = Tx::begin(repository, event, &[pool_key("left"), pool_key("right")]).await?;
        let tx = tx.write(pool_key("left"), pool(PLACES, 0, PLACES - n)).write(pool_key("right"), pool(PLACES, 0, n));
        ensure_eq!(commit(repository, event, tx.group()).await?, GroupOutcome::Committed, "a commit without rivals");
    }
    Ok(())
}

/// Rivals book overlapping pairs of tickets as the service would, each on a fresh reservation.
pub(super) async fn a_ticket_is_never_given_to_two(bench: &RepositoryBench) -> Checked {
    const TICKETS: u32 = 40;
    let event = event_id("concert");
    bench.stage(&event, TICKETS + 1, &[], None).await?;
    let mut tasks: Vec<BoxFuture<'static, Result<u32, Failure>>> = Vec::new();
    for rival in 0..HANDLES {
        let (repository, event) = (bench.open().await?, event.clone());
        let runtime = Arc::clone(&bench.runtime);
        tasks.push(Box::pin(async move {
            let mut won = 0;
            for step in 0..TICKETS {
                // All start together and meet on overlapping pairs.
                let n = if rival % 2 == 0 { step } else { (step + 1) % TICKETS };
                let id = runtime.reservation_id();
                let keys = [ticket_key(n), ticket_key(n + 1), RecordKey::Reservation(id)];
                let tx = Tx::begin(&*repository, &event, &keys).await?;
                let free = keys[..2].iter().all(|key| match tx.get(key).record {
                    Some(Record::Ticket(ticket)) => ticket.state == TicketState::Available,
                    _ => false,
                });
                if !free {
                    continue;
                }
                let of_both = lines(&[nth_ticket(n), nth_ticket(n + 1)], &[]);
                let booked = reservation(id, &event, &format!("rival {rival}"), of_both, ReservationState::Booked);
                let tx = tx
                    .write(ticket_key(n), ticket(n, TicketState::Booked { reservation: id }))
                    .write(ticket_key(n + 1), ticket(n + 1, TicketState::Booked { reservation: id }))
                    .write(RecordKey::Reservation(id), booked);
                won += u32::from(commit(&*repository, &event, tx.group()).await? == GroupOutcome::Committed);
            }
            Ok(won)
        }));
    }
    let won: u32 = side_by_side(&bench.runtime, tasks).await?.into_iter().sum();
    let mut owned = 0;
    for (_, booking) in bench.reservations(&event).await? {
        for id in booking.lines.tickets() {
            let found = bench.get(&event, &RecordKey::Ticket(id.clone())).await?.record;
            let Some(Record::Ticket(found)) = found else {
                return Err(Failure::new(format!("ticket {id} is gone")));
            };
            ensure_eq!(found.owner(), Some(booking.id), "the owner of {id}, which this reservation has booked");
        }
        owned += 1;
    }
    ensure_eq!(owned, won, "the number of reservations");
    ensure!(won > 0, "nobody got anything");
    Ok(())
}
