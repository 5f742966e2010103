//! When an ask is decided, and how.

use std::sync::Arc;

use super::super::super::error::Vote;
use super::super::super::server::{Answer, Ask};
use super::super::node::Reply;
use super::super::verdict::Verdict;
use super::aftermath::releases;
use super::tally::{Acquired, Acquisition, Compared, ComparisonVote};
use super::{Progress, Round};

impl Round {
    pub(super) fn answered(&mut self, node: usize, ask: usize, answer: &Answer, reply: &Reply) {
        match &mut self.progress[ask] {
            Progress::Acquiring(acquisition) => {
                acquisition.vote(node, vote_of(answer, reply.counts));
            }
            Progress::Comparing(comparison, absent) => {
                let is_extension = matches!(self.asks[ask], Ask::Extend { .. });
                comparison.vote(match answer {
                    Answer::Done if is_extension && !reply.counts => ComparisonVote::Failed,
                    Answer::Done => ComparisonVote::Done,
                    Answer::Absent => {
                        absent.push((node, Arc::clone(&reply.link)));
                        ComparisonVote::Absent
                    }
                    Answer::NotOwner => ComparisonVote::NotOwner,
                    Answer::Held(_) | Answer::Refused(_) => ComparisonVote::Failed,
                });
            }
            Progress::Decided { .. } => return self.answered_late(node, ask, answer, reply),
        }
        self.decide(ask);
    }

    /// A node gives none of the answers.
    pub(super) fn failed(&mut self, node: usize, vote: &Vote) {
        for ask in 0..self.asks.len() {
            match &mut self.progress[ask] {
                Progress::Acquiring(acquisition) => acquisition.vote(node, vote.clone()),
                Progress::Comparing(comparison, _) => comparison.vote(ComparisonVote::Failed),
                Progress::Decided { .. } => continue,
            }
            self.decide(ask);
        }
    }

    fn decide(&mut self, ask: usize) {
        let pending = !self.is_over();
        let (verdict, holds, absent) = match &mut self.progress[ask] {
            Progress::Acquiring(acquisition) => {
                let Some(acquired) = acquisition.decision() else { return };
                let votes = std::mem::replace(acquisition, Acquisition::new(0)).into_votes();
                let granted = granting(&votes);
                let verdict = self.acquired(ask, acquired, votes);
                let holds = matches!(verdict, Verdict::Granted { .. });
                if !holds {
                    for node in granted {
                        self.in_vain[node].extend(releases(&self.asks[ask], self.asks[ask].keys()));
                    }
                }
                (verdict, holds, Vec::new())
            }
            Progress::Comparing(comparison, absent) => {
                let Some(compared) = comparison.decision() else { return };
                let absent = std::mem::take(absent);
                match (&self.asks[ask], compared) {
                    (Ask::Extend { ttl, .. }, Compared::Done) => {
                        (Verdict::Extended { deadline: self.engine.deadline(self.started, *ttl) }, true, absent)
                    }
                    (_, Compared::Done) => (Verdict::Released, false, Vec::new()),
                    (_, Compared::Absent) => (Verdict::Absent, false, Vec::new()),
                    (_, Compared::NotOwner) => (Verdict::NotOwner, false, Vec::new()),
                    (_, Compared::Unknown) => (Verdict::Unknown, false, Vec::new()),
                }
            }
            Progress::Decided { .. } => return,
        };
        let unsettled = holds && pending && matches!(self.asks[ask], Ask::Acquire { .. });
        if unsettled {
            self.engine.unsettled.open(*self.asks[ask].token());
        }
        for (node, link) in absent {
            self.heal(node, ask, link);
        }
        self.progress[ask] = Progress::Decided { verdict: Some(verdict), holds, unsettled };
        for node in (0..self.in_doubt.len()).filter(|node| self.in_doubt[*node]) {
            self.owe_ask_in_doubt(node, ask);
        }
        self.undecided -= 1;
        self.requests[self.request_of[ask]].undecided -= 1;
    }

    fn acquired(&self, ask: usize, acquired: Acquired, votes: Vec<Vote>) -> Verdict {
        let Ask::Acquire { ttl, .. } = &self.asks[ask] else { return Verdict::Unknown };
        match acquired {
            Acquired::Granted => Verdict::Granted { deadline: self.engine.deadline(self.started, *ttl), votes },
            Acquired::Contended { retry_after } => Verdict::Contended { retry_after, votes },
            Acquired::NoQuorum => Verdict::NoQuorum { votes },
        }
    }
}

fn vote_of(answer: &Answer, counts: bool) -> Vote {
    match answer {
        Answer::Done if counts => Vote::Granted,
        Answer::Done => Vote::Quarantined,
        Answer::Held(remaining) => Vote::Held { remaining: *remaining },
        Answer::Refused(refusal) => Vote::Refused(refusal.clone()),
        Answer::Absent | Answer::NotOwner => Vote::Unreachable(Arc::from("it answered something else")),
    }
}

/// The nodes that have granted.
fn granting(votes: &[Vote]) -> Vec<usize> {
    let is_grant = |vote: &Vote| matches!(vote, Vote::Granted | Vote::Quarantined);
    votes.iter().enumerate().filter(|(_, vote)| is_grant(vote)).map(|(node, _)| node).collect()
}
