use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_channel::oneshot;
use futures_util::future::{Either, select};

use super::config::{LockOutage, LockPolicy};
use super::core::{Core, Task};
use super::lock_plan::{Coverage, Guard};
use super::queue::EventQueue;
use super::request::Request;
use crate::locking::{LeaseSet, keep_alive};
use crate::ports::{Attempt, Lease, Lock, LockError, LockKey, Observation};

/// The locks of one batcher, from round to round.
#[derive(Debug)]
pub(super) struct Locks {
    core: Arc<Core>,
    queue: Arc<EventQueue>,
    leases: LeaseSet,
    coverage: Coverage,
}

/// What one batcher of an event leaves to the next about its locks.
#[derive(Debug, Default)]
pub(super) struct LockMemory {
    /// Locks that are being given up, and what ends when they are free: asking for one of them before would be
    /// contention with oneself.
    giving_up: Vec<(BTreeSet<LockKey>, oneshot::Receiver<()>)>,
    /// The lock's store failed, and is not asked before this.
    rests_until: Option<Instant>,
    /// How often it has failed in a row.
    failures: u32,
}

/// For how long a lock that fails again and again is left alone, at most.
const LOCK_REST_MAX: Duration = Duration::from_secs(60);

impl LockMemory {
    /// One more release is under way; those that have ended are forgotten.
    fn remember(&mut self, keys: BTreeSet<LockKey>, giving_up: oneshot::Receiver<()>) {
        self.giving_up.retain_mut(|(_, release)| matches!(release.try_recv(), Ok(None)));
        self.giving_up.push((keys, giving_up));
    }

    /// Takes out the releases that these keys are part of.
    fn releases_of(&mut self, wanted: &BTreeSet<LockKey>) -> Vec<oneshot::Receiver<()>> {
        let (meet, others): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.giving_up).into_iter().partition(|(keys, _)| !keys.is_disjoint(wanted));
        self.giving_up = others;
        meet.into_iter().map(|(_, release)| release).collect()
    }

    /// The lock's store failed: it is left alone for a while. Where nobody waits for it, that is twice as long after each
    /// further failure.
    fn rest(&mut self, core: &Core) {
        let doubled = match core.lock_outage {
            LockOutage::GoOn => self.failures.min(16),
            LockOutage::Wait => 0,
        };
        let rest = core.limits.lock_timeout.saturating_mul(1 << doubled).min(LOCK_REST_MAX);
        self.failures = self.failures.saturating_add(1);
        self.rests_until = Some(core.runtime.now() + rest);
    }

    fn rests(&self, now: Instant) -> bool {
        self.rests_until.is_some_and(|until| now < until)
    }
}

impl Locks {
    pub(super) fn new(core: Arc<Core>, queue: Arc<EventQueue>) -> Self {
        Self { core, queue, leases: LeaseSet::default(), coverage: Coverage::Nothing }
    }

    /// Says what needs a lock in this round, and asks for every lock that the batch was found to need and that is not
    /// held yet: one round trip, an answer per key.
    ///
    /// What a request needs is found by deciding it: one that is refused needs no lock, and of one that is not, nothing
    /// is committed before it has them all.
    pub(super) async fn begin_round(&mut self, batch: &[Request]) {
        self.coverage = self.coverage_now();
        self.leases.begin_round();
        for key in self.leases.take_ended(self.core.runtime.now()) {
            self.core.observe(&Observation::LeaseLost { key: &key });
        }
        let Some(lock) = self.core.lock.clone().filter(|_| !self.coverage.is_nothing()) else { return };
        let wanted: BTreeSet<LockKey> = batch
            .iter()
            .flat_map(|request| request.lock_keys.iter().cloned())
            .filter(|key| !self.leases.holds(key))
            .collect();
        if wanted.is_empty() {
            return;
        }
        if self.queue.lock_memory().rests(self.core.runtime.now()) {
            return self.without();
        }
        let giving_up = self.queue.lock_memory().releases_of(&wanted);
        for given_up in giving_up {
            // A release that could not be made says so itself.
            let _ = given_up.await;
        }
        let wanted: Vec<LockKey> = wanted.into_iter().collect();
        let started = self.core.runtime.now();
        let attempts = match within(&self.core, lock.acquire_each(&wanted, self.core.limits.lock_ttl)).await {
            Some(Ok(attempts)) => attempts,
            Some(Err(error)) => return self.rest(&error),
            None => return self.rest(&LockError::new("the lock did not answer in time")),
        };
        let mut granted = 0;
        for attempt in attempts {
            if let Attempt::Granted(lease) = attempt {
                granted += 1;
                self.leases.insert(lease, started);
            }
        }
        let took = self.core.runtime.now().saturating_duration_since(started);
        let contended = wanted.len().saturating_sub(granted);
        self.core.observe(&Observation::Locked { event: self.queue.event(), granted, contended, took });
        self.queue.adaptive().locked(contended > 0);
    }

