use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use super::hand_on::{Next, hand_on};
use super::lanes::Shared;
use super::tenure::Tenure;
use crate::ports::LockKey;

/// A lock that is held. Dropping it hands it to the next who waits in this process, or gives it back in the background.
#[must_use = "a guard that is dropped at once holds nothing"]
pub struct LockGuard {
    shared: Arc<Shared>,
    key: LockKey,
    tenure: Arc<Tenure>,
    is_over: bool,
}

impl LockGuard {
    pub(super) fn new(shared: Arc<Shared>, key: LockKey, tenure: Arc<Tenure>) -> Self {
        Self { shared, key, tenure, is_over: false }
    }

    /// What is locked.
    #[must_use]
    pub fn key(&self) -> &LockKey {
        &self.key
    }

    /// When the lease ends on the monotonic clock, unless it is extended before.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.tenure.deadline()
    }

    /// Whether the lease has ended, or was found to be someone else's: then nothing keeps others from the same work. A
    /// process that stood still sees it as soon as it goes on.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.tenure.is_lost(self.shared.now())
    }

    /// Ends when the lease is lost. For a `select` with the work that it protects.
    ///
    /// # Cancellation
    ///
    /// Dropping the future has no effect.
    pub async fn lost(&self) {
        self.tenure.lost(&*self.shared.runtime).await;
    }

    /// Hands it to the next who waits in this process, or gives it back and waits until that is done.
    ///
    /// # Cancellation
    ///
    /// It is given back all the same.
    pub async fn release(mut self) {
        self.is_over = true;
        match hand_on(&self.shared, &self.key, &self.tenure) {
            Next::Handed => {}
            Next::GivenBack(giving_back) => giving_back.run().await,
        }
    }
}

impl Drop for LockGuard {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        if let Next::GivenBack(giving_back) = hand_on(&self.shared, &self.key, &self.tenure) {
            self.shared.spawn(giving_back.run());
        }
    }
}

impl fmt::Debug for LockGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LockGuard").field("key", &self.key).field("deadline", &self.deadline()).finish_non_exhaustive()
    }
}
