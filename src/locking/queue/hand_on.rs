//! What becomes of a lease when its holder is done with it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::compete::compete;
use super::guard::LockGuard;
use super::lanes::Shared;
use super::tenure::Tenure;
use crate::ports::{Lease, LockKey};

pub(super) enum Next {
    /// The next one has it, or there is nothing to give back.
    Handed,
    /// It goes back to the lock.
    GivenBack(GivingBack),
}

/// Gives the lease to the next who waits, unless others should have their turn.
pub(super) fn hand_on(shared: &Arc<Shared>, key: &LockKey, tenure: &Arc<Tenure>) -> Next {
    let now = shared.now();
    let mut lanes = shared.lanes();
    let Some(lane) = lanes.get(key) else { return Next::Handed };
    let may_go_on = may_go_on(shared, tenure, now);
    if may_go_on && let Some(next) = lane.next() {
        tenure.hand_over(now);
        drop(lanes);
        let guard = LockGuard::new(Arc::clone(shared), key.clone(), Arc::clone(tenure));
        // Who has gone in this moment hands it on, by dropping it.
        drop(next.send(guard));
        return Next::Handed;
    }
    lane.tenure = None;
    let is_lost = tenure.is_lost(now);
    let rest = if is_lost { Duration::ZERO } else { lane.rest };
    Next::GivenBack(GivingBack { shared: Arc::clone(shared), key: key.clone(), lease: Some(tenure.lease()), rest })
}

fn may_go_on(shared: &Shared, tenure: &Tenure, now: Instant) -> bool {
    let settings = &shared.settings;
    // What is kept alive is young enough, unless the lock does not answer.
    let least = if settings.keep_alive_max.is_some() { settings.ttl / 3 } else { settings.ttl / 2 };
    !tenure.is_lost(now)
        && now + least < tenure.deadline()
        && tenure.handed() < settings.handoffs_max
        && now.saturating_duration_since(tenure.since) < settings.tenure_max
}

/// A lease on its way back to the lock. Its lane goes on afterwards, also when this is dropped half-way.
pub(super) struct GivingBack {
    pub(super) shared: Arc<Shared>,
    pub(super) key: LockKey,
    pub(super) lease: Option<Lease>,
    pub(super) rest: Duration,
}

impl GivingBack {
    pub(super) async fn run(mut self) {
        if let Some(lease) = &self.lease {
            if let Err(error) = self.shared.lock.release(vec![lease.clone()]).await {
                self.shared.observe_failure(&error);
            }
            self.lease = None;
        }
    }

    /// If others wait in this process, it competes for them; else the key is nobody's here.
    fn is_done(&self) {
        let mut lanes = self.shared.lanes();
        let Some(lane) = lanes.get(&self.key) else { return };
        lane.forget_those_gone();
        if lane.waiting.is_empty() {
            lanes.remove(&self.key);
            return;
        }
        drop(lanes);
        self.shared.spawn(compete(Arc::clone(&self.shared), self.key.clone(), self.rest));
    }
}

impl Drop for GivingBack {
    fn drop(&mut self) {
        match self.lease.take() {
            None => self.is_done(),
            // Its caller has gone, and whether it was given back is not known: it is, once more.
            Some(lease) => {
                let (shared, key, rest) = (Arc::clone(&self.shared), self.key.clone(), self.rest);
                let again = Again(Some((shared, key, lease, rest)));
                self.shared.spawn(again.run());
            }
        }
    }
}

/// The second attempt, after which there is no third.
struct Again(Option<(Arc<Shared>, LockKey, Lease, Duration)>);

impl Again {
    async fn run(mut self) {
        if let Some((shared, key, lease, rest)) = self.0.take() {
            if let Err(error) = shared.lock.release(vec![lease]).await {
                shared.observe_failure(&error);
            }
            drop(GivingBack { shared, key, lease: None, rest });
        }
    }
}