    /// The lock's store is out of reach: the round goes on without the lock, or nothing does that needs it.
    fn without(&self) {
        match self.core.lock_outage {
            LockOutage::GoOn => self.leases.go_without(),
            LockOutage::Wait => {}
        }
    }

    /// The lock's store failed, and is left alone for a while.
    fn rest(&mut self, error: &LockError) {
        self.without();
        self.queue.lock_memory().rest(&self.core);
        self.core.observe(&Observation::LockFailed { error });
    }

    /// Whether every lock that a request is known to need is held in this round.
    pub(super) fn cover(&self, request: &Request) -> bool {
        self.coverage.is_nothing() || self.leases.cover(&request.lock_keys)
    }

    /// Lets through what the locks of this round cover.
    pub(super) fn guard(&self) -> Guard<'_> {
        Guard { coverage: &self.coverage, leases: &self.leases }
    }

    /// Runs the round's work, and keeps its leases alive meanwhile.
    pub(super) async fn keep_during<T>(&self, work: impl Future<Output = T>) -> T {
        let core = &self.core;
        match &core.lock {
            Some(lock) if !self.leases.is_empty() => {
                keep_alive(&**lock, &self.leases, core.limits.lock_ttl, &*core.runtime, &*core.observer, work).await
            }
            _ => work.await,
        }
    }

    /// Keeps the locks of those waiting requests that have all of theirs, and gives the others back. Keeping part of
    /// what a request needs would let two processes wait for each other.
    pub(super) fn give_up(&mut self, carried: &[Request]) {
        let Some(lock) = self.core.lock.clone().filter(|_| !self.leases.is_empty()) else { return };
        let mut keep = BTreeSet::new();
        let mut keep_all = |keys: Vec<LockKey>| {
            if keys.iter().all(|key| self.leases.holds(key)) {
                keep.extend(keys);
            }
        };
        carried.iter().for_each(|request| keep_all(request.lock_keys.clone()));
        let event = self.queue.event();
        self.queue.peek(self.core.limits.batch_max, |request| keep_all(self.coverage.named(event, &request.command)));
        let limits = &self.core.limits;
        let now = self.core.runtime.now();
        let given_up = self.leases.take_except(&keep, now, limits.lease_tenure_max, limits.lease_batches_max);
        self.release(lock, given_up);
    }

    /// Gives every lock back.
    pub(super) fn give_up_all(&mut self) {
        if let Some(lock) = self.core.lock.clone() {
            self.release(lock, self.leases.take_all());
        }
    }

    /// In the background; a shutdown waits for it.
    fn release(&self, lock: Arc<dyn Lock>, leases: Vec<Lease>) {
        if leases.is_empty() {
            return;
        }
        let (released, giving_up) = oneshot::channel();
        let keys = leases.iter().map(|lease| lease.key().clone()).collect();
        self.queue.lock_memory().remember(keys, giving_up);
        let task = Task::start(&self.core);
        let (core, queue) = (Arc::clone(&self.core), Arc::clone(&self.queue));
        self.core.runtime.spawn(Box::pin(async move {
            let _task = task;
            let error = match within(&core, lock.release(leases)).await {
                Some(Ok(_)) => {
                    queue.lock_memory().failures = 0;
                    None
                }
                Some(Err(error)) => Some(error),
                None => Some(LockError::new("the lock did not answer in time")),
            };
            if let Some(error) = error {
                queue.lock_memory().rest(&core);
                core.observe(&Observation::LockFailed { error: &error });
            }
            let _ = released.send(());
        }));
    }

    fn coverage_now(&self) -> Coverage {
        match self.core.lock_policy {
            LockPolicy::Never => Coverage::Nothing,
            LockPolicy::Always(scope) => Coverage::Everything(scope),
            LockPolicy::Adaptive => self.queue.adaptive().hot().map_or(Coverage::Nothing, Coverage::Records),
        }
    }
}

/// The batcher ends, in whatever way: every lock is given back.
impl Drop for Locks {
    fn drop(&mut self) {
        self.give_up_all();
    }
}

/// What the lock answers, if it does so in time: a lock that hangs must not stop the sale.
async fn within<T>(core: &Core, answer: impl Future<Output = T>) -> Option<T> {
    match select(pin!(answer), core.runtime.sleep(core.limits.lock_timeout)).await {
        Either::Left((answer, _)) => Some(answer),
        Either::Right(_) => None,
    }
}
