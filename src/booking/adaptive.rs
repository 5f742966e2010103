use std::collections::{BTreeMap, BTreeSet};

use crate::domain::RecordKey;
use crate::ports::GroupOutcome;

/// Weight of the newest commit in the moving share of conflicts.
const WEIGHT: f64 = 0.05;

/// Above this share of conflicts locking begins, below [`OFF_BELOW`] it ends.
///
/// A conflict costs the loser a load and a decision, while the winner's commit is what everybody waits for anyway; a
/// lock costs the winner, too. So it pays only where nearly every commit is lost: with P processes on one record that
/// is a share of up to (P - 1) / P.
const ON_ABOVE: f64 = 0.9;
const OFF_BELOW: f64 = 0.5;

/// Most records whose conflicts are counted.
const COUNTED_MAX: usize = 64;

/// A record is worth a lock if it conflicts at least this often for each time that the hottest one does.
const HOT_SHARE: u32 = 4;

/// After so many conflicts all counts are halved, so that what was hot once is forgotten.
const HALVED_EVERY: u32 = 256;

/// Measures how often commits conflict, and on what, and says what is worth a lock.
#[derive(Debug, Default)]
pub(super) struct Adaptive {
    /// Moving share of conflicting decisions, 0 to 1.
    share: f64,
    locking: bool,
    /// How often each record was found stale. Where there are more than can be counted, a new one takes the place and
    /// the count of the coldest, so that the hottest are never missed (Metwally et al., "Efficient computation of
    /// frequent and top-k elements in data streams", 2005).
    stale: BTreeMap<RecordKey, u32>,
    /// Conflicts since the counts were halved.
    conflicts: u32,
}

impl Adaptive {
    /// The records to lock; `None` while conflicts are rare.
    pub(super) fn hot(&self) -> Option<BTreeSet<RecordKey>> {
        if !self.locking {
            return None;
        }
        let hottest = self.stale.values().copied().max().unwrap_or(0);
        let hot = self.stale.iter().filter(|(_, count)| count.saturating_mul(HOT_SHARE) >= hottest);
        Some(hot.map(|(key, _)| key.clone()).collect())
    }

    /// The store answered a commit. Each group counts by how many decisions it holds.
    pub(super) fn committed(&mut self, members: &[Vec<usize>], outcomes: &[GroupOutcome]) {
        let (mut all, mut conflicting) = (0, 0);
        for (members, outcome) in members.iter().zip(outcomes) {
            all += members.len();
            if let GroupOutcome::Conflict { stale } = outcome {
                conflicting += members.len();
                stale.iter().filter(|key| key.is_inventory()).for_each(|key| self.count(key));
            }
        }
        if all > 0 {
            self.weigh(conflicting as f64 / all as f64);
        }
    }

    /// Someone else had a lock that was wanted: as much a sign of contention as a conflict, but a cheaper one.
    pub(super) fn locked(&mut self, contended: bool) {
        self.weigh(if contended { 1.0 } else { 0.0 });
    }

    /// Whether locking begins or ends now, and the share of conflicts that says so.
    pub(super) fn adapt(&mut self) -> Option<(bool, f64)> {
        let locking = if self.locking { self.share > OFF_BELOW } else { self.share > ON_ABOVE };
        if locking == self.locking {
            return None;
        }
        self.locking = locking;
        if !locking {
            self.halve();
        }
        Some((locking, self.share))
    }

    fn weigh(&mut self, conflict: f64) {
        self.share += (conflict - self.share) * WEIGHT;
    }

    fn count(&mut self, key: &RecordKey) {
        self.conflicts += 1;
        if self.conflicts >= HALVED_EVERY {
            self.conflicts = 0;
            self.halve();
        }
        if let Some(count) = self.stale.get_mut(key) {
            *count += 1;
            return;
        }
        let coldest = self.stale.iter().min_by_key(|(_, count)| **count).filter(|_| self.stale.len() >= COUNTED_MAX);
        let inherited = match coldest.map(|(key, count)| (key.clone(), *count)) {
            Some((coldest, count)) => {
                self.stale.remove(&coldest);
                count
            }
            None => 0,
        };
        self.stale.insert(key.clone(), inherited + 1);
    }

    fn halve(&mut self) {
        self.stale.retain(|_, count| {
            *count /= 2;
            *count > 0
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{PoolId, TicketId};

    fn ticket(number: usize) -> RecordKey {
        RecordKey::Ticket(TicketId::new(format!("A{number}")).unwrap())
    }

    fn pool() -> RecordKey {
        RecordKey::Pool(PoolId::new("floor").unwrap())
    }

    /// One commit of one group for each of these records, all of which conflict.
    fn conflict(adaptive: &mut Adaptive, stale: &[RecordKey]) {
        let outcomes: Vec<GroupOutcome> =
            stale.iter().map(|key| GroupOutcome::Conflict { stale: vec![key.clone()] }).collect();
        adaptive.committed(&vec![vec![0]; stale.len()], &outcomes);
        adaptive.adapt();
    }

    fn commit(adaptive: &mut Adaptive) {
        adaptive.committed(&[vec![0]], &[GroupOutcome::Committed]);
        adaptive.adapt();
    }

    #[test]
    fn only_what_conflicts_again_and_again_is_locked() {
        let mut adaptive = Adaptive::default();
        // More records than are counted conflict once each, in a sale that is not contended otherwise.
        for number in 0..3 * COUNTED_MAX {
            conflict(&mut adaptive, &[ticket(number)]);
            (0..20).for_each(|_| commit(&mut adaptive));
        }
        assert_eq!(adaptive.hot(), None);
        for _ in 0..100 {
            conflict(&mut adaptive, &[pool()]);
        }
        assert_eq!(adaptive.hot(), Some(BTreeSet::from([pool()])));
    }

    #[test]
    fn many_conflicts_of_one_commit_are_one_sign() {
        let mut adaptive = Adaptive::default();
        conflict(&mut adaptive, &(0..50).map(ticket).collect::<Vec<_>>());
        assert_eq!(adaptive.hot(), None);
    }

    #[test]
    fn locking_ends_when_commits_succeed_and_begins_anew_with_what_is_hot_then() {
        let mut adaptive = Adaptive::default();
        (0..60).for_each(|_| conflict(&mut adaptive, &[ticket(1)]));
        assert_eq!(adaptive.hot(), Some(BTreeSet::from([ticket(1)])));
        (0..60).for_each(|_| commit(&mut adaptive));
        assert_eq!(adaptive.hot(), None);
        (0..2 * HALVED_EVERY).for_each(|_| conflict(&mut adaptive, &[ticket(2)]));
        assert_eq!(adaptive.hot(), Some(BTreeSet::from([ticket(2)])));
    }
}
