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

/// How large the store's log is.
fn log_size(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    let sizes = entries.flatten().map(|entry| {
        let path = entry.path();
        if path.is_dir() {
            log_size(&path)
        } else if path.to_string_lossy().ends_with("-wal") {
            entry.metadata().map_or(0, |metadata| metadata.len())
        } else {
            0
        }
    });
    sizes.max().unwrap_or(0)
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
fn a_sale_goes_on_when_the_disk_has_room_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let sale = command(words("--processes 2 --buyers 400 --concurrency 20 --pay-ms 5 --demand spread --json"));
    let mut limited = Command::new("sh");
    limited.args(["-c", LIMITED, &BLOCKS.to_string()]).arg(sale.get_program()).args(sale.get_args());
    limited.env("TMPDIR", folder.path());
    let mut sale = Running::start(limited);
    // A write that does not fit whole is done up to the limit, and the next is refused.
    eventually("the disk is full", || log_size(folder.path()) >= BLOCKS * 512 || sale.is_over());
    assert!(!sale.is_over(), "it was over before the disk was full");
    let room = Rlimit { current: None, maximum: getrlimit(Resource::Fsize).maximum };
    for process in processes(&sale) {
        // It may be over by now.
        let _ = prlimit(Some(process), Resource::Fsize, room);
    }
    let sold = report(&sale.wait());
    assert!(number(&sold, "places_sold") > 400, "{sold}");
}
