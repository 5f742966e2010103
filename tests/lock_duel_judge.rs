//! The bars of the bench `lock_duel`: what meets them, what misses them, and when they do not apply.

#[path = "../benches/lock_duel/judge.rs"]
mod judge;

use judge::{Figures, Judgement, Run, judge};

const RUN: Run = Run { processes: 4, keys: 1, hold_us: 0, has_fault: false };
const HELD: Run = Run { hold_us: 2_000, ..RUN };

/// Just good enough for every bar.
const REDLOCK: Figures =
    Figures { per_second: 100_000.0, fairness: 0.1, commands_per_acquisition: 0.999, held_share: 0.9 };
const RAW: Figures = Figures { per_second: 1_000.0, fairness: 0.0, commands_per_acquisition: 118.0, held_share: 0.2 };

/// `+` met, `-` missed, `.` does not apply: throughput, commands, fairness, share of the time held.
fn outcome(run: Run, redlock: impl Into<Option<Figures>>, raw: impl Into<Option<Figures>>) -> String {
    let sign = |judgement: &Judgement| match judgement {
        Judgement::Met(_) => '+',
        Judgement::Missed(_) => '-',
        Judgement::DoesNotApply(_) => '.',
    };
    judge(run, redlock.into(), raw.into()).iter().map(sign).collect()
}

#[test]
fn what_is_just_good_enough_meets_the_bars_of_its_run() {
    assert_eq!(outcome(RUN, REDLOCK, RAW), "+++.");
    assert_eq!(outcome(HELD, REDLOCK, RAW), "...+");
}

#[test]
fn each_bar_is_missed_by_itself() {
    assert_eq!(outcome(RUN, Figures { per_second: 99_999.0, ..REDLOCK }, RAW), "-++.");
    assert_eq!(outcome(RUN, Figures { commands_per_acquisition: 1.0, ..REDLOCK }, RAW), "+-+.");
    assert_eq!(outcome(RUN, Figures { fairness: 0.099, ..REDLOCK }, RAW), "++-.");
    assert_eq!(outcome(HELD, Figures { held_share: 0.899, ..REDLOCK }, RAW), "...-");
}

#[test]
fn a_lock_that_nobody_got_meets_no_bar() {
    let nothing = Figures { per_second: 0.0, fairness: 0.0, commands_per_acquisition: 0.0, held_share: 0.0 };
    assert_eq!(outcome(RUN, nothing, nothing), "---.");
    assert_eq!(outcome(HELD, nothing, nothing), "...-");
    // Beside it any other one is fast.
    assert_eq!(outcome(RUN, REDLOCK, nothing), "+++.");
}

#[test]
fn what_the_run_cannot_tell_is_not_judged() {
    assert_eq!(outcome(Run { keys: 2, ..RUN }, REDLOCK, RAW), "....");
    assert_eq!(outcome(Run { has_fault: true, ..HELD }, REDLOCK, RAW), "....");
    assert_eq!(outcome(RUN, None, RAW), "....");
    assert_eq!(outcome(RUN, REDLOCK, None), ".++.");
    assert_eq!(outcome(Run { processes: 1, ..RUN }, REDLOCK, RAW), "++..");
}

#[test]
fn a_line_says_which_bar_and_by_how_much_or_why_not() {
    let slow = Figures { per_second: 50_000.0, ..REDLOCK };
    let [times, .., held] = judge(RUN, Some(slow), Some(RAW));
    assert!(times.is_missed() && !held.is_missed());
    let expected = "bar MISSED: times as often as rslock-raw: 50 (50000/s and 1000/s), at least 100";
    assert_eq!(times.to_string(), expected);
    assert_eq!(held.to_string(), "bar does not apply: share of the time held: the key was held for no time");
}
