use std::time::Duration;

/// The longest wait; a longer one is cut to it.
pub(super) const WAIT_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// How a queue behaves. The builder documents each value.
#[derive(Debug, Clone)]
pub(super) struct Config {
    pub(super) ttl: Duration,
    pub(super) waiters_max: usize,
    pub(super) handoffs_max: u64,
    pub(super) tenure_max: Duration,
    pub(super) poll_max: Duration,
    pub(super) quiet_windows: bool,
    pub(super) keep_alive: bool,
    pub(super) keep_alive_max: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            ttl: Duration::from_secs(2),
            waiters_max: 100_000,
            handoffs_max: 10_000,
            tenure_max: Duration::from_millis(50),
            poll_max: Duration::from_millis(4),
            quiet_windows: true,
            keep_alive: true,
            keep_alive_max: Duration::from_secs(60),
        }
    }
}

impl Config {
    /// A lease is extended when this much of its validity is left.
    pub(super) fn extend_below(&self) -> Duration {
        self.ttl / 3 * 2
    }

    /// A lease is handed on only with this much of its validity left, so that nobody starts with one about to end. One
    /// that is kept alive falls below it only when extending it fails.
    pub(super) fn hand_on_above(&self) -> Duration {
        if self.keep_alive { self.ttl / 3 } else { self.ttl / 2 }
    }

    /// How soon extending is tried again.
    pub(super) fn extend_pause(&self) -> Duration {
        self.ttl / 10
    }
}
