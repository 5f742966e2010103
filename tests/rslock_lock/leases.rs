//! Leases: when they end, and what becomes of their releases and extensions.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use ticket_reservation::adapters::rslock::RslockLock;
use ticket_reservation::locking::LockQueue;
use ticket_reservation::ports::{Attempt, Clock, Extended, Lock, Released};

use crate::redis_servers::RedisServers;
use crate::runtime::TestRuntime;
use crate::{
    LONG, SHORT, eventually, extending, foreign_set, granted, key, keys, nothing_is_left, open, release, servers, take,
};

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
