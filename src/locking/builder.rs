use std::sync::Arc;
use std::time::Duration;

use super::config::Config;
use super::core::Core;
use super::queue::LockQueue;
use crate::ports::{Lock, NoObserver, Observer, Runtime};

/// Puts a [`LockQueue`] together. Everything but the lock and the runtime has a default.
///
/// | setter | default | |
/// | --- | --- | --- |
/// | [`ttl`](Self::ttl) | 2 s | how long a lease lasts that nobody extends: how long others wait after a crash |
/// | [`waiters_max`](Self::waiters_max) | 100,000 | most callers that wait for one key |
/// | [`handoffs_max`](Self::handoffs_max) | 10,000 | most holders in a row before others get their turn |
/// | [`tenure_max`](Self::tenure_max) | 50 ms | longest time in a row before others get their turn |
/// | [`poll_max`](Self::poll_max) | 4 ms | longest pause between two attempts to take a lock that others hold |
/// | [`quiet_windows`](Self::quiet_windows) | on | whether a key wanted all the time is left free at fixed moments |
/// | [`keep_alive`](Self::keep_alive) | on | whether leases are extended at a third of their TTL |
/// | [`keep_alive_max`](Self::keep_alive_max) | 60 s | how long one holder's lease is extended |
/// | [`observer`](Self::observer) | nobody | who is told of lost leases and of a store that fails |
///
/// ```
#[doc = doc_locked!()]
/// let queue = LockQueue::builder(lock, runtime)
///     .ttl(Duration::from_secs(5))
///     .waiters_max(10_000)
///     .handoffs_max(1_000)
///     .tenure_max(Duration::from_millis(20))
///     .poll_max(Duration::from_millis(10))
///     .quiet_windows(false)
///     .keep_alive(true)
///     .keep_alive_max(Duration::from_secs(30))
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
    config: Config,
}

impl LockQueueBuilder {
    pub(super) fn new(lock: Arc<dyn Lock>, runtime: Arc<dyn Runtime>) -> Self {
        Self { lock, runtime, observer: Arc::new(NoObserver), config: Config::default() }
    }

    /// How long a lease lasts. 10 ms to an hour.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.config.ttl = ttl.clamp(Duration::from_millis(10), Duration::from_secs(60 * 60));
        self
    }

    /// Most callers that wait for one key; one more is refused with
    /// [`QueueFull`](super::AcquireError::QueueFull). At least 1.
    pub fn waiters_max(mut self, callers: usize) -> Self {
        self.config.waiters_max = callers.max(1);
        self
    }

    /// How often a lease is handed on before it is really released, although others wait here. 0 switches handing on
    /// off.
    pub fn handoffs_max(mut self, handoffs: u64) -> Self {
        self.config.handoffs_max = handoffs;
        self
    }

    /// How long a lease is handed on before it is really released, although others wait here. A holder that takes longer
    /// is not interrupted.
    pub fn tenure_max(mut self, tenure: Duration) -> Self {
        self.config.tenure_max = tenure.min(Duration::from_secs(60 * 60));
        self
    }

    /// The longest pause between two attempts to take a lock that others hold. After its turn, a process that meets
    /// others rests longer than that. 1 ms to 1 s; the same in all processes, or those with the shorter one win.
    pub fn poll_max(mut self, pause: Duration) -> Self {
        self.config.poll_max = pause.clamp(Duration::from_millis(1), Duration::from_secs(1));
        self
    }

    /// Whether a key that is wanted here all the time is left free at moments that all processes agree on, so that
    /// clients that merely ask again and again find it free: see the [module](super).
    pub fn quiet_windows(mut self, on: bool) -> Self {
        self.config.quiet_windows = on;
        self
    }

    /// Whether leases are extended while they are held. Without, a holder has what is left of the TTL: at least half of
    /// it.
    pub fn keep_alive(mut self, on: bool) -> Self {
        self.config.keep_alive = on;
        self
    }

    /// How long after it was given its guard a holder's lease is extended. Then it ends with its TTL, so that a holder
    /// that hangs does not keep others out for ever.
    pub fn keep_alive_max(mut self, time: Duration) -> Self {
        self.config.keep_alive_max = time;
        self
    }

    /// Who is told of [leases lost](crate::ports::Observation::LeaseLost) and of
    /// [a store that fails](crate::ports::Observation::LockFailed).
    pub fn observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observer = observer;
        self
    }

    /// Builds the queue. Nothing is started.
    #[must_use]
    pub fn build(self) -> LockQueue {
        LockQueue::new(Core::new(self.lock, self.runtime, self.observer, self.config))
    }
}
