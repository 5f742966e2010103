//! Counts what happens in one worker.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ticket_reservation::ports::{Observation, Observer};

/// What has happened so far.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Counts {
    pub(crate) held: u64,
    pub(crate) booked: u64,
    pub(crate) commits: u64,
    pub(crate) requests: u64,
    pub(crate) conflicts: u64,
}

/// Counts acknowledgements, and what the service reports.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    held: AtomicU64,
    booked: AtomicU64,
    commits: AtomicU64,
    requests: AtomicU64,
    conflicts: AtomicU64,
    waits: Mutex<Vec<Duration>>,
}

impl Meter {
    /// A hold was acknowledged, so long after it was asked for.
    pub(crate) fn held(&self, wait: Duration) {
        self.held.fetch_add(1, Relaxed);
        self.waits().push(wait);
    }

    /// A confirmation was.
    pub(crate) fn booked(&self, wait: Duration) {
        self.booked.fetch_add(1, Relaxed);
        self.waits().push(wait);
    }

    pub(crate) fn counts(&self) -> Counts {
        Counts {
            held: self.held.load(Relaxed),
            booked: self.booked.load(Relaxed),
            commits: self.commits.load(Relaxed),
            requests: self.requests.load(Relaxed),
            conflicts: self.conflicts.load(Relaxed),
        }
    }

    /// The waits since they were taken last.
    pub(crate) fn take_waits(&self) -> Vec<Duration> {
        std::mem::take(&mut *self.waits())
    }

    fn waits(&self) -> MutexGuard<'_, Vec<Duration>> {
        self.waits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for Meter {
    fn observe(&self, observation: &Observation<'_>) {
        if let Observation::Committed { committed, requests, conflicts, .. } = observation {
            self.commits.fetch_add(u64::from(*committed > 0), Relaxed);
            self.requests.fetch_add(*requests as u64, Relaxed);
            self.conflicts.fetch_add(*conflicts as u64, Relaxed);
        }
    }
}
