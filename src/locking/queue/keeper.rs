//! The task that keeps all leases of a queue alive.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::{Either, select};

use super::lanes::Shared;
use super::tenure::Tenure;
use crate::ports::{Extended, Lease};

impl Shared {
    /// A lease is held now: the keeper sees to it. There is one for all, and none when none is held.
    pub(super) fn keep_alive(self: &Arc<Self>) {
        if self.settings.keep_alive_max.is_none() {
            return;
        }
        let mut lanes = self.lanes();
        if !std::mem::replace(&mut lanes.keeper_is_at_work, true) {
            let shared = Arc::clone(self);
            drop(lanes);
            self.spawn(async move { keep(&shared).await });
        }
    }
}

/// What is to be done next: to sleep, or to extend leases.
enum Work {
    Sleep(Duration),
    Extend(Vec<Arc<Tenure>>),
    Nothing,
}

async fn keep(shared: &Shared) {
    loop {
        match work(shared) {
            Work::Sleep(pause) => shared.runtime.sleep(pause).await,
            Work::Extend(tenures) => {
                extend(shared, &tenures).await;
                // A lock that does not extend is asked again a little later.
                shared.runtime.sleep(shared.settings.ttl / 20).await;
            }
            Work::Nothing => return,
        }
    }
}

fn work(shared: &Shared) -> Work {
    let now = shared.now();
    let (third, at_most) = (shared.settings.ttl / 3, shared.settings.keep_alive_max.unwrap_or_default());
    let mut lanes = shared.lanes();
    let is_kept =
        |tenure: &&Arc<Tenure>| !tenure.is_lost(now) && now.saturating_duration_since(tenure.held_since()) < at_most;
    let due_at = |tenure: &Arc<Tenure>| tenure.extended_at() + third;
    let due: Vec<Arc<Tenure>> =
        lanes.tenures().filter(is_kept).filter(|tenure| due_at(tenure) <= now).cloned().collect();
    if !due.is_empty() {
        return Work::Extend(due);
    }
    // One that is kept no longer may go to another holder, for whom it is kept again.
    let next: Option<Instant> = lanes.tenures().map(|tenure| due_at(tenure).max(now + third / 4)).min();
    match next {
        Some(next) => Work::Sleep(next - now),
        None => {
            lanes.keeper_is_at_work = false;
            Work::Nothing
        }
    }
}

async fn extend(shared: &Shared, tenures: &[Arc<Tenure>]) {
    let began = shared.now();
    let mut leases: Vec<Lease> = tenures.iter().map(|tenure| tenure.lease()).collect();
    let deadline = leases.iter().map(Lease::deadline).min().unwrap_or(began);
    // A call that hangs does not keep others from being extended for ever.
    let end = shared.runtime.sleep(deadline.saturating_duration_since(began));
    let extended = match select(shared.lock.extend(&mut leases, shared.settings.ttl), end).await {
        Either::Left((Ok(extended), _)) => extended,
        Either::Left((Err(error), _)) => return shared.observe_failure(&error),
        Either::Right(_) => return,
    };
    for ((tenure, lease), extended) in tenures.iter().zip(&leases).zip(extended) {
        match extended {
            Extended::Extended => tenure.extended(lease.deadline(), began),
            Extended::Lost => {
                if is_held(shared, tenure, lease) && tenure.lose() {
                    shared.observe_loss(lease.key());
                }
            }
            Extended::Unknown => {}
        }
    }
}

/// Whether the lease has not been given back meanwhile.
fn is_held(shared: &Shared, tenure: &Arc<Tenure>, lease: &Lease) -> bool {
    let mut lanes = shared.lanes();
    lanes.get(lease.key()).and_then(|lane| lane.tenure.as_ref()).is_some_and(|held| Arc::ptr_eq(held, tenure))
}
