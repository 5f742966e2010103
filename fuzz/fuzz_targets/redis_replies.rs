#![no_main]
//! Whatever Redis servers say, byte by byte, to the lock that asks them: real connections, virtual time.

#[path = "redis_replies/runtime.rs"]
mod runtime;
#[path = "redis_replies/says.rs"]
mod says;
#[path = "redis_replies/server.rs"]
mod server;

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use arbitrary::{Arbitrary, Unstructured};
use libfuzzer_sys::fuzz_target;
use ticket_reservation::adapters::redlock::{Quarantine, Redlock, RedlockError, Vote};
use ticket_reservation::ports::{Attempt, Extended, Lease, Lock, LockKey, Released};

use tokio::signal::unix::{Signal, SignalKind, signal};

use runtime::Virtual;
use says::Say;
use server::{Asked, NODES, Servers};

const TTL: Duration = Duration::from_secs(2);

/// Longer than any call may take: what is not answered by then never is.
const AT_MOST: Duration = Duration::from_secs(3_600);

/// Longest text about all nodes, in bytes: it does not repeat what servers say.
const MESSAGE_BYTES_MAX: usize = 1_000;

#[derive(Debug, Arbitrary)]
struct Input {
    keys: u8,
    is_quarantined: bool,
    is_checked: bool,
    nodes: [Node; NODES],
}

/// How the lock is asked for.
#[derive(Debug, Clone, Copy)]
enum Keys {
    One,
    /// All or none, by a script.
    AllOf(usize),
    /// Each by itself.
    EachOf(usize),
}

impl Keys {
    fn of(byte: u8) -> Self {
        match byte {
            0..=100 => Self::One,
            101..=180 => Self::AllOf(2),
            181..=250 => Self::EachOf(3),
            // In more than one script.
            _ => Self::EachOf(6),
        }
    }
}

#[derive(Debug, Arbitrary)]
struct Node {
    /// It answers as it should until it is asked for a lock.
    is_welcoming: bool,
    /// What it says then, one thing to each request; after that it answers as it should.
    says: Vec<Say>,
}

fuzz_target!(|data: &[u8]| {
    let Ok(input) = Input::arbitrary_take_rest(Unstructured::new(data)) else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    runtime.expect("a runtime").block_on(async {
        // As in every program whose `main` is Rust's: who writes to a connection that has ended is told so, and not killed.
        static PIPE: LazyLock<Signal> = LazyLock::new(|| signal(SignalKind::pipe()).expect("a signal"));
        LazyLock::force(&PIPE);
        let Input { keys, is_quarantined, is_checked, nodes } = input;
        let servers = Servers::start(nodes.map(|node| (node.is_welcoming, node.says)));
        let quarantine = if is_quarantined { Quarantine::For(TTL) } else { Quarantine::Off };
        let builder = Redlock::builder(Arc::new(Virtual::default())).nodes(servers.urls()).quarantine(quarantine);
        let lock = builder.build().expect("a lock");
        let whole = async {
            if is_checked {
                for node in lock.check().await {
                    node.findings.iter().for_each(assert_plain);
                }
            }
            let leases = acquire(&lock, &servers, Keys::of(keys)).await;
            use_them(&lock, &servers, leases).await;
            // What is left to be told to nodes that do not listen is given up.
            lock.shutdown(TTL).await;
        };
        assert!(tokio::time::timeout(AT_MOST, whole).await.is_ok(), "a call never ends");
    });
});

async fn acquire(lock: &Redlock, servers: &Servers, keys: Keys) -> Vec<Lease> {
    let count = match keys {
        Keys::One => 1,
        Keys::AllOf(count) | Keys::EachOf(count) => count,
    };
    let keys_wanted: Vec<LockKey> = (0..count).map(|n| LockKey::new(format!("k{n}")).expect("a key")).collect();
    let started = tokio::time::Instant::now().into_std();
    let leases: Vec<Lease> = match keys {
        Keys::EachOf(_) => match lock.acquire_each(&keys_wanted, TTL).await {
            Ok(attempts) => attempts.into_iter().filter_map(granted).collect(),
            Err(error) => {
                assert_plain(&error);
                Vec::new()
            }
        },
        Keys::One | Keys::AllOf(_) => match lock.try_acquire(&keys_wanted, TTL).await {
            Ok(acquisition) => {
                let done = servers.done(Asked::Acquire);
                for (node, report) in acquisition.nodes.iter().enumerate() {
                    assert_plain(report);
                    let has_granted = done.by(node, &keys_wanted[0]);
                    assert!(report.vote != Vote::Granted || has_granted, "node {node} has granted nothing");
                }
                let leases = granted(acquisition.attempt).unwrap_or_default();
                assert!(leases.is_empty() || leases.len() == keys_wanted.len(), "all or none");
                leases
            }
            Err(error @ RedlockError::NoQuorum(_)) => {
                assert_plain(&error);
                Vec::new()
            }
            Err(RedlockError::TooLate { .. }) => Vec::new(),
            Err(error) => panic!("{error}"),
        },
    };
    let now = tokio::time::Instant::now().into_std();
    let done = servers.done(Asked::Acquire);
    for lease in &leases {
        assert!(now < lease.deadline() && lease.deadline() < started + TTL, "the lease outlives its key");
        assert!(done.by_majority(lease.key()), "{} is granted by no majority", lease.key());
    }
    leases
}

/// Leases are extended and given back by majorities alone.
async fn use_them(lock: &Redlock, servers: &Servers, mut leases: Vec<Lease>) {
    let extended = lock.extend(&mut leases, TTL).await.expect("an answer to each lease");
    assert_eq!(extended.len(), leases.len());
    let done = servers.done(Asked::Extend);
    for (lease, extended) in leases.iter().zip(extended) {
        let is_by_majority = done.by_majority(lease.key());
        assert!(extended != Extended::Extended || is_by_majority, "{} is extended by no majority", lease.key());
    }
    let keys: Vec<LockKey> = leases.iter().map(|lease| lease.key().clone()).collect();
    let released = lock.release(leases).await.expect("an answer to each lease");
    assert_eq!(released.len(), keys.len());
    let done = servers.done(Asked::Release);
    for (key, released) in keys.iter().zip(released) {
        let is_by_majority = done.by_majority(key);
        assert!(released != Released::Released || is_by_majority, "{key} is released by no majority");
    }
}

fn granted<T>(attempt: Attempt<T>) -> Option<T> {
    match attempt {
        Attempt::Granted(leases) => Some(leases),
        _ => None,
    }
}

/// One line that is not long.
fn assert_plain(shown: &impl std::fmt::Display) {
    let text = shown.to_string();
    assert!(text.len() <= MESSAGE_BYTES_MAX, "{} bytes: {text:.200}", text.len());
    assert!(!text.chars().any(char::is_control), "{text:?}");
}
