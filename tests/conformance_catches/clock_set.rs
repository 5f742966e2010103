//! What a case says while somebody sets the machine's clock is no word about the adapter.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use ticket_reservation::adapters::memory::MemoryLock;
use ticket_reservation::conformance::faults::GrantsAll;
use ticket_reservation::conformance::{self, HarnessError, LockHarness, LockSpace, Report, Settings};
use ticket_reservation::ports::{Lock, Runtime};

use crate::other_clock::OtherClock;

/// Locks that grant everything, as often as this is more than the number of those before. The clock is set when they are made.
struct Harness {
    clock: Arc<OtherClock>,
    is_set: bool,
    bad: u32,
    made: AtomicU32,
}

struct Space(Arc<dyn Lock>);

#[async_trait]
impl LockHarness for Harness {
    async fn fresh(&self) -> Result<Box<dyn LockSpace>, HarnessError> {
        let runtime = LockHarness::runtime(self);
        if self.made.fetch_add(1, Ordering::SeqCst) >= self.bad {
            return Ok(Box::new(Space(Arc::new(MemoryLock::new(runtime)))));
        }
        if self.is_set {
            self.clock.advance(Duration::from_secs(61));
        }
        Ok(Box::new(Space(Arc::new(GrantsAll::new(runtime)))))
    }

    fn runtime(&self) -> Arc<dyn Runtime> {
        Arc::<OtherClock>::clone(&self.clock)
    }
}

#[async_trait]
impl LockSpace for Space {
    async fn open(&self) -> Result<Arc<dyn Lock>, HarnessError> {
        Ok(Arc::new(Arc::clone(&self.0)))
    }

    fn worker(&self) -> Option<Command> {
        None
    }
}

async fn run(is_set: bool, bad: u32) -> Report {
    let harness = Harness { clock: OtherClock::current(), is_set, bad, made: AtomicU32::new(0) };
    conformance::lock_with(harness, &Settings::new().only(|name| name == "leases::a_key_is_granted_to_one")).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_case_that_failed_while_the_clock_was_set_is_run_again_and_says_so() {
    let report = run(true, 2).await;
    report.assert_skips_nothing();
    let text = report.to_string();
    assert_eq!(text.matches("run again, as the machine's clock was set back by ").count(), 2, "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_case_that_fails_with_a_clock_that_nobody_sets_has_failed() {
    assert_eq!(run(false, 1).await.failed().count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_case_is_not_run_again_for_ever() {
    assert_eq!(run(true, u32::MAX).await.failed().count(), 1);
}
