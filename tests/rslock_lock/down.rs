//! Servers that go away.

use ticket_reservation::ports::{Lock, Released};

use crate::chain::chain;
use crate::{LONG, eventually, granted, is_contended, key, keys, open, release, servers};

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
