use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_channel::oneshot;
use futures_util::future::{Either, select};

use super::compete::compete;
use super::config::{LockQueueBuilder, Settings};
use super::error::AcquireError;
use super::guard::LockGuard;
use super::lanes::{Lanes, Shared};
use super::tenure::Tenure;
use crate::ports::{Attempt, Lease, Lock, LockError, LockKey, Observer, Runtime};

/// A queue for each key in front of a lock: first come, first served, and the lease goes from hand to hand. Cloning it is
/// cheap; clones are the same queue.
#[derive(Debug, Clone)]
pub struct LockQueue {
    shared: Arc<Shared>,
}

impl LockQueue {
    /// Starts with the lock and the runtime that it runs on.
    pub fn builder(lock: Arc<dyn Lock>, runtime: Arc<dyn Runtime>) -> LockQueueBuilder {
        LockQueueBuilder::new(lock, runtime)
    }

    pub(super) fn new(
        lock: Arc<dyn Lock>,
        runtime: Arc<dyn Runtime>,
        observer: Arc<dyn Observer>,
        settings: Settings,
    ) -> Self {
        Self { shared: Shared::new(lock, runtime, observer, settings) }
    }

    /// Waits until the key is free, at most so long, and takes it.
    ///
    /// # Errors
    ///
    /// [`AcquireError`] when it is not free in time, when too many wait for it, or after a shutdown. A lock that fails is
    /// asked again until the time is over.
    ///
    /// # Cancellation
    ///
    /// Whoever stops waiting leaves the queue, and what was acquired for it goes to the next.
    pub async fn acquire(&self, key: &LockKey, at_most: Duration) -> Result<LockGuard, AcquireError> {
        let asked = self.shared.now();
        let waiting = match self.enter(key)? {
            Some(waiting) => waiting,
            None => match self.ask(key, asked, at_most).await {
                First::Granted(guard) => return Ok(guard),
                First::Refused(waiting) => waiting,
                First::TimedOut => return Err(self.timed_out(key, asked)),
            },
        };
        let left = (asked + at_most).saturating_duration_since(self.shared.now());
        match select(waiting, self.shared.runtime.sleep(left)).await {
            Either::Left((Ok(guard), _)) => Ok(guard),
            Either::Left((Err(oneshot::Canceled), _)) => Err(AcquireError::ShutDown),
            Either::Right(_) => Err(self.timed_out(key, asked)),
        }
    }

    /// Takes the key if nobody has it, in this process or another one, without waiting.
    ///
    /// # Errors
    ///
    /// [`LockError`] when the lock fails.
    ///
    /// # Cancellation
    ///
    /// What was acquired is given back.
    pub async fn try_acquire(&self, key: &LockKey) -> Result<Option<LockGuard>, LockError> {
        {
            let mut lanes = self.shared.lanes();
            if lanes.is_shut_down || lanes.get(key).is_some() {
                return Ok(None);
            }
            lanes.insert(key.clone());
        }
        let mut asking = Asking { shared: Arc::clone(&self.shared), key, is_over: false };
        let asked = self.shared.now();
        match self.shared.lock.acquire_all(std::slice::from_ref(key), self.shared.settings.ttl).await? {
            Attempt::Granted(leases) => Ok(asking.granted(leases, asked)),
            Attempt::Contended { .. } => Ok(None),
        }
    }

    /// Takes nobody in any more, sends away those who wait, and waits until every key is given back, at most so long. Says
    /// whether that was reached; whoever holds a key still gives it back when done.
    ///
    /// # Cancellation
    ///
    /// Dropping the future stops the waiting alone.
    pub async fn shutdown(&self, at_most: Duration) -> bool {
        let empty = {
            let mut lanes = self.shared.lanes();
            lanes.is_shut_down = true;
            lanes.send_everybody_away();
            lanes.empty()
        };
        let Some(empty) = empty else { return true };
        select(empty, self.shared.runtime.sleep(at_most)).await;
        self.shared.lanes().is_empty()
    }

