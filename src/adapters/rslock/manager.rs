use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ::rslock::LockError::{TtlExceeded, Unavailable};
use ::rslock::{Lock, LockManager};

use super::error::{Fault, TTL_MAX};
use super::values::Values;
use crate::ports::{Extended, Lease, LockKey, LockToken, Released, Runtime};

/// What the clocks of servers and holder may differ by during one lease: a hundredth of its TTL and two milliseconds, as
/// in the Redlock algorithm (<https://redis.io/docs/latest/develop/clients/patterns/distributed-locks/>), and in rslock.
const DRIFT_MIN: Duration = Duration::from_millis(2);
const DRIFT_DIVISOR: u32 = 100;

/// For how long after a grant a refusal is taken for contention, without asking whether a majority grants anything.
pub const QUORUM_TRUSTED: Duration = Duration::from_secs(1);

/// How long the key lasts that is asked for to find out, if it cannot be given back.
const PROBE_TTL: Duration = Duration::from_secs(5);

/// A lease that ends sooner than this is not extended to its end to learn whether it is still there.
const CONFIRMABLE_MIN: Duration = Duration::from_millis(10);

/// rslock's manager, and what is known besides about what it was asked. One key at a time.
pub(super) struct Manager {
    rslock: LockManager,
    key_prefix: String,
    pub(super) runtime: Arc<dyn Runtime>,
    values: Values,
    /// When a majority has last granted something.
    quorum_at: Mutex<Option<Instant>>,
}

impl Manager {
    pub(super) fn new(rslock: LockManager, key_prefix: String, runtime: Arc<dyn Runtime>) -> Self {
        Self { rslock, key_prefix, runtime, values: Values::default(), quorum_at: Mutex::default() }
    }

    fn in_redis(&self, key: &str) -> Vec<u8> {
        format!("{}{key}", self.key_prefix).into_bytes()
    }

    fn lock(&self, resource: Vec<u8>, value: Vec<u8>) -> Lock {
        Lock { resource, val: value, validity_time: 0, lock_manager: self.rslock.clone() }
    }

    /// `None` when it was refused, for whatever reason.
    pub(super) async fn take(&self, key: &LockKey, ttl: Duration, deadline: Instant) -> Result<Option<Lease>, Fault> {
        let lock = match self.rslock.lock(self.in_redis(key.as_str()).as_slice(), ttl).await {
            Ok(lock) => lock,
            Err(Unavailable) => return Ok(None),
            Err(TtlExceeded) => return Err(Fault::TooLate),
            Err(error) => return Err(Fault::Rslock(error)),
        };
        let now = self.runtime.now();
        self.note_quorum(now);
        let Some(bytes) = lock.val.first_chunk() else {
            self.rslock.unlock(&lock).await;
            return Err(Fault::ShortValue { bytes: lock.val.len() });
        };
        if now >= deadline {
            self.rslock.unlock(&lock).await;
            return Err(Fault::TooLate);
        }
        let token = LockToken::from_bytes(*bytes);
        self.values.remember(&token, lock.val, deadline, now);
        Ok(Some(Lease::new(key.clone(), token, deadline)))
    }

    /// Whether a refusal was contention: asks for a key that nobody can hold, unless a majority has granted something
    /// not long ago.
    pub(super) async fn confirm_quorum(&self) -> Result<(), Fault> {
        let now = self.runtime.now();
        let last = *self.quorum_at.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_some_and(|last| now.saturating_duration_since(last) < QUORUM_TRUSTED) {
            return Ok(());
        }
        let key = format!("probe:{:016x}{:016x}", self.runtime.random(), self.runtime.random());
        let lock = self.rslock.lock(self.in_redis(&key).as_slice(), PROBE_TTL).await.map_err(Fault::NoQuorum)?;
        self.note_quorum(self.runtime.now());
        self.rslock.unlock(&lock).await;
        Ok(())
    }

    fn note_quorum(&self, now: Instant) {
        *self.quorum_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
    }

