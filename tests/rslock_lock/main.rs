//! The rslock adapter, beyond what the conformance suite asks of every lock: on real servers, beside foreign clients, and
//! when servers go away.
#![cfg(feature = "rslock")]

mod attempts;
#[path = "../common/chain.rs"]
mod chain;
mod down;
mod drops;
mod foreign;
mod leases;
#[path = "../../examples/flash_sale/redis_servers/mod.rs"]
mod redis_servers;
#[path = "../common/runtime.rs"]
mod runtime;
mod secrets;

use std::time::{Duration, Instant};

use redis_servers::{RedisServer, RedisServers};
use runtime::TestRuntime;
use ticket_reservation::adapters::rslock::{RslockLock, rslock};
use ticket_reservation::ports::{Attempt, Lease, Lock, LockKey, Released};

/// Long enough that it does not end during a test, and short enough to wait for.
const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(300);

fn key(text: &str) -> LockKey {
    LockKey::new(text).unwrap()
}

fn servers() -> RedisServers {
    RedisServers::start(3).expect("three servers")
}

/// As another process would have it: with connections of its own.
fn open(servers: &RedisServers) -> RslockLock {
    RslockLock::builder(rslock::LockManager::new(servers.urls()), TestRuntime::current()).build()
}

/// Of a host that waits for what becomes of its extensions.
fn extending(servers: &RedisServers) -> RslockLock {
    RslockLock::builder(rslock::LockManager::new(servers.urls()), TestRuntime::current()).extensions(true).build()
}

async fn take(lock: &RslockLock, text: &str, ttl: Duration) -> Attempt<Lease> {
    lock.acquire_each(&[key(text)], ttl).await.expect("an answer").remove(0)
}

async fn granted(lock: &RslockLock, text: &str, ttl: Duration) -> Lease {
    match take(lock, text, ttl).await {
        Attempt::Granted(lease) => lease,
        other => panic!("{text} is free and not granted: {other:?}"),
    }
}

async fn is_contended(lock: &RslockLock, text: &str) -> bool {
    matches!(take(lock, text, LONG).await, Attempt::Contended { .. })
}

async fn release(lock: &RslockLock, lease: Lease) -> Released {
    lock.release(vec![lease]).await.expect("an answer").remove(0)
}

fn keys(servers: &RedisServers) -> Vec<Vec<String>> {
    servers.iter().map(|server| server.keys().expect("keys")).collect()
}

fn nothing_is_left(servers: &RedisServers) -> bool {
    keys(servers).iter().all(Vec::is_empty)
}

async fn eventually(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !is_so() {
        assert!(Instant::now() < deadline, "not within half a minute: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A client of another kind, which knows the wire format and nothing else.
fn foreign_set(server: &RedisServer, text: &str) -> bool {
    let key = format!("redlock:{text}");
    server.command(&["SET", &key, "foreign", "NX", "PX", "60000"]).expect("an answer") == "OK"
}

fn foreign_delete(server: &RedisServer, text: &str) {
    assert_eq!(server.command(&["DEL", &format!("redlock:{text}")]).expect("an answer"), "1");
}
