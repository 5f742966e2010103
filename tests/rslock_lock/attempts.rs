//! Attempts: how many a call makes, and for how long.

use std::time::Duration;

use ticket_reservation::adapters::rslock::{RslockLock, rslock};
use ticket_reservation::ports::{Attempt, Lock, LockKey, Released};

use crate::chain::chain;
use crate::runtime::TestRuntime;
use crate::{LONG, granted, is_contended, key, keys, open, release, servers};

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
