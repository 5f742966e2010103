use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_channel::oneshot;

use super::asking::Asking;
use super::compete::{self, Begin};
use super::config::Config;
use super::error::AcquireError;
use super::guard::LockGuard;
use super::held::Held;
use super::keeper;
use super::lane::{Lane, Stage};
use super::leave::Leave;
use super::pace;
use super::waiting::Waiting;
use crate::ports::{Lease, Lock, LockError, LockKey, Observation, Observer, Runtime};

/// What all handles, guards and tasks of one queue share. The mutex is never held while somebody is woken or told.
pub(super) struct Core {
    pub(super) lock: Arc<dyn Lock>,
    pub(super) runtime: Arc<dyn Runtime>,
    pub(super) observer: Arc<dyn Observer>,
    pub(super) config: Config,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) lanes: HashMap<LockKey, Lane>,
    pub(super) keeper_runs: bool,
    closed: bool,
    /// Releases under way of leases that were lost, whose lanes have gone on without them.
    strays: usize,
    /// Who waits until nothing is left.
    drained: Vec<oneshot::Sender<()>>,
}

/// What a caller finds.
pub(super) enum Entered {
    /// Nobody is here: it asks the lock itself.
    First(Asking),
    /// It waits for its turn.
    Waiting(Waiting),
}

impl Core {
    pub(super) fn new(
        lock: Arc<dyn Lock>,
        runtime: Arc<dyn Runtime>,
        observer: Arc<dyn Observer>,
        config: Config,
    ) -> Self {
        Self { lock, runtime, observer, config, state: Mutex::default() }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        // Nothing under this lock can leave it half-done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state in a way that may leave nothing behind, and tells who waits for that.
    fn settle<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let (changed, drained) = {
            let mut state = self.state();
            let changed = change(&mut state);
            let drained = if state.left() == 0 { std::mem::take(&mut state.drained) } else { Vec::new() };
            (changed, drained)
        };
        for sender in drained {
            // Whoever waited may have left.
            let _ = sender.send(());
        }
        changed
    }

    /// Takes a caller in.
    pub(super) fn enter(self: &Arc<Self>, key: &LockKey, now: Instant) -> Result<Entered, AcquireError> {
        let mut state = self.state();
        if state.closed {
            return Err(AcquireError::ShutDown);
        }
        let Some(lane) = state.lanes.get_mut(key) else {
            return Ok(Entered::First(self.enter_first(&mut state, key, now)));
        };
        if lane.waiting() >= self.config.waiters_max {
            return Err(AcquireError::QueueFull { waiting: lane.waiting() });
        }
        let place = lane.arrive();
        let receiver = lane.wait(place);
        Ok(Entered::Waiting(Waiting::new(self.clone(), key.clone(), place, receiver)))
    }

    /// Takes a caller in who does not wait, or says how long the key is taken at the latest.
    pub(super) fn try_enter(
        self: &Arc<Self>,
        key: &LockKey,
        now: Instant,
    ) -> Result<Result<Asking, Duration>, AcquireError> {
        let mut state = self.state();
        if state.closed {
            return Err(AcquireError::ShutDown);
        }
        Ok(match state.lanes.get(key).map(|lane| &lane.stage) {
            None => Ok(self.enter_first(&mut state, key, now)),
            Some(Stage::Held(held)) => Err(held.validity(now)),
            Some(Stage::Asking | Stage::Leaving) => Err(self.config.ttl),
        })
    }

    fn enter_first(self: &Arc<Self>, state: &mut State, key: &LockKey, now: Instant) -> Asking {
        let mut lane = Lane::new(now);
        let place = lane.arrive();
        state.lanes.insert(key.clone(), lane);
        Asking::new(self.clone(), key.clone(), place)
    }

    /// A caller that has asked in vain waits, before all who came after it, and a task asks on.
    pub(super) fn stay(self: &Arc<Self>, key: LockKey, place: u64, begin: Begin) -> Result<Waiting, AcquireError> {
        let waiting = {
            let mut state = self.state();
            let closed = state.closed;
            state.lanes.get_mut(&key).filter(|_| !closed).map(|lane| lane.wait(place))
        };
        // Also without the caller: the task takes the lane away when nobody waits.
        compete::start(self, key.clone(), begin);
        let receiver = waiting.ok_or(AcquireError::ShutDown)?;
        Ok(Waiting::new(self.clone(), key, place, receiver))
    }

