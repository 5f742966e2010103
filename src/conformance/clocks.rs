//! Whether the machine's clock was set while a case ran: leases that a store keeps by it may end early then.

use std::time::{Duration, Instant, SystemTime};

/// By how much the wall clock may go faster or slower than the monotonic one before anybody is told.
const DIFFERENCE_MAX: Duration = Duration::from_secs(1);

/// Both clocks of the machine at one moment: not those of a runtime, which may be virtual.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clocks {
    pub(super) wall: SystemTime,
    pub(super) monotonic: Instant,
}

impl Clocks {
    pub(super) fn read() -> Self {
        Self { wall: SystemTime::now(), monotonic: Instant::now() }
    }

    /// How the wall clock was set since an earlier moment, if it was.
    pub(super) fn set_since(self, earlier: Self) -> Option<String> {
        let expected = earlier.wall + self.monotonic.saturating_duration_since(earlier.monotonic);
        let (by, way) = match self.wall.duration_since(expected) {
            Ok(forward) => (forward, "forward"),
            Err(error) => (error.duration(), "back"),
        };
        (by > DIFFERENCE_MAX).then(|| format!("the machine's clock was set {way} by {} ms", by.as_millis()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_is_noticed_and_one_that_drifts_is_not() {
        let earlier = Clocks { wall: SystemTime::UNIX_EPOCH + Duration::from_secs(1_000), monotonic: Instant::now() };
        let set_to = |seconds| {
            let wall = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
            Clocks { wall, monotonic: earlier.monotonic + Duration::from_secs(3) }.set_since(earlier)
        };
        assert_eq!((set_to(1_002), set_to(1_003), set_to(1_004)), (None, None, None));
        assert_eq!(set_to(1_063).as_deref(), Some("the machine's clock was set forward by 60000 ms"));
        assert_eq!(set_to(993).as_deref(), Some("the machine's clock was set back by 10000 ms"));
    }
}
