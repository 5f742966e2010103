//! Callers who go away before they have begun, or at any moment on their way.

use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{Either, select};

use super::acquire;
use crate::conformance::LockCapability;
use crate::conformance::check::{Checked, ensure, ensure_eq};
use crate::conformance::contest::Dice;
use crate::conformance::lock::{LONG, LockBench, SHORT, is_free, keys, take, take_one};
use crate::ports::{BoxFuture, Released};

const DROPPED: u32 = 10;

/// Some are dropped before they have begun, the others after a while on their way.
pub(in crate::conformance::lock) async fn a_dropped_acquisition_locks_nothing_for_longer_than_its_ttl(
    bench: &LockBench,
) -> Checked {
    let mut dice = Dice::new(bench.common.seed);
    for n in 0..2 * DROPPED {
        let wanted = keys(&[&format!("dropped {n}"), &format!("beside {n}")]);
        let soon = bench.runtime.sleep(Duration::from_micros(u64::from(dice.below(1_500))));
        match n % 4 {
            0 => drop(bench.here.acquire_all(&wanted, SHORT).now_or_never()),
            1 => drop(bench.here.acquire_each(&wanted, SHORT).now_or_never()),
            2 => drop(select(bench.here.acquire_all(&wanted, SHORT), soon).await),
            _ => drop(select(bench.here.acquire_each(&wanted, SHORT), soon).await),
        }
    }
    for n in 0..2 * DROPPED {
        for text in [format!("dropped {n}"), format!("beside {n}")] {
            bench.wait_until_free(&text, SHORT).await?;
        }
    }
    let lease = take_one(&*bench.here, "after", LONG).await?;
    ensure_eq!(bench.here.release(vec![lease]).await?, vec![Released::Released], "a release after dropped calls");
    Ok(())
}

/// What was granted before it could be dropped is given back in the usual way.
pub(in crate::conformance::lock) async fn a_dropped_acquisition_is_undone_long_before_its_ttl(
    bench: &LockBench,
) -> Checked {
    bench.needs(LockCapability::Cancellation)?;
    let mut dice = Dice::new(bench.common.seed);
    let mut dropped = 0;
    for n in 0..2 * DROPPED {
        let wanted = keys(&[&format!("dropped {n}"), &format!("beside {n}")]);
        let soon = bench.runtime.sleep(Duration::from_micros(u64::from(dice.below(1_500))));
        let call = acquire(&*bench.here, n % 2 == 1, &wanted, LONG);
        let granted = if n % 4 < 2 { call.now_or_never() } else { within(Box::pin(call), soon).await };
        match granted.transpose()? {
            Some(leases) => drop(bench.here.release(leases).await?),
            None => dropped += 1,
        }
    }
    bench.note(format!("{dropped} of {} dropped", 2 * DROPPED));
    for n in 0..2 * DROPPED {
        for text in [format!("dropped {n}"), format!("beside {n}")] {
            bench.wait_until_free(&text, Duration::ZERO).await?;
        }
    }
    Ok(())
}

/// The answer, if it comes before the time is up; otherwise the call is dropped.
async fn within<T>(call: BoxFuture<'_, T>, time: BoxFuture<'static, ()>) -> Option<T> {
    match select(call, time).await {
        Either::Left((answer, _)) => Some(answer),
        Either::Right(_) => None,
    }
}

pub(in crate::conformance::lock) async fn dropped_extensions_and_releases_break_nothing(bench: &LockBench) -> Checked {
    for n in 0..DROPPED {
        let text = format!("dropped {n}");
        let mut leases = take(&*bench.here, &[&text], SHORT).await?;
        drop(bench.here.extend(&mut leases, SHORT).now_or_never());
        drop(bench.here.release(leases).now_or_never());
    }
    for n in 0..DROPPED {
        bench.wait_until_free(&format!("dropped {n}"), SHORT).await?;
    }
    let lease = take_one(&*bench.there, "after", LONG).await?;
    ensure_eq!(bench.there.release(vec![lease]).await?, vec![Released::Released], "a release after dropped calls");
    Ok(())
}

/// Some are dropped before they have begun, the others after a while on their way.
pub(in crate::conformance::lock) async fn a_dropped_extension_shortens_nothing(bench: &LockBench) -> Checked {
    let mut dice = Dice::new(bench.common.seed);
    let mut leases = Vec::new();
    for n in 0..DROPPED {
        let mut held = take(&*bench.here, &[&format!("dropped {n}")], LONG).await?;
        let soon = bench.runtime.sleep(Duration::from_micros(u64::from(dice.below(1_500))));
        match n % 2 {
            0 => drop(bench.here.extend(&mut held, SHORT).now_or_never()),
            _ => drop(within(bench.here.extend(&mut held, SHORT), soon).await),
        }
        leases.append(&mut held);
    }
    bench.until(bench.runtime.now() + SHORT * 2).await;
    for n in 0..DROPPED {
        let text = format!("dropped {n}");
        ensure!(
            !is_free(&*bench.there, &text).await?,
            "{text}: an extension whose caller has gone lets it end earlier"
        );
    }
    let released = bench.here.release(leases).await?;
    ensure!(released.iter().all(|it| *it == Released::Released), "releases after dropped extensions: {released:?}");
    Ok(())
}
