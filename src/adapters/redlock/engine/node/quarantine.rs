//! How long a node that may have forgotten locks does not count.

use std::time::{Duration, Instant};

use super::super::super::config::Quarantine;
use super::super::super::server::Life;

/// A server counts its uptime in whole seconds of its wall clock, which may say one more than have passed.
const UPTIME_ROUNDING: Duration = Duration::from_secs(1);

/// Until when a node does not count, that was found to have this life; `known` is the run id that it had before.
pub(super) fn quarantined_until(
    quarantine: Quarantine,
    now: Instant,
    known: Option<&str>,
    life: Option<&Life>,
) -> Option<Instant> {
    #[cfg(planted_bugs)]
    if crate::planted::is(crate::planted::Bug::NoQuarantine) {
        return None;
    }
    let Quarantine::For(max_ttl) = quarantine else { return None };
    let remaining = match life {
        // It does not say, so it may have started just now.
        None => max_ttl,
        Some(life) if known.is_some_and(|known| known != &*life.run_id) => max_ttl,
        Some(life) => max_ttl.saturating_sub(life.uptime.saturating_sub(UPTIME_ROUNDING)),
    };
    (!remaining.is_zero()).then(|| now + remaining)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remaining(known: Option<&str>, life: Option<(&str, u64)>) -> Option<u64> {
        let now = Instant::now();
        let life = life.map(|(id, uptime)| Life { run_id: id.into(), uptime: Duration::from_secs(uptime) });
        let quarantine = Quarantine::For(Duration::from_secs(30));
        quarantined_until(quarantine, now, known, life.as_ref()).map(|until| (until - now).as_secs())
    }

    #[test]
    fn a_node_counts_once_every_lock_that_it_may_have_forgotten_has_ended() {
        assert_eq!(remaining(None, Some(("a", 0))), Some(30));
        assert_eq!(remaining(None, Some(("a", 11))), Some(20));
        assert_eq!(remaining(None, Some(("a", 31))), None);
        assert_eq!(remaining(Some("a"), Some(("a", 100))), None);
    }

    #[test]
    fn another_run_id_or_none_is_a_restart_just_now() {
        assert_eq!(remaining(Some("a"), Some(("b", 100))), Some(30));
        assert_eq!(remaining(None, None), Some(30));
        assert_eq!(remaining(Some("a"), None), Some(30));
    }

    #[test]
    fn it_can_be_switched_off() {
        assert_eq!(quarantined_until(Quarantine::Off, Instant::now(), Some("a"), None), None);
    }
}
