//! How a suite is run.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::clocks::Clocks;
use super::report::CaseReport;
use crate::ports::Runtime;

/// The environment variable with the seed of everything random in a suite. Without it, and without
/// [`Settings::seed`], a suite draws one; the report prints it when a case fails.
pub const SEED: &str = "TICKET_RESERVATION_CONFORMANCE_SEED";

/// What a case may take at most, on a slow machine.
const CASE_TIME_MAX: Duration = Duration::from_secs(120);

/// Which cases of a suite are run, and how.
///
/// ```
/// use std::time::Duration;
/// use ticket_reservation::conformance::Settings;
///
/// let settings = Settings::new()
///     .seed(7)
///     .only(|case| case.starts_with("races::"))
///     .on_case(|case| println!("{case}"))
///     .case_time_max(Duration::from_secs(30));
/// # let _ = settings;
/// ```
#[derive(Clone)]
#[must_use]
pub struct Settings {
    seed: Option<u64>,
    wanted: Arc<dyn Fn(&str) -> bool + Send + Sync>,
    on_case: Arc<dyn Fn(&CaseReport) + Send + Sync>,
    case_time_max: Duration,
    suite: Option<String>,
    clocks: Arc<dyn Fn() -> Clocks + Send + Sync>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            seed: None,
            wanted: Arc::new(|_| true),
            on_case: Arc::new(|_| {}),
            case_time_max: CASE_TIME_MAX,
            suite: None,
            clocks: Arc::new(Clocks::read),
        }
    }
}

impl Settings {
    /// All cases, with the seed of the environment or a random one.
    pub fn new() -> Self {
        Self::default()
    }

    /// The seed of everything random.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Only those cases whose names are wanted.
    pub fn only(mut self, wanted: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        self.wanted = Arc::new(wanted);
        self
    }

    /// Called after each case, for those who do not want to wait for the report.
    pub fn on_case(mut self, call: impl Fn(&CaseReport) + Send + Sync + 'static) -> Self {
        self.on_case = Arc::new(call);
        self
    }

    /// What a case may take at most; a case that takes longer has failed. Default: 120 s.
    pub fn case_time_max(mut self, limit: Duration) -> Self {
        self.case_time_max = limit;
        self
    }

    /// The suite's name with the runner, which worker processes need to find their harness.
    pub(super) fn suite(mut self, name: &str) -> Self {
        self.suite = Some(name.to_owned());
        self
    }

    /// The machine's clocks, in tests of the kit itself.
    #[cfg(test)]
    pub(super) fn with_clocks(mut self, clocks: impl Fn() -> Clocks + Send + Sync + 'static) -> Self {
        self.clocks = Arc::new(clocks);
        self
    }

    pub(super) fn clocks(&self) -> Clocks {
        (self.clocks)()
    }

    pub(super) fn wants(&self, case: &str) -> bool {
        (self.wanted)(case)
    }

    pub(super) fn tell(&self, case: &CaseReport) {
        (self.on_case)(case);
    }

    pub(super) fn time_max(&self) -> Duration {
        self.case_time_max
    }

    pub(super) fn suite_name(&self) -> Option<&str> {
        self.suite.as_deref()
    }

    pub(super) fn seed_or_draw(&self, runtime: &dyn Runtime) -> u64 {
        let of_environment = || std::env::var(SEED).ok().map(|text| seed_of(&text));
        self.seed.or_else(of_environment).unwrap_or_else(|| runtime.random())
    }
}

/// A number is itself; any other text is a seed too (FNV-1a).
fn seed_of(text: &str) -> u64 {
    let hash = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    text.trim().parse().unwrap_or_else(|_| text.bytes().fold(0xcbf2_9ce4_8422_2325, hash))
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("seed", &self.seed)
            .field("case_time_max", &self.case_time_max)
            .field("suite", &self.suite)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_a_number_or_any_text() {
        assert_eq!(seed_of("18446744073709551615"), u64::MAX);
        assert_eq!(seed_of(" 7\n"), 7);
        assert_ne!(seed_of("seven"), seed_of("eight"));
    }
}
