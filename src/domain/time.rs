use std::fmt;
use std::time::Duration;

/// A point in time: microseconds since the Unix epoch, UTC.
///
/// The store's clock and every deadline that is written down are timestamps. Deadlines inside one process
/// (leases, waiting) use [`std::time::Instant`] instead.
///
/// ```
/// use std::time::Duration;
/// use ticket_reservation::domain::Timestamp;
///
/// let noon = Timestamp::from_micros(1_800_014_400_000_000);
/// let later = noon.after(Duration::from_secs(90));
/// assert_eq!(later.since(noon), Duration::from_secs(90));
/// assert_eq!(later.before(Duration::from_secs(90)), noon);
/// assert_eq!(later.to_string(), "1800014490.000000");
/// assert_eq!(later.as_micros() - noon.as_micros(), 90_000_000);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The Unix epoch. Also the time of a record that does not exist.
    pub const EPOCH: Timestamp = Timestamp(0);

    /// From microseconds since the Unix epoch.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since the Unix epoch.
    #[must_use]
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// The time `duration` later. Stops at the end of the range instead of wrapping.
    ///
    /// ```
    /// use std::time::Duration;
    /// use ticket_reservation::domain::Timestamp;
    ///
    /// assert_eq!(Timestamp::EPOCH.after(Duration::from_millis(2)).as_micros(), 2_000);
    /// assert_eq!(Timestamp::EPOCH.after(Duration::MAX).as_micros(), i64::MAX);
    /// ```
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(micros(duration)))
    }

    /// The time `duration` earlier. Stops at the start of the range instead of wrapping.
    #[must_use]
    pub fn before(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(micros(duration)))
    }

    /// How much later this is than `earlier`; zero if it is not later.
    ///
    /// ```
    /// use std::time::Duration;
    /// use ticket_reservation::domain::Timestamp;
    ///
    /// let (early, late) = (Timestamp::from_micros(1), Timestamp::from_micros(4));
    /// assert_eq!(late.since(early), Duration::from_micros(3));
    /// assert_eq!(early.since(late), Duration::ZERO);
    /// ```
    #[must_use]
    pub fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}us", self.0)
    }
}

/// Seconds since the Unix epoch, with six decimals.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let micros = self.0.unsigned_abs();
        write!(f, "{sign}{}.{:06}", micros / 1_000_000, micros % 1_000_000)
    }
}
