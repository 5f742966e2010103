//! What is said to no one: passwords, and anything in the clear where TLS is asked for.

use std::io::Read;
use std::time::Duration;

use ticket_reservation::adapters::rslock::{RslockLock, rslock};
use ticket_reservation::ports::{Lock, Released};

use crate::chain::chain;
use crate::runtime::TestRuntime;
use crate::{LONG, granted, key, release, servers};

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
