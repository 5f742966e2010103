//! Whether the machine's clock was set while a case ran: leases that a store keeps by it may end early then.

use std::time::{Duration, Instant};

use crate::domain::Timestamp;
use crate::ports::Runtime;

/// By how much the wall clock may go faster or slower than the monotonic one before anybody is told.
const DIFFERENCE_MAX: Duration = Duration::from_secs(1);

/// Both clocks at one moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clocks {
    wall: Timestamp,
    monotonic: Instant,
}

impl Clocks {
    pub(super) fn read(runtime: &dyn Runtime) -> Self {
        Self { wall: runtime.unix_time(), monotonic: runtime.now() }
    }

    /// How the wall clock was set since an earlier moment, if it was.
    pub(super) fn set_since(self, earlier: Self) -> Option<String> {
        let expected = earlier.wall.after(self.monotonic.saturating_duration_since(earlier.monotonic));
        let (forward, back) = (self.wall.since(expected), expected.since(self.wall));
        let said = |by: Duration, way| format!("the machine's clock was set {way} by {} ms", by.as_millis());
        match (forward > DIFFERENCE_MAX, back > DIFFERENCE_MAX) {
            (true, _) => Some(said(forward, "forward")),
            (_, true) => Some(said(back, "back")),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_is_noticed_and_one_that_drifts_is_not() {
        let earlier = Clocks { wall: Timestamp::from_micros(1_000_000_000), monotonic: Instant::now() };
        let took = Duration::from_secs(3);
        let set_to = |seconds: i64| {
            let wall = Timestamp::from_micros(1_000_000_000 + seconds * 1_000_000);
            Clocks { wall, monotonic: earlier.monotonic + took }.set_since(earlier)
        };
        assert_eq!((set_to(2), set_to(3), set_to(4)), (None, None, None));
        assert_eq!(set_to(63).as_deref(), Some("the machine's clock was set forward by 60000 ms"));
        assert_eq!(set_to(-7).as_deref(), Some("the machine's clock was set back by 10000 ms"));
    }
}
