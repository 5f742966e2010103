//! Many random schedules of what can go wrong, the same ones in every run: two holders never overlap, and nothing stays.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::future::{Either, select};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use ticket_reservation::adapters::redlock::Redlock;
use ticket_reservation::ports::{Attempt, Clock, Extended, Lease, Lock, LockKey, LockToken, Released, Runtime};

use crate::common::scripted_redis::{Connecting, Fault, Redis, Servers, keys};
use crate::common::sim::{Sim, simulate};
use crate::common::world::{millis, seconds};

const NAMES: [&str; 3] = ["a", "b", "c"];

/// How long the workers work.
const WORK: Duration = Duration::from_secs(4);

const SEEDS: u64 = 60;

/// What may go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    /// Slow answers, and callers that go away.
    Delays,
    /// And connections that end and can be made again.
    Losses,
    /// And servers that freeze, restart, and cannot be connected to.
    All,
}

/// Who holds what, as the holders know it.
#[derive(Debug, Default)]
struct Holders {
    held: Mutex<HashMap<LockKey, (LockToken, Instant)>>,
    granted: Mutex<usize>,
}

impl Holders {
    fn took(&self, lease: &Lease, now: Instant) {
        assert!(lease.deadline() > now, "a lease that has ended is granted");
        let before = self.held.lock().unwrap().insert(lease.key().clone(), (*lease.token(), lease.deadline()));
        if let Some((_, until)) = before {
            assert!(until <= now, "{} is granted, and another one holds it for {:?} more", lease.key(), until - now);
        }
        *self.granted.lock().unwrap() += 1;
    }

    fn extended(&self, lease: &Lease) {
        if let Some((token, until)) = self.held.lock().unwrap().get_mut(lease.key())
            && token == lease.token()
        {
            *until = lease.deadline();
        }
    }

    /// From here on it is no longer relied on.
    fn gives_up(&self, lease: &Lease) {
        let mut held = self.held.lock().unwrap();
        if held.get(lease.key()).is_some_and(|(token, _)| token == lease.token()) {
            held.remove(lease.key());
        }
    }
}

struct Worker {
    sim: Sim,
    lock: Redlock,
    holders: Arc<Holders>,
    trouble: Trouble,
    dice: StdRng,
}

impl Worker {
    fn ms(&mut self, range: std::ops::Range<u64>) -> Duration {
        millis(self.dice.random_range(range))
    }

    /// Runs a call to its end, or drops it after a while.
    async fn perhaps<T>(&mut self, call: impl Future<Output = T>) -> Option<T> {
        let patience = if self.dice.random_ratio(1, 5) { self.ms(0..60) } else { seconds(60) };
        match select(std::pin::pin!(call), self.sim.sleep(patience)).await {
            Either::Left((answer, _)) => Some(answer),
            Either::Right(_) => None,
        }
    }

    async fn acquire(&mut self) -> Vec<Lease> {
        let ttl = self.ms(150..1_500);
        let first = self.dice.random_range(0..NAMES.len());
        let names = &NAMES[first..=self.dice.random_range(first..NAMES.len())];
        let (lock, keys) = (self.lock.clone(), keys(names));
        if self.dice.random_ratio(1, 2) {
            match self.perhaps(lock.acquire_all(&keys, ttl)).await {
                Some(Ok(Attempt::Granted(leases))) => leases,
                _ => Vec::new(),
            }
        } else {
            let attempts = self.perhaps(lock.acquire_each(&keys, ttl)).await.and_then(Result::ok).unwrap_or_default();
            let granted = |attempt| match attempt {
                Attempt::Granted(lease) => Some(lease),
                _ => None,
            };
            attempts.into_iter().filter_map(granted).collect()
        }
    }

    async fn extend(&mut self, leases: &mut [Lease]) {
        let (lock, ttl) = (self.lock.clone(), self.ms(150..1_500));
        let before: Vec<Instant> = leases.iter().map(Lease::deadline).collect();
        // A shorter one would end sooner, whatever becomes of the answer.
        let now = self.sim.now();
        if before.iter().any(|deadline| *deadline > now + ttl) {
            return;
        }
        let Some(Ok(extended)) = self.perhaps(lock.extend(leases, ttl)).await else { return };
        let now = self.sim.now();
        for ((lease, extended), before) in leases.iter().zip(extended).zip(before) {
            match extended {
                Extended::Extended => {
                    assert!(lease.deadline() > now, "an extension that has ended is confirmed");
                    self.holders.extended(lease);
                }
                Extended::Lost => assert!(before <= now, "{} was lost {:?} too early", lease.key(), before - now),
                _ => assert_eq!(lease.deadline(), before),
            }
        }
    }

