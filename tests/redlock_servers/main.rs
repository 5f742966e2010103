//! Redlock on real servers: processes that are stopped, killed and restarted, sockets that are silent, and clients of other
//! kinds. What the engine decides in each order of events is tested over scripted servers, in `redlock_engine`.
//!
//! Nothing here measures time. Where a wrong behaviour would wait, it would wait for longer than a test may take.
#![cfg(feature = "redlock")]

#[path = "../common/authority.rs"]
mod authority;
#[path = "../common/mod.rs"]
mod common;
#[path = "../../examples/flash_sale/redis_servers/mod.rs"]
mod redis_servers;

mod again;
mod back;
mod booking;
mod checks;
mod down;
mod drops;
mod endless;
mod foreign;
mod in_flight;
mod owed;
mod restart;
mod secrets;
mod stopped;
mod tls;

use std::fmt::Debug;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use common::chain::chain;
use common::runtime::TestRuntime;
use redis_servers::{RedisServer, RedisServers};
use ticket_reservation::adapters::redlock::{Acquisition, NodeReport, Redlock, RedlockBuilder, RedlockError, Vote};
use ticket_reservation::ports::{Attempt, Extended, Lease, Lock, LockKey, Observation, Observer, Released};

/// Long enough that it does not end during a test.
const LONG: Duration = Duration::from_secs(3_600);

/// How long a node has for its answer where nobody is to wait for one that gives none: longer than a test may take.
const NO_TIMEOUT: Duration = Duration::from_secs(60);

/// How long a test may wait for anything.
const AT_MOST: Duration = Duration::from_secs(30);

fn servers() -> RedisServers {
    RedisServers::start(3).expect("three servers")
}

fn builder(servers: &RedisServers) -> RedlockBuilder {
    let builder = Redlock::builder(TestRuntime::current()).nodes(servers.urls());
    // However busy the machine is, a server that runs is not given up.
    builder.node_timeout(NO_TIMEOUT).connect_timeout(NO_TIMEOUT)
}

/// As another process would have it: with connections of its own.
fn open(servers: &RedisServers) -> Redlock {
    builder(servers).build().expect("a lock")
}

fn key(text: &str) -> LockKey {
    LockKey::new(text).expect("a key")
}

/// The answer, which must not depend on anything that a test holds up.
async fn soon<F: Future>(what: &str, answer: F) -> F::Output {
    tokio::time::timeout(AT_MOST, answer).await.unwrap_or_else(|_| panic!("not within half a minute: {what}"))
}

async fn attempt(lock: &Redlock, text: &str) -> Result<Acquisition, RedlockError> {
    soon("an attempt", lock.try_acquire(&[key(text)], LONG)).await
}

/// One lease, or when to come back.
async fn take(lock: &Redlock, text: &str) -> Attempt<Lease> {
    match attempt(lock, text).await.expect("an answer").attempt {
        Attempt::Granted(mut leases) => Attempt::Granted(leases.remove(0)),
        Attempt::Contended { retry_after } => Attempt::Contended { retry_after },
        other => panic!("{other:?}"),
    }
}

async fn granted(lock: &Redlock, text: &str) -> Lease {
    match take(lock, text).await {
        Attempt::Granted(lease) => lease,
        other => panic!("{text} is free and not granted: {other:?}"),
    }
}

async fn is_contended(lock: &Redlock, text: &str) -> bool {
    matches!(take(lock, text).await, Attempt::Contended { .. })
}

async fn extend(lock: &Redlock, lease: &mut Lease) -> Extended {
    let extended = soon("an extension", lock.extend(std::slice::from_mut(lease), LONG)).await;
    extended.expect("an answer").remove(0)
}

async fn release(lock: &Redlock, lease: Lease) -> Released {
    soon("a release", lock.release(vec![lease])).await.expect("an answer").remove(0)
}

/// Takes, extends and gives back, as everybody must be able to.
async fn use_it(lock: &Redlock, text: &str) {
    let mut lease = granted(lock, text).await;
    assert_eq!(extend(lock, &mut lease).await, Extended::Extended);
    assert_eq!(release(lock, lease).await, Released::Released);
}

/// What each node had said when no quorum was found.
async fn no_quorum(lock: &Redlock, text: &str) -> Vec<Vote> {
    match attempt(lock, text).await {
        Err(RedlockError::NoQuorum(error)) => votes(error.nodes()),
        other => panic!("a quorum: {other:?}"),
    }
}

fn votes(reports: &[NodeReport]) -> Vec<Vote> {
    reports.iter().map(|report| report.vote.clone()).collect()
}

fn keys(servers: &RedisServers) -> Vec<Vec<String>> {
    servers.iter().map(|server| server.keys().expect("keys")).collect()
}

fn has_key(server: &RedisServer, text: &str) -> bool {
    server.keys().expect("keys").contains(&format!("redlock:{text}"))
}

/// After everything that goes on in the background, no server has any key.
async fn assert_nothing_is_left(lock: &Redlock, servers: &RedisServers) {
    assert!(lock.shutdown(AT_MOST).await, "something goes on in the background");
    assert_eq!(keys(servers), [[""; 0]; 3]);
}

async fn eventually(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + AT_MOST;
    while !is_so().await {
        assert!(Instant::now() < deadline, "not within half a minute: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn send(server: &RedisServer, line: &str) -> String {
    let words: Vec<&str> = line.split(' ').collect();
    server.command(&words).unwrap_or_else(|error| panic!("{line}: {error}"))
}

/// Notes what is said about nodes and locks, as lines of text.
#[derive(Debug, Default)]
struct Notes(Mutex<Vec<String>>);

impl Observer for Notes {
    fn observe(&self, observation: &Observation<'_>) {
        let line = match observation {
            Observation::LockNodeDown { node, error } => format!("down {node} {} {error:?}", chain(*error)),
            Observation::LockNodeUp { node } => format!("up {node} "),
            Observation::LockFailed { error } => format!("failed {} {error:?}", chain(*error)),
            _ => return,
        };
        self.0.lock().unwrap().push(line);
    }
}

impl Notes {
    fn new() -> Arc<Self> {
        Arc::default()
    }

    fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    fn count(&self, what: &str) -> usize {
        self.all().iter().filter(|line| line.starts_with(what)).count()
    }

    /// How often a node was said to be `down` or `up`.
    fn count_of(&self, what: &str, server: &RedisServer) -> usize {
        self.count(&format!("{what} 127.0.0.1:{} ", server.port()))
    }
}

fn debug(value: &impl Debug) -> String {
    format!("{value:?} {value:#?}")
}
