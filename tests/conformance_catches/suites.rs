//! What goes wrong around the cases: harnesses, panics, adapters that never answer. And the one call.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use ticket_reservation::adapters::memory::{MemoryLock, MemoryRepository};
use ticket_reservation::conformance::{
    self, HarnessError, LockCapability, LockHarness, LockSpace, RepositoryCapability, RepositoryHarness, Settings,
    Store,
};
use ticket_reservation::ports::{Lock, Repository, Runtime};

use crate::fault::Fault;
use crate::faulty::{Faulty, Harness, Shared};
use crate::runtime::TestRuntime;
use crate::stores;

/// What goes wrong when a store is asked for or opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    NoStore,
    PanicsWithoutAStore,
    DoesNotOpen,
    PanicsWhenOpened,
    /// The thread is blocked for so long.
    Blocks(Duration),
    /// The answer never comes.
    Hangs,
}

struct Troubled(Trouble, Arc<dyn Runtime>);

#[async_trait]
impl RepositoryHarness for Troubled {
    async fn fresh(&self) -> Result<Box<dyn Store>, HarnessError> {
        match self.0 {
            Trouble::NoStore => Err("no store today".into()),
            Trouble::PanicsWithoutAStore => panic!("no store today"),
            trouble => Ok(Box::new(Troubled(trouble, Arc::clone(&self.1)))),
        }
    }

    fn runtime(&self) -> Arc<dyn Runtime> {
        Arc::clone(&self.1)
    }
}

#[async_trait]
impl Store for Troubled {
    async fn open(&self) -> Result<Arc<dyn Repository>, HarnessError> {
        match self.0 {
            Trouble::DoesNotOpen => return Err("no store today".into()),
            Trouble::PanicsWhenOpened => panic!("no store today"),
            Trouble::Blocks(duration) => std::thread::sleep(duration),
            Trouble::Hangs => std::future::pending().await,
            _ => {}
        }
        Ok(Arc::new(MemoryRepository::new()))
    }

    fn worker(&self) -> Option<Command> {
        None
    }
}

#[tokio::test]
async fn whatever_happens_before_a_case_is_a_failed_case() {
    for trouble in [Trouble::NoStore, Trouble::PanicsWithoutAStore, Trouble::DoesNotOpen, Trouble::PanicsWhenOpened] {
        let settings = Settings::new().only(|name| name.starts_with("absent::"));
        let report = conformance::repository_with(Troubled(trouble, TestRuntime::current()), &settings).await;
        assert_eq!(report.failed().count(), report.cases().len(), "{trouble:?}");
        assert!(report.to_string().contains("no store today"), "{trouble:?}: {report}");
        assert!(report.to_string().contains("FAILED  absent::what_does_not_exist_is_read_as_absent"), "{report}");
    }
}

#[tokio::test]
async fn a_case_that_never_ends_is_a_failed_case() {
    let settings = Settings::new().only(|name| name.starts_with("writes::")).case_time_max(Duration::from_millis(50));
    let report = conformance::repository_with(Troubled(Trouble::Hangs, TestRuntime::current()), &settings).await;
    assert_eq!(report.failed().count(), 4);
    assert!(report.to_string().contains("did not end within 50 ms"), "{report}");
}

/// Two threads: one for the adapter that blocks it, and one that the suite can go on with.
#[test]
fn an_adapter_that_blocks_its_thread_does_not_stop_the_suite() {
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let started = Instant::now();
    let report = tokio.block_on(async {
        let settings = Settings::new().only(|name| name.starts_with("writes::"));
        let settings = settings.case_time_max(Duration::from_millis(50));
        let blocks = Trouble::Blocks(Duration::from_secs(60));
        conformance::repository_with(Troubled(blocks, TestRuntime::current()), &settings).await
    });
    tokio.shutdown_background();
    assert!(started.elapsed() < Duration::from_secs(30));
    assert_eq!(report.failed().count(), 4, "{report}");
    assert!(report.to_string().contains("did not end within 50 ms"), "{report}");
    assert!(report.to_string().contains("still blocks the runtime"), "{report}");
}

/// A store that notes when it goes, and handles that note whether it has gone before them.
struct Ordered {
    inner: MemoryRepository,
    is_gone: Arc<AtomicBool>,
    went_first: Arc<AtomicBool>,
}

