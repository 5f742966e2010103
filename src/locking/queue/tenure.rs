//! One lease from its acquisition to its release, through all hands that it goes through.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use futures_channel::oneshot;
use futures_util::future::select;

use crate::ports::{Lease, Runtime};

/// Shared by its lane and its holder.
#[derive(Debug)]
pub(super) struct Tenure {
    pub(super) since: Instant,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    lease: Lease,
    is_lost: bool,
    /// When it was last acquired or extended.
    extended_at: Instant,
    handed: u32,
    /// Since when its holder has it.
    held_since: Instant,
    told_when_lost: Vec<oneshot::Sender<()>>,
}

impl Tenure {
    /// Of a lease that was asked for at `since`.
    pub(super) fn new(lease: Lease, since: Instant, now: Instant) -> Self {
        let state =
            State { lease, is_lost: false, extended_at: since, handed: 0, held_since: now, told_when_lost: Vec::new() };
        Self { since, state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing under this lock can leave it half-done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn lease(&self) -> Lease {
        self.state().lease.clone()
    }

    pub(super) fn deadline(&self) -> Instant {
        self.state().lease.deadline()
    }

    pub(super) fn is_lost(&self, now: Instant) -> bool {
        let state = self.state();
        state.is_lost || now >= state.lease.deadline()
    }

    pub(super) fn extended_at(&self) -> Instant {
        self.state().extended_at
    }

    pub(super) fn held_since(&self) -> Instant {
        self.state().held_since
    }

    pub(super) fn handed(&self) -> u32 {
        self.state().handed
    }

    /// It goes to the next holder.
    pub(super) fn hand_over(&self, now: Instant) {
        let mut state = self.state();
        state.handed += 1;
        state.held_since = now;
    }

    /// It was extended by a call that began at `at`.
    pub(super) fn extended(&self, deadline: Instant, at: Instant) {
        let mut state = self.state();
        state.lease.set_deadline(deadline);
        state.extended_at = at;
    }

    /// It is not ours any more. Whether it was until now.
    pub(super) fn lose(&self) -> bool {
        let mut state = self.state();
        for told in state.told_when_lost.drain(..) {
            let _ = told.send(());
        }
        !std::mem::replace(&mut state.is_lost, true)
    }

    /// Ends when it is lost.
    pub(super) async fn lost(&self, runtime: &dyn Runtime) {
        loop {
            let (told, deadline) = {
                let mut state = self.state();
                let deadline = state.lease.deadline();
                if state.is_lost || runtime.now() >= deadline {
                    return;
                }
                let (sender, told) = oneshot::channel();
                state.told_when_lost.retain(|other| !other.is_canceled());
                state.told_when_lost.push(sender);
                (told, deadline)
            };
            select(told, runtime.sleep(deadline.saturating_duration_since(runtime.now()))).await;
        }
    }
}
