//! The figures of a sale.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::args::name;
use crate::audit::Audited;
use crate::meter::Progress;
use crate::sale::Sale;

/// Everything about a sale that is over, in the order in which it is printed.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) plan: String,
    pub(crate) places: usize,
    pub(crate) standing: u32,
    pub(crate) processes: u32,
    pub(crate) buyers: u32,
    pub(crate) concurrency: u32,
    pub(crate) demand: String,
    pub(crate) store: String,
    pub(crate) lock: String,
    pub(crate) lock_policy: String,
    pub(crate) contention: String,
    pub(crate) combining: bool,
    pub(crate) seed: u64,
    pub(crate) killed: usize,
    pub(crate) seconds: f64,
    pub(crate) requests: u64,
    pub(crate) requests_per_s: f64,
    pub(crate) bookings: u64,
    pub(crate) bookings_per_s: f64,
    pub(crate) places_sold: u64,
    pub(crate) standing_sold: u64,
    pub(crate) double_booked: u64,
    pub(crate) lost_acknowledged: u64,
    pub(crate) unrequested_sold: u64,
    pub(crate) unknown: usize,
    pub(crate) rejected: BTreeMap<String, u64>,
    /// No refusal, and not among the promised figures: for people alone.
    #[serde(skip)]
    pub(crate) store_failed: u64,
    pub(crate) latency_ms: Latency,
    pub(crate) batches: Batches,
    pub(crate) lock_acquisitions: u64,
    pub(crate) audit: &'static str,
}

/// How long answers took, in milliseconds.
#[derive(Debug, Serialize)]
pub(crate) struct Latency {
    pub(crate) p50: f64,
    pub(crate) p95: f64,
    pub(crate) p99: f64,
    pub(crate) max: f64,
}

/// What the commits were like.
#[derive(Debug, Serialize)]
pub(crate) struct Batches {
    pub(crate) commits: u64,
    /// Requests of one commit.
    pub(crate) mean_size: f64,
    pub(crate) max_size: u64,
    pub(crate) conflicts: u64,
}

impl Report {
    /// The figures of `sale`, which took so long.
    pub(crate) fn new(sale: &Sale, audited: &Audited, progress: Progress, killed: usize, took: Duration) -> Self {
        let seconds = took.as_secs_f64();
        let per_second = |count: u64| rounded(count as f64 / seconds.max(1e-6), 1);
        let requests = audited.journal.answers.len() as u64;
        Self {
            plan: sale.hall.name.clone(),
            places: sale.hall.seats(),
            standing: sale.hall.standing,
            processes: sale.processes,
            buyers: sale.buyers,
            concurrency: sale.concurrency,
            demand: name(sale.demand),
            store: name(sale.store),
            lock: name(sale.lock),
            lock_policy: name(sale.lock_policy),
            contention: name(sale.contention),
            combining: sale.combining,
            seed: sale.seed,
            killed,
            seconds: rounded(seconds, 3),
            requests,
            requests_per_s: per_second(requests),
            bookings: audited.bookings,
            bookings_per_s: per_second(audited.bookings),
            places_sold: audited.seats_sold,
            standing_sold: audited.standing_sold,
            double_booked: audited.findings.double_booked,
            lost_acknowledged: audited.findings.lost_acknowledged,
            unrequested_sold: audited.findings.unrequested_sold,
            unknown: audited.journal.unknown(),
            rejected: audited.journal.rejected.clone(),
            store_failed: audited.journal.failed,
            latency_ms: Latency::of(audited.journal.latencies_us()),
            batches: Batches {
                commits: progress.commits,
                mean_size: rounded(progress.committed_requests as f64 / progress.commits.max(1) as f64, 2),
                max_size: progress.commit_requests_max,
                conflicts: progress.conflicts,
            },
            lock_acquisitions: progress.locks,
            audit: if audited.passed() { "passed" } else { "failed" },
        }
    }
}

impl Latency {
    fn of(latencies_us: impl Iterator<Item = u64>) -> Self {
        let mut sorted: Vec<u64> = latencies_us.collect();
        sorted.sort_unstable();
        // The nearest rank: the smallest value that so many in a hundred do not exceed.
        let at = |percent: usize| {
            let rank = (sorted.len() * percent).div_ceil(100);
            sorted.get(rank.saturating_sub(1)).map_or(0.0, |us| rounded(*us as f64 / 1_000.0, 3))
        };
        Self { p50: at(50), p95: at(95), p99: at(99), max: at(100) }
    }
}

fn rounded(value: f64, decimals: i32) -> f64 {
    let scale = 10_f64.powi(decimals);
    (value * scale).round() / scale
}
