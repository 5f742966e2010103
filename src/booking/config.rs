use std::time::Duration;

/// What happens to a request that others get in the way of: their lock, or their commit on the same records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Contention {
    /// It is refused at once with [`Rejection::Contended`](crate::domain::Rejection::Contended), which says when to
    /// come back.
    Reject,
    /// It waits and is decided again, until this long after it was made; then it is refused with
    /// [`Rejection::DeadlinePassed`](crate::domain::Rejection::DeadlinePassed). At most a day.
    Wait(Duration),
}

/// What one lock covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LockScope {
    /// One ticket, or one pool.
    Ticket,
    /// One area of numbered places, or one pool.
    Area,
    /// A whole event.
    Event,
}

/// When locks are taken. They share out work between processes; what is sold never depends on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LockPolicy {
    /// Never.
    Never,
    /// No transaction on behalf of a request that changes tickets or pools begins before every lock that covers them is
    /// held. The sweeper, whose work nobody waits for, takes none.
    Always(LockScope),
    /// Only on records that commits conflict on, and only while nearly all do. A lock costs the winner, too, so where few
    /// processes compete it is never worth it: it takes about ten on one record.
    Adaptive,
}

/// What happens while the lock's store fails or does not answer. Either way the observer is told each time
/// ([`Observation::LockFailed`](crate::ports::Observation::LockFailed)), and nothing is sold twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum LockOutage {
    /// The sale goes on without the lock. Processes get in each other's way more often.
    #[default]
    GoOn,
    /// Whatever needs the lock waits for it, as for one that somebody else holds, until its deadline; under
    /// [`Contention::Reject`] it is refused as soon as that is known. For hosts that would rather not sell than sell slowly.
    Wait,
}

/// Bounds on everything that could grow.
///
/// Its setters, all at once:
///
/// ```
/// use std::time::Duration;
/// use ticket_reservation::booking::Limits;
///
/// let limits = Limits::default()
///     .batch_max(512)
///     .queue_max(20_000)
///     .conflict_retries_max(64)
///     .store_retries_max(4)
///     .request_timeout(Duration::from_secs(5))
///     .lock_ttl(Duration::from_secs(3))
///     .lock_timeout(Duration::from_millis(200))
///     .lease_tenure_max(Duration::from_millis(50))
///     .lease_batches_max(8);
/// assert_ne!(limits, Limits::default());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Limits {
    pub(super) batch_max: usize,
    pub(super) queue_max: usize,
    pub(super) conflict_retries_max: u32,
    pub(super) store_retries_max: u32,
    pub(super) request_timeout: Duration,
    pub(super) lock_ttl: Duration,
    pub(super) lock_timeout: Duration,
    pub(super) lease_tenure_max: Duration,
    pub(super) lease_batches_max: u32,
}

impl Default for Limits {
    /// Batches of 1,024, queues of 100,000 requests, 256 conflicts and 16 store failures per request, 10 s for a
    /// request that does not wait for others. Locks last 2 s, far longer than any batch and shorter than anybody waits,
    /// and must answer within 1 s; they are kept for at most 25 ms and 16 batches in a row.
    fn default() -> Self {
        Self {
            batch_max: 1_024,
            queue_max: 100_000,
            conflict_retries_max: 256,
            store_retries_max: 16,
            request_timeout: Duration::from_secs(10),
            lock_ttl: Duration::from_secs(2),
            lock_timeout: Duration::from_secs(1),
            lease_tenure_max: Duration::from_millis(25),
            lease_batches_max: 16,
        }
    }
}

impl Limits {
    /// Most requests of one batch; 1 switches combining off. At least 1.
    pub fn batch_max(mut self, requests: usize) -> Self {
        self.batch_max = requests.max(1);
        self
    }

    /// Most requests that wait for one event in one process; one more is refused as overloaded. At least 1.
    pub fn queue_max(mut self, requests: usize) -> Self {
        self.queue_max = requests.max(1);
        self
    }

    /// How often one request is decided again because another process was faster.
    pub fn conflict_retries_max(mut self, retries: u32) -> Self {
        self.conflict_retries_max = retries;
        self
    }

    /// How often one request is tried again because the store failed in passing.
    pub fn store_retries_max(mut self, retries: u32) -> Self {
        self.store_retries_max = retries;
        self
    }

    /// The deadline of requests under [`Contention::Reject`], which do not bring one.
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.request_timeout = timeout;
        self
    }

    /// How long a lock lasts if its holder dies: 10 ms to 1 h. A live holder extends it.
    pub fn lock_ttl(mut self, ttl: Duration) -> Self {
        self.lock_ttl = ttl.clamp(Duration::from_millis(10), Duration::from_secs(60 * 60));
        self
    }

    /// How long the lock's store has for an answer: 1 ms to 60 s. Without one [`LockOutage`] decides. The lock is left alone
    /// for as long again; where the sale goes on without it, twice as long after the next failure, and so on up to a minute.
    pub fn lock_timeout(mut self, timeout: Duration) -> Self {
        self.lock_timeout = timeout.clamp(Duration::from_millis(1), Duration::from_secs(60));
        self
    }

    /// How long a lock is passed from batch to batch before other processes get their turn.
    pub fn lease_tenure_max(mut self, tenure: Duration) -> Self {
        self.lease_tenure_max = tenure;
        self
    }

    /// How many batches in a row a lock is passed to before other processes get their turn.
    pub fn lease_batches_max(mut self, batches: u32) -> Self {
        self.lease_batches_max = batches.max(1);
        self
    }
}
