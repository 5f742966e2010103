use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::asking::Asked;
use super::attempt::Outcome;
use super::builder::LockQueueBuilder;
use super::config::WAIT_MAX;
use super::core::{Core, Entered};
use super::error::AcquireError;
use super::guard::LockGuard;
use super::within::within;
use crate::ports::{Attempt, Lock, LockKey, Runtime};

/// Callers of one process that take their turns on a lock: see the [module](super). A host makes one per lock and keeps it:
/// two queues on the same lock are two processes to each other.
///
/// # Clone
///
/// A clone is another handle on the same queue. When the last one is gone, guards and callers that wait go on as before.
#[derive(Clone)]
pub struct LockQueue {
    core: Arc<Core>,
}

impl LockQueue {
    pub(super) fn new(core: Core) -> Self {
        Self { core: Arc::new(core) }
    }

    /// Begins to put a queue together, on a lock and the host's runtime.
    ///
    /// ```
    #[doc = doc_locked!()]
    /// let queue = LockQueue::builder(lock, runtime).ttl(Duration::from_secs(5)).build();
    /// let guard = queue.acquire(&key, Duration::from_secs(1)).await?;
    /// # assert!(!guard.is_lost());
    #[doc = doc_end!()]
    /// ```
    pub fn builder(lock: Arc<dyn Lock>, runtime: Arc<dyn Runtime>) -> LockQueueBuilder {
        LockQueueBuilder::new(lock, runtime)
    }

    /// Takes the lock on `key`, waiting at most for `wait` (and no longer than a day). Callers of this queue get their
    /// turns in the order in which they came.
    ///
    /// # Errors
    ///
    /// [`AcquireError`] when it did not become the caller's turn. A lock's store that fails is asked again, after pauses
    /// that grow from 10 ms to 500 ms, until `wait` is over.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves the line. A lock that is granted at that moment goes to the next one, or back.
    ///
    /// # Example
    ///
    /// ```
    #[doc = doc_locked!()]
    /// let guard = queue.acquire(&key, Duration::from_secs(1)).await?;
    /// let late = queue.acquire(&key, Duration::from_millis(5)).await;
    /// assert!(matches!(late, Err(AcquireError::TimedOut { .. })));
    /// drop(guard);
    /// let guard = queue.acquire(&key, Duration::from_secs(1)).await?;
    /// # let _ = guard;
    #[doc = doc_end!()]
    /// ```
    pub async fn acquire(&self, key: &LockKey, wait: Duration) -> Result<LockGuard, AcquireError> {
        let wait = wait.min(WAIT_MAX);
        let begun = self.core.runtime.now();
        let mut asking = match self.core.enter(key, begun)? {
            Entered::First(asking) => asking,
            Entered::Waiting(waiting) => return waiting.answer(begun, wait).await,
        };
        let refused = match asking.answer(wait).await {
            Asked::Granted(guard) => return Ok(guard),
            Asked::Contended { retry_after } => Outcome::Contended { retry_after },
            Asked::Failed(error) => Outcome::Failed(error),
            Asked::TimedOut => return Err(AcquireError::TimedOut { waited: asking.waited(begun) }),
        };
        let left = wait.saturating_sub(asking.waited(begun));
        asking.wait(refused)?.answer(begun, left).await
    }

    /// Takes the lock on `key` if it is free at this moment and nobody waits for it here. How long it is taken at the
    /// latest is an upper bound for this holder alone.
    ///
    /// # Errors
    ///
    /// [`AcquireError::Failed`] when the lock's store fails or does not answer within the TTL,
    /// [`AcquireError::ShutDown`].
    ///
    /// # Cancellation
    ///
    /// As for [`acquire`](Self::acquire).
    ///
    /// # Example
    ///
    /// ```
    #[doc = doc_locked!()]
    /// let Attempt::Granted(guard) = queue.try_acquire(&key).await? else { return Ok(()) };
    /// assert!(matches!(queue.try_acquire(&key).await?, Attempt::Contended { .. }));
    /// # drop(guard);
    #[doc = doc_end!()]
    /// ```
    pub async fn try_acquire(&self, key: &LockKey) -> Result<Attempt<LockGuard>, AcquireError> {
        let begun = self.core.runtime.now();
        let mut asking = match self.core.try_enter(key, begun)? {
            Ok(asking) => asking,
            Err(retry_after) => return Ok(Attempt::Contended { retry_after }),
        };
        match asking.answer(Duration::MAX).await {
            Asked::Granted(guard) => Ok(Attempt::Granted(guard)),
            Asked::Contended { retry_after } => {
                asking.leave(Outcome::Contended { retry_after });
                Ok(Attempt::Contended { retry_after })
            }
            Asked::Failed(source) => {
                let waited = asking.waited(begun);
                asking.leave(Outcome::Failed(source.clone()));
                Err(AcquireError::Failed { waited, source })
            }
            Asked::TimedOut => Err(AcquireError::TimedOut { waited: asking.waited(begun) }),
        }
    }

    /// Takes no more callers in, answers those who wait with [`AcquireError::ShutDown`], and waits until every guard has
    /// been given back and every call to the lock has ended, at most for `deadline`. How many keys are left then: none,
    /// if all went well. What is left ends with its TTL at the latest, unless its guard is still kept alive.
    ///
    /// # Cancellation
    ///
    /// No more callers are taken in all the same.
    ///
    /// # Example
    ///
    /// ```
    #[doc = doc_locked!()]
    /// drop(queue.acquire(&key, Duration::from_secs(1)).await?);
    /// assert_eq!(queue.shutdown(Duration::from_secs(5)).await, 0);
    /// let late = queue.acquire(&key, Duration::from_secs(1)).await;
    /// assert!(matches!(late, Err(AcquireError::ShutDown)));
    #[doc = doc_end!()]
    /// ```
    pub async fn shutdown(&self, deadline: Duration) -> usize {
        if let Some(drained) = self.core.close() {
            // Whether they are gone or the time is over is seen below.
            let _ = within(&*self.core.runtime, deadline, drained).await;
        }
        self.core.state().left()
    }
}

impl fmt::Debug for LockQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LockQueue").field(&self.core).finish()
    }
}
