//! Futures that are dropped at every await: nothing stays locked.

use std::cell::Cell;
use std::task::Poll;

use futures_util::future::LocalBoxFuture;
use ticket_reservation::adapters::redlock::Redlock;
use ticket_reservation::ports::{Attempt, Lease, Lock};

use crate::common::scripted_redis::{Servers, give_back, keys};
use crate::common::sim::{Sim, poll_once, simulate};
use crate::common::world::millis;
use crate::{TTL, leases, start_taking, take};

/// What happens between two polls.
#[derive(Debug, Clone, Copy)]
enum Pace {
    /// One step of everybody else.
    Step,
    /// A millisecond passes.
    Millisecond,
}

impl Pace {
    async fn go(self, sim: &Sim) {
        match self {
            Self::Step => sim.step().await,
            Self::Millisecond => sim.sleep_for(millis(1)).await,
        }
    }
}

/// Polls at most so often. The answer, if it is ready by then; else the future is dropped.
async fn polled<T>(sim: &Sim, pace: Pace, polls: usize, mut future: LocalBoxFuture<'_, T>) -> Option<T> {
    for _ in 0..polls {
        if let Poll::Ready(answer) = poll_once(&mut future).await {
            return Some(answer);
        }
        pace.go(sim).await;
    }
    None
}

/// Runs a test with more polls each time, at each pace and with each latency, until it says that the future was ready.
fn at_every_poll(test: impl AsyncFn(Sim, Servers, Pace, usize) -> bool) {
    for (pace, delays) in [(Pace::Step, [0, 0, 0]), (Pace::Millisecond, [2, 4, 7]), (Pace::Millisecond, [1, 9, 9])] {
        let is_ready = Cell::new(false);
        let mut polls = 0;
        while !is_ready.get() {
            simulate(async |sim| {
                let servers = Servers::new(&sim, 3);
                servers.delays_ms(delays);
                is_ready.set(test(sim.clone(), servers, pace, polls).await);
            });
            polls += 1;
            assert!(polls < 1_000, "it is never ready");
        }
        assert!(polls >= 2, "it was never dropped half-way: ready after {polls} polls");
    }
}

async fn give_back_each(lock: &Redlock, attempts: Vec<Attempt<Lease>>) {
    for attempt in attempts {
        if let Attempt::Granted(lease) = attempt {
            give_back(lock, vec![lease]).await;
        }
    }
}

#[test]
fn acquiring_all_can_be_dropped_at_every_poll() {
    at_every_poll(async |sim, servers, pace, polls| {
        let (lock, keys) = (servers.redlock(), keys(&["a", "b"]));
        let taken = polled(&sim, pace, polls, Box::pin(lock.acquire_all(&keys, TTL))).await;
        let is_ready = taken.is_some();
        if let Some(Ok(Attempt::Granted(leases))) = taken {
            give_back(&lock, leases).await;
        }
        servers.assert_nothing_left(&lock).await;
        is_ready
    });
}

#[test]
fn acquiring_each_can_be_dropped_at_every_poll() {
    at_every_poll(async |sim, servers, pace, polls| {
        let (lock, other) = (servers.redlock(), servers.redlock());
        let held = take(&other, &["b"]).await;
        let names = keys(&["a", "b", "c"]);
        let taken = polled(&sim, pace, polls, Box::pin(lock.acquire_each(&names, TTL))).await;
        let is_ready = taken.is_some();
        if let Some(attempts) = taken {
            give_back_each(&lock, attempts.unwrap()).await;
        }
        give_back(&other, held).await;
        assert!(other.shutdown(millis(2_000)).await);
        servers.assert_nothing_left(&lock).await;
        is_ready
    });
}

#[test]
fn acquiring_each_can_be_dropped_while_it_gives_back_what_it_got_in_vain() {
    at_every_poll(async |sim, servers, pace, polls| {
        let lock = servers.redlock();
        let warm = take(&lock, &["warm"]).await;
        give_back(&lock, warm).await;
        sim.sleep_for(millis(20)).await;
        // One key is decided too late, and the other in time.
        servers.all[0].taken_by_another("b", millis(3_000));
        servers.all[1].fails_with("b", "OOM");
        servers.all[2].fails_with("b", "OOM");
        let names = keys(&["a", "b"]);
        let taken = polled(&sim, pace, polls, Box::pin(lock.acquire_each(&names, TTL))).await;
        let is_ready = taken.is_some();
        if let Some(taken) = taken {
            taken.unwrap_err();
        }
        assert!(lock.shutdown(millis(2_000)).await);
        assert_eq!(servers.keys(), [1, 0, 0]);
        is_ready
    });
}

#[test]
fn trying_to_acquire_can_be_dropped_at_every_poll() {
    at_every_poll(async |sim, servers, pace, polls| {
        let (lock, keys) = (servers.redlock(), keys(&["seat"]));
        let taken = polled(&sim, pace, polls, Box::pin(lock.try_acquire(&keys, TTL))).await;
        let is_ready = taken.is_some();
        if let Some(taken) = taken {
            give_back(&lock, leases(taken)).await;
        }
        servers.assert_nothing_left(&lock).await;
        is_ready
    });
}

