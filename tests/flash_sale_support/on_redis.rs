//! Sales with a lock on Redis servers that the test has started.

#![allow(dead_code, reason = "each test file uses its own part")]

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::flash_sale_support::Run;
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

pub(crate) fn number(report: &Value, field: &str) -> u64 {
    report[field].as_u64().unwrap_or_else(|| panic!("{field} is {}", report[field]))
}

pub(crate) fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < deadline, "not within a minute: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

pub(crate) fn with_redis(urls: &[String]) -> Vec<String> {
    urls.iter().flat_map(|url| ["--redis".to_owned(), url.clone()]).collect()
}

pub(crate) fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(ToOwned::to_owned).collect()
}

pub(crate) fn report(run: &Run) -> Value {
    assert_eq!(run.code, Some(0), "{run:?}");
    let report: Value = serde_json::from_str(&run.stdout).expect("JSON");
    assert_eq!(report["audit"], "passed", "{run:?}");
    report
}

pub(crate) fn locks_taken(server: &RedisServer) -> u64 {
    server.calls().expect("calls").get("set").copied().unwrap_or_default()
}