    async fn release(&mut self, leases: Vec<Lease>) {
        leases.iter().for_each(|lease| self.holders.gives_up(lease));
        let (lock, deadlines) = (self.lock.clone(), leases.iter().map(Lease::deadline).collect::<Vec<_>>());
        let Some(Ok(released)) = self.perhaps(lock.release(leases)).await else { return };
        let now = self.sim.now();
        for (released, deadline) in released.into_iter().zip(deadlines) {
            // A release that was done, and whose answer was lost, is sent again, and finds another holder.
            let is_sent_once = self.trouble == Trouble::Delays;
            assert!(
                released != Released::NotOwner || deadline <= now || !is_sent_once,
                "another one had it before its end"
            );
        }
    }

    async fn work(mut self) {
        while self.sim.elapsed() < WORK {
            let mut leases = self.acquire().await;
            let now = self.sim.now();
            leases.iter().for_each(|lease| self.holders.took(lease, now));
            while !leases.is_empty() && self.dice.random_ratio(2, 3) {
                let pause = self.ms(0..200);
                self.sim.sleep(pause).await;
                match self.dice.random_range(0..3) {
                    0 => self.extend(&mut leases).await,
                    1 => {
                        let some = leases.split_off(self.dice.random_range(0..leases.len()));
                        self.release(some).await;
                    }
                    _ => {}
                }
            }
            self.release(leases).await;
            let pause = self.ms(0..20);
            self.sim.sleep(pause).await;
        }
    }
}

/// Makes trouble until the work is done, and then puts everything right.
async fn make_trouble(sim: Sim, servers: Vec<Redis>, trouble: Trouble, mut dice: StdRng) {
    while sim.elapsed() < WORK {
        sim.sleep(millis(dice.random_range(0..80))).await;
        let redis = &servers[dice.random_range(0..servers.len())];
        let kinds = match trouble {
            Trouble::Delays => 1,
            Trouble::Losses => 3,
            Trouble::All => 8,
        };
        match dice.random_range(0..kinds) {
            0 => {
                redis.delay_ms(dice.random_range(0..40));
            }
            1 => redis.lose_connections(),
            2 => {
                let fault = [Fault::LostBefore, Fault::LostAfter, Fault::Refused("OOM")];
                redis.faults([fault[dice.random_range(0..3)].clone()]);
            }
            3 => {
                redis.freeze();
            }
            4 | 5 => redis.thaw(),
            6 => redis.restart(true),
            _ => {
                let how = [Connecting::Works, Connecting::Works, Connecting::Fails, Connecting::Hangs];
                redis.connecting(how[dice.random_range(0..4)]).connect_delay_ms(dice.random_range(0..100));
            }
        }
    }
    for redis in &servers {
        redis.connecting(Connecting::Works).delay_ms(0).thaw();
    }
}

/// How many leases were granted.
fn schedule(seed: u64, trouble: Trouble) -> usize {
    let granted = Arc::new(Holders::default());
    let holders = Arc::clone(&granted);
    simulate(async |sim| {
        let mut dice = StdRng::seed_from_u64(seed);
        let servers = Servers::new(&sim, [1, 2, 3, 3, 3, 4, 5][dice.random_range(0..7)]);
        let locks: Vec<Redlock> =
            (0..3).map(|_| servers.redlock_with(|builder| builder.node_timeout(millis(60)))).collect();
        let mut tasks = Vec::new();
        for number in 0..9 {
            let (lock, dice) = (locks[number % 3].clone(), StdRng::seed_from_u64(dice.random()));
            let worker = Worker { sim: sim.clone(), lock, holders: Arc::clone(&holders), trouble, dice };
            tasks.push(sim.start(worker.work()));
        }
        tasks.push(sim.start(make_trouble(sim.clone(), servers.all.clone(), trouble, dice)));
        for task in tasks {
            task.answer().await;
        }
        for lock in &locks {
            assert!(lock.shutdown(seconds(30)).await, "something goes on for ever");
        }
        if trouble != Trouble::Delays {
            // What could not be reached ends with its TTL.
            sim.sleep_for(seconds(2)).await;
        }
        servers.assert_no_key();
        assert_eq!(sim.tasks(), 0, "a task goes on");
        assert!(servers.all.iter().all(|redis| redis.counts().connecting_max <= 3), "one at a time for each of three");
    });
    *granted.granted.lock().unwrap()
}

fn schedules(trouble: Trouble) {
    let mut granted = 0;
    for seed in 0..SEEDS {
        // The seed replays it.
        granted += std::panic::catch_unwind(|| schedule(seed, trouble))
            .unwrap_or_else(|_| panic!("{trouble:?} with seed {seed}"));
    }
    assert!(granted > 10 * SEEDS as usize, "next to nothing was granted: {granted}");
}

#[test]
fn with_slow_answers_and_dropped_calls_two_holders_never_overlap_and_nothing_is_left_after_shutdown() {
    schedules(Trouble::Delays);
}

#[test]
fn with_lost_connections_two_holders_never_overlap_and_nothing_is_left_after_the_ttl() {
    schedules(Trouble::Losses);
}

#[test]
fn with_frozen_and_restarting_servers_two_holders_never_overlap_and_nothing_is_left_after_the_ttl() {
    schedules(Trouble::All);
}