#[test]
fn extending_can_be_dropped_at_every_poll() {
    for forgets in [false, true] {
        at_every_poll(async |sim, servers, pace, polls| {
            let lock = servers.redlock();
            let mut held = take(&lock, &["a", "b"]).await;
            sim.sleep_for(millis(20)).await;
            if forgets {
                servers.all[0].forget("a");
            }
            let extended = polled(&sim, pace, polls, Box::pin(lock.extend(&mut held, TTL))).await;
            give_back(&lock, held).await;
            servers.assert_nothing_left(&lock).await;
            extended.is_some()
        });
    }
}

#[test]
fn releasing_can_be_dropped_at_every_poll_once_it_has_begun() {
    at_every_poll(async |sim, servers, pace, polls| {
        let lock = servers.redlock();
        let held = take(&lock, &["a", "b"]).await;
        let released = polled(&sim, pace, polls + 1, Box::pin(lock.release(held))).await;
        servers.assert_nothing_left(&lock).await;
        released.is_some()
    });
}

#[test]
fn releasing_can_be_dropped_at_every_poll_while_others_ask_too() {
    at_every_poll(async |sim, servers, pace, polls| {
        let lock = servers.redlock();
        let held = take(&lock, &["a"]).await;
        let others = ["b", "c"].map(|name| start_taking(&sim, &lock, &[name]));
        sim.idle().await;
        let released = polled(&sim, pace, polls + 1, Box::pin(lock.release(held))).await;
        for other in others {
            give_back(&lock, leases(other.answer().await)).await;
        }
        servers.assert_nothing_left(&lock).await;
        released.is_some()
    });
}

/// Several callers ask at the same time, and the one who sends for all of them goes away.
#[test]
fn whoever_sends_for_others_can_be_dropped_at_every_poll_and_they_are_answered() {
    at_every_poll(async |sim, servers, pace, polls| {
        let lock = servers.redlock();
        let busy = start_taking(&sim, &lock, &["busy"]);
        sim.idle().await;
        let names = keys(&["seat"]);
        let mut leader: LocalBoxFuture<'_, _> = Box::pin(lock.try_acquire(&names, TTL));
        let mut taken = None;
        if polls > 0 {
            match poll_once(&mut leader).await {
                Poll::Ready(answer) => taken = Some(answer),
                Poll::Pending => {}
            }
        }
        let others = ["a", "b", "c"].map(|name| start_taking(&sim, &lock, &[name]));
        if taken.is_none() {
            taken = polled(&sim, pace, polls.saturating_sub(1), leader).await;
        }
        let is_ready = taken.is_some();
        if let Some(taken) = taken {
            give_back(&lock, leases(taken)).await;
        }
        for other in others.into_iter().chain([busy]) {
            give_back(&lock, leases(other.answer().await)).await;
        }
        servers.assert_nothing_left(&lock).await;
        is_ready
    });
}

#[test]
fn whoever_comes_along_can_be_dropped_at_every_poll() {
    at_every_poll(async |sim, servers, pace, polls| {
        let lock = servers.redlock();
        let busy = start_taking(&sim, &lock, &["busy"]);
        sim.idle().await;
        let leader = start_taking(&sim, &lock, &["seat"]);
        sim.step().await;
        let names = keys(&["a", "b"]);
        let taken = polled(&sim, pace, polls, Box::pin(lock.try_acquire(&names, TTL))).await;
        let is_ready = taken.is_some();
        if let Some(taken) = taken {
            give_back(&lock, leases(taken)).await;
        }
        for other in [busy, leader] {
            give_back(&lock, leases(other.answer().await)).await;
        }
        servers.assert_nothing_left(&lock).await;
        is_ready
    });
}

#[test]
fn when_all_who_ask_together_go_away_nothing_stays_locked() {
    at_every_poll(async |sim, servers, pace, polls| {
        let lock = servers.redlock();
        let busy = start_taking(&sim, &lock, &["busy"]);
        sim.idle().await;
        let names = [keys(&["a"]), keys(&["b"]), keys(&["c"])];
        let mut all: Vec<LocalBoxFuture<'_, _>> =
            names.iter().map(|names| -> LocalBoxFuture<'_, _> { Box::pin(lock.try_acquire(names, TTL)) }).collect();
        let mut taken = Vec::new();
        for _ in 0..polls {
            let mut left = Vec::new();
            for mut one in all {
                match poll_once(&mut one).await {
                    Poll::Ready(answer) => taken.push(answer),
                    Poll::Pending => left.push(one),
                }
            }
            all = left;
            pace.go(&sim).await;
        }
        let is_ready = taken.len() == 3;
        drop(all);
        for answer in taken {
            give_back(&lock, leases(answer)).await;
        }
        give_back(&lock, leases(busy.answer().await)).await;
        servers.assert_nothing_left(&lock).await;
        is_ready
    });
}
