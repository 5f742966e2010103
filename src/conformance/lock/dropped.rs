//! Callers who go away in the middle of a call.

use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::select;

use super::{LONG, LockBench, SHORT, keys, take, take_one};
use crate::conformance::check::{Checked, ensure_eq};
use crate::conformance::contest::Dice;
use crate::ports::Released;

const DROPPED: u32 = 10;

/// Some are dropped before they have begun, the others after a while on their way.
pub(super) async fn a_dropped_acquisition_locks_nothing_for_longer_than_its_ttl(bench: &LockBench) -> Checked {
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

pub(super) async fn dropped_extensions_and_releases_break_nothing(bench: &LockBench) -> Checked {
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
