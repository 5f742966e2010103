//! The crate's runtime port on tokio, written here so that the example needs no feature for it.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ticket_reservation::domain::Timestamp;
use ticket_reservation::ports::{BoxFuture, Clock, Runtime};
use tokio::runtime::Handle;

/// Runs the crate's tasks on a tokio runtime.
#[derive(Debug)]
pub(crate) struct TokioRuntime {
    handle: Handle,
    /// SipHash under keys from the operating system, over a counter: unpredictable, and never the same twice.
    keys: RandomState,
    drawn: AtomicU64,
}

impl TokioRuntime {
    /// On the runtime that `handle` belongs to.
    pub(crate) fn new(handle: Handle) -> Self {
        Self { handle, keys: RandomState::new(), drawn: AtomicU64::new(0) }
    }
}

impl Clock for TokioRuntime {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn unix_time(&self) -> Timestamp {
        unix_time()
    }
}

impl Runtime for TokioRuntime {
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        let _context = self.handle.enter();
        Box::pin(tokio::time::sleep(duration))
    }

    fn spawn(&self, task: BoxFuture<'static, ()>) {
        self.handle.spawn(task);
    }

    fn random(&self) -> u64 {
        self.keys.hash_one(self.drawn.fetch_add(1, Ordering::Relaxed))
    }
}

/// The wall clock.
pub(crate) fn unix_time() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}
