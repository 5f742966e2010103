//! How long a client waits that knows nothing of queues, while processes keep a key busy with them. The table in the
//! documentation of `locking` is what this prints:
//! `cargo test --test lock_queue_foreign -- --nocapture`.

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::crowd::{Process, foreign_turn};
use common::far_lock::FarLock;
use common::sim::{Sim, simulate};
use common::world::{millis, seconds};
use ticket_reservation::adapters::memory::MemoryLock;
use ticket_reservation::ports::Runtime;

/// How long the client waits, in each of `turns` turns, shortest first.
async fn waits(sim: &Sim, processes: usize, interval: Duration, turns: usize, quiet: bool) -> Vec<Duration> {
    let shared = MemoryLock::new(Arc::new(sim.clone()));
    let process = || Process::start(sim, &shared, 20, millis(1), |builder| builder.quiet_windows(quiet));
    let crowd: Vec<Process> = (0..processes).map(|_| process()).collect();
    sim.sleep(seconds(11)).await;
    let foreign = FarLock::on(&shared, sim);
    let mut waits = Vec::new();
    for _ in 0..turns {
        sim.sleep(Duration::from_micros(sim.random() % 10_000_000)).await;
        waits.push(foreign_turn(sim, &foreign, interval).await);
    }
    for process in crowd {
        process.stop().await;
    }
    waits.sort();
    waits
}

fn table(quiet: bool, turns: usize) -> Vec<(usize, Duration, Duration)> {
    let mut longest = Vec::new();
    println!(
        "| processes | asks every | mean | median | 90 % | longest of {turns} |\n| --- | --- | --- | --- | --- | --- |"
    );
    for processes in [1, 4] {
        for interval in [1, 10, 100] {
            simulate(async |sim| {
                let waits = waits(&sim, processes, millis(interval), turns, quiet).await;
                let mean = waits.iter().sum::<Duration>() / turns as u32;
                let (median, most, max) = (waits[turns / 2], waits[turns * 9 / 10], waits[turns - 1]);
                let shown = [mean, median, most, max].map(|wait| format!("{} ms", wait.as_millis())).join(" | ");
                println!("| {processes} | {interval} ms | {shown} |");
                longest.push((processes, millis(interval), max));
            });
        }
    }
    longest
}

#[test]
fn a_foreign_client_gets_its_turn_in_the_next_window_it_cannot_miss() {
    for (processes, interval, longest) in table(true, 50) {
        let bound = if interval <= millis(10) { millis(1_100) } else { millis(10_200) };
        assert!(longest <= bound, "{processes} processes, asked every {interval:?}: waited {longest:?}");
    }
}
#[test]
fn tmp_without_quiet() {
    table(false, 50);
}
