use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::dice::Dice;
use super::executor::locked;
use super::fault::Fired;
use super::invariant::{Invariant, Violation};
use super::trace::Trace;
use super::world::{WorldReport, run_world};

/// What happened in many worlds.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// What the worlds' seeds were made from.
    pub seed: u64,
    /// How many worlds there were.
    pub worlds: u64,
    /// How much time passed in all of them.
    pub virtual_time: Duration,
    /// How long it took.
    pub wall_time: Duration,
    /// How many calls there were.
    pub requests: u64,
    /// How many of them booked something.
    pub bookings: u64,
    /// What went wrong, how often.
    pub faults: Fired,
    /// What was not as it must be, with the seed of its world.
    pub violations: Vec<(u64, Violation)>,
}

impl Report {
    fn add(&mut self, world: WorldReport) {
        self.worlds += 1;
        self.virtual_time += world.virtual_time;
        self.requests += world.requests;
        self.bookings += world.bookings;
        self.faults.add(&world.faults);
        self.violations.extend(world.violations.into_iter().map(|violation| (world.seed, violation)));
    }
}

/// Runs worlds, one on each of so many threads at a time, until so much time has passed in all of them together. The same seed runs
/// the same worlds.
#[must_use]
pub fn run(seed: u64, virtual_time: Duration, threads: NonZeroUsize) -> Report {
    run_until(seed, virtual_time, threads, |_| false)
}

/// Runs worlds as [`run`] does, but no more of them once something is broken that is looked for.
#[must_use]
pub fn run_until(
    seed: u64,
    virtual_time: Duration,
    threads: NonZeroUsize,
    is_enough: impl Fn(Invariant) -> bool + Sync,
) -> Report {
    let started = Instant::now();
    let mut report = Report { seed, ..Report::default() };
    go_through(seed, threads, |world| {
        let is_found = world.violations.iter().any(|violation| is_enough(violation.invariant));
        report.add(world);
        !is_found && report.virtual_time < virtual_time
    });
    report.wall_time = started.elapsed();
    report
}

/// Runs one world after another on so many threads, and hands them over in their order until that says no.
fn go_through(seed: u64, threads: NonZeroUsize, take: impl FnMut(WorldReport) -> bool + Send) {
    /// Worlds that wait for one before them.
    struct Waiting<T> {
        take: T,
        next: u64,
        done: BTreeMap<u64, WorldReport>,
    }
    let (begun, is_over) = (AtomicU64::new(0), AtomicBool::new(false));
    let waiting = Mutex::new(Waiting { take, next: 0, done: BTreeMap::new() });
    std::thread::scope(|scope| {
        for _ in 0..threads.get() {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    let number = begun.fetch_add(1, Ordering::Relaxed);
                    let world = run_world(seed_of(seed, number), Trace::off());
                    let waiting = &mut *locked(&waiting);
                    waiting.done.insert(number, world);
                    while let Some(world) = waiting.done.remove(&waiting.next) {
                        waiting.next += 1;
                        if is_over.load(Ordering::Relaxed) || !(waiting.take)(world) {
                            is_over.store(true, Ordering::Relaxed);
                        }
                    }
                }
            });
        }
    });
}

/// The seed of one of the worlds.
#[must_use]
pub fn seed_of(seed: u64, number: u64) -> u64 {
    let mut dice = Dice::new(seed ^ number.wrapping_mul(0xd6e8_feb8_6659_fd93));
    dice.next()
}
