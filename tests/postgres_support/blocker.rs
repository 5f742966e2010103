//! Somebody else's transactions, and commits that wait for them.

use std::time::{Duration, Instant};

use super::{AT_MOST, server};

/// A transaction of somebody else's that stays until it is told to end.
pub(crate) struct Blocker {
    psql: std::process::Child,
    /// The number of its process in the server, which goes on without psql.
    pid: String,
}

impl Blocker {
    /// It keeps the event's row.
    pub(crate) fn start(schema: &str) -> Self {
        Self::with(schema, &format!("SELECT version FROM \"{schema}\".event FOR UPDATE"))
    }

    /// It has done something in the schema.
    pub(crate) fn with(schema: &str, what: &str) -> Self {
        let sql = format!("BEGIN; {what}; SELECT pg_sleep(600)");
        let psql = server().start_psql(&sql).expect("psql");
        let itself = format!(
            "SELECT pid FROM pg_stat_activity WHERE query LIKE 'BEGIN%\"{schema}\"%pg_sleep%' AND wait_event = 'PgSleep'"
        );
        let (deadline, mut pid) = (Instant::now() + AT_MOST, String::new());
        while pid.is_empty() {
            assert!(Instant::now() < deadline, "it is not done");
            std::thread::sleep(Duration::from_millis(5));
            pid = server().psql(&itself).expect("an answer");
        }
        Self { psql, pid }
    }
}

impl Drop for Blocker {
    fn drop(&mut self) {
        let ended = server().psql(&format!("SELECT pg_terminate_backend({}, 10000)", self.pid));
        let waited = self.psql.wait();
        assert!(std::thread::panicking() || (ended.is_ok() && waited.is_ok()), "it does not end");
    }
}

pub(crate) async fn is_waited_for(schema: &str) {
    let sql = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%\"{schema}\".commit_groups%'"
    );
    let deadline = Instant::now() + AT_MOST;
    while server().psql(&sql).expect("an answer") == "0" {
        assert!(Instant::now() < deadline, "no commit waits");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
