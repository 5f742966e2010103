use std::time::Duration;

use crate::domain::Timestamp;
use crate::ports::{Runtime, RuntimeExt};

/// The first pause between two attempts.
const POLL_MIN: Duration = Duration::from_millis(1);

/// No pause is shorter, however soon the lock is said to be free.
const POLL_FLOOR: Duration = Duration::from_micros(250);

/// The first pause after the lock's store failed, and the longest that doubling leads to.
const FAILED: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(500));

/// The rest after a tenure as long as no other process is met. It is never left out: who merely asks leaves no trace.
const REST_MIN: Duration = Duration::from_millis(1);

/// How often, and for how long, a key is left free that has been wanted without a break: little more than one part in a
/// hundred of the time each. A window begins when the holder at that moment is done, so it lasts a little longer than the
/// 10 ms and 100 ms that clients may pause between two attempts and still cannot miss it.
const QUIET: [(Duration, Duration); 2] =
    [(Duration::from_secs(1), Duration::from_millis(12)), (Duration::from_secs(10), Duration::from_millis(120))];

/// The pauses of one competition for a lock, each about twice the one before, and random so that those who compete do
/// not come back together and split the votes.
#[derive(Debug, Default)]
pub(super) struct Pauses {
    contended: u32,
    failed: u32,
}

impl Pauses {
    /// After an attempt that found the lock held, for `retry_after` at most.
    pub(super) fn contended(&mut self, runtime: &dyn Runtime, retry_after: Duration, poll_max: Duration) -> Duration {
        self.failed = 0;
        let poll = doubled(POLL_MIN, &mut self.contended).min(poll_max);
        runtime.jittered(poll.min(retry_after.max(POLL_FLOOR)))
    }

    /// After an attempt that the lock's store did not answer.
    pub(super) fn failed(&mut self, runtime: &dyn Runtime) -> Duration {
        let (first, longest) = FAILED;
        runtime.jittered(doubled(first, &mut self.failed).min(longest))
    }
}

fn doubled(first: Duration, times: &mut u32) -> Duration {
    let doubled = first.saturating_mul(1 << (*times).min(16));
    *times = times.saturating_add(1);
    doubled
}

/// The rest after a tenure. When other processes are about, it is longer than any of their pauses, so that they win.
pub(super) fn rest(runtime: &dyn Runtime, contended: bool, poll_max: Duration) -> Duration {
    if contended { poll_max + runtime.jittered(poll_max) } else { REST_MIN }
}

/// How much is left of a quiet window for a key that has been wanted for `busy`. All processes find the same windows, as
/// far as their wall clocks agree.
pub(super) fn quiet_left(wall: Timestamp, busy: Duration) -> Option<Duration> {
    let left = |(every, lasts): (Duration, Duration)| {
        (busy >= every).then(|| lasts.checked_sub(into_period(wall, every))).flatten().filter(|left| !left.is_zero())
    };
    QUIET.into_iter().filter_map(left).max()
}

/// How long until the next quiet window begins.
pub(super) fn quiet_in(wall: Timestamp, busy: Duration) -> Duration {
    let begins_in = |(every, _): (Duration, Duration)| {
        let rest = every - into_period(wall, every);
        (busy + rest >= every).then_some(rest)
    };
    QUIET.into_iter().filter_map(begins_in).min().unwrap_or(Duration::MAX)
}

fn into_period(wall: Timestamp, every: Duration) -> Duration {
    let every_micros = i64::try_from(every.as_micros()).unwrap_or(i64::MAX);
    Duration::from_micros(wall.as_micros().rem_euclid(every_micros).unsigned_abs())
}
