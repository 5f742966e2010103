//! What goes on after the callers were answered.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_channel::oneshot;
use futures_util::future::{Either, select};

use crate::ports::{BoxFuture, Runtime};

/// Runs tasks on the host's runtime, and knows when none is left. A clone is the same.
#[derive(Debug, Clone)]
pub(super) struct Background {
    runtime: Arc<dyn Runtime>,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    running: usize,
    waiting: Vec<oneshot::Sender<()>>,
}

/// Counts a task for as long as it lives, however it ends.
struct Running(Arc<Mutex<State>>);

impl Drop for Running {
    fn drop(&mut self) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.running -= 1;
        if state.running == 0 {
            for waiter in state.waiting.drain(..) {
                let _ = waiter.send(());
            }
        }
    }
}

impl Background {
    pub(super) fn new(runtime: Arc<dyn Runtime>) -> Self {
        Self { runtime, state: Arc::default() }
    }

    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).running += 1;
        let running = Running(Arc::clone(&self.state));
        self.runtime.spawn(Box::pin(async move {
            let _running = running;
            task.await;
        }));
    }

    /// Waits until no task is left, at most so long. Says whether that was reached.
    pub(super) async fn idle(&self, at_most: Duration) -> bool {
        let mut timeout: BoxFuture<'static, ()> = self.runtime.sleep(at_most);
        loop {
            let idle = {
                let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
                if state.running == 0 {
                    return true;
                }
                let (sender, receiver) = oneshot::channel();
                state.waiting.push(sender);
                receiver
            };
            // By the time that is known, something else may have begun.
            match select(idle, timeout).await {
                Either::Left((_, left)) => timeout = left,
                Either::Right(_) => return false,
            }
        }
    }
}
