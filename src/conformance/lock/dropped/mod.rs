//! Callers who go away in the middle of a call.

mod acquisitions;
mod drops;
mod leases;
mod moments;

use std::time::Duration;

use crate::conformance::check::{Checked, ensure};
use crate::ports::{Attempt, Lease, Lock, LockError, LockKey, Released};

pub(super) use acquisitions::{
    an_acquisition_dropped_after_any_number_of_polls_ends_with_its_ttl,
    an_acquisition_dropped_after_any_number_of_polls_is_undone,
};
pub(super) use leases::{
    a_release_dropped_after_any_number_of_polls_keeps_nobody_out,
    an_extension_dropped_after_any_number_of_polls_ends_no_lease,
};
pub(super) use moments::{
    a_dropped_acquisition_is_undone_long_before_its_ttl, a_dropped_acquisition_locks_nothing_for_longer_than_its_ttl,
    a_dropped_extension_shortens_nothing, dropped_extensions_and_releases_break_nothing,
};

/// Asks for keys, one by one or all at once, and says what was granted.
async fn acquire(lock: &dyn Lock, each: bool, keys: &[LockKey], ttl: Duration) -> Result<Vec<Lease>, LockError> {
    if !each {
        return Ok(match lock.acquire_all(keys, ttl).await? {
            Attempt::Granted(leases) => leases,
            Attempt::Contended { .. } => Vec::new(),
        });
    }
    let granted = |attempt| if let Attempt::Granted(lease) = attempt { Some(lease) } else { None };
    Ok(lock.acquire_each(keys, ttl).await?.into_iter().filter_map(granted).collect())
}

fn borrowed(texts: &[String]) -> Vec<&str> {
    texts.iter().map(String::as_str).collect()
}

fn all_released(answers: &[Released], what: &str) -> Checked {
    ensure!(answers.iter().all(|it| *it == Released::Released), "{what}: {answers:?}");
    Ok(())
}
