//! Counts what happens in one worker.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use ticket_reservation::ports::{Observation, Observer};

/// How many numbers a worker reports.
pub(crate) const NUMBERS: usize = 10;

/// What a worker has counted so far. Sent to the parent as these numbers in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Progress {
    /// Answered requests.
    pub(crate) requests: u64,
    /// Places held now, by what was acknowledged.
    pub(crate) held: u64,
    /// Places sold, by what was acknowledged.
    pub(crate) sold: u64,
    /// Buyers who came in.
    pub(crate) started: u64,
    /// Buyers who are through.
    pub(crate) finished: u64,
    /// Commits that wrote something.
    pub(crate) commits: u64,
    /// Requests that they decided.
    pub(crate) committed_requests: u64,
    /// The most requests of one commit.
    pub(crate) commit_requests_max: u64,
    /// Groups that were not written because a record had changed.
    pub(crate) conflicts: u64,
    /// Locks granted.
    pub(crate) locks: u64,
}

impl Progress {
    /// The numbers in order.
    pub(crate) fn to_numbers(self) -> [u64; NUMBERS] {
        [
            self.requests,
            self.held,
            self.sold,
            self.started,
            self.finished,
            self.commits,
            self.committed_requests,
            self.commit_requests_max,
            self.conflicts,
            self.locks,
        ]
    }

    /// From the numbers in order.
    pub(crate) fn from_numbers(numbers: [u64; NUMBERS]) -> Self {
        let [requests, held, sold, started, finished, numbers @ ..] = numbers;
        let [commits, committed_requests, commit_requests_max, conflicts, locks] = numbers;
        let commits = Self { commits, committed_requests, commit_requests_max, conflicts, ..Self::default() };
        Self { requests, held, sold, started, finished, locks, ..commits }
    }

    /// Both together.
    pub(crate) fn plus(self, other: Self) -> Self {
        let mut sum = self.to_numbers();
        for (sum, other) in sum.iter_mut().zip(other.to_numbers()) {
            *sum += other;
        }
        let commit_requests_max = self.commit_requests_max.max(other.commit_requests_max);
        Self { commit_requests_max, ..Self::from_numbers(sum) }
    }
}

/// Counts, also what the crate reports.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    requests: AtomicU64,
    taken: AtomicU64,
    given_back: AtomicU64,
    sold: AtomicU64,
    started: AtomicU64,
    finished: AtomicU64,
    commits: AtomicU64,
    committed_requests: AtomicU64,
    commit_requests_max: AtomicU64,
    conflicts: AtomicU64,
    locks: AtomicU64,
    /// Holds that nobody will end: when each lapses, and its places. All last equally long, so they are in order.
    lapsing: Mutex<VecDeque<(Instant, u64)>>,
}

impl Meter {
    pub(crate) fn answered(&self) {
        self.requests.fetch_add(1, Relaxed);
    }

    pub(crate) fn held(&self, places: u32) {
        self.taken.fetch_add(places.into(), Relaxed);
    }

    /// Held places are free again.
    pub(crate) fn freed(&self, places: u32) {
        self.given_back.fetch_add(places.into(), Relaxed);
    }

    /// Held places will be free again in a while.
    pub(crate) fn left_behind(&self, places: u32, ttl: Duration) {
        let mut lapsing = self.lapsing.lock().unwrap_or_else(PoisonError::into_inner);
        lapsing.push_back((Instant::now() + ttl, places.into()));
    }

    /// Held places are sold.
    pub(crate) fn sold(&self, places: u32) {
        self.freed(places);
        self.sold.fetch_add(places.into(), Relaxed);
    }

    pub(crate) fn started(&self) {
        self.started.fetch_add(1, Relaxed);
    }

    pub(crate) fn finished(&self) {
        self.finished.fetch_add(1, Relaxed);
    }

    /// Everything so far.
    pub(crate) fn progress(&self) -> Progress {
        self.let_lapse();
        let given_back = self.given_back.load(Relaxed);
        Progress {
            requests: self.requests.load(Relaxed),
            held: self.taken.load(Relaxed).saturating_sub(given_back),
            sold: self.sold.load(Relaxed),
            started: self.started.load(Relaxed),
            finished: self.finished.load(Relaxed),
            commits: self.commits.load(Relaxed),
            committed_requests: self.committed_requests.load(Relaxed),
            commit_requests_max: self.commit_requests_max.load(Relaxed),
            conflicts: self.conflicts.load(Relaxed),
            locks: self.locks.load(Relaxed),
        }
    }

    fn let_lapse(&self) {
        let now = Instant::now();
        let mut lapsing = self.lapsing.lock().unwrap_or_else(PoisonError::into_inner);
        while lapsing.front().is_some_and(|(at, _)| *at <= now) {
            let places = lapsing.pop_front().map_or(0, |(_, places)| places);
            self.given_back.fetch_add(places, Relaxed);
        }
    }
}

impl Observer for Meter {
    fn observe(&self, observation: &Observation<'_>) {
        match observation {
            Observation::Committed { committed, requests, conflicts, .. } => {
                let requests = *requests as u64;
                self.commits.fetch_add(u64::from(*committed > 0), Relaxed);
                self.committed_requests.fetch_add(requests, Relaxed);
                self.commit_requests_max.fetch_max(requests, Relaxed);
                self.conflicts.fetch_add(*conflicts as u64, Relaxed);
            }
            Observation::Locked { granted, .. } => {
                self.locks.fetch_add(*granted as u64, Relaxed);
            }
            _ => {}
        }
    }
}
