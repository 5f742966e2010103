use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::executor::{Executor, locked};
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
    jumps: Arc<Mutex<Jumps>>,
}

/// How far a time of day is ahead, and when it jumped there.
#[derive(Debug, Clone, Default)]
struct Jumps {
    ahead_micros: i64,
    before: Vec<(Duration, i64)>,
}

/// What a clock that does not drift has told, as whoever looks back knows it.
#[derive(Debug, Clone)]
pub(super) struct TimesTold(Jumps);

impl TimesTold {
    /// Whether it never jumped.
    pub(super) fn are_true(&self) -> bool {
        self.0.before.is_empty()
    }

    /// No time that it told between these moments is before the first, or after the second of those answered.
    pub(super) fn within(&self, from: Duration, to: Duration) -> (Timestamp, Timestamp) {
        let Jumps { ahead_micros, before } = &self.0;
        let first = before.partition_point(|(until, _)| *until < from);
        let last = before.partition_point(|(until, _)| *until <= to);
        let now = before.get(last).map_or(*ahead_micros, |(_, ahead)| *ahead);
        let all = before[first..last].iter().map(|(_, ahead)| *ahead).chain([now]);
        let (least, most) = all.fold((now, now), |(least, most), ahead| (least.min(ahead), most.max(ahead)));
        let at = |moment: Duration, ahead: i64| Timestamp::from_micros(START.after(moment).as_micros() + ahead);
        (at(from, least), at(to, most))
    }
}

impl MachineClock {
    pub(super) fn new(executor: &Executor, drift_ppm: i64) -> Self {
        Self { executor: executor.clone(), drift_ppm, jumps: Arc::default() }
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
        let mut jumps = locked(&self.jumps);
        let ahead = jumps.ahead_micros;
        jumps.before.push((self.executor.elapsed(), ahead));
        jumps.ahead_micros = ahead + micros;
    }

    /// It is set to what another one says.
    pub(super) fn set_by(&self, other: &Self) {
        self.jump(other.unix_time().as_micros() - self.unix_time().as_micros());
    }

    pub(super) fn times_told(&self) -> TimesTold {
        TimesTold(locked(&self.jumps).clone())
    }
}

impl Clock for MachineClock {
    fn now(&self) -> Instant {
        self.executor.base() + self.elapsed()
    }

    fn unix_time(&self) -> Timestamp {
        let micros = i64::try_from(self.elapsed().as_micros()).unwrap_or(i64::MAX);
        Timestamp::from_micros(START.as_micros() + micros + locked(&self.jumps).ahead_micros)
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
