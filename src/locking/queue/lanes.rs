//! Who has a key in this process, and who waits for it.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_channel::oneshot;

use super::compete::REST_MAX;
use super::config::Settings;
use super::guard::LockGuard;
use super::tenure::Tenure;
use crate::ports::{Lock, LockError, LockKey, Observation, Observer, Runtime};

/// What a queue, its guards and its tasks share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) lock: Arc<dyn Lock>,
    pub(super) runtime: Arc<dyn Runtime>,
    pub(super) observer: Arc<dyn Observer>,
    pub(super) settings: Settings,
    lanes: Mutex<Lanes>,
}

#[derive(Debug, Default)]
pub(super) struct Lanes {
    by_key: HashMap<LockKey, Lane>,
    pub(super) is_shut_down: bool,
    pub(super) keeper_is_at_work: bool,
    told_when_empty: Vec<oneshot::Sender<()>>,
}

/// One key. It is there as long as someone has the key, asks the lock for it, or gives it back.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) waiting: VecDeque<oneshot::Sender<LockGuard>>,
    /// The lease, while someone holds it. Without it, someone is asking the lock or giving back.
    pub(super) tenure: Option<Arc<Tenure>>,
    /// How long this process rests after its next tenure.
    pub(super) rest: Duration,
    /// How the lock has failed, the last time.
    pub(super) failure: Option<LockError>,
}

impl Lane {
    pub(super) fn new() -> Self {
        Self { waiting: VecDeque::new(), tenure: None, rest: REST_MAX, failure: None }
    }

    /// The first of those that still wait.
    pub(super) fn next(&mut self) -> Option<oneshot::Sender<LockGuard>> {
        while let Some(waiter) = self.waiting.pop_front() {
            if !waiter.is_canceled() {
                return Some(waiter);
            }
        }
        None
    }

    pub(super) fn forget_those_gone(&mut self) {
        self.waiting.retain(|waiter| !waiter.is_canceled());
    }
}

impl Lanes {
    pub(super) fn get(&mut self, key: &LockKey) -> Option<&mut Lane> {
        self.by_key.get_mut(key)
    }

    pub(super) fn insert(&mut self, key: LockKey) {
        self.by_key.insert(key, Lane::new());
    }

    pub(super) fn remove(&mut self, key: &LockKey) {
        self.by_key.remove(key);
        if self.by_key.is_empty() {
            for told in self.told_when_empty.drain(..) {
                let _ = told.send(());
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    /// The leases that are held.
    pub(super) fn tenures(&self) -> impl Iterator<Item = &Arc<Tenure>> {
        self.by_key.values().filter_map(|lane| lane.tenure.as_ref())
    }

    /// Ends when there is no lane. `None` when there is none now.
    pub(super) fn empty(&mut self) -> Option<oneshot::Receiver<()>> {
        if self.is_empty() {
            return None;
        }
        let (sender, told) = oneshot::channel();
        self.told_when_empty.push(sender);
        Some(told)
    }

    /// Nobody waits any more.
    pub(super) fn send_everybody_away(&mut self) {
        self.by_key.values_mut().for_each(|lane| lane.waiting.clear());
    }
}

impl Shared {
    pub(super) fn new(
        lock: Arc<dyn Lock>,
        runtime: Arc<dyn Runtime>,
        observer: Arc<dyn Observer>,
        settings: Settings,
    ) -> Arc<Self> {
        Arc::new(Self { lock, runtime, observer, settings, lanes: Mutex::default() })
    }

    pub(super) fn lanes(&self) -> MutexGuard<'_, Lanes> {
        // Nothing under this lock can leave it half-done.
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.runtime.spawn(Box::pin(task));
    }

    pub(super) fn now(&self) -> Instant {
        self.runtime.now()
    }

    pub(super) fn observe_loss(&self, key: &LockKey) {
        self.observer.observe(&Observation::LeaseLost { key });
    }

    pub(super) fn observe_failure(&self, error: &LockError) {
        self.observer.observe(&Observation::LockFailed { error });
    }
}
