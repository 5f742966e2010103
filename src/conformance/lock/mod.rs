//! The suite for locks.

mod contention;
mod leases;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::check::{Checked, Failure, ensure, ensure_eq};
use super::harness::{LockHarness, LockSpace};
use super::report::Report;
use super::suite::{self, Bench, Case, cases};
use crate::ports::{Attempt, Lease, Lock, LockKey, Runtime};

/// Long enough that it does not end during a case.
const LONG: Duration = Duration::from_secs(60);

/// Short enough to wait for.
const SHORT: Duration = Duration::from_millis(300);

/// How long a key may stay locked after its TTL: what clocks and servers need to notice.
const SLACK: Duration = Duration::from_secs(5);

pub(super) struct LockBench {
    space: Box<dyn LockSpace>,
    /// Two handles, as two processes would have.
    here: Arc<dyn Lock>,
    there: Arc<dyn Lock>,
    runtime: Arc<dyn Runtime>,
    notes: Mutex<Vec<String>>,
}

impl Bench for LockBench {
    fn notes(&self) -> Vec<String> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

const CASES: &[Case<LockBench>] = cases![
    leases {
    a_key_is_granted_to_one,
    a_lease_ends_by_its_ttl_at_the_latest,
    all_keys_are_granted_or_none,
    each_key_is_answered_for,
    a_released_key_is_free,
    a_key_is_free_after_its_ttl,
    releasing_frees_nobody_elses_lock,
    releasing_compares_the_token,
    extending_prolongs,
    extending_takes_nothing_back,
    every_lease_has_its_own_token,
    keys_are_compared_byte_by_byte,
    }
    contention {
    many_keys_are_taken_at_once,
    no_keys_are_no_work,
    of_many_contenders_one_at_a_time_gets_in,
    contenders_in_any_order_all_get_through,
    a_dropped_acquisition_locks_nothing_for_longer_than_its_ttl,
    }
];

/// Runs the whole suite, case by case.
pub async fn lock(harness: &dyn LockHarness) -> Report {
    lock_where(harness, |_| true).await
}

/// Runs those cases of the suite whose names are wanted.
pub async fn lock_where(harness: &dyn LockHarness, wanted: impl Fn(&str) -> bool) -> Report {
    let runtime = harness.runtime();
    let set_up = || async {
        let space = harness.fresh().await;
        let (here, there) = (space.open().await, space.open().await);
        Ok(LockBench { space, here, there, runtime: Arc::clone(&runtime), notes: Mutex::default() })
    };
    suite::run(CASES, wanted, &runtime, set_up).await
}

/// The names of the suite's cases, in the order in which they run.
#[must_use]
pub fn lock_cases() -> Vec<&'static str> {
    CASES.iter().map(|case| case.name).collect()
}

fn key(text: &str) -> LockKey {
    LockKey::new(text).expect("the suite's own keys are valid")
}

fn keys(texts: &[&str]) -> Vec<LockKey> {
    texts.iter().map(|text| key(text)).collect()
}

/// Takes all keys, which nobody holds.
async fn take(lock: &dyn Lock, texts: &[&str], ttl: Duration) -> Result<Vec<Lease>, Failure> {
    let keys = keys(texts);
    match lock.acquire_all(&keys, ttl).await? {
        Attempt::Granted(leases) => {
            let of: Vec<&LockKey> = leases.iter().map(Lease::key).collect();
            ensure_eq!(of, keys.iter().collect::<Vec<_>>(), "the keys of the leases");
            Ok(leases)
        }
        other => Err(Failure::new(format!("{texts:?} are free and not granted: {other:?}"))),
    }
}

async fn take_one(lock: &dyn Lock, text: &str, ttl: Duration) -> Result<Lease, Failure> {
    let mut leases = take(lock, &[text], ttl).await?;
    leases.pop().ok_or_else(|| Failure::new("granted, and no lease"))
}

async fn is_free(lock: &dyn Lock, text: &str) -> Result<bool, Failure> {
    match lock.acquire_all(&keys(&[text]), LONG).await? {
        Attempt::Granted(leases) => {
            lock.release(leases).await?;
            Ok(true)
        }
        Attempt::Contended { .. } => Ok(false),
    }
}

impl LockBench {
    /// Waits until a key is free, for its TTL and some slack.
    async fn wait_until_free(&self, text: &str, ttl: Duration) -> Checked {
        let deadline = self.runtime.now() + ttl + SLACK;
        while !is_free(&*self.there, text).await? {
            ensure!(self.runtime.now() < deadline, "{text:?} is locked long after its TTL of {ttl:?}");
            self.runtime.sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }

    fn note(&self, note: String) {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).push(note);
    }
}
