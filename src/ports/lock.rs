//! The distributed lock: it shares out the work, and decides nothing.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use thiserror::Error;

/// What a lock is taken on. Built by the crate from validated ids; 1 to 256 bytes.
///
/// ```
/// use ticket_reservation::ports::LockKey;
///
/// let key = LockKey::new("gala/stalls")?;
/// assert_eq!(key.as_str(), "gala/stalls");
/// assert!(LockKey::new("").is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LockKey(Arc<str>);

/// Why a text is not a lock key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a lock key has 1 to 256 bytes, this one has {bytes}")]
pub struct InvalidLockKey {
    bytes: usize,
}

impl LockKey {
    /// Checks the text and makes a key of it.
    ///
    /// # Errors
    ///
    /// [`InvalidLockKey`] when the text is empty or longer than 256 bytes.
    pub fn new(text: impl AsRef<str>) -> Result<Self, InvalidLockKey> {
        let text = text.as_ref();
        if text.is_empty() || text.len() > 256 {
            return Err(InvalidLockKey { bytes: text.len() });
        }
        Ok(Self(Arc::from(text)))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for LockKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The secret that proves who holds a lock. Never printed.
///
/// ```
/// use ticket_reservation::ports::LockToken;
///
/// let token = LockToken::from_bytes([7; 16]);
/// assert_eq!(token.as_bytes(), &[7; 16]);
/// assert_eq!(format!("{token:?}"), "LockToken(..)");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct LockToken([u8; 16]);

impl LockToken {
    /// From sixteen random bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes, for the lock's store.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Debug for LockToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LockToken(..)")
    }
}

/// A lock held for a limited time. Dropping it releases nothing: give it back with [`Lock::release`], or let its
/// TTL end it.
///
/// ```
/// use std::time::{Duration, Instant};
/// use ticket_reservation::ports::{Lease, LockKey, LockToken};
///
/// let (key, token, granted) = (LockKey::new("gala")?, LockToken::from_bytes([7; 16]), Instant::now());
/// let mut lease = Lease::new(key.clone(), token, granted + Duration::from_secs(2));
/// lease.set_deadline(granted + Duration::from_secs(4));
/// assert_eq!((lease.key(), lease.token()), (&key, &token));
/// assert_eq!(lease.deadline() - granted, Duration::from_secs(4));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a lease that is not released stays until its TTL ends"]
pub struct Lease {
    key: LockKey,
    token: LockToken,
    deadline: Instant,
}

impl Lease {
    /// A lease on `key` until `deadline` on the monotonic clock.
    pub fn new(key: LockKey, token: LockToken, deadline: Instant) -> Self {
        Self { key, token, deadline }
    }

    /// What is locked.
    #[must_use]
    pub fn key(&self) -> &LockKey {
        &self.key
    }

    /// The proof, for the adapter that granted it.
    #[must_use]
    pub fn token(&self) -> &LockToken {
        &self.token
    }

    /// When it ends on the monotonic clock of this process.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Sets the deadline after an extension. For adapters.
    pub fn set_deadline(&mut self, deadline: Instant) {
        self.deadline = deadline;
    }
}

/// The answer to one attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Attempt<T> {
    /// It is ours until the lease's deadline.
    Granted(T),
    /// Someone else holds it.
    Contended {
        /// At the latest after this long it is free, unless it is extended: an upper bound, not a promise.
        retry_after: Duration,
    },
}

/// What became of an extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Extended {
    /// The lease has its new deadline.
    Extended,
    /// It was not ours any more. It is not taken again.
    Lost,
    /// The lock's store did not answer, or the lock extends nothing; the old deadline stands.
    Unknown,
}

/// What became of a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Released {
    /// It was ours and is free now.
    Released,
    /// Its TTL had ended before.
    Expired,
    /// Someone else holds it; their lock is untouched.
    NotOwner,
    /// The lock's store did not answer; it ends with its TTL.
    Unknown,
}

/// A technical failure of the lock. The adapter's own error is its source.
///
/// ```
/// use std::error::Error;
/// use ticket_reservation::ports::LockError;
///
/// let error = LockError::new("connection refused");
/// assert_eq!(error.to_string(), "the lock's store failed");
/// assert_eq!(error.source().map(ToString::to_string), Some("connection refused".to_owned()));
/// ```
#[derive(Debug, Clone)]
pub struct LockError {
    source: Arc<dyn StdError + Send + Sync>,
}

impl LockError {
    /// Wraps the adapter's own error.
    pub fn new(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { source: Arc::from(source.into()) }
    }
}

