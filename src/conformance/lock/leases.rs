//! One lease after another, from two handles.

use std::collections::BTreeSet;
use std::time::Instant;

use super::{LONG, LockBench, SHORT, SLACK, is_free, key, keys, take, take_one};
use crate::conformance::LockCapability;
use crate::conformance::check::{Checked, Failure, ensure, ensure_eq};
use crate::ports::{Attempt, Extended, Lease, LockToken, Released};

pub(super) async fn a_key_is_granted_to_one(bench: &LockBench) -> Checked {
    let _lease = take_one(&*bench.here, "seat", LONG).await?;
    for (name, lock) in [("another handle", &bench.there), ("the same handle", &bench.here)] {
        match lock.acquire_all(&keys(&["seat"]), LONG).await? {
            Attempt::Contended { retry_after } => {
                ensure!(retry_after <= LONG + SLACK, "{name} is told to come back in {retry_after:?}");
            }
            other => return Err(Failure::new(format!("{name} is granted a key that is held: {other:?}"))),
        }
    }
    ensure!(is_free(&*bench.there, "other seat").await?, "a key that nobody holds is contended");
    Ok(())
}

pub(super) async fn all_keys_are_granted_or_none(bench: &LockBench) -> Checked {
    let lease = take_one(&*bench.here, "b", LONG).await?;
    for texts in [["a", "b", "c"], ["b", "c", "a"], ["c", "a", "b"]] {
        match bench.there.acquire_all(&keys(&texts), LONG).await? {
            Attempt::Contended { .. } => {}
            other => return Err(Failure::new(format!("{texts:?} are granted, and b is held: {other:?}"))),
        }
        for text in ["a", "c"] {
            ensure!(
                is_free(&*bench.here, text).await?,
                "{text} stays locked although not all of {texts:?} were granted"
            );
        }
    }
    bench.here.release(vec![lease]).await?;
    let leases = take(&*bench.there, &["a", "b", "c"], LONG).await?;
    for text in ["a", "b", "c"] {
        ensure!(!is_free(&*bench.here, text).await?, "{text} was granted and is free");
    }
    bench.there.release(leases).await?;
    Ok(())
}

pub(super) async fn each_key_is_answered_for(bench: &LockBench) -> Checked {
    let _held = take(&*bench.here, &["b", "d"], LONG).await?;
    let texts = ["a", "b", "c", "d", "e"];
    let attempts = bench.there.acquire_each(&keys(&texts), LONG).await?;
    ensure_eq!(attempts.len(), texts.len(), "the number of answers");
    let mut granted = Vec::new();
    for (text, attempt) in texts.into_iter().zip(attempts) {
        let is_held = ["b", "d"].contains(&text);
        match attempt {
            Attempt::Granted(lease) if !is_held => {
                ensure_eq!(lease.key().as_str(), text, "the key of a lease");
                granted.push(lease);
            }
            Attempt::Contended { .. } if is_held => {}
            other => return Err(Failure::new(format!("{text} (held: {is_held}): {other:?}"))),
        }
    }
    for text in texts {
        ensure!(!is_free(&*bench.here, text).await?, "{text} is free");
    }
    let released = bench.there.release(granted).await?;
    ensure_eq!(released, vec![Released::Released; 3], "what became of the releases");
    Ok(())
}

pub(super) async fn a_released_key_is_free(bench: &LockBench) -> Checked {
    for _ in 0..3 {
        let leases = take(&*bench.here, &["a", "b"], LONG).await?;
        let again = leases.clone();
        ensure_eq!(bench.here.release(leases).await?, vec![Released::Released; 2], "what became of the releases");
        for text in ["a", "b"] {
            ensure!(is_free(&*bench.there, text).await?, "{text} is released and not free");
        }
        let twice = bench.here.release(again).await?;
        ensure!(!twice.contains(&Released::Released), "a lease was released twice: {twice:?}");
    }
    Ok(())
}

pub(super) async fn a_key_is_free_after_its_ttl(bench: &LockBench) -> Checked {
    let lease = take_one(&*bench.here, "seat", SHORT).await?;
    bench.wait_until_free("seat", SHORT).await?;
    ensure!(bench.runtime.now() >= lease.deadline(), "a key was granted to another one before its lease's deadline");
    let released = bench.here.release(vec![lease]).await?;
    ensure!(
        released == [Released::Expired] || released == [Released::NotOwner],
        "released after its TTL: {released:?}"
    );
    Ok(())
}

pub(super) async fn releasing_frees_nobody_elses_lock(bench: &LockBench) -> Checked {
    let late = take_one(&*bench.here, "seat", SHORT).await?;
    bench.wait_until_free("seat", SHORT).await?;
    let lease = take_one(&*bench.there, "seat", LONG).await?;
    ensure_eq!(bench.here.release(vec![late]).await?, vec![Released::NotOwner], "a release that comes too late");
    ensure!(!is_free(&*bench.here, "seat").await?, "someone else's lock was released");
    ensure_eq!(bench.there.release(vec![lease]).await?, vec![Released::Released], "the owner's release");
    Ok(())
}

pub(super) async fn releasing_compares_the_token(bench: &LockBench) -> Checked {
    let lease = take_one(&*bench.here, "seat", LONG).await?;
    let mut bytes = *lease.token().as_bytes();
    bytes[15] ^= 1;
    let forged = Lease::new(key("seat"), LockToken::from_bytes(bytes), lease.deadline());
    let released = bench.there.release(vec![forged.clone()]).await?;
    ensure_eq!(released, vec![Released::NotOwner], "a release with a forged token");
    let extended = bench.there.extend(&mut [forged], LONG).await?;
    ensure_eq!(extended, vec![bench.extended(Extended::Lost)], "an extension with a forged token");
    ensure!(!is_free(&*bench.there, "seat").await?, "a forged token has freed the lock");
    Ok(())
}

