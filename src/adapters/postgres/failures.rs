use std::sync::{Mutex, MutexGuard, PoisonError};

use futures_channel::oneshot;

use super::error::PostgresError;

/// Why connections could not be made.
#[derive(Debug, Default)]
pub(super) struct Failures(Mutex<LastFailure>);

#[derive(Debug, Default)]
struct LastFailure {
    count: u64,
    error: Option<PostgresError>,
    listeners: Vec<oneshot::Sender<()>>,
}

impl Failures {
    fn state(&self) -> MutexGuard<'_, LastFailure> {
        // Nothing under this lock can leave it half-done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add(&self, error: PostgresError) {
        let listeners = {
            let mut state = self.state();
            state.count += 1;
            state.error = Some(error);
            std::mem::take(&mut state.listeners)
        };
        for listener in listeners {
            // Whoever listened may have a connection by now.
            let _ = listener.send(());
        }
    }

    /// How many there have been, and word of the next one.
    pub(super) fn listen(&self) -> (u64, oneshot::Receiver<()>) {
        let (sender, receiver) = oneshot::channel();
        let mut state = self.state();
        state.listeners.retain(|listener| !listener.is_canceled());
        state.listeners.push(sender);
        (state.count, receiver)
    }

    /// The last one, if it came after so many.
    pub(super) fn after(&self, count: u64) -> Option<PostgresError> {
        let state = self.state();
        state.error.clone().filter(|_| state.count > count)
    }
}
