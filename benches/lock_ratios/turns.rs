//! Turns that are measured one after the other.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ticket_reservation::adapters::redlock::Redlock;
use ticket_reservation::adapters::rslock::rslock::LockManager;
use ticket_reservation::ports::{Attempt, Lease, Lock, LockKey};
use tokio::runtime::Handle;

use crate::bare::Bare;
use crate::ratio::{Bar, judge, median, ratios};
use crate::redis_servers::RedisServers;
use crate::runtime::TokioRuntime;

/// Servers of the locks.
pub(crate) const NODES: usize = 3;
pub(crate) const TTL: Duration = Duration::from_secs(10);
/// Turns, and how often a key is acquired and released in each.
const SERIAL: (usize, u32) = (301, 20);
const AT_ONCE: (usize, u32) = (15, 150);
const TASKS: u32 = 64;
/// Measures all, and whether the bars are met.
pub(crate) async fn run() -> bool {
    let servers = RedisServers::start(NODES).expect("private Redis servers");
    let urls = servers.urls();
    let runtime = Arc::new(TokioRuntime::new(Handle::current()));
    let redlock = Redlock::builder(runtime).nodes(urls.clone()).build().expect("valid nodes");
    let bare = Arc::new(Bare::connect(&urls).await);
    let contenders =
        [Contender::Redlock(redlock.clone()), Contender::Bare(bare), Contender::Rslock(LockManager::new(urls))];
    let mut serial = [const { Vec::new() }; 3];
    for _ in 0..SERIAL.0 {
        for (contender, times) in contenders.iter().zip(&mut serial) {
            times.push(serially(contender).await);
        }
    }
    let mut at_once = [const { Vec::new() }; 3];
    for _ in 0..AT_ONCE.0 {
        for (contender, times) in contenders.iter().zip(&mut at_once) {
            times.push(together(contender).await);
        }
    }
    for ((name, one), many) in ["redlock", "bare", "rslock"].into_iter().zip(&serial).zip(&at_once) {
        let (one, many) = (median(one.clone()), 1e6 / median(many.clone()));
        println!("{name}: {one:.0} µs one after the other, {many:.0} a second by {TASKS} tasks");
    }
    redlock.shutdown(Duration::from_secs(2)).await;
    // Of throughputs, which is the inverse of the times, where there are many tasks.
    judge("redlock : bare, serial", ratios(&serial[0], &serial[1]), Bar::AtMost(1.15))
        & judge("rslock : redlock, serial", ratios(&serial[2], &serial[0]), Bar::AtLeast(1.0))
        & judge("redlock : rslock, 64 tasks", ratios(&at_once[2], &at_once[0]), Bar::AtLeast(2.0))
        & judge("redlock : bare, 64 tasks", ratios(&at_once[1], &at_once[0]), Bar::None)
}

#[derive(Clone)]
enum Contender {
    Redlock(Redlock),
    Bare(Arc<Bare>),
    Rslock(LockManager),
}

impl Contender {
    async fn acquire_and_release(&self, number: u32) {
        match self {
            Self::Redlock(lock) => {
                let key = LockKey::new(format!("redlock/{number}")).expect("a key");
                acquire_and_release(lock, &key).await;
            }
            Self::Bare(bare) => bare.acquire_and_release(&format!("bare/{number}")).await,
            Self::Rslock(lock) => {
                let guard = lock.acquire(format!("rslock/{number}").as_str(), TTL).await;
                guard.expect("the nodes answer").release().await;
            }
        }
    }
}

/// The time of one, in microseconds.
async fn serially(contender: &Contender) -> f64 {
    let started = Instant::now();
    for _ in 0..SERIAL.1 {
        contender.acquire_and_release(0).await;
    }
    started.elapsed().as_secs_f64() * 1e6 / f64::from(SERIAL.1)
}

/// The time of one, in microseconds, while all tasks are at it, each with a key of its own.
async fn together(contender: &Contender) -> f64 {
    let started = Instant::now();
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| {
            let contender = contender.clone();
            tokio::spawn(async move {
                for _ in 0..AT_ONCE.1 {
                    contender.acquire_and_release(task).await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("no task panics");
    }
    started.elapsed().as_secs_f64() * 1e6 / f64::from(TASKS * AT_ONCE.1)
}

async fn acquire_and_release(lock: &Redlock, key: &LockKey) {
    release(lock, acquire(lock, key, TTL).await).await;
}

/// The node that did not count may still have the last turn's value, for as long as its answer takes.
pub(crate) async fn acquire(lock: &Redlock, key: &LockKey, ttl: Duration) -> Vec<Lease> {
    loop {
        let answer = lock.acquire_all(std::slice::from_ref(key), ttl).await.expect("a majority answers");
        if let Attempt::Granted(leases) = answer {
            return leases;
        }
    }
}

pub(crate) async fn release(lock: &Redlock, leases: Vec<Lease>) {
    let _ = lock.release(leases).await.expect("a majority answers");
}
