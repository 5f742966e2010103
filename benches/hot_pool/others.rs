//! What other programs do with the processors.

use std::fs;
use std::thread;
use std::time::Duration;

/// How long nothing is done, to see what others do: some forty ticks of two processors.
const REST: Duration = Duration::from_millis(200);

/// Which share of all processors is in use while this bench rests. None where the system does not say, as only Linux does.
pub(crate) fn share() -> Option<f64> {
    let (idle_before, all_before) = ticks()?;
    thread::sleep(REST);
    let (idle, all) = ticks()?;
    let (idle, all) = (idle.saturating_sub(idle_before), all.saturating_sub(all_before));
    Some(1.0 - idle as f64 / all.max(1) as f64)
}

/// Idle ticks, waiting for a disk included, and all ticks. What another machine has taken is not idle.
fn ticks() -> Option<(u64, u64)> {
    let text = fs::read_to_string("/proc/stat").ok()?;
    // user, nice, system, idle, iowait, irq, softirq, steal; the rest is part of these.
    let ticks: Vec<u64> = text.lines().next()?.split_whitespace().skip(1).take(8).flat_map(str::parse).collect();
    Some((ticks.get(3)? + ticks.get(4)?, ticks.iter().sum()))
}