impl Drop for Ordered {
    fn drop(&mut self) {
        self.is_gone.store(true, Ordering::SeqCst);
    }
}

#[async_trait]
impl Store for Ordered {
    async fn open(&self) -> Result<Arc<dyn Repository>, HarnessError> {
        let shared = Shared::new(Fault::None, false);
        let (is_gone, went_first) = (Arc::clone(&self.is_gone), Arc::clone(&self.went_first));
        shared.when_dropped(move || {
            if is_gone.load(Ordering::SeqCst) {
                went_first.store(true, Ordering::SeqCst);
            }
        });
        Ok(Faulty::new(Arc::new(self.inner.clone()), &shared))
    }

    fn worker(&self) -> Option<Command> {
        None
    }
}

struct InOrder(Arc<AtomicBool>, Arc<dyn Runtime>);

#[async_trait]
impl RepositoryHarness for InOrder {
    async fn fresh(&self) -> Result<Box<dyn Store>, HarnessError> {
        let (is_gone, went_first) = (Arc::default(), Arc::clone(&self.0));
        Ok(Box::new(Ordered { inner: MemoryRepository::new(), is_gone, went_first }))
    }

    fn runtime(&self) -> Arc<dyn Runtime> {
        Arc::clone(&self.1)
    }

    fn lacks(&self) -> &[RepositoryCapability] {
        &[RepositoryCapability::OtherProcesses]
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_goes_after_its_handles() {
    let went_first = Arc::new(AtomicBool::new(false));
    let themes = ["idempotency::", "races::", "processes::", "unknown::"];
    let settings = Settings::new().only(move |name| themes.iter().any(|theme| name.starts_with(theme)));
    let harness = InOrder(Arc::clone(&went_first), TestRuntime::current());
    conformance::repository_with(harness, &settings).await.assert_passed();
    assert!(!went_first.load(Ordering::SeqCst), "a handle was still open when its store was dropped");
}

#[tokio::test]
async fn a_report_without_cases_is_not_passed() {
    let report = stores::run(Fault::None, false, &[]).await;
    assert!(!report.is_passed());
}

#[tokio::test]
async fn a_failed_report_names_its_seed() {
    let settings = Settings::new().seed(4_711).only(|name| name == "names::ids_are_compared_byte_by_byte");
    let report = conformance::repository_with(Troubled(Trouble::NoStore, TestRuntime::current()), &settings).await;
    assert_eq!(report.seed(), 4_711);
    assert!(report.to_string().ends_with("0 passed, 1 failed, 0 skipped (seed 4711)"), "{report}");
}

struct Locks(Arc<dyn Runtime>);

#[async_trait]
impl LockHarness for Locks {
    async fn fresh(&self) -> Result<Box<dyn LockSpace>, HarnessError> {
        Ok(Box::new(Space(MemoryLock::new(Arc::clone(&self.0)))))
    }

    fn runtime(&self) -> Arc<dyn Runtime> {
        Arc::clone(&self.0)
    }

    fn lacks(&self) -> &[LockCapability] {
        &[LockCapability::OtherProcesses]
    }
}

struct Space(MemoryLock);

#[async_trait]
impl LockSpace for Space {
    async fn open(&self) -> Result<Arc<dyn Lock>, HarnessError> {
        Ok(Arc::new(self.0.clone()))
    }

    fn worker(&self) -> Option<Command> {
        None
    }
}

/// The one call of each suite, as in the module's documentation. A store in memory skips what needs processes, and says so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_call_runs_a_suite() {
    let report = conformance::repository(Harness { fault: Fault::None, meets: false }).await;
    report.assert_passed();
    assert_eq!(report.cases().len(), conformance::repository_cases().len());
    let skipped: Vec<&str> = report.skipped().map(|case| case.name()).collect();
    assert_eq!(
        skipped,
        [
            "processes::many_processes_sell_nothing_twice",
            "processes::a_killed_process_leaves_nothing_half_done",
            "processes::many_processes_open_one_fresh_store_at_once"
        ]
    );
    let report = conformance::lock(Locks(TestRuntime::current())).await;
    report.assert_passed();
    assert_eq!(report.cases().len(), conformance::lock_cases().len());
    assert_eq!(report.skipped().count(), 2);
}
