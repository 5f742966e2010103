use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::ports::LockToken;

/// How many values are remembered at most. One that is not is looked up in Redis.
const REMEMBERED_MAX: usize = 65_536;

/// The values that rslock has given its locks in Redis. They are longer than a token: the token is how a value begins.
#[derive(Default)]
pub(super) struct Values {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    by_token: HashMap<[u8; 16], (Vec<u8>, Instant)>,
    by_deadline: BTreeSet<(Instant, [u8; 16])>,
}

impl Values {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        // Nothing under this lock can leave it half-done.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers a value until its lease is given back, or has ended.
    pub(super) fn remember(&self, token: &LockToken, value: Vec<u8>, deadline: Instant, now: Instant) {
        let mut inner = self.inner();
        inner.forget_ended(now);
        if inner.by_token.len() < REMEMBERED_MAX {
            inner.insert(*token.as_bytes(), value, deadline);
        }
    }

    /// The lease ends later now.
    pub(super) fn extend(&self, token: &LockToken, deadline: Instant) {
        let mut inner = self.inner();
        if let Some(value) = inner.remove(token.as_bytes()) {
            inner.insert(*token.as_bytes(), value, deadline);
        }
    }

    pub(super) fn get(&self, token: &LockToken) -> Option<Vec<u8>> {
        self.inner().by_token.get(token.as_bytes()).map(|(value, _)| value.clone())
    }

    pub(super) fn forget(&self, token: &LockToken) -> Option<Vec<u8>> {
        self.inner().remove(token.as_bytes())
    }
}

impl Inner {
    fn forget_ended(&mut self, now: Instant) {
        while let Some((deadline, token)) = self.by_deadline.first().copied() {
            if deadline > now {
                break;
            }
            self.by_deadline.pop_first();
            self.by_token.remove(&token);
        }
    }

    fn insert(&mut self, token: [u8; 16], value: Vec<u8>, deadline: Instant) {
        self.by_token.insert(token, (value, deadline));
        self.by_deadline.insert((deadline, token));
    }

    fn remove(&mut self, token: &[u8; 16]) -> Option<Vec<u8>> {
        let (value, deadline) = self.by_token.remove(token)?;
        self.by_deadline.remove(&(deadline, *token));
        Some(value)
    }
}

/// Values are secrets.
impl fmt::Debug for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Values({})", self.inner().by_token.len())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn token(number: u64) -> LockToken {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&number.to_be_bytes());
        LockToken::from_bytes(bytes)
    }

    #[test]
    fn values_of_leases_that_nobody_gives_back_are_forgotten_when_they_have_ended() {
        let (values, start, ttl) = (Values::default(), Instant::now(), Duration::from_secs(1));
        for number in 0..100_000 {
            let now = start + Duration::from_millis(number);
            values.remember(&token(number), vec![7], now + ttl, now);
        }
        assert!(values.inner().by_token.len() <= 1_000, "{values:?}");
        assert_eq!(values.get(&token(99_999)), Some(vec![7]));
    }

    #[test]
    fn there_are_never_more_than_the_limit() {
        let (values, now) = (Values::default(), Instant::now());
        for number in 0..100_000 {
            values.remember(&token(number), vec![7], now + Duration::from_secs(1), now);
        }
        assert_eq!(values.inner().by_token.len(), REMEMBERED_MAX);
        assert_eq!(values.forget(&token(0)), Some(vec![7]));
        assert_eq!(values.get(&token(0)), None);
    }

    #[test]
    fn an_extended_lease_is_remembered_for_longer() {
        let (values, start) = (Values::default(), Instant::now());
        values.remember(&token(0), vec![7], start, start);
        values.extend(&token(0), start + Duration::from_secs(2));
        for number in 1..1_000 {
            values.remember(&token(number), vec![7], start, start + Duration::from_secs(1));
        }
        assert_eq!(values.get(&token(0)), Some(vec![7]));
    }
}
