//! One of three servers out of order.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ticket_reservation::adapters::redlock::Redlock;
use ticket_reservation::ports::LockKey;
use tokio::runtime::Handle;

use crate::ratio::{Bar, judge};
use crate::redis_servers::{RedisServer, RedisServers, SilentServer};
use crate::runtime::TokioRuntime;
use crate::turns::{NODES, TTL, acquire, release};

/// How often each fault happens, to servers and a lock of its own.
const TURNS: usize = 7;
/// Acquires before it and after.
const ACQUIRES: usize = 3_000;
/// By then it has been noticed: some ten times the time that a server has for an answer.
const NOTICED: Duration = Duration::from_millis(500);

#[derive(Debug, Clone, Copy)]
enum Fault {
    Frozen,
    Dead,
    Silent,
}

impl Fault {
    fn strike(self, server: &RedisServer) -> io::Result<Option<SilentServer>> {
        match self {
            Self::Frozen => server.pause()?,
            Self::Dead | Self::Silent => server.kill(),
        }
        Ok(match self {
            Self::Silent => Some(SilentServer::on(server.port())?),
            Self::Frozen | Self::Dead => None,
        })
    }
}

/// Measures all, and whether the bars are met.
pub(crate) async fn run() -> bool {
    let mut is_met = true;
    for (fault, name) in [(Fault::Frozen, "frozen"), (Fault::Dead, "dead"), (Fault::Silent, "silent")] {
        let mut ratios = Vec::with_capacity(TURNS);
        for _ in 0..TURNS {
            ratios.push(turn(fault).await);
        }
        is_met &= judge(&format!("p99 of acquire, one of three {name} : none"), ratios, Bar::AtMost(2.0));
    }
    is_met
}

async fn turn(fault: Fault) -> f64 {
    let servers = RedisServers::start(NODES).expect("private Redis servers");
    let runtime = Arc::new(TokioRuntime::new(Handle::current()));
    let lock = Redlock::builder(runtime).nodes(servers.urls()).build().expect("valid nodes");
    let key = LockKey::new("faults").expect("a key");
    p99(&lock, &key, ACQUIRES / 10).await;
    let healthy = p99(&lock, &key, ACQUIRES).await;
    let struck = fault.strike(&servers[0]).expect("a server that can be put out of order");
    let noticed = Instant::now() + NOTICED;
    while Instant::now() < noticed {
        p99(&lock, &key, 1).await;
    }
    let impaired = p99(&lock, &key, ACQUIRES).await;
    lock.shutdown(Duration::from_secs(2)).await;
    drop(struck);
    impaired / healthy
}

/// The p99 of the time of an acquire, in seconds.
async fn p99(lock: &Redlock, key: &LockKey, acquires: usize) -> f64 {
    let mut times = Vec::with_capacity(acquires);
    for _ in 0..acquires {
        let started = Instant::now();
        let leases = acquire(lock, key, TTL).await;
        times.push(started.elapsed().as_secs_f64());
        release(lock, leases).await;
    }
    times.sort_by(f64::total_cmp);
    times[(acquires - 1) * 99 / 100]
}
