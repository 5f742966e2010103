use std::collections::{BTreeMap, BTreeSet};

use crate::domain::RecordKey;

/// Weight of the newest commit in the moving share of conflicts.
const WEIGHT: f64 = 0.05;

/// Above this share of conflicts locking begins, below [`OFF_BELOW`] it ends.
///
/// A conflict costs the loser a load and a decision, while the winner's commit is what everybody waits for anyway; a
/// lock costs the winner, too. So it pays only where nearly every commit is lost: with P processes on one record that
/// is a share of up to (P - 1) / P.
const ON_ABOVE: f64 = 0.9;
const OFF_BELOW: f64 = 0.5;

/// Most records that are locked because they conflict.
const HOT_MAX: usize = 64;

/// Measures how often commits conflict, and on what, and says what is worth a lock.
#[derive(Debug, Default)]
pub(super) struct Adaptive {
    /// Moving share of conflicting groups, 0 to 1.
    share: f64,
    locking: bool,
    /// How often each record was found stale, halved with every change of mind.
    stale: BTreeMap<RecordKey, u32>,
}

impl Adaptive {
    /// The records to lock; `None` while conflicts are rare.
    pub(super) fn hot(&self) -> Option<BTreeSet<RecordKey>> {
        self.locking.then(|| self.stale.keys().cloned().collect())
    }

    pub(super) fn committed(&mut self, requests: usize) {
        self.weigh(0.0, requests);
    }

    pub(super) fn conflicted(&mut self, requests: usize, stale: &[RecordKey]) {
        self.weigh(1.0, requests);
        for key in stale.iter().filter(|key| matches!(key, RecordKey::Ticket(_) | RecordKey::Pool(_))) {
            if self.stale.len() < HOT_MAX || self.stale.contains_key(key) {
                *self.stale.entry(key.clone()).or_insert(0) += 1;
            }
        }
    }

    /// Someone else had a lock that was wanted: as much a sign of contention as a conflict, but a cheaper one.
    pub(super) fn locked(&mut self, contended: bool) {
        self.weigh(if contended { 1.0 } else { 0.0 }, 1);
    }

    /// Whether locking begins or ends now, and the share of conflicts that says so.
    pub(super) fn adapt(&mut self) -> Option<(bool, f64)> {
        let locking = if self.locking { self.share > OFF_BELOW } else { self.share > ON_ABOVE };
        if locking == self.locking {
            return None;
        }
        self.locking = locking;
        if !locking {
            self.stale.retain(|_, count| {
                *count /= 2;
                *count > 0
            });
        }
        Some((locking, self.share))
    }

    fn weigh(&mut self, conflict: f64, requests: usize) {
        if requests > 0 {
            self.share += (conflict - self.share) * WEIGHT;
        }
    }
}
