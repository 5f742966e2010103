//! The runtime port on tokio, for tests that need real threads.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ticket_reservation::adapters::SystemClock;
use ticket_reservation::domain::Timestamp;
use ticket_reservation::ports::{BoxFuture, Clock, Runtime};
use tokio::runtime::Handle;

/// Runs the crate's tasks on the tokio runtime that it was made in.
#[derive(Debug)]
pub(crate) struct TestRuntime {
    handle: Handle,
    keys: RandomState,
    drawn: AtomicU64,
}

impl TestRuntime {
    /// On the runtime of the caller, who must be in one.
    pub(crate) fn current() -> Arc<Self> {
        Arc::new(Self { handle: Handle::current(), keys: RandomState::new(), drawn: AtomicU64::new(0) })
    }
}

impl Clock for TestRuntime {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn unix_time(&self) -> Timestamp {
        SystemClock.unix_time()
    }
}

impl Runtime for TestRuntime {
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        let _inside = self.handle.enter();
        Box::pin(tokio::time::sleep(duration))
    }

    fn spawn(&self, task: BoxFuture<'static, ()>) {
        drop(self.handle.spawn(task));
    }

    fn random(&self) -> u64 {
        self.keys.hash_one(self.drawn.fetch_add(1, Ordering::Relaxed))
    }
}
