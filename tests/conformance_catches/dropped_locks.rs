//! Locks that do their work in two steps, and leave it half done when their caller goes away between them. Nothing but the
//! right number of polls finds that: the steps follow each other at once.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ticket_reservation::adapters::memory::MemoryLock;
use ticket_reservation::conformance::{self, HarnessError, LockHarness, LockSpace, Report, Settings};
use ticket_reservation::ports::{Attempt, Extended, Lease, Lock, LockError, LockKey, Released, Runtime};
use tokio::task::yield_now;

use crate::runtime::TestRuntime;

/// What the lock does in two steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// Nothing: it is right.
    None,
    /// Nothing, and it never waits either.
    NeverWaits,
    /// Takes all keys without an end, and sets the TTL then.
    AcquiresAll,
    /// Takes each key without an end, and sets the TTL then.
    AcquiresEach,
    /// Gives the keys up, and takes them again for longer.
    Extends,
    /// Keeps the keys without an end for whoever gives them up, and frees them then.
    Releases,
}

/// For as long as a case lasts, and longer.
const WITHOUT_END: Duration = Duration::from_secs(3_600);

#[derive(Debug, Clone)]
struct TwoSteps {
    inner: MemoryLock,
    fault: Fault,
}

impl TwoSteps {
    /// Its caller may go away meanwhile, after one poll more than those that are dropped before they have begun.
    async fn turn(&self) {
        if self.fault != Fault::NeverWaits {
            yield_now().await;
        }
    }
}

#[async_trait]
impl Lock for TwoSteps {
    async fn acquire_all(&self, keys: &[LockKey], ttl: Duration) -> Result<Attempt<Vec<Lease>>, LockError> {
        self.turn().await;
        if self.fault == Fault::AcquiresAll {
            let Attempt::Granted(leases) = self.inner.acquire_all(keys, WITHOUT_END).await? else {
                return Ok(Attempt::Contended { retry_after: ttl });
            };
            self.turn().await;
            self.inner.release(leases).await?;
        }
        self.inner.acquire_all(keys, ttl).await
    }

    async fn acquire_each(&self, keys: &[LockKey], ttl: Duration) -> Result<Vec<Attempt<Lease>>, LockError> {
        self.turn().await;
        if self.fault == Fault::AcquiresEach {
            let attempts = self.inner.acquire_each(keys, WITHOUT_END).await?;
            self.turn().await;
            for attempt in attempts {
                if let Attempt::Granted(lease) = attempt {
                    self.inner.release(vec![lease]).await?;
                }
            }
        }
        self.inner.acquire_each(keys, ttl).await
    }

    async fn extend(&self, leases: &mut [Lease], ttl: Duration) -> Result<Vec<Extended>, LockError> {
        self.turn().await;
        if self.fault == Fault::Extends {
            let keys: Vec<LockKey> = leases.iter().map(|lease| lease.key().clone()).collect();
            self.inner.release(leases.to_vec()).await?;
            self.turn().await;
            let Attempt::Granted(taken) = self.inner.acquire_all(&keys, WITHOUT_END).await? else {
                return Ok(vec![Extended::Lost; leases.len()]);
            };
            leases.clone_from_slice(&taken);
            return Ok(vec![Extended::Extended; leases.len()]);
        }
        self.inner.extend(leases, ttl).await
    }

    async fn release(&self, mut leases: Vec<Lease>) -> Result<Vec<Released>, LockError> {
        self.turn().await;
        if self.fault == Fault::Releases {
            self.inner.extend(&mut leases, WITHOUT_END).await?;
            self.turn().await;
        }
        self.inner.release(leases).await
    }
}

struct Harness(Fault);

struct Space(TwoSteps);

#[async_trait]
impl LockHarness for Harness {
    async fn fresh(&self) -> Result<Box<dyn LockSpace>, HarnessError> {
        Ok(Box::new(Space(TwoSteps { inner: MemoryLock::new(TestRuntime::current()), fault: self.0 })))
    }

    fn runtime(&self) -> Arc<dyn Runtime> {
        TestRuntime::current()
    }
}

#[async_trait]
impl LockSpace for Space {
    async fn open(&self) -> Result<Arc<dyn Lock>, HarnessError> {
        Ok(Arc::new(self.0.clone()))
    }

    fn worker(&self) -> Option<Command> {
        None
    }
}

const CASES: [&str; 4] = [
    "dropped::an_acquisition_dropped_after_any_number_of_polls_ends_with_its_ttl",
    "dropped::an_acquisition_dropped_after_any_number_of_polls_is_undone",
    "dropped::an_extension_dropped_after_any_number_of_polls_ends_no_lease",
    "dropped::a_release_dropped_after_any_number_of_polls_keeps_nobody_out",
];

async fn run(fault: Fault) -> Report {
    let settings = Settings::new().only(|name| CASES.contains(&name));
    let report = conformance::lock_with(Harness(fault), &settings).await;
    assert_eq!(report.cases().len(), CASES.len(), "not all of {CASES:?} are cases of the suite");
    report
}

/// These cases fail for that reason, and no others do.
async fn is_caught(fault: Fault, cases: &[&str], why: &str) {
    let report = run(fault).await;
    assert_eq!(report.failed().map(|case| case.name()).collect::<Vec<_>>(), cases, "{fault:?}: {report}");
    assert_eq!(
        report.to_string().matches(why).count(),
        cases.len(),
        "{fault:?} is caught for another reason: {report}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_that_is_right_passes() {
    run(Fault::None).await.assert_passed();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_that_takes_all_keys_and_sets_the_ttl_then() {
    is_caught(Fault::AcquiresAll, &CASES[..2], "is locked long after its TTL").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_that_takes_each_key_and_sets_the_ttl_then() {
    is_caught(Fault::AcquiresEach, &CASES[..2], "is locked long after its TTL").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_that_gives_up_what_it_extends() {
    is_caught(Fault::Extends, &CASES[2..3], "has two owners").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_that_keeps_what_is_given_up() {
    is_caught(Fault::Releases, &CASES[3..], "is locked long after its TTL").await;
}

/// It does not declare to live in one process, and is never dropped half-way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_of_many_processes_that_never_waits_has_proven_nothing() {
    is_caught(Fault::NeverWaits, &CASES, "which proves nothing").await;
}
