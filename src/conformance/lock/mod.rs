//! The suite for locks.

mod contention;
mod deadlines;
mod dropped;
mod job;
mod leases;
mod processes;

use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::capability::{self, LockCapability, Nowhere, another_process};
use super::check::{Checked, Failure, ensure, ensure_eq};
use super::common::Common;
use super::harness::{LockHarness, LockSpace};
use super::report::Report;
use super::settings::Settings;
use super::suite::{self, Bench, Case, cases};
use crate::ports::{Attempt, BoxFuture, Extended, Lease, Lock, LockKey, Runtime};

pub(super) use job::{LockJob, run_job};

/// Long enough that it does not end during a case.
const LONG: Duration = Duration::from_secs(60);

/// Short enough to wait for.
const SHORT: Duration = Duration::from_millis(300);

/// How long a key may stay locked after its TTL: what clocks and servers need to notice.
const SLACK: Duration = Duration::from_secs(5);

/// The order of the fields is the order in which they go: handles before the locks.
pub(super) struct LockBench {
    /// Two handles, as two processes would have.
    here: Arc<dyn Lock>,
    there: Arc<dyn Lock>,
    space: Box<dyn LockSpace>,
    runtime: Arc<dyn Runtime>,
    harness: Arc<dyn LockHarness>,
    common: Common,
}

impl Bench for LockBench {
    fn close(self) -> BoxFuture<'static, ()> {
        drop(self);
        Box::pin(async {})
    }
}

const CASES: &[Case<LockBench>] = cases![
    leases {
        a_key_is_granted_to_one,
        all_keys_are_granted_or_none,
        each_key_is_answered_for,
        a_released_key_is_free,
        a_key_is_free_after_its_ttl,
        releasing_frees_nobody_elses_lock,
        releasing_compares_the_token,
        extending_prolongs,
        extending_never_shortens,
        extending_takes_nothing_back,
        every_lease_has_its_own_token,
        keys_are_compared_byte_by_byte,
    }
    deadlines {
        a_lease_ends_by_its_ttl_at_the_latest,
        a_leases_time_begins_before_the_lock_is_asked,
        an_extensions_time_begins_before_the_lock_is_asked,
    }
    contention {
        many_keys_are_taken_at_once,
        who_is_refused_learns_how_long_the_holder_may_keep_the_key,
        who_does_not_get_all_keys_keeps_others_from_none,
        no_keys_are_no_work,
        of_many_contenders_one_at_a_time_gets_in,
        contenders_in_any_order_all_get_through,
    }
    dropped {
        a_dropped_acquisition_locks_nothing_for_longer_than_its_ttl,
        a_dropped_acquisition_is_undone_long_before_its_ttl,
        dropped_extensions_and_releases_break_nothing,
        a_dropped_extension_shortens_nothing,
        an_acquisition_dropped_after_any_number_of_polls_ends_with_its_ttl,
        an_acquisition_dropped_after_any_number_of_polls_is_undone,
        an_extension_dropped_after_any_number_of_polls_ends_no_lease,
        a_release_dropped_after_any_number_of_polls_keeps_nobody_out,
    }
    processes {
        of_many_processes_one_at_a_time_gets_in,
        a_killed_process_locks_nothing_for_longer_than_its_ttl,
    }
];

/// Runs the whole suite, case by case.
///
/// # Cancellation
///
/// No further case is begun, and the one at work is stopped.
///
/// The [module](super) has an example.
pub async fn lock(harness: impl LockHarness + 'static) -> Report {
    lock_with(harness, &Settings::new()).await
}

/// Runs the suite with settings: some cases only, a given seed.
///
/// # Cancellation
///
/// As [`lock()`].
///
/// # Example
///
/// ```
#[doc = doc_on_sale!()]
#[doc = doc_harness!()]
/// let settings = Settings::new().only(|case| case == "leases::a_released_key_is_free");
/// conformance::lock_with(Harness(runtime), &settings).await.assert_passed();
#[doc = doc_end!()]
/// ```
pub async fn lock_with(harness: impl LockHarness + 'static, settings: &Settings) -> Report {
    let harness: Arc<dyn LockHarness> = Arc::new(harness);
    let runtime = harness.runtime();
    let set_up = |_, common: Common| -> BoxFuture<'static, _> {
        let harness = Arc::clone(&harness);
        Box::pin(async move {
            let space = harness.fresh().await.map_err(|error| Failure::of_harness("fresh locks", &error))?;
            let (here, there) = (open(&*space).await?, open(&*space).await?);
            let runtime = Arc::clone(&common.runtime);
            Ok(LockBench { here, there, space, runtime, harness, common })
        })
    };
    suite::run(CASES, settings, &runtime, set_up).await
}

/// The names of the suite's cases, in the order in which they run.
///
/// ```
/// use ticket_reservation::conformance::lock_cases;
///
/// assert!(lock_cases().contains(&"leases::a_released_key_is_free"));
/// ```
#[must_use]
pub fn lock_cases() -> Vec<&'static str> {
    CASES.iter().map(|case| case.name).collect()
}

async fn open(space: &dyn LockSpace) -> Result<Arc<dyn Lock>, Failure> {
    space.open().await.map_err(|error| Failure::of_harness("opening the locks", &error))
}

fn key(text: &str) -> LockKey {
    super::fixtures::literal(LockKey::new(text))
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

/// Takes keys that nobody holds, one by one or all at once.
async fn take_by(lock: &dyn Lock, each: bool, texts: &[&str], ttl: Duration) -> Result<Vec<Lease>, Failure> {
    if !each {
        return take(lock, texts, ttl).await;
    }
    let keys = keys(texts);
    let attempts = lock.acquire_each(&keys, ttl).await?;
    ensure_eq!(attempts.len(), keys.len(), "the number of answers");
    let mut leases = Vec::new();
    for (key, attempt) in keys.iter().zip(attempts) {
        match attempt {
            Attempt::Granted(lease) if lease.key() == key => leases.push(lease),
            other => return Err(Failure::new(format!("{key} is free, and is answered with {other:?}"))),
        }
    }
    Ok(leases)
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

    /// Lets the time pass.
    async fn until(&self, moment: Instant) {
        while self.runtime.now() < moment {
            self.runtime.sleep(Duration::from_millis(20)).await;
        }
    }

    async fn open(&self) -> Result<Arc<dyn Lock>, Failure> {
        open(&*self.space).await
    }

    /// Skips the case where the lock declares to lack what it is about. No case that keeps holders apart asks for anything.
    fn needs(&self, capability: LockCapability) -> Checked {
        if self.lacks(capability) { Err(capability::skipped(capability)) } else { Ok(()) }
    }

    fn lacks(&self, capability: LockCapability) -> bool {
        self.harness.lacks().contains(&capability)
    }

    /// What a lock answers that would have answered so, or that extends nothing.
    fn extended(&self, answer: Extended) -> Extended {
        if self.lacks(LockCapability::Extension) { Extended::Unknown } else { answer }
    }

    /// How to start another process on the locks. Skips the case where there is none by declaration.
    async fn worker(&self) -> Result<Command, Failure> {
        let capability = LockCapability::OtherProcesses;
        let (nowhere, is_declared) = (Nowhere::new(self.runtime.random()), self.lacks(capability));
        another_process(self.space.worker(), capability, is_declared, self.harness.join(nowhere.address())).await
    }

    fn note(&self, note: impl Into<String>) {
        self.common.note(note);
    }
}
