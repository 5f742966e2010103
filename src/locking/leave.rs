use std::sync::Arc;

use super::core::Core;
use super::held::Held;
use super::within::within;
use crate::ports::{BoxFuture, LockError, Observation, Released};

/// A lease on its way back. When whoever gives it back is dropped, a task goes on with it.
pub(super) struct Leave {
    core: Arc<Core>,
    held: Arc<Held>,
    /// Whether its lane has gone on without it.
    stray: bool,
    /// The call under way; none once the lane has been told.
    release: Option<BoxFuture<'static, Result<Vec<Released>, LockError>>>,
    in_background: bool,
}

impl Leave {
    pub(super) fn new(core: Arc<Core>, held: Arc<Held>, stray: bool) -> Self {
        let (lock, lease) = (core.lock.clone(), held.lease());
        let release = Some(Box::pin(async move { lock.release(vec![lease]).await }) as BoxFuture<'static, _>);
        Self { core, held, stray, release, in_background: false }
    }

    /// Gives it back. No answer is waited for longer than the lease lasts: then it is free, whatever the answer.
    pub(super) async fn run(mut self) -> Released {
        let Some(release) = &mut self.release else { return Released::Unknown };
        let time = self.held.validity(self.core.runtime.now()).max(self.core.config.extend_pause());
        let answer = within(&*self.core.runtime, time, release).await;
        self.settle();
        match answer {
            Some(Ok(answers)) => answers.first().copied().unwrap_or(Released::Unknown),
            Some(Err(error)) => {
                self.core.observer.observe(&Observation::LockFailed { error: &error });
                Released::Unknown
            }
            None => Released::Unknown,
        }
    }

    /// Gives it back on behalf of a task.
    pub(super) async fn run_in_background(mut self) {
        self.in_background = true;
        self.run().await;
    }

    /// Has a task give it back.
    pub(super) fn spawn(self) {
        let core = self.core.clone();
        core.runtime.spawn(Box::pin(self.run_in_background()));
    }

    fn settle(&mut self) {
        self.release = None;
        if self.stray {
            self.core.stray_left();
        } else {
            self.core.left(self.held.key());
        }
    }
}

impl Drop for Leave {
    fn drop(&mut self) {
        let Some(release) = self.release.take() else { return };
        if !self.in_background {
            let (core, held, stray) = (self.core.clone(), self.held.clone(), self.stray);
            Self { core, held, stray, release: Some(release), in_background: true }.spawn();
        } else if self.stray {
            self.core.stray_left();
        } else {
            self.core.abandon(self.held.key());
        }
    }
}
