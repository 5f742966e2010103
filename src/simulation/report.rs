use std::num::NonZeroUsize;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::dice::Dice;
use super::executor::locked;
use super::fault::Fired;
use super::invariant::Violation;
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
    let started = Instant::now();
    let (next, is_over) = (AtomicU64::new(0), AtomicBool::new(false));
    let done: Mutex<Vec<Option<WorldReport>>> = Mutex::default();
    std::thread::scope(|scope| {
        for _ in 0..threads.get() {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let world = run_world(seed_of(seed, number), Trace::off());
                    let mut done = locked(&done);
                    let at = number as usize;
                    if done.len() <= at {
                        done.resize(at + 1, None);
                    }
                    done[at] = Some(world);
                    let passed: Duration = done.iter().map_while(|it| it.as_ref().map(|it| it.virtual_time)).sum();
                    if passed >= virtual_time {
                        is_over.store(true, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let mut report = Report { seed, ..Report::default() };
    for world in std::mem::take(&mut *locked(&done)).into_iter().map_while(|world| world) {
        if report.virtual_time >= virtual_time {
            break;
        }
        report.add(world);
    }
    report.wall_time = started.elapsed();
    report
}

/// The seed of one of the worlds.
#[must_use]
pub fn seed_of(seed: u64, number: u64) -> u64 {
    let mut dice = Dice::new(seed ^ number.wrapping_mul(0xd6e8_feb8_6659_fd93));
    dice.next()
}
