//! What arrives again on another connection, long after it was done: the engine asks once more when a connection ends before
//! its answer.

use super::*;

const SCRIPT: &str = include_str!("../../src/adapters/redlock/script.lua");

const TTL_MS: &str = "60000";

/// Asks one thing of one key for one token, as the engine does. What `redis-cli` would say to it.
fn ask(server: &RedisServer, name: &str, ttl_ms: &str) -> String {
    let words = ["EVAL", SCRIPT, "1", "redlock:seat", name, "1", "token", ttl_ms];
    server.command(&words).expect("an answer")
}

fn milliseconds_left(server: &RedisServer) -> u64 {
    send(server, "PTTL redlock:seat").parse().expect("a key that ends")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_acquisition_that_arrives_again_does_not_shorten_what_was_extended_since() {
    let servers = RedisServers::start(1).expect("a server");
    let server = servers.iter().next().expect("a server");
    let granted = ask(server, "A", TTL_MS);
    assert_eq!(ask(server, "E", "3600000"), "1");
    assert_eq!(ask(server, "A", TTL_MS), granted);
    // It ends in an hour, of which a test takes half a minute at most.
    assert!(milliseconds_left(server) > 3_500_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_acquisition_that_arrives_again_lasts_as_long_as_it_asks_for() {
    let servers = RedisServers::start(1).expect("a server");
    let server = servers.iter().next().expect("a server");
    let granted = ask(server, "A", TTL_MS);
    assert_eq!(ask(server, "A", "3600000"), granted);
    assert!(milliseconds_left(server) > 3_500_000);
}
