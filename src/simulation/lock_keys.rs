//! What a Redis server remembers for the quorum engine: keys with an owner and an end.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::adapters::redlock::{Answer, Ask};
use crate::ports::LockToken;

/// Who has a key.
#[derive(Debug, Clone, Copy)]
struct Entry {
    token: LockToken,
    /// When it ends by the node's clock.
    end: Duration,
    /// Since when it is this one's, by the clock of everything.
    since: Duration,
    /// Whoever asked for it was not told: it was somebody else's when the message arrived, and free when it arrived again.
    is_untold: bool,
}

/// A key that a node has, as whoever looks at all nodes sees it.
#[derive(Clone)]
pub(super) struct Kept {
    pub(super) key: Arc<str>,
    pub(super) token: LockToken,
    pub(super) since: Duration,
    pub(super) left: Duration,
    pub(super) is_untold: bool,
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} since {:?} for {:?}", self.key, self.since, self.left)
    }
}

/// By the node's clock, and by the clock of everything.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    pub(super) there: Duration,
    pub(super) of_all: Duration,
}

/// What a node remembers.
#[derive(Debug, Default)]
pub(super) struct Keys(BTreeMap<Arc<str>, Entry>);

impl Keys {
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Those that there are at a moment by the node's clock.
    pub(super) fn at(&self, now: Duration) -> Vec<Kept> {
        let kept = |(key, entry): (&Arc<str>, &Entry)| {
            let left = entry.end.checked_sub(now).filter(|left| !left.is_zero())?;
            let Entry { token, since, is_untold, .. } = *entry;
            Some(Kept { key: Arc::clone(key), token, since, left, is_untold })
        };
        self.0.iter().filter_map(kept).collect()
    }

    /// Does what it is asked, as one script does.
    pub(super) fn answers(&mut self, asks: &[Ask], now: Moment) -> Vec<Answer> {
        self.0.retain(|_, entry| entry.end > now.there);
        asks.iter().map(|ask| self.answer(ask, now)).collect()
    }

    /// The same message arrives at once again, and whoever sent it hears nothing of that.
    pub(super) fn arrive_again(&mut self, asks: &[Ask], now: Moment) {
        let before: BTreeMap<Arc<str>, LockToken> =
            self.0.iter().map(|(key, entry)| (Arc::clone(key), entry.token)).collect();
        self.answers(asks, now);
        for (key, entry) in &mut self.0 {
            entry.is_untold |= before.get(key) != Some(&entry.token);
        }
    }

    fn answer(&mut self, ask: &Ask, now: Moment) -> Answer {
        #[cfg(planted_bugs)]
        if let Some(answer) = self.wrong_answer(ask, now) {
            return answer;
        }
        match ask {
            Ask::Acquire { keys, token, ttl } => self.acquire(keys, token, now, *ttl),
            Ask::Extend { key, token, ttl } => match self.0.get_mut(key) {
                None => Answer::Absent,
                Some(entry) if entry.token != *token => Answer::NotOwner,
                Some(entry) => {
                    entry.end = entry.end.max(now.there + *ttl);
                    entry.is_untold = false;
                    Answer::Done
                }
            },
            Ask::Release { key, token } => match self.0.get(key) {
                None => Answer::Absent,
                Some(entry) if entry.token != *token => Answer::NotOwner,
                Some(_) => {
                    self.0.remove(key);
                    Answer::Done
                }
            },
        }
    }

    #[cfg(planted_bugs)]
    fn wrong_answer(&mut self, ask: &Ask, now: Moment) -> Option<Answer> {
        use crate::planted::{Bug, is};
        match ask {
            Ask::Acquire { keys, token, ttl } if is(Bug::AcquireOverwrites) || is(Bug::NoTtl) => {
                let is_free = |key: &Arc<str>| self.0.get(key).is_none_or(|entry| entry.token == *token);
                if is(Bug::NoTtl) && !keys.iter().all(is_free) {
                    return Some(Answer::Held(None));
                }
                let ttl = if is(Bug::NoTtl) { Duration::from_secs(1_000_000) } else { *ttl };
                keys.iter().for_each(|key| self.set(key, token, now, ttl));
                Some(Answer::Done)
            }
            Ask::Extend { key, token, ttl } if is(Bug::ExtendRecreates) => {
                self.set(key, token, now, *ttl);
                Some(Answer::Done)
            }
            Ask::Release { key, .. } if is(Bug::ReleaseWithoutCompare) => {
                Some(if self.0.remove(key).is_some() { Answer::Done } else { Answer::Absent })
            }
            _ => None,
        }
    }

    fn acquire(&mut self, keys: &[Arc<str>], token: &LockToken, now: Moment, ttl: Duration) -> Answer {
        let others = keys.iter().filter_map(|key| self.0.get(key)).filter(|entry| entry.token != *token);
        if let Some(end) = others.map(|entry| entry.end).max() {
            return Answer::Held(Some(end - now.there));
        }
        keys.iter().for_each(|key| self.set(key, token, now, ttl));
        Answer::Done
    }

    fn set(&mut self, key: &Arc<str>, token: &LockToken, now: Moment, ttl: Duration) {
        let new = Entry { token: *token, end: now.there + ttl, since: now.of_all, is_untold: false };
        let entry = match self.0.get(key).filter(|entry| entry.token == *token) {
            Some(Entry { end, since, .. }) => Entry { end: new.end.max(*end), since: *since, ..new },
            None => new,
        };
        self.0.insert(Arc::clone(key), entry);
    }
}
