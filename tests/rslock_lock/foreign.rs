//! Other clients, which know the wire format or use rslock themselves.

use ticket_reservation::adapters::rslock::{RslockLock, rslock};
use ticket_reservation::ports::Released;

use crate::runtime::TestRuntime;
use crate::{LONG, foreign_delete, foreign_set, granted, is_contended, keys, open, release, servers};

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
