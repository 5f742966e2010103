//! The flash sale on a disk that is full in the middle of it, and has room again later.
#![cfg(all(target_os = "linux", feature = "sqlite"))]

mod flash_sale_support;

use std::fs;
use std::path::Path;
use std::process::Command;

use flash_sale_support::running::Running;
use flash_sale_support::{command, eventually, number, report, words};
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};

/// In blocks of 512 bytes, as `ulimit -f` counts: less than SQLite's log has when it is first brought into the store.
const BLOCKS: u64 = 5_000;

/// No file may grow beyond that, and who tries is told so instead of being ended by a signal.
const LIMITED: &str = r#"trap '' XFSZ; ulimit -S -f "$0"; exec "$@""#;

const WORKERS: u32 = 2;

/// How often each worker told a buyer that the store has failed, or may have.
fn failures(kept: &Path) -> Vec<usize> {
    let of_worker = |worker| {
        let log = fs::read_to_string(kept.join(format!("worker-{worker}.log"))).unwrap_or_default();
        let fields = log.lines().map(|line| line.split('\t').collect::<Vec<_>>());
        fields.filter(|fields| matches!(fields[..], ["A", _, _, _, "failed" | "unknown", ..])).count()
    };
    (1..=WORKERS).map(of_worker).collect()
}

/// The sale and its workers.
fn processes(sale: &Running) -> Vec<Pid> {
    let is_one = |pid: &i32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let parent = stat.rsplit(')').next().and_then(|fields| fields.split_whitespace().nth(1)?.parse::<u32>().ok());
        *pid as u32 == sale.id() || parent == Some(sale.id())
    };
    let entries = fs::read_dir("/proc").expect("the processes").flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(is_one).filter_map(Pid::from_raw).collect()
}

#[test]
fn a_sale_whose_store_fails_on_a_full_disk_goes_on_when_it_has_room_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let kept = folder.path().join("kept");
    let line =
        format!("--processes {WORKERS} --buyers 800 --concurrency 20 --pay-ms 5 --wait-ms 1000 --demand spread --json");
    let sale = command([words(&line), vec!["--keep".to_owned(), kept.display().to_string()]].concat());
    let mut limited = Command::new("sh");
    limited.args(["-c", LIMITED, &BLOCKS.to_string()]).arg(sale.get_program()).args(sale.get_args());
    let mut sale = Running::start(limited);
    // A write that does not fit whole is done up to the limit, and the next is refused.
    let is_full = || fs::metadata(kept.join("store.db-wal")).is_ok_and(|log| log.len() == BLOCKS * 512);
    eventually("the disk is full", || is_full() || sale.is_over());
    let before = failures(&kept);
    let all_have_failed = || failures(&kept).iter().zip(&before).all(|(now, before)| now > before);
    eventually("buyers of every worker are told so", || all_have_failed() || sale.is_over());
    assert!(all_have_failed(), "nobody was told: {before:?}");
    assert!(!sale.is_over(), "it was over before the disk had room again");
    let room = Rlimit { current: None, maximum: getrlimit(Resource::Fsize).maximum };
    for process in processes(&sale) {
        // It may be over by now.
        let _ = prlimit(Some(process), Resource::Fsize, room);
    }
    let sold = report(&sale.wait());
    assert!(number(&sold, "places_sold") > 400, "{sold}");
}
