use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use futures_util::future::select;

use super::core::Core;
use super::held::{Held, Watched};
use crate::ports::{LockKey, Released};

/// What became of a lock that was given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Returned {
    /// The next who waits in this process has it; the lock's store was not asked.
    HandedOn,
    /// It was given back to the lock's store, which answered this.
    Released(Released),
}

/// A lock held. Dropping it hands it on at once to whoever waits next, or has a task give it back; it never blocks.
///
/// Whether it is still held is a question of time: a process can be stopped at any moment, and go on when the lease has
/// ended. [`is_lost`](Self::is_lost) compares clocks, so it is true from the first moment on; but what was begun before
/// may take effect after. What must never happen twice needs a store that refuses it.
///
/// ```
#[doc = doc_locked!()]
/// let guard = queue.acquire(&key, Duration::from_secs(1)).await?;
/// let work = async { 42 };
/// match select(pin!(work), pin!(guard.lost())).await {
///     Either::Left((answer, _)) => assert_eq!(answer, 42),
///     Either::Right(_) => eprintln!("{} was lost: stop, and undo", guard.key()),
/// }
/// assert!(!guard.is_lost());
/// assert_eq!(guard.release().await, Returned::Released(Released::Released));
#[doc = doc_end!()]
/// ```
#[must_use = "a guard that is dropped gives its lock back"]
pub struct LockGuard {
    core: Arc<Core>,
    held: Arc<Held>,
    /// Whether dropping it gives the lock back.
    armed: bool,
}

impl LockGuard {
    pub(super) fn new(core: Arc<Core>, held: Arc<Held>) -> Self {
        Self { core, held, armed: true }
    }

    /// Somebody else has the lease.
    pub(super) fn disarm(mut self) {
        self.armed = false;
    }

    /// What is locked.
    #[must_use]
    pub fn key(&self) -> &LockKey {
        self.held.key()
    }

    /// When it ends on the monotonic clock, unless it is extended before.
    ///
    /// ```
    #[doc = doc_locked!()]
    /// let guard = queue.acquire(&key, Duration::from_secs(1)).await?;
    /// let left = guard.deadline().saturating_duration_since(runtime.now());
    /// // Leases last two seconds, unless the queue was built otherwise.
    /// assert!(left <= Duration::from_secs(2));
    #[doc = doc_end!()]
    /// ```
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.held.deadline()
    }

    /// Whether the lease has ended or was taken away. Once true it stays true.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.core.is_lost(&self.held, self.core.runtime.now())
    }

    /// Ends when the lease has ended or was taken away.
    ///
    /// # Cancellation
    ///
    /// Free of effects.
    ///
    /// # Example
    ///
    /// ```
    #[doc = doc_locked!()]
    /// let queue = LockQueue::builder(lock, runtime).ttl(Duration::from_millis(20)).keep_alive(false).build();
    /// let guard = queue.acquire(&key, Duration::from_secs(1)).await?;
    /// guard.lost().await;
    /// assert!(guard.is_lost());
    #[doc = doc_end!()]
    /// ```
    pub async fn lost(&self) {
        while let Watched::Until(deadline, signal) = self.held.listen() {
            let now = self.core.runtime.now();
            if self.core.is_lost(&self.held, now) {
                return;
            }
            select(signal, self.core.runtime.sleep(deadline.saturating_duration_since(now))).await;
        }
    }

    /// Hands the lock on, or gives it back and waits for the answer, at most until the lease's end.
    ///
    /// # Cancellation
    ///
    /// The lock is handed on or given back all the same.
    ///
    /// # Example
    ///
    /// ```
    #[doc = doc_locked!()]
    /// let guard = queue.acquire(&key, Duration::from_secs(1)).await?;
    /// let waits = pin!(queue.acquire(&key, Duration::from_secs(1)));
    /// let Either::Right((_, waits)) = select(waits, pin!(async {})).await else { return Ok(()) };
    /// assert_eq!(guard.release().await, Returned::HandedOn);
    /// assert_eq!(waits.await?.release().await, Returned::Released(Released::Released));
    #[doc = doc_end!()]
    /// ```
    pub async fn release(mut self) -> Returned {
        self.armed = false;
        match self.core.pass_on(self.held.clone()) {
            None => Returned::HandedOn,
            Some(leave) => Returned::Released(leave.run().await),
        }
    }
}

impl Drop for LockGuard {
    fn drop(&mut self) {
        if !self.armed {
            return;
        }
        if let Some(leave) = self.core.pass_on(self.held.clone()) {
            leave.spawn();
        }
    }
}

impl fmt::Debug for LockGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LockGuard")
            .field("key", self.key())
            .field("deadline", &self.deadline())
            .field("lost", &self.held.is_marked_lost())
            .finish_non_exhaustive()
    }
}