    /// A lease was granted. From now on it is kept alive.
    pub(super) fn granted(self: &Arc<Self>, lease: Lease, rested: bool) -> Arc<Held> {
        let now = self.runtime.now();
        let wall = self.config.quiet_windows.then(|| self.runtime.unix_time());
        let held = Arc::new(Held::new(lease, now));
        let keeper_runs = {
            let mut state = self.state();
            if let Some(lane) = state.lanes.get_mut(held.key()) {
                let busy = now.saturating_duration_since(lane.busy_since);
                let quiet_in = wall.map_or(Duration::MAX, |wall| pace::quiet_in(wall, busy));
                lane.begin_tenure(now, quiet_in.min(self.config.tenure_max), &self.config);
                lane.failed = None;
                lane.contended &= !rested;
                lane.stage = Stage::Held(held.clone());
            }
            std::mem::replace(&mut state.keeper_runs, true)
        };
        if !keeper_runs {
            keeper::start(self);
        }
        held
    }

    /// Gives a lease that was granted to a task to whoever waits first; if nobody does, it must be given back.
    pub(super) fn pass_first(self: &Arc<Self>, held: Arc<Held>) -> Option<Leave> {
        self.pass(held, |lane, _, _| lane.first())
    }

    /// Hands a lease on, if it may stay and somebody waits; else it must be given back.
    pub(super) fn pass_on(self: &Arc<Self>, held: Arc<Held>) -> Option<Leave> {
        self.pass(held, |lane, held, now| lane.next(held, now, &self.config))
    }

    fn pass(
        self: &Arc<Self>,
        held: Arc<Held>,
        choose: impl Fn(&mut Lane, &Held, Instant) -> Option<oneshot::Sender<super::lane::Answer>>,
    ) -> Option<Leave> {
        loop {
            let now = self.runtime.now();
            let chosen = {
                let mut state = self.state();
                match state.lanes.get_mut(held.key()).filter(|lane| lane.holds(&held)) {
                    Some(lane) => {
                        let chosen = choose(lane, &held, now);
                        if chosen.is_none() {
                            lane.stage = Stage::Leaving;
                        }
                        chosen.ok_or(false)
                    }
                    None => {
                        state.strays += 1;
                        Err(true)
                    }
                }
            };
            let next = match chosen {
                Ok(next) => next,
                Err(stray) => {
                    self.is_lost(&held, now);
                    return Some(Leave::new(self.clone(), held, stray));
                }
            };
            held.handed_on(now);
            match next.send(Ok(LockGuard::new(self.clone(), held.clone()))) {
                Ok(()) => return None,
                // It has just given up: the next one.
                Err(Ok(guard)) => guard.disarm(),
                Err(Err(_)) => {}
            }
        }
    }

    /// A lease is back. Others here compete for the next one, after a rest if it has stayed for as long as it may.
    pub(super) fn left(self: &Arc<Self>, key: &LockKey) {
        let now = self.runtime.now();
        let begin = self.settle(|state| {
            let lane = state.lanes.get_mut(key).filter(|lane| lane.waiting() > 0);
            let Some(lane) = lane else {
                state.remove(key);
                return None;
            };
            lane.stage = Stage::Asking;
            if !lane.is_tenure_over(now) {
                return Some(Begin::Now);
            }
            lane.end_tenure();
            Some(Begin::Rest { contended: lane.contended })
        });
        if let Some(begin) = begin {
            compete::start(self, key.clone(), begin);
        }
    }

    pub(super) fn stray_left(&self) {
        self.settle(|state| state.strays -= 1);
    }

    /// Whether anybody still wants the key, for whom the lock must be asked. If nobody does, the lane is gone.
    pub(super) fn is_wanted(&self, key: &LockKey) -> bool {
        self.settle(|state| {
            let wanted = state.lanes.get(key).is_some_and(|lane| lane.waiting() > 0);
            if !wanted {
                state.remove(key);
            }
            wanted
        })
    }

