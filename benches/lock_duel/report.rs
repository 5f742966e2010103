//! What is printed about one lock.

use serde::Serialize;

use crate::args::{Args, Fault, LockName};
use crate::judge::Figures;
use crate::orders::Outcome;

/// One line of JSON.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) lock: LockName,
    processes: u32,
    waiters: u32,
    keys: u32,
    hold_us: u64,
    nodes: u32,
    fault: Fault,
    acquisitions: u64,
    seconds: f64,
    pub(crate) per_second: f64,
    wait_ms: Waits,
    fairness: f64,
    commands_per_acquisition: f64,
    pub(crate) overlaps: u64,
    /// Acquisitions that failed before the time was over.
    failures: u64,
    /// The share of the time that the keys were held, of what one holder after another could have had.
    held_share: f64,
}

#[derive(Debug, Serialize)]
struct Waits {
    p50: f64,
    p99: f64,
    max: f64,
}

impl Report {
    pub(crate) fn new(
        lock: LockName,
        args: &Args,
        outcomes: &[Outcome],
        seconds: f64,
        commands: u64,
        overlaps: u64,
    ) -> Self {
        let acquisitions: u64 = outcomes.iter().map(|it| it.acquisitions).sum();
        let least = outcomes.iter().map(|it| it.acquisitions).min().unwrap_or_default();
        let mean = acquisitions as f64 / outcomes.len() as f64;
        let held_us: u64 = outcomes.iter().map(|it| it.held_us).sum();
        let of_acquisitions = |what: f64| if acquisitions == 0 { 0.0 } else { what / acquisitions as f64 };
        Self {
            lock,
            processes: args.processes,
            waiters: args.waiters,
            keys: args.keys,
            hold_us: args.hold_us,
            nodes: args.nodes,
            fault: args.fault,
            acquisitions,
            seconds: round(seconds),
            per_second: round(acquisitions as f64 / seconds),
            wait_ms: waits(outcomes),
            fairness: if mean == 0.0 { 0.0 } else { round(least as f64 / mean) },
            commands_per_acquisition: round(of_acquisitions(commands as f64)),
            overlaps,
            failures: outcomes.iter().map(|it| it.failures).sum(),
            held_share: round(held_us as f64 / 1e6 / seconds / f64::from(args.keys)),
        }
    }

    /// What it is judged by.
    pub(crate) fn figures(&self) -> Figures {
        Figures {
            per_second: self.per_second,
            fairness: self.fairness,
            commands_per_acquisition: self.commands_per_acquisition,
            held_share: self.held_share,
        }
    }

    pub(crate) fn print(&self, json: bool) {
        if json {
            println!("{}", serde_json::to_string(self).unwrap_or_default());
            return;
        }
        let Waits { p50, p99, max } = self.wait_ms;
        println!(
            "{:<10} {:>10.0}/s, waits {p50:.1} ms (p99 {p99:.1}, longest {max:.0}), fairness {:.2}, {:.2} commands each, {} \
             overlaps, held {:.0} % of the time{}",
            format!("{:?}", self.lock),
            self.per_second,
            self.fairness,
            self.commands_per_acquisition,
            self.overlaps,
            self.held_share * 100.0,
            if self.failures == 0 { String::new() } else { format!(", {} failures", self.failures) },
        );
    }
}

/// To what can be said of it.
fn round(figure: f64) -> f64 {
    (figure * 1_000.0).round() / 1_000.0
}

fn waits(outcomes: &[Outcome]) -> Waits {
    // Each process's sample stands for as many waits as it had.
    let mut all: Vec<(u32, f64)> = outcomes
        .iter()
        .flat_map(|it| {
            let weight = it.acquisitions as f64 / it.waits_us.len().max(1) as f64;
            it.waits_us.iter().map(move |wait| (*wait, weight))
        })
        .collect();
    all.sort_unstable_by_key(|(wait, _)| *wait);
    let total: f64 = all.iter().map(|(_, weight)| weight).sum();
    let quantile = |share: f64| {
        let mut passed = 0.0;
        let found = all.iter().find(|(_, weight)| {
            passed += weight;
            passed >= share * total
        });
        round(f64::from(found.map_or(0, |(wait, _)| *wait)) / 1_000.0)
    };
    let max = outcomes.iter().map(|it| it.longest_wait_us).max().unwrap_or_default();
    Waits { p50: quantile(0.5), p99: quantile(0.99), max: round(max as f64 / 1_000.0) }
}
