//! How long a lease is trusted, on the clock of its holder.

use std::pin::pin;
use std::time::{Duration, Instant};

use futures_util::FutureExt;

use super::{LONG, LockBench, SHORT, take_by};
use crate::conformance::LockCapability;
use crate::conformance::check::{Checked, Failure, ensure, ensure_eq};
use crate::ports::{BoxFuture, Extended, Lease, Runtime};

pub(super) async fn a_lease_ends_by_its_ttl_at_the_latest(bench: &LockBench) -> Checked {
    for (ttl, each) in [SHORT, Duration::from_secs(5), LONG].into_iter().flat_map(|ttl| [(ttl, false), (ttl, true)]) {
        let before = bench.runtime.now();
        let mut leases = take_by(&*bench.here, each, &["a", "b"], ttl).await?;
        let after = bench.runtime.now();
        for lease in &leases {
            ensure!(lease.deadline() <= after + ttl, "a lease ends later than its TTL after it was granted");
            ensure!(lease.deadline() > before, "a lease has ended before it was asked for");
        }
        let extended = bench.here.extend(&mut leases, ttl).await?;
        let after = bench.runtime.now();
        ensure_eq!(extended.len(), leases.len(), "the number of answers");
        for (lease, extended) in leases.iter().zip(extended) {
            let is_late = after >= before + SHORT / 2;
            let expected = bench.extended(Extended::Extended);
            ensure!(extended == expected || is_late, "an extension before the deadline: {extended:?}");
            ensure!(lease.deadline() <= after + ttl, "a lease ends later than its TTL after it was extended");
        }
        bench.here.release(leases).await?;
    }
    Ok(())
}

/// How long a call is kept waiting once it has begun, and how much of that its own beginning may take.
const PAUSE: Duration = Duration::from_millis(60);
const BEGINNING: Duration = Duration::from_millis(30);

/// How often it is tried: a machine that is busy at the wrong moment is not the adapter's fault.
const ATTEMPTS: usize = 6;

/// Begins a call, looks away for a while, and takes its answer. Answers when the call had begun.
///
/// A lease whose time begins when its answer is seen is trusted for too long by as much as the answer was late.
async fn late<T, E>(runtime: &dyn Runtime, call: BoxFuture<'_, Result<T, E>>) -> Result<(Instant, T), Failure>
where
    Failure: From<E>,
{
    let mut call = pin!(call);
    let first = call.as_mut().now_or_never();
    let begun = runtime.now();
    let answer = match first {
        Some(answer) => answer?,
        None => {
            runtime.sleep(PAUSE).await;
            call.await?
        }
    };
    Ok((begun, answer))
}

async fn begins_in_time<'b>(
    bench: &'b LockBench,
    what: &str,
    mut attempt: impl FnMut() -> BoxFuture<'b, Result<(Instant, Vec<Lease>), Failure>>,
) -> Checked {
    let mut over = Duration::ZERO;
    for _ in 0..ATTEMPTS {
        let (begun, leases) = attempt().await?;
        over = leases.iter().map(|it| it.deadline().saturating_duration_since(begun + LONG)).max().unwrap_or_default();
        bench.here.release(leases).await?;
        if over <= BEGINNING {
            return Ok(());
        }
    }
    Err(Failure::new(format!(
        "{what}: the lease ends {over:?} later than its TTL after the lock was asked, in each of {ATTEMPTS} attempts"
    )))
}

pub(super) async fn a_leases_time_begins_before_the_lock_is_asked(bench: &LockBench) -> Checked {
    for each in [false, true] {
        let what = if each { "acquire_each" } else { "acquire_all" };
        let attempt = || -> BoxFuture<'_, _> {
            let call = Box::pin(take_by(&*bench.here, each, &["a", "b"], LONG));
            Box::pin(late(&*bench.runtime, call))
        };
        begins_in_time(bench, what, attempt).await?;
    }
    Ok(())
}

pub(super) async fn an_extensions_time_begins_before_the_lock_is_asked(bench: &LockBench) -> Checked {
    bench.needs(LockCapability::Extension)?;
    let attempt = || -> BoxFuture<'_, _> {
        Box::pin(async move {
            let mut leases = take_by(&*bench.here, true, &["a", "b"], LONG).await?;
            let call = Box::pin(bench.here.extend(&mut leases, LONG));
            let (begun, extended) = late(&*bench.runtime, call).await?;
            ensure_eq!(extended, vec![Extended::Extended; 2], "an extension before the deadline");
            Ok((begun, leases))
        })
    };
    begins_in_time(bench, "extend", attempt).await
}
