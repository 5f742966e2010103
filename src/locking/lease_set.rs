use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::ports::{Lease, LockKey};

/// The leases that one batcher holds.
#[derive(Debug, Default)]
pub(crate) struct LeaseSet {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// In order, so that what is done to them one after another is done in the same order each time.
    held: BTreeMap<LockKey, Held>,
    /// Leases that ended while they were needed. The work goes on as if they were held: the store decides.
    lost: BTreeSet<LockKey>,
    /// The lock's store failed in this round: the work goes on without any lock.
    lockless: bool,
}

#[derive(Debug)]
struct Held {
    lease: Lease,
    since: Instant,
    /// How many batches it has served, the one at work included.
    batches: u32,
}

impl LeaseSet {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing under this lock can leave it half-done.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn insert(&self, lease: Lease, since: Instant) {
        self.lock().held.insert(lease.key().clone(), Held { lease, since, batches: 1 });
    }

    pub(crate) fn holds(&self, key: &LockKey) -> bool {
        self.lock().held.contains_key(key)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.lock().held.is_empty()
    }

    /// Whether work that needs these locks may go on.
    pub(crate) fn cover<'k>(&self, keys: impl IntoIterator<Item = &'k LockKey>) -> bool {
        let inner = self.lock();
        inner.lockless || keys.into_iter().all(|key| inner.held.contains_key(key) || inner.lost.contains(key))
    }

    /// A new round begins: what was lost in the last one must be taken again.
    pub(crate) fn begin_round(&self) {
        let mut inner = self.lock();
        inner.lost.clear();
        inner.lockless = false;
        inner.held.values_mut().for_each(|held| held.batches += 1);
    }

    /// The lock's store failed: this round goes on without it.
    pub(crate) fn go_without(&self) {
        self.lock().lockless = true;
    }

    /// Takes out every lease that `keep` does not name, or that has been kept for `tenure_max` or for `batches_max`
    /// batches, so that other processes get their turn.
    pub(crate) fn take_except(
        &self,
        keep: &BTreeSet<LockKey>,
        now: Instant,
        tenure_max: Duration,
        batches_max: u32,
    ) -> Vec<Lease> {
        let mut inner = self.lock();
        let (kept, given_up): (BTreeMap<_, _>, BTreeMap<_, _>) =
            std::mem::take(&mut inner.held).into_iter().partition(|(key, held)| {
                keep.contains(key)
                    && held.batches < batches_max
                    && now.saturating_duration_since(held.since) < tenure_max
            });
        inner.held = kept;
        given_up.into_values().map(|held| held.lease).collect()
    }

    /// Takes out every lease.
    pub(crate) fn take_all(&self) -> Vec<Lease> {
        std::mem::take(&mut self.lock().held).into_values().map(|held| held.lease).collect()
    }

    /// The earliest deadline of the leases held.
    pub(crate) fn earliest_deadline(&self) -> Option<Instant> {
        self.lock().held.values().map(|held| held.lease.deadline()).min()
    }

    pub(crate) fn leases(&self) -> Vec<Lease> {
        self.lock().held.values().map(|held| held.lease.clone()).collect()
    }

    /// Notes an extended deadline.
    pub(crate) fn extended(&self, lease: &Lease) {
        if let Some(held) = self.lock().held.get_mut(lease.key()) {
            held.lease.set_deadline(lease.deadline());
        }
    }

    /// Notes that a lease was lost.
    pub(crate) fn lost(&self, key: &LockKey) {
        let mut inner = self.lock();
        if inner.held.remove(key).is_some() {
            inner.lost.insert(key.clone());
        }
    }

    /// Takes out the leases whose deadline has passed while work was done with them, and says which.
    pub(crate) fn drop_ended(&self, now: Instant) -> Vec<LockKey> {
        let ended = self.take_ended(now);
        self.lock().lost.extend(ended.iter().cloned());
        ended
    }

    /// Takes out the leases whose deadline has passed, and says which.
    pub(crate) fn take_ended(&self, now: Instant) -> Vec<LockKey> {
        let mut inner = self.lock();
        let ended: Vec<LockKey> =
            inner.held.iter().filter(|(_, held)| held.lease.deadline() <= now).map(|(key, _)| key.clone()).collect();
        for key in &ended {
            inner.held.remove(key);
        }
        ended
    }
}
