//! A host whose clocks are not those of others.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ticket_reservation::domain::Timestamp;
use ticket_reservation::ports::{BoxFuture, Clock, Runtime};

use super::runtime::TestRuntime;

/// A runtime whose clock can be set forward while nothing is under way, and whose time of day may be another one.
#[derive(Debug)]
pub(crate) struct OtherClock {
    runtime: Arc<TestRuntime>,
    ahead_ms: AtomicU64,
    of_day_micros: i64,
}

#[allow(dead_code, reason = "each test uses its own part")]
impl OtherClock {
    pub(crate) fn current() -> Arc<Self> {
        Self::with_time_of_day(0)
    }

    /// Whose time of day is so many microseconds ahead, or behind.
    pub(crate) fn with_time_of_day(of_day_micros: i64) -> Arc<Self> {
        Arc::new(Self { runtime: TestRuntime::current(), ahead_ms: AtomicU64::new(0), of_day_micros })
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.ahead_ms.fetch_add(u64::try_from(by.as_millis()).expect("not for ages"), Ordering::SeqCst);
    }
}

impl Clock for OtherClock {
    fn now(&self) -> Instant {
        self.runtime.now() + Duration::from_millis(self.ahead_ms.load(Ordering::SeqCst))
    }

    fn unix_time(&self) -> Timestamp {
        Timestamp::from_micros(self.runtime.unix_time().as_micros() + self.of_day_micros)
    }
}

impl Runtime for OtherClock {
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        self.runtime.sleep(duration)
    }

    fn spawn(&self, task: BoxFuture<'static, ()>) {
        self.runtime.spawn(task);
    }

    fn random(&self) -> u64 {
        self.runtime.random()
    }
}