    /// Moves the lease's deadline, if a majority confirms it; never to an earlier one, as whoever drops the call goes on with the
    /// old one.
    pub(super) async fn extend(&self, lease: &mut Lease, ttl: Duration, deadline: Instant) -> Extended {
        let resource = self.in_redis(lease.key().as_str());
        let value = match self.values.get(lease.token()) {
            Some(value) => Some(value),
            None => match self.find_value(&resource).await {
                Ok(found) => found.filter(|value| is_of(lease, value)),
                Err(_) => return Extended::Unknown,
            },
        };
        let Some(value) = value else { return Extended::Lost };
        // In Redis it lasts in whole milliseconds, which are to cover what is left.
        let left = lease.deadline().saturating_duration_since(self.runtime.now()) + Duration::from_millis(2);
        let (ttl, deadline) = (ttl.max(left), deadline.max(lease.deadline()));
        match self.rslock.extend(&self.lock(resource, value), ttl).await {
            Ok(_) => {
                self.values.extend(lease.token(), deadline);
                lease.set_deadline(deadline);
                Extended::Extended
            }
            // Nobody has released it, and the answers came too late to say for how long it lasts.
            Err(TtlExceeded) => Extended::Unknown,
            // rslock has released it by now, whatever was the reason.
            Err(_) => {
                self.values.forget(lease.token());
                Extended::Lost
            }
        }
    }

    /// Gives a lease back.
    pub(super) async fn release(&self, lease: &Lease) -> Released {
        let resource = self.in_redis(lease.key().as_str());
        let left = lease.deadline().saturating_duration_since(self.runtime.now());
        match self.values.forget(lease.token()) {
            Some(value) if left >= CONFIRMABLE_MIN => self.release_live(lease, resource, value, left).await,
            value => self.release_late(lease, resource, value).await,
        }
    }

    /// A release says nothing, an extension says whether a majority still has the lock. It does not last longer by it.
    async fn release_live(&self, lease: &Lease, resource: Vec<u8>, value: Vec<u8>, left: Duration) -> Released {
        let lock = self.lock(resource, value);
        let confirmed = self.rslock.extend(&lock, left).await.is_ok();
        self.rslock.unlock(&lock).await;
        if confirmed {
            return Released::Released;
        }
        match self.find_value(&lock.resource).await {
            Ok(Some(value)) if !is_of(lease, &value) => Released::NotOwner,
            found => self.gone_or_unknown(lease, found),
        }
    }

    /// Of a lease that has ended or is about to, or that was granted elsewhere, or was given back before.
    async fn release_late(&self, lease: &Lease, resource: Vec<u8>, value: Option<Vec<u8>>) -> Released {
        let found = self.find_value(&resource).await;
        match (found, value) {
            (Ok(Some(found)), _) if is_of(lease, &found) => {
                self.rslock.unlock(&self.lock(resource, found)).await;
                Released::Released
            }
            (found, value) => {
                if let Some(value) = value {
                    // The server that was asked is not the only one.
                    self.rslock.unlock(&self.lock(resource, value)).await;
                }
                if let Ok(Some(_)) = found { Released::NotOwner } else { self.gone_or_unknown(lease, found) }
            }
        }
    }

    /// Of a lease that no server is known to have. One that has not ended may be on a server that does not answer.
    fn gone_or_unknown(&self, lease: &Lease, found: Result<Option<Vec<u8>>, ::rslock::LockError>) -> Released {
        let has_ended = self.runtime.now() >= lease.deadline();
        if has_ended && matches!(found, Ok(None)) { Released::Expired } else { Released::Unknown }
    }

    /// What the first server that answers knows. One that cannot be connected to answers that it knows nothing.
    async fn find_value(&self, resource: &[u8]) -> Result<Option<Vec<u8>>, ::rslock::LockError> {
        self.rslock.query_redis_for_key_value(resource).await
    }
}

/// Whether a value is that of a lease: its token is how the value begins.
fn is_of(lease: &Lease, value: &[u8]) -> bool {
    value.starts_with(lease.token().as_bytes())
}

/// A lease is over for its holder before it is over on the servers. Redis knows milliseconds.
pub(super) fn deadline(start: Instant, ttl: Duration) -> Result<Instant, Fault> {
    if ttl > TTL_MAX {
        return Err(Fault::TtlTooLong);
    }
    let ttl = Duration::from_millis(u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX));
    let drift = ttl / DRIFT_DIVISOR + DRIFT_MIN;
    start.checked_add(ttl.saturating_sub(drift)).ok_or(Fault::TtlTooLong)
}

impl fmt::Debug for Manager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Manager").field("key_prefix", &self.key_prefix).finish_non_exhaustive()
    }
}
