//! No process of a case outlives it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tempfile::TempDir;
use ticket_reservation::adapters::memory::MemoryRepository;
use ticket_reservation::conformance::{self, HarnessError, RepositoryHarness, Settings, Store};
use ticket_reservation::ports::{Repository, Runtime};

use crate::runtime::TestRuntime;

/// Processes of which each notes its id in a folder, and then does this.
struct Harness {
    script: &'static str,
    pids: PathBuf,
}

struct Stores(MemoryRepository, &'static str, PathBuf);

#[async_trait]
impl RepositoryHarness for Harness {
    async fn fresh(&self) -> Result<Box<dyn Store>, HarnessError> {
        Ok(Box::new(Stores(MemoryRepository::new(), self.script, self.pids.clone())))
    }

    fn runtime(&self) -> Arc<dyn Runtime> {
        TestRuntime::current()
    }
}

#[async_trait]
impl Store for Stores {
    async fn open(&self) -> Result<Arc<dyn Repository>, HarnessError> {
        Ok(Arc::new(self.0.clone()))
    }

    fn worker(&self) -> Option<Command> {
        let mut command = Command::new("sh");
        command.arg("-c").arg(format!("touch {}/$$; {}", self.2.display(), self.1)).current_dir(&self.2);
        Some(command)
    }
}

/// Runs a case with such processes. Answers how many there were, and its report.
async fn run(script: &'static str, time: Duration) -> (usize, conformance::Report) {
    let folder: TempDir = tempfile::tempdir().unwrap();
    let pids = folder.path().join("pids");
    fs::create_dir(&pids).unwrap();
    let wanted = |name: &str| name == "processes::many_processes_sell_nothing_twice";
    let settings = Settings::new().only(wanted).case_time_max(time);
    let report = conformance::repository_with(Harness { script, pids: pids.clone() }, &settings).await;
    assert_eq!(report.failed().count(), 1, "{report}");
    let noted: Vec<String> =
        fs::read_dir(&pids).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    let noted: Vec<&String> = noted.iter().filter(|name| name.parse::<u32>().is_ok()).collect();
    for pid in &noted {
        assert!(!Path::new("/proc").join(pid).exists(), "process {pid} is still there: {report}");
    }
    (noted.len(), report)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_case_that_takes_too_long_leaves_no_process() {
    let (processes, report) = run("exec sleep 600", Duration::from_secs(2)).await;
    assert!(report.to_string().contains("did not end within"), "{report}");
    assert_eq!(processes, 4);
}

/// The first one ends at once, the others would wait.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_case_that_ends_early_leaves_no_process() {
    let script =
        r#"echo ready; case "$TICKET_RESERVATION_CONFORMANCE_JOB" in "contest 0 "*) exit 3;; esac; exec sleep 600"#;
    let (_, report) = run(script, Duration::from_secs(20)).await;
    assert!(!report.to_string().contains("did not end within"), "{report}");
}
