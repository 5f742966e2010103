use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_channel::oneshot;

use super::core::Core;
use super::error::AcquireError;
use super::guard::LockGuard;
use super::lane::Answer;
use super::within::within;
use crate::ports::{LockError, LockKey};

/// A caller that waits for its turn. When it is dropped it is out of the line; a guard that was under way to it is
/// handed on by its own drop.
pub(super) struct Waiting {
    core: Arc<Core>,
    key: LockKey,
    place: u64,
    receiver: oneshot::Receiver<Answer>,
    answered: bool,
}

impl Waiting {
    pub(super) fn new(core: Arc<Core>, key: LockKey, place: u64, receiver: oneshot::Receiver<Answer>) -> Self {
        Self { core, key, place, receiver, answered: false }
    }

    /// The guard, when it is this caller's turn within `time`.
    pub(super) async fn answer(mut self, begun: Instant, time: Duration) -> Result<LockGuard, AcquireError> {
        let in_time = within(&*self.core.runtime, time, &mut self.receiver).await;
        let answer = match in_time {
            Some(answer) => answer.ok(),
            None => match self.receiver.try_recv() {
                Ok(Some(answer)) => Some(answer),
                Ok(None) => return Err(self.too_late(begun)),
                Err(_) => None,
            },
        };
        self.answered = true;
        answer.unwrap_or_else(|| {
            let source = LockError::new("the task that asked the lock did not end by itself");
            Err(AcquireError::Failed { waited: self.waited(begun), source })
        })
    }

    fn too_late(&self, begun: Instant) -> AcquireError {
        let failed = self.core.state().lanes.get(&self.key).and_then(|lane| lane.failed.clone());
        let waited = self.waited(begun);
        match failed {
            Some(source) => AcquireError::Failed { waited, source },
            None => AcquireError::TimedOut { waited },
        }
    }

    fn waited(&self, begun: Instant) -> Duration {
        self.core.runtime.now().saturating_duration_since(begun)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if self.answered {
            return;
        }
        let sender = self.core.state().lanes.get_mut(&self.key).and_then(|lane| lane.leave(self.place));
        drop(sender);
    }
}
