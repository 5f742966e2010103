use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;

use crate::ports::{Attempt, Extended, Lease, Lock, LockError, LockKey, LockToken, Released, Runtime};

/// A lock in the memory of this process. There is one clock, so its drift is zero.
///
/// # Clone
///
/// A clone is another handle on the same lock.
#[derive(Clone)]
pub struct MemoryLock {
    holders: Arc<Mutex<Holders>>,
    runtime: Arc<dyn Runtime>,
}

#[derive(Default)]
struct Holders {
    by_key: HashMap<LockKey, (LockToken, Instant)>,
    by_deadline: BTreeSet<(Instant, LockKey)>,
}

impl MemoryLock {
    /// A lock of which nothing is held, with the clock and the randomness of `runtime`.
    ///
    /// ```
    #[doc = doc_on_sale!()]
    /// use ticket_reservation::adapters::memory::MemoryLock;
    ///
    /// let lock = MemoryLock::new(runtime);
    /// let attempt = lock.acquire_all(&[LockKey::new("gala")?], Duration::from_secs(2)).await?;
    /// assert!(matches!(attempt, Attempt::Granted(_)));
    #[doc = doc_end!()]
    /// ```
    #[must_use]
    pub fn new(runtime: Arc<dyn Runtime>) -> Self {
        Self { holders: Arc::default(), runtime }
    }

    /// The holders at this moment. What has ended is forgotten first, so that their number is bounded by what is held.
    fn holders(&self, now: Instant) -> MutexGuard<'_, Holders> {
        let mut holders = self.holders.lock().unwrap_or_else(PoisonError::into_inner);
        holders.forget_ended(now);
        holders
    }

    fn grant(&self, holders: &mut Holders, key: &LockKey, deadline: Instant) -> Lease {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.runtime.random().to_be_bytes());
        bytes[8..].copy_from_slice(&self.runtime.random().to_be_bytes());
        let token = LockToken::from_bytes(bytes);
        holders.set(key, token, deadline);
        Lease::new(key.clone(), token, deadline)
    }
}

impl Holders {
    fn forget_ended(&mut self, now: Instant) {
        while let Some((deadline, key)) = self.by_deadline.first() {
            if *deadline > now {
                break;
            }
            self.by_key.remove(key);
            self.by_deadline.pop_first();
        }
    }

    fn set(&mut self, key: &LockKey, token: LockToken, deadline: Instant) {
        self.remove(key);
        self.by_key.insert(key.clone(), (token, deadline));
        self.by_deadline.insert((deadline, key.clone()));
    }

    fn remove(&mut self, key: &LockKey) {
        if let Some((_, deadline)) = self.by_key.remove(key) {
            self.by_deadline.remove(&(deadline, key.clone()));
        }
    }

    fn remaining(&self, key: &LockKey, now: Instant) -> Option<Duration> {
        self.by_key.get(key).map(|(_, deadline)| deadline.saturating_duration_since(now))
    }

    fn token(&self, key: &LockKey) -> Option<LockToken> {
        self.by_key.get(key).map(|(token, _)| *token)
    }
}

/// `now + ttl`, or as far in the future as the clock can say.
fn deadline(now: Instant, ttl: Duration) -> Result<Instant, LockError> {
    now.checked_add(ttl).ok_or_else(|| LockError::new("the TTL is beyond the range of the clock"))
}

#[async_trait]
impl Lock for MemoryLock {
    async fn acquire_all(&self, keys: &[LockKey], ttl: Duration) -> Result<Attempt<Vec<Lease>>, LockError> {
        let now = self.runtime.now();
        let deadline = deadline(now, ttl)?;
        let mut holders = self.holders(now);
        if let Some(retry_after) = keys.iter().filter_map(|key| holders.remaining(key, now)).max() {
            return Ok(Attempt::Contended { retry_after });
        }
        Ok(Attempt::Granted(keys.iter().map(|key| self.grant(&mut holders, key, deadline)).collect()))
    }

    async fn acquire_each(&self, keys: &[LockKey], ttl: Duration) -> Result<Vec<Attempt<Lease>>, LockError> {
        let now = self.runtime.now();
        let deadline = deadline(now, ttl)?;
        let mut holders = self.holders(now);
        let attempt = |key| match holders.remaining(key, now) {
            Some(retry_after) => Attempt::Contended { retry_after },
            None => Attempt::Granted(self.grant(&mut holders, key, deadline)),
        };
        Ok(keys.iter().map(attempt).collect())
    }

    async fn extend(&self, leases: &mut [Lease], ttl: Duration) -> Result<Vec<Extended>, LockError> {
        let now = self.runtime.now();
        let deadline = deadline(now, ttl)?;
        let mut holders = self.holders(now);
        let extend = |lease: &mut Lease| {
            if holders.token(lease.key()) != Some(*lease.token()) {
                return Extended::Lost;
            }
            let deadline = deadline.max(lease.deadline());
            holders.set(lease.key(), *lease.token(), deadline);
            lease.set_deadline(deadline);
            Extended::Extended
        };
        Ok(leases.iter_mut().map(extend).collect())
    }

    async fn release(&self, leases: Vec<Lease>) -> Result<Vec<Released>, LockError> {
        let mut holders = self.holders(self.runtime.now());
        let release = |lease: Lease| match holders.token(lease.key()) {
            Some(token) if token == *lease.token() => {
                holders.remove(lease.key());
                Released::Released
            }
            Some(_) => Released::NotOwner,
            None => Released::Expired,
        };
        Ok(leases.into_iter().map(release).collect())
    }
}

impl fmt::Debug for MemoryLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryLock").finish_non_exhaustive()
    }
}
