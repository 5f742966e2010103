//! The rslock adapter, beyond what the conformance suite asks of every lock: on real servers, beside foreign clients, and
//! when servers go away.
#![cfg(feature = "rslock")]

#[path = "common/chain.rs"]
mod chain;
#[path = "../examples/flash_sale/redis_servers/mod.rs"]
mod redis_servers;
#[path = "common/runtime.rs"]
mod runtime;

use std::io::Read;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chain::chain;
use futures_util::FutureExt;
use redis_servers::{RedisServer, RedisServers};
use runtime::TestRuntime;
use ticket_reservation::adapters::rslock::{RslockLock, rslock};
use ticket_reservation::locking::LockQueue;
use ticket_reservation::ports::{Attempt, Clock, Extended, Lease, Lock, LockKey, Released};

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

// ---- other clients

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_foreign_client_that_has_a_majority_excludes_us_until_it_is_gone() {
    let servers = servers();
    let lock = open(&servers);
    assert!(foreign_set(&servers[0], "seat") && foreign_set(&servers[2], "seat"));
    assert!(is_contended(&lock, "seat").await);
    assert_eq!(servers[1].keys().unwrap(), [""; 0], "what a refused attempt took is given back");
    assert_eq!(servers[0].command(&["GET", "redlock:seat"]).unwrap(), "foreign");
    foreign_delete(&servers[0], "seat");
    let lease = granted(&lock, "seat", LONG).await;
    assert_eq!(release(&lock, lease).await, Released::Released);
    assert_eq!(keys(&servers), [vec![], vec![], vec!["redlock:seat".to_owned()]], "a foreign lock stays");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn we_exclude_a_foreign_client_until_we_release() {
    let servers = servers();
    let lock = open(&servers);
    let lease = granted(&lock, "seat", LONG).await;
    assert!(servers.iter().all(|server| !foreign_set(server, "seat")));
    assert_eq!(release(&lock, lease).await, Released::Released);
    assert!(servers.iter().all(|server| foreign_set(server, "seat")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_hosts_own_use_of_rslock_and_the_adapter_exclude_each_other() {
    let servers = servers();
    let manager = rslock::LockManager::new(servers.urls());
    let lock = RslockLock::builder(manager.clone(), TestRuntime::current()).key_prefix("").build();
    let theirs = manager.lock("seat", LONG).await.expect("granted");
    assert!(is_contended(&lock, "seat").await);
    theirs.release().await;
    let ours = granted(&lock, "seat", LONG).await;
    manager.lock("seat", LONG).await.expect_err("it is held");
    assert_eq!(release(&lock, ours).await, Released::Released);
    manager.lock("seat", LONG).await.expect("it is free");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_prefix_keeps_locks_apart() {
    let servers = servers();
    let manager = rslock::LockManager::new(servers.urls());
    let with = |prefix: &str| {
        RslockLock::builder(manager.clone(), TestRuntime::current()).key_prefix(prefix.to_owned()).build()
    };
    let (one, other) = (with("one:"), with("other:"));
    let (_one, _other) = (granted(&one, "seat", LONG).await, granted(&other, "seat", LONG).await);
    assert!(is_contended(&one, "seat").await && is_contended(&with("one:"), "seat").await);
    assert_eq!(keys(&servers), vec![vec!["one:seat".to_owned(), "other:seat".to_owned()]; 3]);
}

// ---- attempts

/// Its three attempts with up to 200 ms between them are not the port's, and a delay of zero makes rslock panic.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_call_is_one_attempt_whatever_the_manager_is_set_to() {
    let servers = servers();
    let mut manager = rslock::LockManager::new(servers.urls());
    manager.set_retry(50, Duration::ZERO);
    let lock = RslockLock::builder(manager, TestRuntime::current()).build();
    let _lease = granted(&lock, "seat", LONG).await;
    assert!(is_contended(&lock, "seat").await);
    for server in servers.iter() {
        assert_eq!(server.calls().unwrap().get("set"), Some(&2), "one that was granted, and one that was not");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_gets_not_all_keys_gives_back_what_it_got() {
    let servers = servers();
    let lock = open(&servers);
    let lease = granted(&lock, "m", LONG).await;
    let wanted: Vec<LockKey> = ["z", "m", "a"].map(key).to_vec();
    assert!(matches!(open(&servers).acquire_all(&wanted, LONG).await, Ok(Attempt::Contended { .. })));
    assert_eq!(keys(&servers), vec![vec!["redlock:m".to_owned()]; 3]);
    assert_eq!(release(&lock, lease).await, Released::Released);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_for_ever_is_refused() {
    let servers = servers();
    let lock = open(&servers);
    let error = lock.acquire_each(&[key("seat")], Duration::MAX).await.expect_err("no such TTL");
    assert!(chain(&error).contains("the TTL is longer than"), "{}", chain(&error));
    lock.acquire_all(&[key("seat")], Duration::MAX).await.expect_err("no such TTL");
    let mut leases = [granted(&lock, "seat", LONG).await];
    lock.extend(&mut leases, Duration::MAX).await.expect_err("no such TTL");
}

/// A TTL that has ended before anybody could answer is no lock.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_for_no_time_is_a_failure() {
    let error = open(&servers()).acquire_each(&[key("seat")], Duration::ZERO).await.expect_err("no time");
    assert!(chain(&error).contains("took longer to answer"), "{}", chain(&error));
}

// ---- callers who go away

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_call_leaves_no_key_on_any_server() {
    let servers = servers();
    let lock = open(&servers);
    for polls in 0..40_u64 {
        let wanted = [key(&format!("a{polls}")), key(&format!("b{polls}"))];
        let mut call = pin!(lock.acquire_all(&wanted, LONG));
        if let Some(answer) = call.as_mut().now_or_never() {
            // Answered before it could be dropped.
            let Ok(Attempt::Granted(leases)) = answer else { panic!("{answer:?}") };
            lock.release(leases).await.expect("an answer");
            continue;
        }
        tokio::time::sleep(Duration::from_micros(polls * 40)).await;
        // Dropped here, on its way or with an answer that nobody takes.
    }
    let leases = [granted(&lock, "c", LONG).await, granted(&lock, "d", LONG).await];
    drop(lock.release(leases.to_vec()).now_or_never());
    eventually("all keys are gone", || nothing_is_left(&servers)).await;
}

#[test]
fn a_runtime_that_has_ended_is_a_failure() {
    let servers = servers();
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let lock = tokio.block_on(async { open(&servers) });
    drop(tokio);
    let error = lock.acquire_all(&[key("seat")], LONG).now_or_never().expect("at once").expect_err("no runtime");
    assert!(chain(&error).contains("the runtime has ended"), "{}", chain(&error));
}

// ---- leases

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_ends_before_its_keys_do_by_the_drift() {
    let servers = servers();
    let (lock, runtime) = (open(&servers), TestRuntime::current());
    let before = runtime.now();
    let lease = granted(&lock, "seat", Duration::from_secs(10)).await;
    let usable = lease.deadline() - before;
    assert!(usable >= Duration::from_millis(9_898), "{usable:?}");
    assert!(lease.deadline() <= runtime.now() + Duration::from_millis(9_898), "{usable:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_became_of_a_release_is_said() {
    let servers = servers();
    let (lock, other) = (open(&servers), open(&servers));
    let lease = granted(&lock, "seat", LONG).await;
    assert_eq!(release(&lock, lease.clone()).await, Released::Released);
    assert!(nothing_is_left(&servers));
    assert_ne!(release(&lock, lease).await, Released::Released, "a second time");

    let expired = granted(&lock, "seat", SHORT).await;
    eventually("the key has ended", || nothing_is_left(&servers)).await;
    assert_eq!(release(&lock, expired.clone()).await, Released::Expired);
    let theirs = granted(&other, "seat", LONG).await;
    assert_eq!(release(&lock, expired).await, Released::NotOwner);
    assert_eq!(release(&other, theirs).await, Released::Released);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_that_was_taken_away_is_not_ours_to_release() {
    let servers = servers();
    let lock = open(&servers);
    let lease = granted(&lock, "seat", LONG).await;
    for server in servers.iter() {
        server.command(&["FLUSHALL"]).expect("an answer");
        assert!(foreign_set(server, "seat"));
    }
    assert_eq!(release(&lock, lease).await, Released::NotOwner);
    assert_eq!(keys(&servers), vec![vec!["redlock:seat".to_owned()]; 3]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_handle_can_give_back_and_extend_a_lease() {
    let servers = servers();
    let (lock, other) = (extending(&servers), extending(&servers));
    let mut leases = vec![granted(&lock, "seat", LONG).await];
    let before = leases[0].deadline();
    assert_eq!(other.extend(&mut leases, 2 * LONG).await.unwrap(), [Extended::Extended]);
    assert!(leases[0].deadline() > before);
    assert_eq!(other.release(leases).await.unwrap(), [Released::Released]);
    assert!(nothing_is_left(&servers));
}

/// rslock does that, and no adapter can keep it from it. A lost lock is lost for good.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_extension_that_no_majority_confirms_has_lost_the_lock_everywhere() {
    let servers = servers();
    let lock = extending(&servers);
    let mut leases = vec![granted(&lock, "seat", LONG).await];
    let deadline = leases[0].deadline();
    servers[0].command(&["FLUSHALL"]).expect("an answer");
    assert_eq!(lock.extend(&mut leases, LONG).await.unwrap(), [Extended::Extended], "two are a majority");
    servers[1].command(&["FLUSHALL"]).expect("an answer");
    assert_eq!(lock.extend(&mut leases, LONG).await.unwrap(), [Extended::Lost]);
    assert!(nothing_is_left(&servers), "{:?}", keys(&servers));
    assert_eq!(lock.extend(&mut leases, LONG).await.unwrap(), [Extended::Lost], "nothing is taken again");
    assert!(leases[0].deadline() >= deadline);
    assert!(nothing_is_left(&servers));
}

/// As long as it is, and neither shorter nor longer for who has gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_extension_by_less_than_is_left_shortens_nothing() {
    let servers = servers();
    let lock = extending(&servers);
    let mut leases = vec![granted(&lock, "seat", LONG).await];
    let deadline = leases[0].deadline();
    assert_eq!(lock.extend(&mut leases, SHORT).await.unwrap(), [Extended::Extended]);
    assert!(leases[0].deadline() >= deadline);
    drop(lock.extend(&mut leases, SHORT).now_or_never());
    assert_eq!(lock.extend(&mut leases, SHORT).await.unwrap(), [Extended::Extended], "after the one that was dropped");
    for server in servers.iter() {
        let left: u64 = server.command(&["PTTL", "redlock:seat"]).unwrap().parse().unwrap();
        assert!(Duration::from_millis(left) > LONG / 2, "{left}");
    }
}

/// rslock would release it when no majority answers in time, and the queue, which does not wait for that, would go on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_that_a_queue_keeps_is_its_own_until_its_end_whatever_becomes_of_the_servers() {
    let servers = servers();
    let (lock, other) = (open(&servers), open(&servers));
    release(&other, granted(&other, "warm", LONG).await).await;
    for number in 0..10 {
        if nobody_else_has_it_while_it_is_held(&servers, &lock, &other, &format!("seat{number}")).await > 0 {
            return;
        }
        // It was over before anybody else asked: the machine is busy.
    }
    panic!("nobody asked in time");
}

/// How often another one asked in vain while the queue's guard said that it was held, the servers having stood still meanwhile.
async fn nobody_else_has_it_while_it_is_held(
    servers: &RedisServers,
    lock: &RslockLock,
    other: &RslockLock,
    text: &str,
) -> u32 {
    // The queue extends after a third of it, and waits for another third; rslock waits for a second.
    const TTL: Duration = Duration::from_secs(2);
    let asked = Instant::now();
    let queue = LockQueue::builder(Arc::new(lock.clone()), TestRuntime::current()).ttl(TTL).build();
    let guard = queue.acquire(&key(text), LONG).await.expect("it is free");
    tokio::time::sleep_until((asked + TTL / 4).into()).await;
    servers.iter().take(2).for_each(|server| server.pause().expect("it stands still"));
    tokio::time::sleep_until((asked + TTL * 7 / 10).into()).await;
    servers.iter().take(2).for_each(|server| server.resume().expect("it goes on"));
    let mut in_vain = 0;
    loop {
        let taken = take(other, text, LONG).await;
        let is_held = !guard.is_lost();
        if let Attempt::Granted(lease) = taken {
            assert!(!is_held, "two holders");
            release(other, lease).await;
            return in_vain;
        }
        in_vain += u32::from(is_held);
        assert!(asked.elapsed() < 15 * TTL, "it never ends");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

// ---- servers that go away

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_one_server_of_three_down_locks_are_granted_and_released() {
    let servers = servers();
    let (lock, other) = (open(&servers), open(&servers));
    for down in [0, 2] {
        servers[down].kill();
        let lease = granted(&lock, "seat", LONG).await;
        assert!(is_contended(&other, "seat").await);
        assert_eq!(release(&lock, lease).await, Released::Released);
        assert!(servers[1].keys().unwrap().is_empty());
        servers[down].restart().expect("it starts again");
    }
    // The first call after a restart finds that its connection is gone, and makes the next one.
    let _first = granted(&lock, "first", LONG).await;
    let lease = granted(&lock, "seat", LONG).await;
    assert!(servers.iter().all(|server| server.keys().unwrap().contains(&"redlock:seat".to_owned())));
    assert_eq!(release(&lock, lease).await, Released::Released);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_two_of_three_down_it_is_a_failure_and_no_contention() {
    let servers = servers();
    let lock = open(&servers);
    servers[0].kill();
    servers[1].kill();
    for _ in 0..2 {
        let error = lock.acquire_each(&[key("seat")], LONG).await.expect_err("no majority");
        let said = chain(&error);
        assert!(said.starts_with("the lock's store failed: no majority of the servers grants anything"), "{said}");
        lock.acquire_all(&[key("a"), key("b")], LONG).await.expect_err("no majority");
    }
    assert!(servers[2].keys().unwrap().is_empty(), "what the third granted is given back");
    servers[0].restart().expect("it starts again");
    let _lease = granted(&lock, "seat", LONG).await;
}

/// Whoever knows nothing yet asks for a key that nobody can hold, and gives it back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn contention_is_told_from_failure_by_one_who_was_never_granted_anything() {
    let servers = servers();
    let lease = granted(&open(&servers), "seat", LONG).await;
    let late = open(&servers);
    assert!(is_contended(&late, "seat").await && is_contended(&late, "seat").await);
    assert_eq!(keys(&servers), vec![vec!["redlock:seat".to_owned()]; 3], "the key that was asked for is given back");
    let sets = servers[0].calls().unwrap().get("set").copied();
    assert_eq!(sets, Some(4), "the holder's, the two attempts', and one to find out");
    drop(lease);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn credentials_that_are_refused_are_a_failure_and_stay_secret() {
    let servers = servers();
    for server in servers.iter() {
        server.command(&["ACL", "SETUSER", "default", "resetpass", ">correct"]).expect("an answer");
    }
    let with = |password: &str| {
        let urls: Vec<String> =
            servers.iter().map(|it| format!("redis://:{password}@127.0.0.1:{}", it.port())).collect();
        RslockLock::builder(rslock::LockManager::new(urls), TestRuntime::current()).build()
    };
    let (right, wrong) = (with("correct"), with("hunter2"));
    let lease = granted(&right, "seat", LONG).await;
    let error = wrong.acquire_each(&[key("other seat")], LONG).await.expect_err("nobody lets it in");
    for said in [chain(&error), format!("{error:?} {wrong:?} {right:?} {lease:?}")] {
        assert!(!said.contains("hunter2") && !said.contains("correct"), "{said}");
    }
    assert_eq!(release(&right, lease).await, Released::Released);
}

/// rslock waits for a frozen server; what it is told by the others counts all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_server_delays_and_decides_nothing() {
    let servers = servers();
    let (lock, other) = (open(&servers), open(&servers));
    let _warm = granted(&lock, "warm", LONG).await;
    // The servers know the script of a release from then on; one that does not would need to be asked twice.
    let lease = granted(&lock, "seat", LONG).await;
    assert_eq!(release(&lock, lease).await, Released::Released);
    servers[0].pause().expect("it stands still");
    let lease = granted(&lock, "seat", LONG).await;
    assert!(is_contended(&other, "seat").await);
    assert_eq!(release(&lock, lease).await, Released::Released);
    let warm = vec!["redlock:warm".to_owned()];
    assert_eq!((servers[1].keys().unwrap(), servers[2].keys().unwrap()), (warm.clone(), warm.clone()));
    servers[0].resume().expect("it goes on");
    eventually("it catches up", || servers[0].keys().is_ok_and(|keys| keys == warm)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_that_no_majority_answers_is_unknown() {
    let servers = servers();
    let lock = open(&servers);
    let lease = granted(&lock, "seat", LONG).await;
    servers[0].kill();
    servers[1].kill();
    assert_eq!(release(&lock, lease).await, Released::Unknown);
    assert!(servers[2].keys().unwrap().is_empty());
}

/// The feature `redlock` brings a provider of cryptography, as a host must that has this one alone, and who has `mssql` has two to
/// choose from. Without a choice nothing is sent in the clear instead, and nobody waits for ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_is_spoken_where_the_process_has_a_provider_and_is_a_failure_elsewhere() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("rediss://{}", listener.local_addr().expect("an address"));
    let (heard, mut hearing) = tokio::sync::mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut first = [0];
            // Of a connection that ends at once there is nothing to be heard.
            let bytes = stream.and_then(|mut stream| stream.read(&mut first)).unwrap_or(0);
            if heard.send(first[..bytes].to_vec()).is_err() {
                return;
            }
        }
    });
    let lock = RslockLock::builder(rslock::LockManager::new(vec![url]), TestRuntime::current()).build();
    let attempt = tokio::time::timeout(Duration::from_secs(30), lock.acquire_each(&[key("seat")], LONG)).await;
    attempt.expect("an answer").expect_err("nobody speaks TLS there");
    hearing.close();
    let mut all = Vec::new();
    while let Some(first) = hearing.recv().await {
        all.extend(first);
    }
    const HANDSHAKE: u8 = 22;
    assert!(all.iter().all(|first| *first == HANDSHAKE), "in the clear: {all:?}");
    assert_eq!(!all.is_empty(), cfg!(all(feature = "redlock", not(feature = "mssql"))));
}
