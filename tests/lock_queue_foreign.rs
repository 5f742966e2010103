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

const TURNS: usize = 20;

/// How long the client waits, turn by turn, shortest first.
async fn waits(sim: &Sim, processes: usize, interval: Duration, quiet: bool) -> Vec<Duration> {
    let shared = MemoryLock::new(Arc::new(sim.clone()));
    let process = || Process::start(sim, &shared, 20, millis(2), |builder| builder.quiet_windows(quiet));
    let crowd: Vec<Process> = (0..processes).map(|_| process()).collect();
    sim.sleep(interval * 110).await;
    let foreign = FarLock::on(&shared, sim);
    let mut waits = Vec::new();
    for _ in 0..TURNS {
        sim.sleep(interval * (sim.random() % 100) as u32 + Duration::from_micros(sim.random() % 1_000)).await;
        waits.push(foreign_turn(sim, &foreign, interval).await);
    }
    for process in crowd {
        process.stop().await;
    }
    waits.sort();
    waits
}

/// Prints what a client waits that asks every `interval`, and answers with its longest wait.
fn longest_wait(processes: usize, interval: Duration, quiet: bool) -> Duration {
    let mut longest = Duration::ZERO;
    simulate(async |sim| {
        let waits = waits(&sim, processes, interval, quiet).await;
        let mean = waits.iter().sum::<Duration>() / TURNS as u32;
        let (median, most, max) = (waits[TURNS / 2], waits[TURNS * 9 / 10], waits[TURNS - 1]);
        let shown = [mean, median, most, max].map(|wait| format!("{} ms", wait.as_millis())).join(" | ");
        println!("| {processes} | {interval:?} | {quiet} | {shown} |");
        longest = max;
    });
    longest
}

const HEADER: &str = "| processes | asks every | quiet windows | mean | median | 90 % | longest of 20 |";

#[test]
fn a_foreign_client_gets_its_turn_in_the_next_window_it_cannot_miss() {
    println!("{HEADER}");
    for processes in [1, 4] {
        for (interval, bound) in [(1, 1_100), (10, 1_100), (100, 10_200)] {
            let longest = longest_wait(processes, millis(interval), true);
            assert!(longest <= millis(bound), "{processes} processes, asked every {interval} ms: waited {longest:?}");
        }
    }
}

#[test]
fn without_quiet_windows_a_foreign_client_still_gets_its_turn_between_tenures() {
    println!("{HEADER}");
    for processes in [1, 4] {
        let longest = longest_wait(processes, millis(100), false);
        assert!(longest <= seconds(60), "{processes} processes: waited {longest:?}");
    }
}
