//! The votes on one ask, and when they decide it.

use std::time::Duration;

use super::super::super::error::Vote;

/// A foreign lock without a TTL ends at no known time: this is what who waits for it is told.
const NO_TTL: Duration = Duration::from_secs(24 * 60 * 60);

/// How many nodes a majority of `nodes` is.
pub(crate) fn quorum(nodes: usize) -> usize {
    #[cfg(planted_bugs)]
    if crate::planted::is(crate::planted::Bug::MinorityQuorum) {
        return 1;
    }
    nodes / 2 + 1
}

/// The votes on an acquisition.
#[derive(Debug)]
pub(super) struct Acquisition {
    votes: Vec<Vote>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Acquired {
    /// A majority granted it.
    Granted,
    /// No majority can grant it, and a majority could have: others hold it.
    Contended { retry_after: Duration },
    /// No majority can be reached.
    NoQuorum,
}

impl Acquisition {
    pub(super) fn new(nodes: usize) -> Self {
        Self { votes: vec![Vote::Pending; nodes] }
    }

    pub(super) fn vote(&mut self, node: usize, vote: Vote) {
        self.votes[node] = vote;
    }

    pub(super) fn into_votes(self) -> Vec<Vote> {
        self.votes
    }

    /// The decision, as soon as the votes that are still to come cannot change it.
    pub(super) fn decision(&self) -> Option<Acquired> {
        let count = |is: fn(&Vote) -> bool| self.votes.iter().filter(|vote| is(vote)).count();
        let granted = count(|vote| matches!(vote, Vote::Granted));
        let held = count(|vote| matches!(vote, Vote::Held { .. }));
        let pending = count(|vote| matches!(vote, Vote::Pending));
        let quorum = quorum(self.votes.len());
        if granted >= quorum {
            Some(Acquired::Granted)
        } else if granted + pending >= quorum {
            None
        } else if granted + held >= quorum {
            Some(Acquired::Contended { retry_after: self.free_after(quorum - granted) })
        } else if granted + held + pending < quorum {
            Some(Acquired::NoQuorum)
        } else {
            None
        }
    }

