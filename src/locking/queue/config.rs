use std::sync::Arc;
use std::time::Duration;

use super::lock_queue::LockQueue;
use crate::ports::{Lock, NoObserver, Observer, Runtime};

#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) ttl: Duration,
    pub(super) queue_max: usize,
    pub(super) tenure_max: Duration,
    pub(super) handoffs_max: u32,
    pub(super) keep_alive_max: Option<Duration>,
}

/// Makes a [`LockQueue`].
///
/// | option | default | means |
/// | --- | --- | --- |
/// | [`ttl`](Self::ttl) | 2 s | how long a lease lasts that nobody extends |
/// | [`keep_alive_max`](Self::keep_alive_max) | 60 s | how long one holder's lease is extended |
/// | [`queue_max`](Self::queue_max) | 100,000 | most that wait for one key |
/// | [`tenure_max`](Self::tenure_max) | 50 ms | how long a lease goes from hand to hand |
/// | [`handoffs_max`](Self::handoffs_max) | 10,000 | how often it does |
///
/// ```
#[doc = doc_on_sale!()]
/// use ticket_reservation::adapters::memory::MemoryLock;
/// use ticket_reservation::locking::LockQueue;
/// use ticket_reservation::ports::NoObserver;
///
/// let queue = LockQueue::builder(Arc::new(MemoryLock::new(Arc::clone(&runtime))), runtime)
///     .ttl(Duration::from_secs(5))
///     .keep_alive_max(Duration::from_secs(30))
///     .queue_max(1_000)
///     .tenure_max(Duration::from_millis(20))
///     .handoffs_max(500)
///     .observer(Arc::new(NoObserver))
///     .build();
/// # let _ = queue;
#[doc = doc_end!()]
/// ```
#[derive(Debug)]
#[must_use]
pub struct LockQueueBuilder {
    lock: Arc<dyn Lock>,
    runtime: Arc<dyn Runtime>,
    observer: Arc<dyn Observer>,
    settings: Settings,
}

impl LockQueueBuilder {
    pub(super) fn new(lock: Arc<dyn Lock>, runtime: Arc<dyn Runtime>) -> Self {
        let settings = Settings {
            ttl: Duration::from_secs(2),
            queue_max: 100_000,
            tenure_max: Duration::from_millis(50),
            handoffs_max: 10_000,
            keep_alive_max: Some(Duration::from_secs(60)),
        };
        Self { lock, runtime, observer: Arc::new(NoObserver), settings }
    }

    /// How long a lease lasts that nobody extends: 10 ms to 1 h.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.settings.ttl = ttl.clamp(Duration::from_millis(10), Duration::from_secs(60 * 60));
        self
    }

    /// How long a lease is extended for one holder, which happens whenever a third of the TTL has passed. A holder that
    /// keeps it for longer loses it.
    pub fn keep_alive_max(mut self, at_most: Duration) -> Self {
        self.settings.keep_alive_max = Some(at_most);
        self
    }

    /// Extends nothing: a lease ends with its TTL, and is handed on only while more than half of that is left.
    pub fn without_keep_alive(mut self) -> Self {
        self.settings.keep_alive_max = None;
        self
    }

    /// Most that wait for one key; one more is refused. At least 1.
    pub fn queue_max(mut self, waiters: usize) -> Self {
        self.settings.queue_max = waiters.max(1);
        self
    }

    /// How long a lease goes from hand to hand before other processes get their turn.
    pub fn tenure_max(mut self, tenure: Duration) -> Self {
        self.settings.tenure_max = tenure;
        self
    }

    /// How often a lease goes from hand to hand before other processes get their turn.
    pub fn handoffs_max(mut self, handoffs: u32) -> Self {
        self.settings.handoffs_max = handoffs;
        self
    }

    /// Who is told of lost leases and of failures of the lock.
    pub fn observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observer = observer;
        self
    }

    /// Makes the queue.
    #[must_use]
    pub fn build(self) -> LockQueue {
        LockQueue::new(self.lock, self.runtime, self.observer, self.settings)
    }
}
