//! The flash sale when its workers are lost or hang, without anybody having ordered that.
#![cfg(all(feature = "sqlite", target_os = "linux"))]

mod flash_sale_support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use flash_sale_support::{Run, command, flash_sale};
use rustix::process::{Pid, Signal, kill_process};

/// A sale under way, with its folder kept.
struct UnderWay {
    folder: tempfile::TempDir,
    parent: Child,
}

impl UnderWay {
    /// Starts a sale that nobody ends soon, and waits until every worker has sent something.
    fn start(more: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let line = format!("--processes 2 --buyers 200 --concurrency 20 --pay-ms 500 --seed 5 {more} --keep");
        let mut command = command(line.split_whitespace());
        command.arg(folder.path().join("kept")).stdout(Stdio::piped()).stderr(Stdio::piped());
        let parent = command.spawn().expect("it runs");
        let this = Self { folder, parent };
        let deadline = Instant::now() + Duration::from_secs(30);
        while !(1..=2).all(|worker| fs::read(this.log(worker)).is_ok_and(|log| log.len() > 100)) {
            assert!(Instant::now() < deadline, "the workers do not begin");
            thread::sleep(Duration::from_millis(5));
        }
        this
    }

    fn kept(&self) -> PathBuf {
        self.folder.path().join("kept")
    }

    fn log(&self, worker: u32) -> PathBuf {
        self.kept().join(format!("worker-{worker}.log"))
    }

    fn signal_workers(&self, which: impl Iterator<Item = usize>, signal: Signal) {
        let parent = self.parent.id();
        let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).expect("its children");
        let workers: Vec<Pid> =
            children.split_whitespace().filter_map(|pid| Pid::from_raw(pid.parse().ok()?)).collect();
        assert_eq!(workers.len(), 2, "{children}");
        which.for_each(|worker| kill_process(workers[worker], signal).expect("a signal"));
    }

    fn end(self) -> (Run, tempfile::TempDir) {
        (Run::from(self.parent.wait_with_output().expect("it ends")), self.folder)
    }
}

/// Exit code 1, the line, and the store and the logs still there for an audit that finds the same.
fn assert_broken((run, folder): (Run, tempfile::TempDir), words: &str) {
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.stderr.contains(words), "{words:?} is not in\n{}", run.stderr);
    assert!(run.stderr.contains("-- audit "), "{}", run.stderr);
    let kept = folder.path().join("kept");
    let audit = flash_sale([Path::new("audit"), &kept]);
    assert_eq!(audit.code, Some(1), "{audit:?}");
    assert!(audit.stdout.contains("nobody killed the worker"), "{}", audit.stdout);
}

#[test]
fn a_worker_that_is_lost_is_no_success() {
    let sale = UnderWay::start("");
    sale.signal_workers(0..1, Signal::KILL);
    assert_broken(sale.end(), "worker 1 ended before its work did");
}

#[test]
fn workers_that_hang_do_not_hang_the_sale() {
    let sale = UnderWay::start("--stall-s 1 --wait-ms 100");
    sale.signal_workers(0..2, Signal::STOP);
    assert_broken(sale.end(), "nothing has happened for");
}
