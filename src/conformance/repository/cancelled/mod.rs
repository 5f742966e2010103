//! Calls that are dropped at every step of their work, until they are through.

mod calls;
mod locked;
mod many;
mod readers;
mod seat_maps;
mod shutdown;

use crate::conformance::audit;
use crate::conformance::bench::{
    RepositoryBench, area_id, blocked, event_id, nth_ticket, pool, pool_key, ticket, ticket_key,
};
use crate::conformance::check::{Checked, Failure, ensure, ensure_eq};
use crate::conformance::halting::Halting;
use crate::conformance::polled::{STEPS_MAX, not_through, polled};
use crate::domain::{TicketId, TicketState};
use crate::ports::LoadRequest;

pub(super) use calls::a_call_of_the_service_dropped_at_any_moment_happens_once;
pub(super) use locked::{
    a_call_beside_a_lock_dropped_at_any_moment_leaves_it_free,
    a_shutdown_beside_a_lock_dropped_at_any_moment_leaves_it_free,
};
pub(super) use many::work_on_many_records_dropped_at_any_moment_goes_on;
pub(super) use readers::a_reader_may_be_dropped_at_any_moment;
pub(super) use seat_maps::{
    a_seat_map_dropped_at_any_moment_catches_up, a_stream_of_changes_dropped_at_any_moment_misses_nothing,
};
pub(super) use shutdown::a_shutdown_dropped_at_any_moment_loses_nothing;

/// How many steps a call has.
#[derive(Clone, Copy)]
struct Steps {
    /// With fewer, nothing was dropped while the store was at work.
    min: u32,
    /// With more, it has failed.
    max: u32,
}

/// One call of the store: before it, and before its answer.
const READ_STEPS: Steps = Steps { min: 2, max: STEPS_MAX };

/// A call of the service: a load and a commit.
const CALL_STEPS: Steps = Steps { min: 4, max: STEPS_MAX };

/// One that makes many calls of the store.
const LONG_STEPS: Steps = Steps { min: 8, max: 400 };

pub(super) async fn a_load_may_be_dropped_at_any_moment(bench: &RepositoryBench) -> Checked {
    let event = event_id("concert");
    bench.stage(&event, 5, &[("floor", 9)], None).await?;
    bench.put(&event, vec![(ticket_key(2), ticket(2, blocked("camera")))]).await?;
    let records = (0..5).map(ticket_key).chain([pool_key("floor")]).collect();
    let request = LoadRequest { event: event.clone(), records, free_in: vec![area_id("A")] };
    for times in 0..STEPS_MAX {
        let through = polled(times, bench.repository.load(&request)).await.transpose()?;
        let is_through = through.is_some();
        let after = Some(bench.repository.load(&request).await?);
        for found in through.into_iter().chain(after) {
            for n in 0..5 {
                let state = if n == 2 { blocked("camera") } else { TicketState::Available };
                let record = found.get(&ticket_key(n)).and_then(|it| it.record.clone());
                ensure_eq!(record, Some(ticket(n, state)), "ticket {n}, after a load dropped after {times} polls");
            }
            let floor = found.get(&pool_key("floor")).and_then(|it| it.record.clone());
            ensure_eq!(floor, Some(pool(9, 0, 0)), "the pool, after a load dropped after {times} polls");
            let free: Vec<TicketId> = [0, 1, 3, 4].map(nth_ticket).to_vec();
            ensure_eq!(found.free(&area_id("A")), Some(&free[..]), "what is free, after {times} polls");
        }
        if is_through {
            bench.note(format!("through after {times} polls"));
            return Ok(());
        }
    }
    Err(not_through("a load", STEPS_MAX))
}

pub(super) async fn a_commit_dropped_at_any_moment_is_whole_or_not_at_all(bench: &RepositoryBench) -> Checked {
    let event = event_id("concert");
    bench.stage(&event, 3 * STEPS_MAX, &[], None).await?;
    for times in 0..STEPS_MAX {
        let [first, second, later] = [3 * times, 3 * times + 1, 3 * times + 2];
        let pair = [ticket_key(first), ticket_key(second)];
        let tx = bench.begin(&event, &pair).await?.write(pair[0].clone(), ticket(first, blocked("dropped")));
        let groups = [tx.write(pair[1].clone(), ticket(second, blocked("dropped"))).group()];
        let through = polled(times, bench.repository.commit(&event, &groups)).await;
        let snapshot = bench.load(&event, &pair).await?;
        let versions = pair.each_ref().map(|key| snapshot.get(key).map(|it| it.version));
        ensure_eq!(versions[0], versions[1], "the versions of two records of one group, dropped after {times} polls");
        bench.put(&event, vec![(ticket_key(later), ticket(later, blocked("later")))]).await?;
        if through.is_some() {
            ensure_eq!(versions[0], Some(2), "the version of a record whose commit was answered");
            bench.note(format!("through after {times} polls"));
            return audit::feed(bench, &event).await;
        }
    }
    Err(not_through("a commit", STEPS_MAX))
}

/// What comes of a call of the service that is dropped at a step: before the first one, when it was only asked for.
async fn dropped_at<T>(store: &Halting, step: u32, call: impl Future<Output = T> + Send) -> Option<T> {
    match step.checked_sub(1) {
        None => polled(1, call).await,
        Some(step) => store.dropped_at(step, call).await,
    }
}

/// Whether a call was answered at a step, and not before the store could have been at work.
fn is_through(bench: &RepositoryBench, name: &str, steps: Steps, step: u32, answered: bool) -> Result<bool, Failure> {
    if answered {
        ensure!(step > steps.min, "{name} was answered before step {step}, which proves nothing");
        bench.note(format!("{name} {step}"));
    } else if step + 1 == steps.max {
        return Err(not_through(name, steps.max));
    }
    Ok(answered)
}
