//! Who has leases, and is dropped after so many polls of an extension or a release, for every number until the answer
//! comes before.

use super::drops::Drops;
use super::{all_released, borrowed};
use crate::conformance::LockCapability;
use crate::conformance::check::{Checked, ensure, ensure_eq};
use crate::conformance::lock::{LONG, LockBench, SHORT, is_free, take};
use crate::ports::{Extended, Lease, Released};

/// How many leases one call is about.
const COUNTS: [u32; 2] = [1, 3];

/// Whether it was extended or not: the owner has it until the old deadline, goes on with it, and gives it back.
pub(in crate::conformance::lock) async fn an_extension_dropped_after_any_number_of_polls_ends_no_lease(
    bench: &LockBench,
) -> Checked {
    let mut kept = Vec::new();
    for count in COUNTS {
        for (by, ttl) in [("less than is left", SHORT), ("more than is left", LONG * 2)] {
            let mut drops = Drops::new(bench, format!("{count} by {by}"));
            if bench.lacks(LockCapability::Extension) {
                drops = drops.never_waits();
            }
            while let Some(texts) = drops.next_keys(count) {
                let mut leases = take(&*bench.here, &borrowed(&texts), LONG).await?;
                let deadlines: Vec<_> = leases.iter().map(Lease::deadline).collect();
                if let Some(answers) = drops.polled(bench.here.extend(&mut leases, ttl)).await? {
                    ensure_eq!(answers, vec![bench.extended(Extended::Extended); texts.len()], "extensions by {by}");
                }
                for (lease, before) in leases.iter().zip(deadlines) {
                    let key = lease.key().as_str();
                    ensure!(lease.deadline() >= before, "{key:?}: a deadline was moved to an earlier time");
                    ensure!(!is_free(&*bench.there, key).await?, "{key:?} has two owners");
                }
                kept.append(&mut leases);
            }
        }
    }
    // What ends earlier because of an extension has ended now.
    bench.until(bench.runtime.now() + SHORT * 2).await;
    for lease in &kept {
        let key = lease.key().as_str();
        ensure!(!is_free(&*bench.there, key).await?, "{key:?}: an extension lets it end earlier");
    }
    let texts: Vec<String> = kept.iter().map(|lease| lease.key().to_string()).collect();
    let answers = bench.here.extend(&mut kept, LONG).await?;
    ensure_eq!(answers, vec![bench.extended(Extended::Extended); texts.len()], "extensions after dropped ones");
    all_released(&bench.here.release(kept).await?, "the owner's releases")?;
    let leases = take(&*bench.there, &borrowed(&texts), LONG).await?;
    all_released(&bench.there.release(leases).await?, "the next owner's releases")
}

/// When the TTL has ended, at the latest, they are free for somebody else, who keeps them.
pub(in crate::conformance::lock) async fn a_release_dropped_after_any_number_of_polls_keeps_nobody_out(
    bench: &LockBench,
) -> Checked {
    let mut given_up = Vec::new();
    for count in COUNTS {
        let mut drops = Drops::new(bench, format!("a release of {count}"));
        while let Some(texts) = drops.next_keys(count) {
            let leases = take(&*bench.here, &borrowed(&texts), SHORT).await?;
            if let Some(answers) = drops.polled(bench.here.release(leases)).await? {
                // On a slow machine the TTL may have ended.
                let is_free = |it: &Released| matches!(it, Released::Released | Released::Expired);
                ensure_eq!(answers.len(), texts.len(), "the number of answers");
                ensure!(answers.iter().all(is_free), "the owner's releases: {answers:?}");
            }
            given_up.extend(texts);
        }
    }
    for text in &given_up {
        bench.wait_until_free(text, SHORT).await?;
    }
    let leases = take(&*bench.there, &borrowed(&given_up), LONG).await?;
    for text in &given_up {
        ensure!(!is_free(&*bench.here, text).await?, "{text:?}: who was dropped has freed what somebody else holds");
    }
    all_released(&bench.there.release(leases).await?, "the next owner's releases")?;
    let leases = take(&*bench.here, &borrowed(&given_up), LONG).await?;
    all_released(&bench.here.release(leases).await?, "releases after dropped ones")
}
