//! Sales with a lock on Redis servers that the test has started.

#![allow(dead_code, reason = "each test file uses its own part")]

use crate::redis_servers::RedisServer;

/// The locks on Redis servers that are compiled in.
pub(crate) const LOCKS: &[&str] = &[
    #[cfg(feature = "redlock")]
    "redlock",
    #[cfg(feature = "rslock")]
    "rslock",
];

/// Small enough for a debug build.
pub(crate) fn small(lock: &str) -> String {
    format!("--processes 3 --buyers 240 --concurrency 30 --standing 40 --pay-ms 0 --lock {lock}")
}

pub(crate) fn with_redis(urls: &[String]) -> Vec<String> {
    urls.iter().flat_map(|url| ["--redis".to_owned(), url.clone()]).collect()
}

pub(crate) fn locks_taken(server: &RedisServer) -> u64 {
    server.calls().expect("calls").get("set").copied().unwrap_or_default()
}
