//! What a node that cannot be reached is to be told when it can be: releases that it has missed.

use std::collections::VecDeque;
use std::time::Instant;

use super::super::server::Ask;

/// How many releases one node is owed at most. Of more, the oldest are left to their TTL.
const OWED_MAX: usize = 1_024;

/// In the order in which they were missed, each with when its key ends by itself.
#[derive(Debug, Default)]
pub(super) struct Owed {
    releases: VecDeque<(Ask, Instant)>,
}

impl Owed {
    /// More of them. What has ended by itself needs no release.
    pub(super) fn add(&mut self, releases: impl IntoIterator<Item = (Ask, Instant)>, now: Instant) {
        for (release, until) in releases {
            if until <= now || !matches!(release, Ask::Release { .. }) {
                continue;
            }
            if self.releases.len() >= OWED_MAX {
                self.releases.retain(|(_, until)| *until > now);
            }
            if self.releases.len() >= OWED_MAX {
                self.releases.pop_front();
            }
            self.releases.push_back((release, until));
        }
    }

    /// Takes out all that have not ended by themselves.
    pub(super) fn take(&mut self, now: Instant) -> Vec<(Ask, Instant)> {
        std::mem::take(&mut self.releases).into_iter().filter(|(_, until)| *until > now).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::ports::LockToken;

    fn release(number: usize) -> Ask {
        Ask::Release { key: Arc::from(number.to_string()), token: LockToken::from_bytes([0; 16]) }
    }

    fn numbers(taken: &[(Ask, Instant)]) -> Vec<usize> {
        taken.iter().map(|(ask, _)| ask.keys()[0].parse().unwrap()).collect()
    }

    #[test]
    fn of_too_many_the_oldest_are_dropped_and_those_that_have_ended_first() {
        let (now, mut owed) = (Instant::now(), Owed::default());
        let second = Duration::from_secs(1);
        owed.add((0..OWED_MAX).map(|number| (release(number), now + second * if number == 5 { 1 } else { 9 })), now);
        let later = now + second * 2;
        owed.add([(release(OWED_MAX), now + second * 9)], later);
        owed.add([(release(OWED_MAX + 1), now + second * 9)], later);
        let expected: Vec<usize> = (1..OWED_MAX + 2).filter(|number| *number != 5).collect();
        let taken = owed.take(later);
        assert_eq!((numbers(&taken), taken.len()), (expected, OWED_MAX));
        assert!(owed.take(later).is_empty());
    }

    #[test]
    fn what_has_ended_is_not_owed() {
        let (now, mut owed) = (Instant::now(), Owed::default());
        let second = Duration::from_secs(1);
        owed.add([(release(1), now), (release(2), now + second), (release(3), now + second * 2)], now);
        assert_eq!(numbers(&owed.take(now + second)), [3]);
    }
}
