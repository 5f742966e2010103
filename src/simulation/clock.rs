use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use super::executor::Executor;
use crate::domain::Timestamp;
use crate::ports::Clock;

/// 2033-05-18 03:33:20 UTC: when every simulation starts.
const START: Timestamp = Timestamp::from_micros(2_000_000_000_000_000);

/// The clock of one machine, which runs a little too fast or too slow, and whose time of day may jump.
#[derive(Debug, Clone)]
pub(super) struct MachineClock {
    executor: Executor,
    /// How many parts in a million it is too fast.
    drift_ppm: i64,
    ahead_micros: Arc<AtomicI64>,
}

impl MachineClock {
    pub(super) fn new(executor: &Executor, drift_ppm: i64) -> Self {
        Self { executor: executor.clone(), drift_ppm, ahead_micros: Arc::default() }
    }

    /// How much time has passed by this clock, jumps aside.
    pub(super) fn elapsed(&self) -> Duration {
        scaled(self.executor.elapsed(), 1_000_000 + self.drift_ppm, 1_000_000)
    }

    /// How long it really takes until so much time has passed by this clock.
    pub(super) fn really(&self, duration: Duration) -> Duration {
        // Rounded up: who sleeps, sleeps no less than asked.
        scaled(duration, 1_000_000, 1_000_000 + self.drift_ppm) + Duration::from_nanos(2)
    }

    /// The time of day jumps ahead, or back.
    pub(super) fn jump(&self, micros: i64) {
        self.ahead_micros.fetch_add(micros, Ordering::Relaxed);
    }
}

impl Clock for MachineClock {
    fn now(&self) -> Instant {
        self.executor.base() + self.elapsed()
    }

    fn unix_time(&self) -> Timestamp {
        let micros = i64::try_from(self.elapsed().as_micros()).unwrap_or(i64::MAX);
        Timestamp::from_micros(START.as_micros() + micros + self.ahead_micros.load(Ordering::Relaxed))
    }
}

/// The time of day after so much time, by a clock that is right.
pub(super) fn time_of_day(elapsed: Duration) -> Timestamp {
    START.after(elapsed)
}

fn scaled(duration: Duration, by: i64, of: i64) -> Duration {
    let nanos = duration.as_nanos() * by.unsigned_abs() as u128 / of.unsigned_abs() as u128;
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}