    /// A task that had to do the lane's next step is gone. Those who wait are told by their channels.
    pub(super) fn abandon(&self, key: &LockKey) {
        drop(self.settle(|state| state.remove(key)));
    }

    /// Others hold the key.
    pub(super) fn met_others(&self, key: &LockKey) {
        if let Some(lane) = self.state().lanes.get_mut(key) {
            lane.contended = true;
            lane.failed = None;
            lane.end_tenure();
        }
    }

    /// The lock's store failed.
    pub(super) fn failed(&self, key: &LockKey, error: LockError) {
        self.observer.observe(&Observation::LockFailed { error: &error });
        if let Some(lane) = self.state().lanes.get_mut(key) {
            lane.failed = Some(error);
        }
    }

    /// How much is left of a quiet window that the key is left free in.
    pub(super) fn quiet_left(&self, key: &LockKey) -> Option<Duration> {
        if !self.config.quiet_windows {
            return None;
        }
        let (now, wall) = (self.runtime.now(), self.runtime.unix_time());
        let busy_since = self.state().lanes.get(key)?.busy_since;
        pace::quiet_left(wall, now.saturating_duration_since(busy_since))
    }

    /// Whether a lease is lost, also by its deadline. The observer is told once.
    pub(super) fn is_lost(&self, held: &Held, now: Instant) -> bool {
        if !held.validity(now).is_zero() {
            return false;
        }
        if held.lose() {
            self.observer.observe(&Observation::LeaseLost { key: held.key() });
        }
        true
    }

    /// A lease ended while somebody holds it: others here compete for a new one at once, as other processes do.
    pub(super) fn end(self: &Arc<Self>, held: &Arc<Held>) {
        let ended = self.settle(|state| {
            // One that is on its way back is not lost.
            let lane = state.lanes.get_mut(held.key()).filter(|lane| lane.holds(held))?;
            if lane.waiting() == 0 {
                state.remove(held.key());
                return Some(None);
            }
            lane.stage = Stage::Asking;
            lane.end_tenure();
            Some(Some(Begin::Now))
        });
        let Some(begin) = ended else { return };
        if held.lose() {
            self.observer.observe(&Observation::LeaseLost { key: held.key() });
        }
        if let Some(begin) = begin {
            compete::start(self, held.key().clone(), begin);
        }
    }

    /// Takes nobody in any more and answers those who wait. What is heard when nothing is left, unless nothing is.
    pub(super) fn close(&self) -> Option<oneshot::Receiver<()>> {
        let (waiting, drained) = {
            let mut state = self.state();
            state.closed = true;
            // One after another, in the same order each time.
            let mut lanes: Vec<_> = state.lanes.iter_mut().collect();
            lanes.sort_unstable_by_key(|(key, _)| *key);
            let waiting: Vec<_> = lanes.into_iter().flat_map(|(_, lane)| lane.take_waiting().into_values()).collect();
            let drained = (state.left() > 0).then(|| {
                let (sender, receiver) = oneshot::channel();
                state.drained.retain(|sender| !sender.is_canceled());
                state.drained.push(sender);
                receiver
            });
            (waiting, drained)
        };
        for waiter in waiting {
            // Whoever has given up meanwhile needs no answer.
            let _ = waiter.send(Err(AcquireError::ShutDown));
        }
        drained
    }
}

impl State {
    /// How many keys are held, asked for or on their way back.
    pub(super) fn left(&self) -> usize {
        self.lanes.len() + self.strays
    }

    fn remove(&mut self, key: &LockKey) -> Option<Lane> {
        let lane = self.lanes.remove(key);
        if self.lanes.is_empty() && self.lanes.capacity() > 1_024 {
            self.lanes = HashMap::new();
        }
        lane
    }
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        let waiting: usize = state.lanes.values().map(Lane::waiting).sum();
        f.debug_struct("Core")
            .field("lock", &self.lock)
            .field("keys", &state.lanes.len())
            .field("waiting", &waiting)
            .field("closed", &state.closed)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}
