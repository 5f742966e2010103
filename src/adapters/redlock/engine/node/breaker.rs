//! When a node that failed may be tried again.

use std::time::{Duration, Instant};

/// The first pause after a failure. It doubles with each further one.
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// Open after a failure; half open when its pause has passed, and closed by the first success.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    failures: u32,
    open_until: Option<Instant>,
}

impl Breaker {
    pub(super) fn is_closed(&self) -> bool {
        self.open_until.is_none()
    }

    /// Whether the node may be tried: closed, or half open.
    pub(super) fn allows(&self, now: Instant) -> bool {
        self.open_until.is_none_or(|until| now >= until)
    }

    pub(super) fn succeeded(&mut self) {
        *self = Self::default();
    }

    /// One more failure. `jitter` makes the pause somewhat shorter or longer, so that processes do not come together.
    pub(super) fn failed(&mut self, now: Instant, jitter: impl FnOnce(Duration) -> Duration) {
        let pause = PAUSE_MIN.saturating_mul(1 << self.failures.min(10)).min(PAUSE_MAX);
        self.failures = self.failures.saturating_add(1);
        self.open_until = Some(now + jitter(pause));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_bound_and_a_success_closes_it() {
        let (start, mut breaker) = (Instant::now(), Breaker::default());
        assert!(breaker.is_closed() && breaker.allows(start));
        for pause_ms in [100, 200, 400, 800, 1_600, 2_000, 2_000] {
            breaker.failed(start, |pause| pause);
            let pause = Duration::from_millis(pause_ms);
            assert!(!breaker.is_closed());
            assert!(!breaker.allows(start + pause - Duration::from_millis(1)));
            assert!(breaker.allows(start + pause), "half open after {pause:?}");
        }
        breaker.succeeded();
        assert!(breaker.is_closed() && breaker.allows(start));
        breaker.failed(start, |pause| pause);
        assert!(breaker.allows(start + Duration::from_millis(100)), "it starts anew");
    }
}