impl fmt::Display for LockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the lock's store failed")
    }
}

impl StdError for LockError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&*self.source)
    }
}

/// A lock with a time limit, shared by processes.
///
/// # Contract
///
/// - Keys are distinct within one call. Contention is an answer, not an error, and no call waits for it to end.
/// - A granted lease's deadline MUST NOT be later than `start + ttl - drift`, `start` being taken on the monotonic clock
///   before the first byte is sent, `drift` what the adapter's clocks may differ by.
/// - Until its deadline, nobody else SHOULD be granted the same key. Correctness of sales does not rest on it.
/// - [`extend`](Lock::extend) MUST NOT take a key again that was lost, and MUST NOT release anything or let it end earlier: whoever
///   does not wait for the answer goes on with the old deadline. A lock that cannot promise that answers
///   [`Extended::Unknown`].
/// - [`release`](Lock::release) MUST compare the token: it never frees another holder's lock.
///
/// # Cancellation
///
/// A future dropped during an acquisition MUST leave nothing locked for longer than the TTL, and SHOULD release at once.
///
/// # Example
///
/// ```
#[doc = doc_on_sale!()]
/// use ticket_reservation::adapters::memory::MemoryLock;
///
/// let (lock, ttl) = (MemoryLock::new(runtime), Duration::from_secs(2));
/// let keys = [LockKey::new("gala/stalls")?, LockKey::new("gala/standing")?];
/// let Attempt::Granted(mut leases) = lock.acquire_all(&keys, ttl).await? else { return Ok(()) };
/// let each = lock.acquire_each(&keys[..1], ttl).await?;
/// assert!(matches!(each[..], [Attempt::Contended { .. }]));
/// assert_eq!(lock.extend(&mut leases, ttl).await?, [Extended::Extended; 2]);
/// assert_eq!(lock.release(leases).await?, [Released::Released; 2]);
#[doc = doc_end!()]
/// ```
#[async_trait]
pub trait Lock: Send + Sync + fmt::Debug {
    /// Takes all keys or none, without waiting.
    ///
    /// # Errors
    ///
    /// [`LockError`] when the lock's store fails; nothing stays locked longer than the TTL.
    ///
    /// # Cancellation
    ///
    /// What was granted and not returned is released at once or ends with the TTL.
    async fn acquire_all(&self, keys: &[LockKey], ttl: Duration) -> Result<Attempt<Vec<Lease>>, LockError>;

    /// Takes those keys that are free, without waiting, and answers for each in the same order.
    ///
    /// # Errors
    ///
    /// [`LockError`] when the lock's store fails; nothing stays locked longer than the TTL.
    ///
    /// # Cancellation
    ///
    /// What was granted and not returned is released at once or ends with the TTL.
    async fn acquire_each(&self, keys: &[LockKey], ttl: Duration) -> Result<Vec<Attempt<Lease>>, LockError>;

    /// Moves the deadlines of leases to `ttl` from now, those that are not later already, and answers for each in the same
    /// order.
    ///
    /// # Errors
    ///
    /// [`LockError`] when the lock's store fails; the old deadlines stand.
    ///
    /// # Cancellation
    ///
    /// Whether they were extended is not known; the old deadlines stand.
    async fn extend(&self, leases: &mut [Lease], ttl: Duration) -> Result<Vec<Extended>, LockError>;

    /// Gives leases back, and answers for each in the same order.
    ///
    /// # Errors
    ///
    /// [`LockError`] when the lock's store fails; what was not released ends with its TTL.
    ///
    /// # Cancellation
    ///
    /// What was not released ends with its TTL.
    async fn release(&self, leases: Vec<Lease>) -> Result<Vec<Released>, LockError>;
}

#[async_trait]
impl<T: Lock + ?Sized> Lock for Arc<T> {
    async fn acquire_all(&self, keys: &[LockKey], ttl: Duration) -> Result<Attempt<Vec<Lease>>, LockError> {
        (**self).acquire_all(keys, ttl).await
    }
    async fn acquire_each(&self, keys: &[LockKey], ttl: Duration) -> Result<Vec<Attempt<Lease>>, LockError> {
        (**self).acquire_each(keys, ttl).await
    }
    async fn extend(&self, leases: &mut [Lease], ttl: Duration) -> Result<Vec<Extended>, LockError> {
        (**self).extend(leases, ttl).await
    }
    async fn release(&self, leases: Vec<Lease>) -> Result<Vec<Released>, LockError> {
        (**self).release(leases).await
    }
}
