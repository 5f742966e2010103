//! A service that has a lock, and is left while it asks its lock, too.

use std::sync::Arc;

use super::calls::{CALLS, every_call};
use super::many::blocks;
use super::shutdown::shutdowns;
use crate::booking::Drained;
use crate::conformance::bench::RepositoryBench;
use crate::conformance::check::{Checked, ensure, ensure_eq};
use crate::conformance::halting::{Halting, HaltingLock};
use crate::conformance::service;

/// No lock is left after a call that was dropped, and the service ends.
pub(in crate::conformance::repository) async fn a_call_beside_a_lock_dropped_at_any_moment_leaves_it_free(
    bench: &RepositoryBench,
) -> Checked {
    let store = Halting::new(bench.open().await?);
    let lock = HaltingLock::beside(&store, &bench.runtime);
    let service = service::locked(bench, Arc::clone(&store) as _, Arc::clone(&lock) as _)?;
    every_call(bench, &store, &service, Some(&lock)).await?;
    blocks(bench, &store, &service).await?;
    ensure_eq!(service.shutdown(service::WAIT_MAX).await, Drained::Completely, "a shutdown after dropped calls");
    ensure_eq!(lock.held(), Vec::new(), "what is locked after a shutdown");
    was_asked(bench, &lock, CALLS.len())
}

/// Whoever waits for the end finds everything given back that was locked before.
pub(in crate::conformance::repository) async fn a_shutdown_beside_a_lock_dropped_at_any_moment_leaves_it_free(
    bench: &RepositoryBench,
) -> Checked {
    let store = Halting::new(bench.open().await?);
    let lock = HaltingLock::beside(&store, &bench.runtime);
    let open = || service::locked(bench, Arc::clone(&store) as _, Arc::clone(&lock) as _);
    let is_free = |step| {
        ensure_eq!(lock.held(), Vec::new(), "what is locked after a shutdown that was dropped at step {step}");
        Ok(())
    };
    shutdowns(bench, &store, open, is_free).await?;
    was_asked(bench, &lock, 1)
}

/// Waits until everything is given back that was locked for a call.
pub(super) async fn is_given_back(bench: &RepositoryBench, lock: &HaltingLock, name: &str) -> Checked {
    let what = format!("everything is given back that was locked for {name}");
    bench.wait_for(&what, || async { Ok(lock.held().is_empty().then_some(())) }).await
}

/// Refuses a run in which too few were dropped while the lock was at work.
fn was_asked(bench: &RepositoryBench, lock: &HaltingLock, times_min: usize) -> Checked {
    let times = lock.stood_still() as usize;
    ensure!(times >= times_min, "dropped {times} times while the lock was asked, which proves nothing");
    bench.note(format!("{times} times while the lock was asked"));
    Ok(())
}
