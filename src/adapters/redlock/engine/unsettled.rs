//! Leases of which some node has not answered yet, and what was released of them meanwhile.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::ports::LockToken;

/// By token. An answer that comes late is seen in the light of what has happened since.
#[derive(Debug, Default)]
pub(super) struct Unsettled {
    leases: Mutex<HashMap<LockToken, Lease>>,
}

#[derive(Debug, Default)]
struct Lease {
    /// How many rounds still wait for an answer about it.
    rounds: usize,
    released: Vec<Arc<str>>,
}

impl Unsettled {
    fn leases(&self) -> MutexGuard<'_, HashMap<LockToken, Lease>> {
        // Nothing under this lock can leave it half-done.
        self.leases.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A round will go on waiting for answers about this lease.
    pub(super) fn open(&self, token: LockToken) {
        self.leases().entry(token).or_default().rounds += 1;
    }

    /// A round no longer waits.
    pub(super) fn close(&self, token: &LockToken) {
        let mut leases = self.leases();
        if let Some(lease) = leases.get_mut(token) {
            lease.rounds -= 1;
            if lease.rounds == 0 {
                leases.remove(token);
            }
        }
    }

    /// The key is being released.
    pub(super) fn released(&self, token: &LockToken, key: &Arc<str>) {
        if let Some(lease) = self.leases().get_mut(token) {
            lease.released.push(Arc::clone(key));
        }
    }

    /// What of a lease was released since a round began to wait.
    pub(super) fn released_of(&self, token: &LockToken) -> Vec<Arc<str>> {
        self.leases().get(token).map(|lease| lease.released.clone()).unwrap_or_default()
    }
}
