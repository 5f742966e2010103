//! What several processes must not do is left out only where the harness says so, and where it is so.

use std::ffi::OsStr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;
use std::sync::Arc;

use async_trait::async_trait;
use ticket_reservation::adapters::memory::{MemoryLock, MemoryRepository};
use ticket_reservation::conformance::{
    self, HarnessError, LockCapability, LockHarness, LockSpace, Report, RepositoryCapability, RepositoryHarness,
    Settings, Store,
};
use ticket_reservation::ports::{Lock, Repository, Runtime};

use crate::runtime::TestRuntime;

/// What a harness declares, and what is true.
#[derive(Clone, Copy)]
struct Claims {
    declares: bool,
    has_worker: bool,
    joins: bool,
}

const HONEST: Claims = Claims { declares: true, has_worker: false, joins: false };

#[async_trait]
impl RepositoryHarness for Claims {
    async fn fresh(&self) -> Result<Box<dyn Store>, HarnessError> {
        Ok(Box::new(Memory(MemoryRepository::new(), *self)))
    }

    fn runtime(&self) -> Arc<dyn Runtime> {
        TestRuntime::current()
    }

    async fn join(&self, _: &OsStr) -> Result<Arc<dyn Repository>, HarnessError> {
        if self.joins { Ok(Arc::new(MemoryRepository::new())) } else { Err("no other process".into()) }
    }

    fn lacks(&self) -> &[RepositoryCapability] {
        if self.declares { RepositoryCapability::ALL } else { &[] }
    }
}

struct Memory<T>(T, Claims);

impl<T> Memory<T> {
    fn command(&self) -> Option<Command> {
        self.1.has_worker.then(|| Command::new("false"))
    }
}

#[async_trait]
impl Store for Memory<MemoryRepository> {
    async fn open(&self) -> Result<Arc<dyn Repository>, HarnessError> {
        Ok(Arc::new(self.0.clone()))
    }

    fn worker(&self) -> Option<Command> {
        self.command()
    }
}

#[async_trait]
impl LockHarness for Claims {
    async fn fresh(&self) -> Result<Box<dyn LockSpace>, HarnessError> {
        Ok(Box::new(Memory(MemoryLock::new(TestRuntime::current()), *self)))
    }

    fn runtime(&self) -> Arc<dyn Runtime> {
        TestRuntime::current()
    }

    async fn join(&self, _: &OsStr) -> Result<Arc<dyn Lock>, HarnessError> {
        if self.joins { Ok(Arc::new(MemoryLock::new(TestRuntime::current()))) } else { Err("no other process".into()) }
    }

    fn lacks(&self) -> &[LockCapability] {
        if self.declares { &[LockCapability::OtherProcesses] } else { &[] }
    }
}

#[async_trait]
impl LockSpace for Memory<MemoryLock> {
    async fn open(&self) -> Result<Arc<dyn Lock>, HarnessError> {
        Ok(Arc::new(self.0.clone()))
    }

    fn worker(&self) -> Option<Command> {
        self.command()
    }
}

/// The cases of both suites that need other processes.
async fn run(claims: Claims) -> [Report; 2] {
    let needs_processes =
        |name: &str| name.starts_with("processes::") && name != "processes::many_service_instances_sell_nothing_twice";
    let settings = Settings::new().only(needs_processes);
    [conformance::repository_with(claims, &settings).await, conformance::lock_with(claims, &settings).await]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_declared_and_true_is_skipped_and_named_in_the_last_line() {
    for report in run(HONEST).await {
        report.assert_passed();
        assert_eq!(report.skipped().count(), report.cases().len(), "{report}");
        let text = report.to_string();
        let last = text.lines().last().unwrap();
        for case in report.skipped() {
            assert!(last.contains("NOT PROVEN") && last.contains(case.name()), "{last}");
        }
    }
}

/// A declaration is not everybody's to make: a test says what may be skipped.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_declared_and_may_not_be_skipped_is_noticed() {
    for report in run(HONEST).await {
        let skipped: Vec<&str> = report.skipped().map(|case| case.name()).collect();
        report.assert_skips_only(&skipped);
        let noticed = |may: &[&str]| catch_unwind(AssertUnwindSafe(|| report.assert_skips_only(may))).is_err();
        assert!(noticed(&skipped[1..]) && noticed(&["leases::a_released_key_is_free"]), "{report}");
        assert!(catch_unwind(AssertUnwindSafe(|| report.assert_skips_nothing())).is_err(), "{report}");
    }
    for report in run(Claims { declares: false, ..HONEST }).await {
        assert!(catch_unwind(AssertUnwindSafe(|| report.assert_skips_nothing())).is_err(), "failed: {report}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_neither_declared_nor_run_has_failed() {
    for report in run(Claims { declares: false, ..HONEST }).await {
        assert_eq!(report.failed().count(), report.cases().len(), "{report}");
        assert!(!report.is_passed());
        assert!(report.to_string().contains("does not declare OtherProcesses"), "{report}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_declaration_that_is_not_true_has_failed() {
    let untrue = [Claims { joins: true, ..HONEST }, Claims { has_worker: true, ..HONEST }];
    for (claims, why) in untrue.into_iter().zip(["`join` opens", "`worker` starts"]) {
        for report in run(claims).await {
            assert_eq!(report.failed().count(), report.cases().len(), "{report}");
            assert!(report.to_string().contains(why), "{report}");
        }
    }
}
