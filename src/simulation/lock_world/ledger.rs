//! Who relies on which lock, by the clock of everything, and what was asked of the lock.

use std::collections::BTreeMap;
use std::time::Duration;

use super::super::digest;
use super::super::executor::ProcessId;
use super::super::lock_keys::Kept;
use crate::ports::{Lease, LockKey};

/// Within so long what nobody has any more is free on every node, when nothing goes wrong.
const GRACE: Duration = Duration::from_millis(500);
/// What a process sent that has crashed may arrive as long after it.
const LAST_WORDS: Duration = Duration::from_secs(15);

/// Who says to have a lock: with a lease of its own, or with one of the guards of a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Holder {
    Lease([u8; 16]),
    Guard(u64),
}

impl Holder {
    pub(super) fn of(lease: &Lease) -> Self {
        Self::Lease(*lease.token().as_bytes())
    }
}

/// What somebody says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Claim {
    pub(super) process: ProcessId,
    pub(super) holder: Holder,
    /// It relies on the lock until then.
    pub(super) until: Duration,
}

#[derive(Debug)]
pub(super) struct Ledger {
    held: BTreeMap<LockKey, Claim>,
    /// Every lease that was granted, and since when it is given back.
    leases: BTreeMap<[u8; 16], Option<Duration>>,
    last_crash: Option<Duration>,
    guards: u64,
    calls: u64,
    digest: u64,
}

impl Ledger {
    pub(super) fn new() -> Self {
        let (held, leases) = (BTreeMap::new(), BTreeMap::new());
        Self { held, leases, last_crash: None, guards: 0, calls: 0, digest: digest::OF_NOTHING }
    }

    /// Somebody wants something of a lock.
    pub(super) fn called(&mut self) {
        self.calls += 1;
    }

    pub(super) fn calls(&self) -> u64 {
        self.calls
    }

    /// A guard is given to somebody.
    pub(super) fn new_guard(&mut self) -> Holder {
        self.guards += 1;
        Holder::Guard(self.guards)
    }

    /// What happened, so that another run in which it did not is seen to be another one.
    pub(super) fn note(&mut self, words: &str) {
        self.digest = digest::fnv(words, self.digest);
    }

    pub(super) fn digest(&self) -> u64 {
        self.digest
    }

    /// Somebody relies on a lock. Answers who else does.
    pub(super) fn claims(&mut self, key: &LockKey, claim: Claim, now: Duration) -> Option<Claim> {
        let before = self.held.insert(key.clone(), claim);
        before.filter(|before| before.holder != claim.holder && before.until > now)
    }

    pub(super) fn gives_up(&mut self, key: &LockKey, holder: Holder) {
        if self.held.get(key).is_some_and(|claim| claim.holder == holder) {
            self.held.remove(key);
        }
    }

    pub(super) fn granted(&mut self, lease: &Lease) {
        self.leases.insert(*lease.token().as_bytes(), None);
    }

    pub(super) fn gives_back(&mut self, lease: &Lease, now: Duration) {
        self.leases.insert(*lease.token().as_bytes(), Some(now));
    }

    /// Nobody uses what the process had any more.
    pub(super) fn crashed(&mut self, process: ProcessId, now: Duration) {
        self.held.retain(|_, claim| claim.process != process);
        self.last_crash = Some(now);
    }

    /// Whether nobody has any more, or never had, what a node keeps, and everybody who knows that could have told it.
    pub(super) fn is_left_behind(&self, kept: &Kept, now: Duration) -> bool {
        let is_a_crashed_ones = self.last_crash.is_some_and(|crash| kept.since <= crash + LAST_WORDS);
        let free_since = match self.leases.get(kept.token.as_bytes()) {
            Some(None) => return false,
            Some(Some(given_back)) => kept.since.max(*given_back),
            None if kept.is_untold => return false,
            None => kept.since,
        };
        !is_a_crashed_ones && free_since + GRACE < now
    }
}
