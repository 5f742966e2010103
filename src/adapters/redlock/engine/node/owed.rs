//! What a node is to be told when it can be reached: releases that it has missed.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, select};

use super::super::super::server::{Answer, Ask, ServerError};
use super::{Node, Up};

/// How many releases one node is owed at most of those that it was not sent. Of more, the oldest are left to their TTL.
const MISSED_MAX: usize = 1_024;

/// How many at most of what it may do yet: more than it is asked before it is found silent.
const IN_DOUBT_MAX: usize = 16_384;

/// For how long a node is waited for that is given back what it has missed.
const PATIENCE: Duration = Duration::from_secs(10);

/// Releases, in the order in which they were missed. They do not grow old: a node that stands still sets a key when it goes
/// on, for a TTL that begins then.
#[derive(Debug, Default)]
pub(crate) struct Owed {
    missed: VecDeque<Ask>,
    in_doubt: VecDeque<Ask>,
}

impl Owed {
    /// Of keys that were set, if at all, before the node could not be reached.
    pub(crate) fn missed(releases: impl IntoIterator<Item = Ask>) -> Self {
        Self { missed: releases.into_iter().collect(), in_doubt: VecDeque::new() }
    }

    /// Of keys that the node was asked to set, and may set as late as it likes.
    pub(crate) fn in_doubt(releases: impl IntoIterator<Item = Ask>) -> Self {
        Self { missed: VecDeque::new(), in_doubt: releases.into_iter().collect() }
    }

    fn is_empty(&self) -> bool {
        self.missed.is_empty() && self.in_doubt.is_empty()
    }

    fn add(&mut self, mut later: Self) {
        for (ours, later, max) in
            [(&mut self.missed, &mut later.missed, MISSED_MAX), (&mut self.in_doubt, &mut later.in_doubt, IN_DOUBT_MAX)]
        {
            ours.append(later);
            ours.drain(..ours.len().saturating_sub(max));
        }
    }

    fn asks(&self) -> Arc<[Ask]> {
        self.in_doubt.iter().chain(&self.missed).cloned().collect()
    }

    /// What the node has refused of [`Owed::asks`].
    fn refused(self, answers: &[Answer]) -> Self {
        let mut answers = answers.iter();
        let mut is_refused = |_: &Ask| matches!(answers.next(), Some(Answer::Refused(_)));
        let in_doubt = self.in_doubt.into_iter().filter(&mut is_refused).collect();
        Self { in_doubt, missed: self.missed.into_iter().filter(is_refused).collect() }
    }
}

impl Node {
    /// The node is told this when it is reached again.
    pub(in super::super) fn owe(self: &Arc<Self>, owed: Owed) {
        #[cfg(planted_bugs)]
        if crate::planted::is(crate::planted::Bug::OwedReleasesForgotten) {
            return;
        }
        if owed.is_empty() {
            return;
        }
        self.state().owed.add(owed);
        // It may be up again by now.
        self.pay();
    }

    /// Tells the node what it has missed, in the background. What it does not do it is owed until its next connection.
    pub(super) fn pay(self: &Arc<Self>) {
        let (Up { link, generation }, owed) = {
            let mut state = self.state();
            let Some(up) = state.up.clone().filter(|up| state.unpaid_on != Some(up.generation)) else { return };
            (up, std::mem::take(&mut state.owed))
        };
        if owed.is_empty() {
            return;
        }
        let node = Arc::clone(self);
        let patience = self.runtime.sleep(PATIENCE);
        self.background.spawn(async move {
            let (unpaid, error) = match select(link.ask(owed.asks()), patience).await {
                Either::Left((Ok(answers), _)) => {
                    node.heard(generation);
                    (owed.refused(&answers), None)
                }
                Either::Left((Err(error), _)) => (owed, Some(error)),
                Either::Right(_) => (owed, None),
            };
            if unpaid.is_empty() {
                return;
            }
            node.state().put_back(unpaid, generation);
            if let Some(error @ ServerError::Closed(_)) = error {
                node.lost(generation, error);
            }
            // Another connection may have come too early for that.
            node.pay();
        });
    }
}

impl super::State {
    /// What was not paid on this connection comes before what is owed since.
    fn put_back(&mut self, mut unpaid: Owed, generation: u64) {
        unpaid.add(std::mem::take(&mut self.owed));
        self.owed = unpaid;
        self.unpaid_on = Some(generation);
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::super::error::Refusal;
    use super::*;
    use crate::ports::LockToken;

    fn release(number: usize) -> Ask {
        Ask::Release { key: Arc::from(number.to_string()), token: LockToken::from_bytes([0; 16]) }
    }

    fn numbers(owed: &Owed) -> Vec<usize> {
        owed.asks().iter().map(|ask| ask.keys()[0].parse().unwrap()).collect()
    }

    #[test]
    fn of_too_many_the_oldest_are_dropped_and_what_is_in_doubt_makes_room_for_nothing_else() {
        let mut owed = Owed::default();
        owed.add(Owed::in_doubt([release(7)]));
        owed.add(Owed::missed((0..=MISSED_MAX).map(release)));
        owed.add(Owed::missed([release(9_000)]));
        let expected: Vec<usize> = [7].into_iter().chain(2..=MISSED_MAX).chain([9_000]).collect();
        assert_eq!(numbers(&owed), expected);
        owed.add(Owed::in_doubt((0..IN_DOUBT_MAX).map(release)));
        assert_eq!(numbers(&owed).len(), IN_DOUBT_MAX + MISSED_MAX);
        assert_eq!(numbers(&owed)[0], 0);
    }

    #[test]
    fn what_is_refused_is_still_owed() {
        let mut owed = Owed::missed([release(3), release(4)]);
        owed.add(Owed::in_doubt([release(1), release(2)]));
        let refused = || Answer::Refused(Refusal::from_code("NOPERM"));
        let left = owed.refused(&[refused(), Answer::Done, Answer::Absent, refused()]);
        assert_eq!(numbers(&left), [1, 4]);
        assert!(left.refused(&[Answer::NotOwner, Answer::Absent]).is_empty());
    }
}
