//! Many processes that want the same lock.

use std::path::PathBuf;
use std::time::Duration;

use super::job::{HELD, KEY, LockJob, TURN};
use super::{LockBench, is_free};
use crate::conformance::check::{Checked, Failure, ensure, ensure_eq};
use crate::conformance::process::{Process, start_together, worked_at_the_same_time};
use crate::conformance::worker::CONFLICTS;

const PROCESSES: u32 = 4;
const TURNS: u32 = 40;

/// For how long a lock is taken by a process that is killed.
const KEPT: Duration = Duration::from_secs(1);

async fn start(bench: &LockBench, job: &LockJob) -> Result<Process, Failure> {
    bench.common.children.start(bench.worker().await?, &job.to_string())
}

/// Removed when the case ends, also by a process that was killed inside.
struct Inside(PathBuf);

impl Drop for Inside {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

pub(super) async fn of_many_processes_one_at_a_time_gets_in(bench: &LockBench) -> Checked {
    let name = format!("ticket-reservation-lock-{}-{:016x}", std::process::id(), bench.runtime.random());
    let file = Inside(std::env::temp_dir().join(name));
    let job = LockJob::Turns { turns: TURNS, file: file.0.clone() };
    let mut processes = Vec::new();
    for _ in 0..PROCESSES {
        processes.push(start(bench, &job).await?);
    }
    start_together(&mut processes).await?;
    let (mut turns, mut contended) = (0, 0);
    for (n, process) in processes.iter_mut().enumerate() {
        while let Some(line) = process.line().await {
            turns += u32::from(line == TURN);
            if let Some(count) = line.strip_prefix(CONFLICTS) {
                contended += count.trim().parse::<u32>()?;
            }
        }
        let done = process.has_done_its_job(&*bench.runtime).await;
        done.map_err(|failure| failure.at(&format!("process {n}")))?;
    }
    ensure_eq!(turns, PROCESSES * TURNS, "the number of turns");
    let spans: Vec<_> = processes.iter().map(Process::span).collect();
    let together = worked_at_the_same_time(&spans);
    bench.note(format!("{together} of {PROCESSES} processes at the same time, {contended} times contended"));
    // Nobody contends with itself, so this says too that they worked at the same time.
    ensure!(contended > 0, "no process was ever told that another one has the lock, which proves nothing");
    Ok(())
}

pub(super) async fn a_killed_process_locks_nothing_for_longer_than_its_ttl(bench: &LockBench) -> Checked {
    let mut processes = [start(bench, &LockJob::Keep { ttl: KEPT }).await?];
    start_together(&mut processes).await?;
    let [process] = &mut processes;
    let said = process.line().await;
    ensure_eq!(said.as_deref(), Some(HELD), "what the process says");
    process.kill();
    // A lock that knows when its holder dies may be quicker.
    let is_free = is_free(&*bench.here, KEY).await?;
    bench.note(if is_free { "free when its holder was dead" } else { "held when its holder was dead" });
    bench.wait_until_free(KEY, KEPT).await
}
