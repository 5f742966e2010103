//! Connections that end while many calls are under way.

use futures_util::future::join_all;

use super::*;

/// How many calls.
const CALLS: usize = 200;

fn connections(servers: &RedisServers) -> Vec<u64> {
    servers.iter().map(|server| server.connections_received().expect("a number")).collect()
}

/// Its connections wait for an answer that a server which does not write withholds.
fn somebody_waits(server: &RedisServer) -> bool {
    // `flags=b`: the client waits.
    send(server, "CLIENT LIST TYPE normal").lines().any(|client| client.contains(" flags=b"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_in_flight_are_all_answered_over_one_new_connection_per_server() {
    let servers = servers();
    let lock = open(&servers);
    use_it(&lock, "seat").await;
    assert!(lock.shutdown(AT_MOST).await);
    let before = connections(&servers);
    assert_eq!(before, [1; 3]);
    for server in servers.iter() {
        send(server, "CLIENT PAUSE 600000 WRITE");
    }
    let calls: Vec<_> = (0..CALLS)
        .map(|number| {
            let lock = lock.clone();
            tokio::spawn(async move { lock.try_acquire(&[key(&format!("seat{number}"))], LONG).await })
        })
        .collect();
    eventually("all servers were asked", async || servers.iter().all(somebody_waits)).await;
    for server in servers.iter() {
        let killed: u64 = send(server, "CLIENT KILL TYPE normal").parse().expect("a number");
        assert_eq!(killed, 1);
        send(server, "CLIENT UNPAUSE");
    }
    let answers = soon("all answers", join_all(calls)).await;
    let mut leases = Vec::new();
    for answer in answers {
        match answer.expect("no panic") {
            Ok(Acquisition { attempt: Attempt::Granted(granted), .. }) => leases.extend(granted),
            other => panic!("every key is free: {other:?}"),
        }
    }
    assert_eq!(leases.len(), CALLS);
    let released = soon("an answer", lock.release(leases)).await.expect("an answer");
    assert!(released.iter().all(|it| *it == Released::Released), "{released:?}");
    assert_nothing_is_left(&lock, &servers).await;
    assert_eq!(connections(&servers), [2; 3]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_script_that_was_forgotten_is_loaded_again_over_one_new_connection_per_server() {
    let servers = servers();
    let lock = open(&servers);
    use_it(&lock, "seat").await;
    for (times, flushed) in (2..).zip(["one caller", "several callers"]) {
        assert!(lock.shutdown(AT_MOST).await);
        for server in servers.iter() {
            send(server, "SCRIPT FLUSH");
        }
        match flushed {
            "one caller" => use_it(&lock, "seat").await,
            _ => {
                let names: Vec<String> = (0..CALLS).map(|number| format!("seat{number}")).collect();
                join_all(names.iter().map(|name| use_it(&lock, name))).await;
            }
        }
        assert_nothing_is_left(&lock, &servers).await;
        assert_eq!(connections(&servers), [times; 3], "{flushed}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_go_on_while_scripts_are_forgotten_and_connections_end() {
    let servers = servers();
    let lock = open(&servers);
    let callers: Vec<_> = (0..20)
        .map(|number| {
            let lock = lock.clone();
            tokio::spawn(async move {
                for _ in 0..30 {
                    use_it(&lock, &format!("seat{number}")).await;
                }
            })
        })
        .collect();
    let mut times = 0;
    while !callers.iter().all(tokio::task::JoinHandle::is_finished) {
        let server = &servers[times % 3];
        if times % 2 == 0 {
            send(server, "SCRIPT FLUSH");
        } else {
            send(server, "CLIENT KILL TYPE normal");
        }
        times += 1;
        // The one that is over for two thirds of the callers at least.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for caller in callers {
        caller.await.expect("every call was answered well");
    }
    assert_nothing_is_left(&lock, &servers).await;
}
