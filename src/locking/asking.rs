use std::sync::Arc;
use std::time::{Duration, Instant};

use super::attempt::{self, Call, Outcome};
use super::compete::{self, Begin};
use super::core::Core;
use super::error::AcquireError;
use super::guard::LockGuard;
use super::waiting::Waiting;
use super::within::within;
use crate::ports::{LockError, LockKey};

/// A caller that asks the lock itself, as nobody else here wants the key. When it is dropped, a task takes over.
pub(super) struct Asking {
    core: Arc<Core>,
    key: LockKey,
    place: u64,
    /// The call under way; none once it has been answered.
    call: Option<Call>,
}

/// What the lock answered.
pub(super) enum Asked {
    Granted(LockGuard),
    Contended {
        retry_after: Duration,
    },
    Failed(LockError),
    /// The caller's time is over; the lock has not answered.
    TimedOut,
}

impl Asking {
    pub(super) fn new(core: Arc<Core>, key: LockKey, place: u64) -> Self {
        let call = Some(attempt::call(&core, key.clone()));
        Self { core, key, place, call }
    }

    /// The lock's answer, or none when the caller's `time` is over first.
    pub(super) async fn answer(&mut self, time: Duration) -> Asked {
        let Some(call) = &mut self.call else { return Asked::TimedOut };
        let answer = within(&*self.core.runtime, time.min(self.core.config.ttl), call).await;
        if answer.is_none() && time <= self.core.config.ttl {
            return Asked::TimedOut;
        }
        self.call = None;
        match attempt::judge(&self.core, answer) {
            Outcome::Granted(lease) => {
                Asked::Granted(LockGuard::new(self.core.clone(), self.core.granted(lease, false)))
            }
            Outcome::Contended { retry_after } => Asked::Contended { retry_after },
            Outcome::Failed(error) => Asked::Failed(error),
        }
    }

    /// It was refused, and waits.
    pub(super) fn wait(self, refused: Outcome) -> Result<Waiting, AcquireError> {
        self.core.stay(self.key.clone(), self.place, Begin::Refused(refused))
    }

    /// It was refused, and does not wait. Those who came after it do.
    pub(super) fn leave(self, refused: Outcome) {
        compete::go_on(&self.core, self.key.clone(), refused);
    }

    pub(super) fn waited(&self, begun: Instant) -> Duration {
        self.core.runtime.now().saturating_duration_since(begun)
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        if let Some(call) = self.call.take() {
            compete::start(&self.core, self.key.clone(), Begin::Asked(call));
        }
    }
}
