use std::sync::Arc;
use std::time::Duration;

use super::attempt::{self, Call, Outcome};
use super::core::Core;
use super::pace::{self, Pauses};
use crate::ports::{LockKey, Observation, RuntimeExt};

/// How much later than the end of a quiet window the lock is asked at most, so that not all processes do at once.
const AFTER_QUIET_MAX: Duration = Duration::from_millis(1);

/// Where a competition begins.
pub(super) enum Begin {
    /// The lock is asked at once.
    Now,
    /// Others get their turn first.
    Rest { contended: bool },
    /// A caller has been refused.
    Refused(Outcome),
    /// A caller has asked and is gone.
    Asked(Call),
}

/// The task that asks the lock on behalf of all who wait for one key here. It ends with the lease, which it gives to
/// whoever waits first, or when nobody waits any more.
struct Competitor {
    core: Arc<Core>,
    key: LockKey,
    /// Whether the lane's next step is still this task's.
    armed: bool,
}

pub(super) fn start(core: &Arc<Core>, key: LockKey, begin: Begin) {
    let competitor = Competitor { core: core.clone(), key, armed: true };
    core.runtime.spawn(Box::pin(competitor.compete(begin)));
}

/// A caller was refused and is gone: a task goes on for others, if there are any.
pub(super) fn go_on(core: &Arc<Core>, key: LockKey, refused: Outcome) {
    if core.is_wanted(&key) {
        start(core, key, Begin::Refused(refused));
    } else if let Outcome::Failed(error) = refused {
        core.observer.observe(&Observation::LockFailed { error: &error });
    }
}

impl Competitor {
    async fn compete(mut self, begin: Begin) {
        let mut pauses = Pauses::default();
        let mut rested = false;
        let mut outcome = match begin {
            Begin::Refused(outcome) => outcome,
            Begin::Asked(call) => attempt::outcome(&self.core, call).await,
            Begin::Now => self.ask().await,
            Begin::Rest { contended } => {
                let rest = pace::rest(&*self.core.runtime, contended, self.core.config.poll_max);
                rested = match self.pause(rest).await {
                    Paused::Wanted { quiet } => !quiet,
                    Paused::Unwanted => return self.armed = false,
                };
                self.ask().await
            }
        };
        loop {
            let pause = match outcome {
                Outcome::Granted(lease) => {
                    let held = self.core.granted(lease, rested);
                    self.armed = false;
                    if let Some(leave) = self.core.pass_first(held) {
                        leave.run_in_background().await;
                    }
                    return;
                }
                Outcome::Contended { retry_after } => {
                    self.core.met_others(&self.key);
                    pauses.contended(&*self.core.runtime, retry_after, self.core.config.poll_max)
                }
                Outcome::Failed(error) => {
                    self.core.failed(&self.key, error);
                    pauses.failed(&*self.core.runtime)
                }
            };
            rested = false;
            if !self.core.is_wanted(&self.key) || matches!(self.pause(pause).await, Paused::Unwanted) {
                return self.armed = false;
            }
            outcome = self.ask().await;
        }
    }

    async fn ask(&self) -> Outcome {
        attempt::outcome(&self.core, attempt::call(&self.core, self.key.clone())).await
    }

    /// Lets time pass, and the rest of a quiet window.
    async fn pause(&self, pause: Duration) -> Paused {
        self.core.runtime.sleep(pause).await;
        let mut quiet = false;
        while let Some(left) = self.core.quiet_left(&self.key) {
            quiet = true;
            self.core.runtime.sleep(left + self.core.runtime.jittered(AFTER_QUIET_MAX)).await;
        }
        if self.core.is_wanted(&self.key) { Paused::Wanted { quiet } } else { Paused::Unwanted }
    }
}

enum Paused {
    Wanted { quiet: bool },
    Unwanted,
}

impl Drop for Competitor {
    fn drop(&mut self) {
        if self.armed {
            self.core.abandon(&self.key);
        }
    }
}
