use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use super::core::Core;
use super::held::Held;
use super::lane::Stage;
use super::within::within;
use crate::ports::{Extended, Observation, Runtime};

/// The task that keeps all leases of a queue alive, and finds those that have ended. It runs while anything is held. A
/// lease that is given back within a third of the TTL never meets it.
struct Keeper {
    core: Weak<Core>,
    runtime: Arc<dyn Runtime>,
    /// Not before this moment is anything extended again: a store that fails is not asked in a tight loop, and leases
    /// that are due one after another are extended together.
    extend_from: Instant,
    /// Whether it has ended by itself, as nothing is held.
    done: bool,
}

/// What there is to do.
#[derive(Default)]
struct Rounds {
    ended: Vec<Arc<Held>>,
    due: Vec<Arc<Held>>,
    next: Option<Instant>,
}

pub(super) fn start(core: &Arc<Core>) {
    let runtime = core.runtime.clone();
    let keeper =
        Keeper { core: Arc::downgrade(core), extend_from: runtime.now(), runtime: runtime.clone(), done: false };
    let pause = core.config.ttl / 3;
    runtime.spawn(Box::pin(keeper.keep(pause)));
}

impl Keeper {
    async fn keep(mut self, mut pause: Duration) {
        loop {
            self.runtime.sleep(pause).await;
            let Some(core) = self.core.upgrade() else { return };
            match self.go_round(&core).await {
                Some(next) => pause = next,
                None => return self.done = true,
            }
        }
    }

    /// Does what is due, and says when to come again, if anything is held.
    async fn go_round(&mut self, core: &Arc<Core>) -> Option<Duration> {
        let mut rounds = look(core, self.runtime.now(), self.extend_from);
        if !rounds.due.is_empty() {
            extend(core, &rounds.due).await;
            self.extend_from = self.runtime.now() + core.config.extend_pause();
        }
        loop {
            for ended in rounds.ended {
                core.end(&ended);
            }
            rounds = look(core, self.runtime.now(), self.extend_from);
            if rounds.ended.is_empty() {
                return rounds.next.map(|next| next.saturating_duration_since(self.runtime.now()));
            }
        }
    }
}

/// Looks at everything that is held. When nothing is, the keeper's time is over.
fn look(core: &Core, now: Instant, extend_from: Instant) -> Rounds {
    let config = &core.config;
    let mut rounds = Rounds::default();
    let mut state = core.state();
    for lane in state.lanes.values() {
        let Stage::Held(held) = &lane.stage else { continue };
        let (validity, deadline) = (held.validity(now), held.deadline());
        if validity.is_zero() {
            rounds.ended.push(held.clone());
            continue;
        }
        let mut next = deadline;
        if config.keep_alive && now.saturating_duration_since(held.since()) < config.keep_alive_max {
            let due = deadline.checked_sub(config.extend_below()).unwrap_or(now).max(extend_from);
            if due <= now {
                rounds.due.push(held.clone());
            }
            next = next.min(due);
        }
        // A lease granted while the keeper sleeps is due a third of the TTL later at the earliest.
        let next = next.min(now + config.ttl / 3);
        rounds.next = Some(rounds.next.map_or(next, |earlier| earlier.min(next)));
    }
    if rounds.next.is_none() && rounds.ended.is_empty() {
        state.keeper_runs = false;
    }
    // In the same order each time.
    for held in [&mut rounds.ended, &mut rounds.due] {
        held.sort_unstable_by(|one, other| one.key().cmp(other.key()));
    }
    rounds
}

/// Extends leases in one call. No answer is waited for as long as other leases need to become due, or beyond the first
/// deadline.
async fn extend(core: &Arc<Core>, due: &[Arc<Held>]) {
    #[cfg(planted_bugs)]
    if crate::planted::is(crate::planted::Bug::KeepAliveStops) {
        return;
    }
    let (ttl, now) = (core.config.ttl, core.runtime.now());
    let mut leases: Vec<_> = due.iter().map(|held| held.lease()).collect();
    let time = due.iter().map(|held| held.validity(now)).fold(ttl / 3, Duration::min);
    let answer = within(&*core.runtime, time, core.lock.extend(&mut leases, ttl)).await;
    match answer {
        Some(Ok(answers)) => {
            let now = core.runtime.now();
            for ((held, lease), answer) in due.iter().zip(&leases).zip(answers) {
                match answer {
                    Extended::Extended => held.extended(lease, now),
                    Extended::Lost => core.end(held),
                    Extended::Unknown => {}
                }
            }
        }
        Some(Err(error)) => core.observer.observe(&Observation::LockFailed { error: &error }),
        None => {}
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        // One that has panicked is started again with the next lease.
        if let Some(core) = self.core.upgrade().filter(|_| !self.done) {
            core.state().keeper_runs = false;
        }
    }
}