    /// When `missing` of the nodes where it is held are free, unless it is extended.
    fn free_after(&self, missing: usize) -> Duration {
        let mut ends: Vec<Duration> = self
            .votes
            .iter()
            .filter_map(|vote| match vote {
                Vote::Held { remaining } => Some(remaining.unwrap_or(NO_TTL)),
                _ => None,
            })
            .collect();
        ends.sort_unstable();
        ends.get(missing - 1).copied().unwrap_or(NO_TTL)
    }
}

/// The votes on an extension or a release.
#[derive(Debug)]
pub(super) struct Comparison {
    done: usize,
    absent: usize,
    not_owner: usize,
    failed: usize,
    nodes: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compared {
    /// Done by a majority.
    Done,
    /// No majority had the key.
    Absent,
    /// No majority had it, and someone else has it at least in one place.
    NotOwner,
    /// Too few answered to know.
    Unknown,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ComparisonVote {
    Done,
    Absent,
    NotOwner,
    Failed,
}

impl Comparison {
    pub(super) fn new(nodes: usize) -> Self {
        Self { done: 0, absent: 0, not_owner: 0, failed: 0, nodes }
    }

    pub(super) fn vote(&mut self, vote: ComparisonVote) {
        match vote {
            ComparisonVote::Done => self.done += 1,
            ComparisonVote::Absent => self.absent += 1,
            ComparisonVote::NotOwner => self.not_owner += 1,
            ComparisonVote::Failed => self.failed += 1,
        }
    }

    /// The decision, as soon as the votes that are still to come cannot change it.
    pub(super) fn decision(&self) -> Option<Compared> {
        let quorum = quorum(self.nodes);
        let not_ours = self.absent + self.not_owner;
        let pending = self.nodes - self.done - not_ours - self.failed;
        if self.done >= quorum {
            Some(Compared::Done)
        } else if not_ours > self.nodes - quorum {
            Some(if self.not_owner > 0 { Compared::NotOwner } else { Compared::Absent })
        } else if pending == 0 || self.failed > self.nodes - quorum {
            Some(Compared::Unknown)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HELD: Vote = Vote::Held { remaining: Some(Duration::from_secs(1)) };

    fn decided(votes: &[Vote]) -> Option<Acquired> {
        Acquisition { votes: votes.to_vec() }.decision()
    }

    #[test]
    fn a_majority_is_more_than_half() {
        assert_eq!([1, 2, 3, 4, 5, 6, 7].map(quorum), [1, 2, 2, 3, 3, 4, 4]);
    }

    #[test]
    fn a_majority_of_grants_decides_whatever_the_others_say() {
        for other in [Vote::Pending, Vote::TimedOut, HELD, Vote::Quarantined] {
            assert_eq!(decided(&[Vote::Granted, other.clone(), Vote::Granted]), Some(Acquired::Granted));
            assert_ne!(decided(&[Vote::Granted, other.clone(), other]), Some(Acquired::Granted));
        }
        assert_eq!(decided(&[Vote::Granted, Vote::Granted, Vote::Pending, Vote::Pending]), None);
    }

    #[test]
    fn a_split_vote_is_contention() {
        let second = Duration::from_secs(1);
        assert_eq!(decided(&[Vote::Granted, HELD, HELD]), Some(Acquired::Contended { retry_after: second }));
        assert_eq!(decided(&[HELD, HELD, Vote::Pending]), Some(Acquired::Contended { retry_after: second }));
    }

    #[test]
    fn contention_and_failure_are_told_apart_by_whether_a_majority_answered() {
        assert_eq!(decided(&[HELD, Vote::TimedOut, Vote::Pending]), None);
        assert!(matches!(decided(&[HELD, Vote::TimedOut, Vote::Granted]), Some(Acquired::Contended { .. })));
        assert_eq!(decided(&[HELD, Vote::TimedOut, Vote::TimedOut]), Some(Acquired::NoQuorum));
        assert_eq!(decided(&[Vote::Pending, Vote::TimedOut, Vote::TimedOut]), Some(Acquired::NoQuorum));
        assert_eq!(decided(&[Vote::Granted, Vote::Quarantined, Vote::Quarantined]), Some(Acquired::NoQuorum));
    }

    #[test]
    fn who_waits_is_told_when_enough_nodes_are_free() {
        let held = |ms| Vote::Held { remaining: Some(Duration::from_millis(ms)) };
        let after = |ms| Some(Acquired::Contended { retry_after: Duration::from_millis(ms) });
        assert_eq!(decided(&[held(30), held(10), held(20)]), after(20));
        assert_eq!(decided(&[held(30), held(10), Vote::Granted]), after(10));
        assert_eq!(
            decided(&[Vote::Held { remaining: None }, held(10), Vote::TimedOut]),
            Some(Acquired::Contended { retry_after: NO_TTL })
        );
    }

    fn compared(votes: &[ComparisonVote]) -> Option<Compared> {
        let mut comparison = Comparison::new(3);
        votes.iter().for_each(|vote| comparison.vote(*vote));
        comparison.decision()
    }

    #[test]
    fn a_majority_decides_what_became_of_a_lease() {
        use ComparisonVote::{Absent, Done, Failed, NotOwner};
        assert_eq!(compared(&[Done]), None);
        assert_eq!(compared(&[Done, Done]), Some(Compared::Done));
        assert_eq!(compared(&[Done, Failed, Done]), Some(Compared::Done));
        assert_eq!(compared(&[Absent, Absent]), Some(Compared::Absent));
        assert_eq!(compared(&[Absent, NotOwner]), Some(Compared::NotOwner));
        assert_eq!(compared(&[Done, Absent]), None);
        assert_eq!(compared(&[Done, Absent, NotOwner]), Some(Compared::NotOwner));
        assert_eq!(compared(&[Done, Failed]), None);
        assert_eq!(compared(&[Failed, Failed]), Some(Compared::Unknown));
        assert_eq!(compared(&[Done, Absent, Failed]), Some(Compared::Unknown));
    }
}
