//! The operating system's clocks.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::domain::Timestamp;
use crate::ports::Clock;

/// The clocks of the operating system, as [`std::time`] has them.
///
/// ```
/// use ticket_reservation::adapters::SystemClock;
/// use ticket_reservation::domain::Timestamp;
/// use ticket_reservation::ports::Clock;
///
/// assert!(SystemClock.unix_time() > Timestamp::EPOCH);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn unix_time(&self) -> Timestamp {
        let now = SystemTime::now();
        match now.duration_since(UNIX_EPOCH) {
            Ok(since) => Timestamp::EPOCH.after(since),
            Err(before) => Timestamp::EPOCH.before(before.duration()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wall_clock_is_past_the_year_2020() {
        assert!(SystemClock.unix_time() > Timestamp::from_micros(1_577_836_800_000_000));
    }
}
