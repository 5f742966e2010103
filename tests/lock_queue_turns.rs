//! Processes take turns: a lease stays in one for a bounded number of hand-offs and a bounded time, and then others win.

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::crowd::{Process, foreign_turn};
use common::far_lock::{FarLock, key};
use common::sim::{Sim, simulate};
use common::world::{millis, seconds};
use ticket_reservation::adapters::memory::MemoryLock;
use ticket_reservation::locking::LockQueueBuilder;
use ticket_reservation::ports::Runtime;

fn shared(sim: &Sim) -> MemoryLock {
    MemoryLock::new(Arc::new(sim.clone()))
}

fn endless(builder: LockQueueBuilder) -> LockQueueBuilder {
    builder.tenure_max(seconds(3_600)).handoffs_max(u64::MAX).quiet_windows(false)
}

/// How long a foreign client waits that asks every millisecond, beside a process with 20 callers of `hold`.
async fn foreign_wait(sim: &Sim, hold: Duration, configure: fn(LockQueueBuilder) -> LockQueueBuilder) -> Duration {
    let shared = shared(sim);
    let process = Process::start(sim, &shared, 20, hold, configure);
    sim.sleep(millis(5)).await;
    let foreign = FarLock::on(&shared, sim);
    let waited = foreign_turn(sim, &foreign, millis(1)).await;
    process.stop().await;
    waited
}

#[test]
fn a_tenure_ends_after_its_time() {
    simulate(async |sim| {
        let waited = foreign_wait(&sim, millis(1), |builder| endless(builder).tenure_max(millis(30))).await;
        assert!(waited >= millis(20) && waited <= millis(40), "{waited:?}");
    });
}

#[test]
fn a_tenure_ends_after_so_many_hand_offs() {
    simulate(async |sim| {
        let waited = foreign_wait(&sim, millis(1), |builder| endless(builder).handoffs_max(29)).await;
        assert!(waited >= millis(20) && waited <= millis(40), "{waited:?}");
    });
}

#[test]
fn a_holder_is_not_interrupted_at_the_end_of_a_tenure() {
    simulate(async |sim| {
        let waited = foreign_wait(&sim, millis(200), |builder| endless(builder).tenure_max(millis(30))).await;
        assert!(waited >= millis(190) && waited <= millis(210), "{waited:?}");
    });
}

#[test]
fn without_hand_offs_every_caller_asks_the_lock() {
    simulate(async |sim| {
        let process = Process::start(&sim, &shared(&sim), 5, millis(1), |builder| builder.handoffs_max(0));
        sim.sleep(seconds(1)).await;
        let ((acquired, _, _), turns) = (process.lock.calls(), process.turns());
        assert!(turns > 100 && acquired as u64 >= turns, "{acquired} calls for {turns} turns");
        process.stop().await;
    });
}

#[test]
fn processes_get_about_the_same_number_of_turns() {
    simulate(async |sim| {
        let shared = shared(&sim);
        let crowd: Vec<_> = (0..4).map(|_| Process::start(&sim, &shared, 50, millis(2), |builder| builder)).collect();
        sim.sleep(seconds(20)).await;
        let turns: Vec<u64> = crowd.iter().map(Process::turns).collect();
        let (total, least) = (turns.iter().sum::<u64>(), *turns.iter().min().unwrap());
        assert!(least * 4 * 10 >= total * 7, "somebody is behind: {turns:?}");
        assert!(total * 2 >= 20_000 * 90 / 100, "{total} holds of 2 ms in 20 s");
        for process in crowd {
            process.stop().await;
        }
    });
}

#[test]
fn a_process_alone_loses_little_to_its_rests() {
    simulate(async |sim| {
        let process = Process::start(&sim, &shared(&sim), 50, millis(1), |builder| builder);
        sim.sleep(seconds(20)).await;
        let turns = process.turns();
        assert!(turns >= 19_000, "{turns} holds of 1 ms in 20 s");
        process.stop().await;
    });
}

