//! A process whose time can be moved forward.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::domain::Timestamp;
use crate::ports::{BoxFuture, Clock, Runtime};

/// How soon a sleeper notices that time was moved.
const POLL: Duration = Duration::from_millis(2);

/// A runtime on another one, with a clock that is ahead by what it was told.
#[derive(Debug)]
pub(super) struct SteppedRuntime {
    inner: Arc<dyn Runtime>,
    ahead_micros: Arc<AtomicU64>,
}

impl SteppedRuntime {
    pub(super) fn new(inner: &Arc<dyn Runtime>) -> Arc<Self> {
        Arc::new(Self { inner: Arc::clone(inner), ahead_micros: Arc::default() })
    }

    /// So much time passes at once.
    pub(super) fn step(&self, duration: Duration) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        self.ahead_micros.fetch_add(micros, Ordering::AcqRel);
    }
}

fn now(inner: &dyn Runtime, ahead_micros: &AtomicU64) -> Instant {
    inner.now() + Duration::from_micros(ahead_micros.load(Ordering::Acquire))
}

impl Clock for SteppedRuntime {
    fn now(&self) -> Instant {
        now(&*self.inner, &self.ahead_micros)
    }

    fn unix_time(&self) -> Timestamp {
        self.inner.unix_time().after(Duration::from_micros(self.ahead_micros.load(Ordering::Acquire)))
    }
}

impl Runtime for SteppedRuntime {
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        let (inner, ahead_micros) = (Arc::clone(&self.inner), Arc::clone(&self.ahead_micros));
        let deadline = self.now() + duration;
        Box::pin(async move {
            while let Some(left) =
                deadline.checked_duration_since(now(&*inner, &ahead_micros)).filter(|left| !left.is_zero())
            {
                inner.sleep(left.min(POLL)).await;
            }
        })
    }

    fn spawn(&self, task: BoxFuture<'static, ()>) {
        self.inner.spawn(task);
    }

    fn random(&self) -> u64 {
        self.inner.random()
    }
}
