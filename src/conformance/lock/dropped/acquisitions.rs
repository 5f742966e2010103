//! Who asks for keys and is dropped after so many polls, for every number until the answer comes before.

use std::time::Duration;

use super::drops::Drops;
use super::{acquire, all_released, borrowed};
use crate::conformance::LockCapability;
use crate::conformance::check::{Checked, Failure, ensure};
use crate::conformance::lock::{LONG, LockBench, SHORT, is_free, keys, take, take_one};

/// What is asked for in one call.
#[derive(Clone, Copy)]
struct Wanted {
    name: &'static str,
    each: bool,
    count: u32,
    /// Somebody else has the second key.
    is_held: bool,
}

const WANTED: [Wanted; 6] = [
    Wanted { name: "all of one", each: false, count: 1, is_held: false },
    Wanted { name: "all of three", each: false, count: 3, is_held: false },
    Wanted { name: "all, one held", each: false, count: 3, is_held: true },
    Wanted { name: "each of one", each: true, count: 1, is_held: false },
    Wanted { name: "each of three", each: true, count: 3, is_held: false },
    Wanted { name: "each, one held", each: true, count: 3, is_held: true },
];

pub(in crate::conformance::lock) async fn an_acquisition_dropped_after_any_number_of_polls_ends_with_its_ttl(
    bench: &LockBench,
) -> Checked {
    let asked_for = drop_acquisitions(bench, SHORT).await?;
    are_free(bench, asked_for, SHORT).await
}

pub(in crate::conformance::lock) async fn an_acquisition_dropped_after_any_number_of_polls_is_undone(
    bench: &LockBench,
) -> Checked {
    bench.needs(LockCapability::Cancellation)?;
    let asked_for = drop_acquisitions(bench, LONG).await?;
    are_free(bench, asked_for, Duration::ZERO).await
}

/// The keys of each call.
async fn drop_acquisitions(bench: &LockBench, ttl: Duration) -> Result<Vec<Vec<String>>, Failure> {
    let mut asked_for = Vec::new();
    for wanted in WANTED {
        let mut drops = Drops::new(bench, wanted.name);
        while let Some(texts) = drops.next_keys(wanted.count) {
            drop_one(bench, &mut drops, wanted, &borrowed(&texts), ttl).await?;
            asked_for.push(texts);
        }
    }
    Ok(asked_for)
}

async fn drop_one(
    bench: &LockBench,
    drops: &mut Drops<'_>,
    Wanted { name, each, is_held, .. }: Wanted,
    texts: &[&str],
    ttl: Duration,
) -> Checked {
    let owners = if is_held { vec![take_one(&*bench.there, texts[1], LONG).await?] } else { Vec::new() };
    let keys = keys(texts);
    let began = bench.runtime.now();
    if let Some(leases) = drops.polled(acquire(&*bench.here, each, &keys, ttl)).await? {
        let granted: Vec<&str> = leases.iter().map(|lease| lease.key().as_str()).collect();
        let expected = match (is_held, each) {
            (false, _) => texts.to_vec(),
            (true, true) => vec![texts[0], texts[2]],
            (true, false) => Vec::new(),
        };
        // A machine that stands still for the whole TTL leaves nothing to be granted.
        let has_stood_still = bench.runtime.now() >= began + ttl;
        ensure!(
            granted == expected || has_stood_still,
            "what is granted, asked for {name}: {granted:?}, and not {expected:?}"
        );
        let _ = bench.here.release(leases).await?;
    }
    for lease in &owners {
        let text = lease.key().as_str();
        ensure!(!is_free(&*bench.here, text).await?, "{text:?}: who was dropped has freed what somebody else holds");
    }
    all_released(&bench.there.release(owners).await?, "the owner's release")
}

/// Each key is free by then, and who asks again is granted all keys.
async fn are_free(bench: &LockBench, asked_for: Vec<Vec<String>>, ttl: Duration) -> Checked {
    for text in asked_for.iter().flatten() {
        bench.wait_until_free(text, ttl).await?;
    }
    for texts in asked_for {
        let leases = take(&*bench.here, &borrowed(&texts), LONG).await?;
        all_released(&bench.here.release(leases).await?, "releases after dropped acquisitions")?;
    }
    Ok(())
}