/// On a slow machine the first lease may end before it is extended; then it is tried again with a longer one.
pub(super) async fn extending_prolongs(bench: &LockBench) -> Checked {
    bench.needs(LockCapability::Extension)?;
    let mut ttl = SHORT;
    let (mut leases, first) = loop {
        let mut leases = take(&*bench.here, &["a", "b"], ttl).await?;
        let first = leases[0].deadline();
        let extended = bench.here.extend(&mut leases, LONG).await?;
        if extended == [Extended::Extended; 2] {
            break (leases, first);
        }
        ensure!(bench.runtime.now() >= first, "extensions before the deadline: {extended:?}");
        bench.here.release(leases).await?;
        ttl *= 4;
        ensure!(ttl < LONG, "a lease cannot be extended within {ttl:?}");
    };
    ensure!(leases.iter().all(|lease| lease.deadline() > first), "an extended lease ends no later than before");
    // The first deadline passes, and the keys are still held.
    bench.until(first + ttl).await;
    for text in ["a", "b"] {
        ensure!(!is_free(&*bench.there, text).await?, "{text} was extended and is free after its first deadline");
    }
    let again = bench.here.extend(&mut leases, LONG).await?;
    ensure_eq!(again, vec![Extended::Extended; 2], "extensions of extended leases");
    ensure_eq!(bench.here.release(leases).await?, vec![Released::Released; 2], "what became of the releases");
    Ok(())
}

/// Whoever goes away before the answer goes on with the old deadline, and so does whoever stays.
pub(super) async fn extending_never_shortens(bench: &LockBench) -> Checked {
    let mut leases = take(&*bench.here, &["a", "b"], LONG).await?;
    let deadlines: Vec<Instant> = leases.iter().map(Lease::deadline).collect();
    let extended = bench.here.extend(&mut leases, SHORT).await?;
    let extended_at = bench.runtime.now();
    ensure_eq!(extended, vec![bench.extended(Extended::Extended); 2], "extensions by less than is left");
    for (lease, before) in leases.iter().zip(deadlines) {
        ensure!(lease.deadline() >= before, "an extension has moved a deadline to an earlier time");
    }
    bench.until(extended_at + SHORT * 2).await;
    for text in ["a", "b"] {
        ensure!(!is_free(&*bench.there, text).await?, "{text} was extended by less than was left, and ends earlier");
    }
    ensure_eq!(bench.here.release(leases).await?, vec![Released::Released; 2], "what became of the releases");
    Ok(())
}

pub(super) async fn extending_takes_nothing_back(bench: &LockBench) -> Checked {
    let mut lost = take(&*bench.here, &["taken", "free"], SHORT).await?;
    let mut kept = take(&*bench.here, &["kept"], LONG).await?;
    for text in ["taken", "free"] {
        bench.wait_until_free(text, SHORT).await?;
    }
    let lease = take_one(&*bench.there, "taken", LONG).await?;
    lost.append(&mut kept);
    let extended = bench.here.extend(&mut lost, LONG).await?;
    ensure_eq!(
        extended,
        [Extended::Lost, Extended::Lost, Extended::Extended].map(|answer| bench.extended(answer)).to_vec(),
        "extensions of lost and kept leases"
    );
    ensure!(is_free(&*bench.there, "free").await?, "an extension has taken a lost key again");
    ensure!(!is_free(&*bench.here, "kept").await?, "an extension has released a key");
    ensure_eq!(bench.there.release(vec![lease]).await?, vec![Released::Released], "the new owner's release");
    Ok(())
}

pub(super) async fn every_lease_has_its_own_token(bench: &LockBench) -> Checked {
    let mut tokens = BTreeSet::new();
    for _ in 0..5 {
        let leases = take(&*bench.here, &["a", "b"], LONG).await?;
        tokens.insert(*leases[0].token().as_bytes());
        bench.here.release(leases).await?;
        let leases = take(&*bench.there, &["a", "b"], LONG).await?;
        tokens.insert(*leases[0].token().as_bytes());
        bench.there.release(leases).await?;
    }
    ensure_eq!(tokens.len(), 10, "the number of different tokens of ten acquisitions");
    Ok(())
}

pub(super) async fn keys_are_compared_byte_by_byte(bench: &LockBench) -> Checked {
    let longest = "x".repeat(256);
    let nearly = format!("{}y", "x".repeat(255));
    // What a language of strings or of patterns takes for its own, and what ends a string in another.
    let texts = [
        "a\\",
        "a\\0",
        "\0",
        "a\0b",
        "a\0",
        "\u{1b}[2K",
        "\r\n",
        "\u{7f}",
        "\u{202e}a",
        "מושב 1",
        "a",
        "A",
        "á",
        "a ",
        " a",
        "a\u{301}",
        "a%",
        "a_",
        "a'",
        "a\"",
        "a\n",
        "a*",
        "{a}",
        "座席",
        &longest,
        &nearly,
    ];
    let leases = take(&*bench.here, &texts, LONG).await?;
    for text in texts {
        ensure!(!is_free(&*bench.there, text).await?, "{text:?} is free although it was granted");
    }
    ensure!(is_free(&*bench.there, "b").await?, "a key that nobody holds is contended");
    let released = bench.here.release(leases).await?;
    ensure_eq!(released, vec![Released::Released; texts.len()], "what became of the releases");
    Ok(())
}
