//! Faults that only show when several processes work on one store.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tempfile::TempDir;
use ticket_reservation::adapters::sqlite::SqliteRepository;
use ticket_reservation::conformance::{self, HarnessError, RepositoryHarness, Settings, Store};
use ticket_reservation::ports::{Repository, Runtime};

use crate::fault::Fault;
use crate::faulty::{Faulty, Shared};
use crate::runtime::TestRuntime;

/// Where another process finds the store, and what is wrong with it.
const PATH: &str = "CONFORMANCE_CATCHES_PATH";
const FAULT: &str = "CONFORMANCE_CATCHES_FAULT";

/// Long enough that processes which start together all look before one of them has installed anything.
const INSTALLS_FOR: Duration = Duration::from_secs(2);

fn open(path: &Path, fault: Fault) -> Result<Arc<dyn Repository>, HarnessError> {
    if fault == Fault::InstallsForFew && !path.exists() {
        let folder = path.parent().ok_or("no folder")?;
        std::fs::write(folder.join(format!("installs-{}", std::process::id())), "")?;
        std::thread::sleep(INSTALLS_FOR);
        if std::fs::read_dir(folder)?.count() > 4 {
            return Err("table event already exists".into());
        }
    }
    Ok(Faulty::new(Arc::new(SqliteRepository::builder(path).open()?), &Shared::new(fault, false)))
}

struct Harness(Fault);

struct Folder(TempDir, Fault);

#[async_trait]
impl RepositoryHarness for Harness {
    async fn fresh(&self) -> Result<Box<dyn Store>, HarnessError> {
        Ok(Box::new(Folder(tempfile::tempdir()?, self.0)))
    }

    fn runtime(&self) -> Arc<dyn Runtime> {
        TestRuntime::current()
    }
}

#[async_trait]
impl Store for Folder {
    async fn open(&self) -> Result<Arc<dyn Repository>, HarnessError> {
        open(&self.0.path().join("store.db"), self.1)
    }

    /// A test program with libtest's `main` starts the one test that is the worker.
    fn worker(&self) -> Option<Command> {
        let mut command = Command::new(std::env::current_exe().expect("this program's path"));
        command.args(["processes::the_other_end", "--exact", "--nocapture"]);
        command.env(PATH, self.0.path().join("store.db")).env(FAULT, format!("{:?}", self.1));
        Some(command)
    }
}

/// Not a test by itself: what the other processes run.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_other_end() {
    let (Some(path), Ok(fault)) = (std::env::var_os(PATH), std::env::var(FAULT)) else { return };
    let Ok(repository) = open(Path::new(&path), fault.parse().unwrap()) else { std::process::exit(1) };
    if conformance::worker(repository, TestRuntime::current()).await.is_err() {
        // Without a backtrace for each buyer who was told something that cannot be.
        std::process::exit(1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_only_a_few_processes_can_install_at_once() {
    let report = run(Fault::InstallsForFew, "processes::many_processes_open_one_fresh_store_at_once").await;
    assert_eq!(report.failed().count(), 1, "{report}");
    assert!(!report.to_string().contains("did not end"), "{report}");
    let report = run(Fault::InstallsForFew, "processes::many_processes_sell_nothing_twice").await;
    report.assert_passed();
}

async fn run(fault: Fault, case: &'static str) -> conformance::Report {
    conformance::repository_with(Harness(fault), &Settings::new().only(move |name| name == case)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_that_fight_find_stores_that_break_their_promises() {
    for fault in [Fault::ChecksNoVersion, Fault::WritesInPart, Fault::LosesHolds] {
        let report = run(fault, "processes::many_processes_sell_nothing_twice").await;
        assert_eq!(report.failed().count(), 1, "{fault:?} is not noticed: {report}");
        // What the store has become gives it away, or a buyer was told something that cannot be.
        assert!(!report.to_string().contains("did not end"), "{report}");
        assert!(!report.to_string().contains("proves nothing"), "{report}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hold_that_was_acknowledged_to_a_killed_process_is_missed() {
    let report = run(Fault::LosesHolds, "processes::a_killed_process_leaves_nothing_half_done").await;
    assert_eq!(report.failed().count(), 1, "{report}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_on_a_store_without_a_fault_find_nothing() {
    for case in [
        "processes::many_processes_sell_nothing_twice",
        "processes::a_killed_process_leaves_nothing_half_done",
        "processes::many_processes_open_one_fresh_store_at_once",
    ] {
        run(Fault::None, case).await.assert_passed();
    }
}
