//! The simulator: the same seed is the same world, everything that it says can go wrong does, and nothing is broken by it.
#![cfg(feature = "simulation")]

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ticket_reservation::simulation::{Fault, Invariant, Report, Trace, run, run_until, run_world, seed_of};

/// Any will do.
const SEED: u64 = 20_330_518;

fn two() -> NonZeroUsize {
    NonZeroUsize::new(2).unwrap()
}

/// What a world told.
fn told(seed: u64) -> (Vec<String>, u64) {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&lines);
    let report = run_world(seed, Trace::to(move |at, line| told.lock().unwrap().push(format!("{at:?} {line}"))));
    let lines = std::mem::take(&mut *lines.lock().unwrap());
    (lines, report.digest)
}

#[test]
fn the_same_seed_is_the_same_world_word_for_word() {
    for number in 0..6 {
        let (first, second) = (told(seed_of(SEED, number)), told(seed_of(SEED, number)));
        assert!(first.0.len() > 10, "{first:?}");
        assert_eq!(first, second);
    }
    assert_ne!(told(seed_of(SEED, 0)).1, told(seed_of(SEED, 1)).1);
}

/// Worlds of locks in which the order of what is done to several leases once was another each time.
#[test]
fn leases_are_gone_through_in_one_order() {
    for world in [29322560640779186, 11224239427194786353, 828303510155173783] {
        let first = run_world(world, Trace::off()).digest;
        for _ in 0..4 {
            assert_eq!(run_world(world, Trace::off()).digest, first, "world {world}");
        }
    }
}

#[test]
fn one_thread_and_several_go_through_the_same_worlds() {
    let time = Duration::from_secs(5_000);
    let counts = |report: Report| {
        (report.worlds, report.virtual_time, report.requests, report.bookings, report.faults, report.violations)
    };
    assert_eq!(counts(run(SEED, time, NonZeroUsize::MIN)), counts(run(SEED, time, two())));
}

/// More than one request in each second, more than twenty kinds of faults, each of them seen, and no promise broken.
#[test]
fn every_fault_happens_and_no_promise_is_broken() {
    let report = run(SEED, Duration::from_secs(60_000), two());
    assert_eq!(report.violations, []);
    let never: Vec<&str> =
        report.faults.iter().filter(|(_, count)| *count == 0).map(|(fault, _)| fault.name()).collect();
    assert!(never.is_empty(), "these never happened: {never:?}");
    assert!(Fault::ALL.len() >= 20);
    assert!(report.requests >= report.virtual_time.as_secs(), "{} requests", report.requests);
    assert!(report.bookings > 100, "{} bookings", report.bookings);
}

#[test]
fn names_are_those_of_one_thing_each() {
    let mut faults: Vec<&str> = Fault::ALL.iter().map(|fault| fault.name()).collect();
    let mut invariants: Vec<&str> = Invariant::ALL.iter().map(|invariant| invariant.name()).collect();
    for names in [&mut faults, &mut invariants] {
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}

#[test]
fn looking_for_what_is_not_broken_ends_with_the_time() {
    let report = run_until(SEED, Duration::from_secs(3_000), two(), |_| true);
    assert!(report.violations.is_empty() && report.virtual_time >= Duration::from_secs(3_000));
}
