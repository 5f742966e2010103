use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;

use super::config::SqliteLockBuilder;
use super::error::SqliteError;
use super::leases::{Claim, LeaseSession, Taken};
use super::schema;
use super::thread::{Closed, Thread};
use crate::ports::{Attempt, Extended, Lease, Lock, LockError, LockKey, LockToken, Released, Runtime};

/// What the wall clock, by which the file's leases end, and the monotonic clock, by which the holder's do, may differ
/// by during one lease: a hundredth of its TTL and two milliseconds, as in the Redlock algorithm
/// (<https://redis.io/docs/latest/develop/clients/patterns/distributed-locks/>).
const DRIFT_MIN: Duration = Duration::from_millis(2);
const DRIFT_DIVISOR: u32 = 100;

/// Far beyond what a lock is good for, and well inside the numbers of the file.
const TTL_MAX: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// A lock whose leases stand in an SQLite file.
///
/// It owns one thread, which has the file open. Dropping the lock ends the thread once it has done what waits; leases
/// end with their TTL.
///
/// Every call is one transaction. A commit is not forced to the disk: a lease need not survive a power failure.
#[derive(Debug)]
pub struct SqliteLock {
    thread: Thread<LeaseSession>,
    closed: Closed,
    runtime: Arc<dyn Runtime>,
}

impl SqliteLock {
    /// Starts with the file's path, which must not be the repository's, and the runtime that tells the time and draws
    /// tokens.
    pub fn builder(path: impl Into<PathBuf>, runtime: Arc<dyn Runtime>) -> SqliteLockBuilder {
        SqliteLockBuilder::new(path.into(), runtime)
    }

    /// The SQL that makes the tables of an empty file. [`open`](SqliteLockBuilder::open) runs it by itself.
    ///
    /// ```
    /// use ticket_reservation::adapters::sqlite::SqliteLock;
    ///
    /// assert!(SqliteLock::schema_sql().contains("CREATE TABLE"));
    /// ```
    #[must_use]
    pub fn schema_sql() -> &'static str {
        schema::LEASES.sql
    }

    pub(super) fn start(session: LeaseSession) -> Result<Self, SqliteError> {
        let runtime = Arc::clone(&session.runtime);
        let (thread, closed) = Thread::start("ticket-leases", session)?;
        Ok(Self { thread, closed, runtime })
    }

    /// Waits until calls made before are done and the file is closed. Leases end with their TTL.
    ///
    /// # Cancellation
    ///
    /// Dropping the future closes the file all the same.
    ///
    /// # Example
    ///
    /// ```
    #[doc = doc_on_sale!()]
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("leases.db");
    /// use ticket_reservation::adapters::sqlite::SqliteLock;
    ///
    /// let lock = SqliteLock::builder(&path, runtime).open()?;
    /// lock.close().await;
    /// std::fs::remove_file(path)?;
    #[doc = doc_end!()]
    /// ```
    pub async fn close(self) {
        drop(self.thread);
        self.closed.wait().await;
    }

    /// An answer for each key, and the leases granted.
    async fn take(&self, keys: &[LockKey], ttl: Duration, all_or_none: bool) -> Result<Vec<Attempt<Lease>>, LockError> {
        let deadline = deadline(self.runtime.now(), ttl)?;
        let claims: Vec<Claim> = keys.iter().map(|key| (key.clone(), self.token())).collect();
        let thread = self.thread.clone();
        let granted = self.thread.call(move |leases| {
            let taken = leases.take(&claims, ttl, all_or_none)?;
            Ok(Granted { claims, taken, all_or_none, thread: Some(thread) })
        });
        Ok(granted.await?.into_leases(deadline))
    }

    fn token(&self) -> LockToken {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.runtime.random().to_be_bytes());
        bytes[8..].copy_from_slice(&self.runtime.random().to_be_bytes());
        LockToken::from_bytes(bytes)
    }
}

/// A lease is over for its holder before it is over in the file.
fn deadline(start: Instant, ttl: Duration) -> Result<Instant, LockError> {
    if ttl > TTL_MAX {
        return Err(LockError::new("the TTL is longer than a lease may last"));
    }
    let drift = ttl / DRIFT_DIVISOR + DRIFT_MIN;
    start
        .checked_add(ttl.saturating_sub(drift))
        .ok_or_else(|| LockError::new("the TTL is beyond the range of the clock"))
}

fn claims(leases: &[Lease]) -> Vec<Claim> {
    leases.iter().map(|lease| (lease.key().clone(), *lease.token())).collect()
}

/// Leases on their way to the caller. If the caller has gone, they are released, or end with their TTL when too many
/// calls are waiting.
struct Granted {
    claims: Vec<Claim>,
    taken: Vec<Taken>,
    all_or_none: bool,
    thread: Option<Thread<LeaseSession>>,
}

impl Granted {
    fn into_leases(mut self, deadline: Instant) -> Vec<Attempt<Lease>> {
        self.thread = None;
        let claims = std::mem::take(&mut self.claims).into_iter();
        claims
            .zip(&self.taken)
            .map(|((key, token), taken)| match *taken {
                Taken::Ours => Attempt::Granted(Lease::new(key, token, deadline)),
                Taken::Others(retry_after) => Attempt::Contended { retry_after },
            })
            .collect()
    }
}

impl Drop for Granted {
    fn drop(&mut self) {
        let Some(thread) = self.thread.take() else {
            return;
        };
        let nothing = self.all_or_none && self.taken.iter().any(|taken| *taken != Taken::Ours);
        let claims: Vec<Claim> = std::mem::take(&mut self.claims)
            .into_iter()
            .zip(&self.taken)
            .filter(|(_, taken)| !nothing && **taken == Taken::Ours)
            .map(|(claim, _)| claim)
            .collect();
        if !claims.is_empty() {
            thread.post(move |leases| leases.release(&claims).map(drop));
        }
    }
}

#[async_trait]
impl Lock for SqliteLock {
    async fn acquire_all(&self, keys: &[LockKey], ttl: Duration) -> Result<Attempt<Vec<Lease>>, LockError> {
        let mut leases = Vec::with_capacity(keys.len());
        let mut longest = None;
        for attempt in self.take(keys, ttl, true).await? {
            match attempt {
                Attempt::Granted(lease) => leases.push(lease),
                Attempt::Contended { retry_after } => longest = longest.max(Some(retry_after)),
            }
        }
        Ok(match longest {
            Some(retry_after) => Attempt::Contended { retry_after },
            None => Attempt::Granted(leases),
        })
    }

    async fn acquire_each(&self, keys: &[LockKey], ttl: Duration) -> Result<Vec<Attempt<Lease>>, LockError> {
        self.take(keys, ttl, false).await
    }

    async fn extend(&self, leases: &mut [Lease], ttl: Duration) -> Result<Vec<Extended>, LockError> {
        let deadline = deadline(self.runtime.now(), ttl)?;
        let claims = claims(leases);
        let extended = self.thread.call(move |leases| leases.extend(&claims, ttl)).await?;
        for (lease, extended) in leases.iter_mut().zip(&extended) {
            if *extended == Extended::Extended {
                lease.set_deadline(deadline.max(lease.deadline()));
            }
        }
        Ok(extended)
    }

    async fn release(&self, leases: Vec<Lease>) -> Result<Vec<Released>, LockError> {
        let claims = claims(&leases);
        Ok(self.thread.call(move |leases| leases.release(&claims)).await?)
    }
}