#[test]
fn a_second_process_gets_in_soon_although_the_first_never_pauses() {
    simulate(async |sim| {
        let shared = shared(&sim);
        let first = Process::start(&sim, &shared, 50, millis(1), |builder| builder);
        sim.sleep(seconds(3)).await;
        for _ in 0..20 {
            let second = Process::start(&sim, &shared, 1, millis(1), |builder| builder);
            let begun = sim.elapsed();
            while second.turns() == 0 {
                sim.sleep(millis(1)).await;
            }
            let waited = sim.elapsed() - begun;
            assert!(waited <= millis(600), "{waited:?}");
            second.stop().await;
        }
        first.stop().await;
    });
}

#[test]
fn those_who_lose_ask_rarely() {
    simulate(async |sim| {
        let shared = shared(&sim);
        let foreign = FarLock::on(&shared, &sim);
        let _held = foreign.take_as_foreigner(&key("gala"), seconds(60)).unwrap();
        let process = Process::start(&sim, &shared, 1_000, millis(1), |builder| builder);
        sim.sleep(seconds(10)).await;
        let asked = process.lock.calls().0;
        assert!((2_500..=5_000).contains(&asked), "a thousand callers asked {asked} times in 10 s");
    });
}

#[test]
fn a_lease_about_to_end_by_itself_is_asked_for_when_it_has() {
    simulate(async |sim| {
        for number in 0..30 {
            let shared = shared(&sim);
            let foreign = FarLock::on(&shared, &sim);
            let _never_released = foreign.take_as_foreigner(&key("gala"), millis(50 + number)).unwrap();
            let (process, begun) = (Process::start(&sim, &shared, 1, millis(1), |builder| builder), sim.elapsed());
            while process.turns() == 0 {
                sim.sleep(Duration::from_micros(50)).await;
            }
            let late = sim.elapsed() - begun - millis(50 + number);
            assert!(late <= Duration::from_micros(600), "{late:?} after the lease had ended");
            process.stop().await;
        }
    });
}

#[test]
fn after_its_tenure_a_process_lets_the_other_win() {
    simulate(async |sim| {
        let shared = shared(&sim);
        let start = || Process::start(&sim, &shared, 20, millis(1), |builder| builder.quiet_windows(false));
        let (first, second) = (start(), start());
        sim.sleep(seconds(1)).await;
        let (mut before, mut since, mut longest) = (first.turns(), sim.elapsed(), Duration::ZERO);
        for _ in 0..10_000 {
            sim.sleep(millis(1)).await;
            if first.turns() != before {
                (before, since) = (first.turns(), sim.elapsed());
            }
            longest = longest.max(sim.elapsed() - since);
        }
        assert!(longest <= millis(65), "it had no turn for {longest:?}, longer than one tenure of the other");
        first.stop().await;
        second.stop().await;
    });
}

#[test]
fn when_the_others_have_gone_rests_are_short_again() {
    simulate(async |sim| {
        let shared = shared(&sim);
        let start = || Process::start(&sim, &shared, 20, millis(1), |builder| builder.quiet_windows(false));
        let (stays, goes) = (start(), start());
        sim.sleep(seconds(2)).await;
        goes.stop().await;
        sim.sleep(millis(100)).await;
        let before = stays.turns();
        sim.sleep(seconds(10)).await;
        let turns = stays.turns() - before;
        assert!(turns >= 9_500, "{turns} holds of 1 ms in 10 s");
        stays.stop().await;
    });
}

#[test]
fn a_turn_of_others_begins_a_new_tenure() {
    simulate(async |sim| {
        let shared = shared(&sim);
        let lock = FarLock::on(&shared, &sim);
        let queue = lock.queue().tenure_max(millis(50)).build();
        let first = queue.acquire(&key("gala"), seconds(1)).await.unwrap();
        lock.way(millis(2));
        drop(first);
        let callers: Vec<_> = (0..5)
            .map(|_| {
                let (runtime, queue) = (sim.clone(), queue.clone());
                sim.start(async move {
                    let guard = queue.acquire(&key("gala"), seconds(1)).await.unwrap();
                    runtime.sleep(millis(1)).await;
                    let _ = guard.release().await;
                })
            })
            .collect();
        sim.sleep(millis(3)).await;
        let theirs = lock.take_as_foreigner(&key("gala"), seconds(10)).unwrap();
        sim.sleep(millis(100)).await;
        lock.give_back(theirs);
        for caller in callers {
            caller.answer().await;
        }
        assert_eq!(lock.calls().2, 2, "the five need one lease");
    });
}