    /// Goes into the key's queue. `None` when the key is nobody's here: then it is to be asked for.
    fn enter(&self, key: &LockKey) -> Result<Option<oneshot::Receiver<LockGuard>>, AcquireError> {
        let mut lanes = self.shared.lanes();
        if lanes.is_shut_down {
            return Err(AcquireError::ShutDown);
        }
        let Some(lane) = lanes.get(key) else {
            lanes.insert(key.clone());
            return Ok(None);
        };
        let queue_max = self.shared.settings.queue_max;
        if lane.waiting.len() >= queue_max {
            lane.forget_those_gone();
            if lane.waiting.len() >= queue_max {
                return Err(AcquireError::QueueFull { waiting: lane.waiting.len() });
            }
        }
        let (sender, waiting) = oneshot::channel();
        lane.waiting.push_back(sender);
        Ok(Some(waiting))
    }

    /// The first who wants the key asks for it itself.
    async fn ask(&self, key: &LockKey, asked: Instant, at_most: Duration) -> First {
        let shared = &self.shared;
        let mut asking = Asking { shared: Arc::clone(shared), key, is_over: false };
        let attempt = shared.lock.acquire_all(std::slice::from_ref(key), shared.settings.ttl);
        match select(attempt, shared.runtime.sleep(at_most)).await {
            Either::Left((Ok(Attempt::Granted(leases)), _)) => match asking.granted(leases, asked) {
                Some(guard) => First::Granted(guard),
                None => asking.refused(None),
            },
            Either::Left((Ok(Attempt::Contended { .. }), _)) => asking.refused(None),
            Either::Left((Err(error), _)) => {
                shared.observe_failure(&error);
                asking.refused(Some(error))
            }
            Either::Right(_) => First::TimedOut,
        }
    }

    fn timed_out(&self, key: &LockKey, asked: Instant) -> AcquireError {
        let waited = self.shared.now().saturating_duration_since(asked);
        let failure = self.shared.lanes().get(key).and_then(|lane| lane.failure.clone());
        AcquireError::TimedOut { waited, failure }
    }
}

/// What the first one gets.
enum First {
    Granted(LockGuard),
    Refused(oneshot::Receiver<LockGuard>),
    TimedOut,
}

/// Someone asks the lock, and others may queue up behind. When it stops asking, it is done for them.
struct Asking<'k> {
    shared: Arc<Shared>,
    key: &'k LockKey,
    is_over: bool,
}

impl Asking<'_> {
    fn granted(&mut self, leases: Vec<Lease>, asked: Instant) -> Option<LockGuard> {
        let lease = leases.into_iter().next()?;
        let tenure = Arc::new(Tenure::new(lease, asked, self.shared.now()));
        self.shared.lanes().get(self.key)?.tenure = Some(Arc::clone(&tenure));
        self.is_over = true;
        self.shared.keep_alive();
        Some(LockGuard::new(Arc::clone(&self.shared), self.key.clone(), tenure))
    }

    /// Goes to the front of the queue, for which a task competes from now on.
    fn refused(mut self, failure: Option<LockError>) -> First {
        let (sender, waiting) = oneshot::channel();
        let mut lanes = self.shared.lanes();
        if !lanes.is_shut_down
            && let Some(lane) = Lanes::get(&mut lanes, self.key)
        {
            lane.waiting.push_front(sender);
            lane.failure = failure;
        }
        drop(lanes);
        self.compete();
        First::Refused(waiting)
    }

    fn compete(&mut self) {
        self.is_over = true;
        self.shared.spawn(compete(Arc::clone(&self.shared), self.key.clone(), Duration::ZERO));
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        let mut lanes = self.shared.lanes();
        let Some(lane) = lanes.get(self.key) else { return };
        lane.forget_those_gone();
        if lane.waiting.is_empty() {
            lanes.remove(self.key);
        } else {
            drop(lanes);
            self.compete();
        }
    }
}
