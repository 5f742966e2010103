//! The flash sale whose workers are killed at named points of their work: each says that it has come there, stops with all its
//! threads, and dies by SIGKILL.
#![cfg(all(target_os = "linux", feature = "sqlite"))]

mod flash_sale_support;
#[cfg(feature = "postgres")]
#[path = "../examples/flash_sale/postgres_server/mod.rs"]
mod postgres_server;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use flash_sale_support::{number, run_sale};
use tempfile::TempDir;
use ticket_reservation::adapters::sqlite::rusqlite::Connection;

/// Of four workers: some of them are even, some odd.
const KILLS: usize = 3;
const POINTS: [&str; 4] = ["holding-a-lease", "mid-load", "commit-sent", "before-answering"];

/// A sale that has passed its audit, and whose workers were killed at a point, each of them there.
struct Sold {
    folder: TempDir,
    killed: Vec<u32>,
}

impl Sold {
    fn at(point: &str, line: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let keep = folder.path().join("kept");
        let (report, run) = run_sale(&format!(
            "--processes 4 --buyers 240 --concurrency 20 --pay-ms 0 --kill-workers {KILLS} --kill-at {point} {line} --keep {}",
            keep.display()
        ));
        let kills = run.stderr.lines().filter_map(|line| line.trim().strip_prefix("killed worker "));
        let there = format!(" at {point}, after ");
        let killed: Vec<u32> =
            kills.map(|line| line.split_once(&there).expect("the point").0.parse().expect("a number")).collect();
        assert_eq!((killed.len(), number(&report, "killed")), (KILLS, KILLS as u64), "{run:?}");
        assert!(number(&report, "bookings") > 50, "{report}");
        let sold = Self { folder, killed };
        assert!(sold.killed.iter().all(|worker| !sold.unanswered(*worker).is_empty()), "nothing in flight: {run:?}");
        sold
    }

    /// The operations that a worker sent and nobody was told of.
    fn unanswered(&self, worker: u32) -> BTreeSet<String> {
        let log = fs::read_to_string(self.kept().join(format!("worker-{worker}.log"))).expect("a log");
        let mut open = BTreeSet::new();
        for line in log.lines() {
            let mut fields = line.split('\t');
            match (fields.next(), fields.next()) {
                (Some("S" | "R"), Some(operation)) => drop(open.insert(operation.to_owned())),
                (Some("A"), Some(operation)) => drop(open.remove(operation)),
                _ => {}
            }
        }
        open
    }

    fn kept(&self) -> PathBuf {
        self.folder.path().join("kept")
    }

    /// The killed who had something committed that nobody was told of.
    fn committed_untold(&self, is_in_store: impl Fn(&str) -> bool) -> Vec<u32> {
        let committed = |worker: &u32| self.unanswered(*worker).iter().any(|operation| is_in_store(operation));
        self.killed.iter().copied().filter(committed).collect()
    }

    /// The killed with an even number. With a commit sent they stop when the store has done it, and the others as soon as it is
    /// sent.
    fn late(&self) -> Vec<u32> {
        self.killed.iter().copied().filter(|worker| worker % 2 == 0).collect()
    }
}

/// A lock that is always taken where it is to be held, and where a commit is not to meet those of others; the usual one
/// elsewhere.
fn policy(point: &str) -> &'static str {
    if matches!(point, "holding-a-lease" | "commit-sent") { "event" } else { "adaptive" }
}

fn is_in_file(store: &Path, operation: &str) -> bool {
    let sql = format!("SELECT count(*) FROM operation WHERE operation_id = x'{}'", operation.replace('-', ""));
    let store = Connection::open(store).expect("the store");
    store.query_row(&sql, [], |row| row.get::<_, i64>(0)).expect("a count") == 1
}

fn sold_on_sqlite(point: &str) -> (Sold, Vec<u32>) {
    let sold = Sold::at(point, &format!("--lock sqlite --lock-policy {}", policy(point)));
    let store = sold.kept().join("store.db");
    let committed = sold.committed_untold(|operation| is_in_file(&store, operation));
    (sold, committed)
}

#[test]
fn workers_killed_at_any_point_lose_nothing_on_sqlite() {
    // With a commit sent: in the next test.
    for point in POINTS.into_iter().filter(|point| *point != "commit-sent") {
        let (sold, committed) = sold_on_sqlite(point);
        if point == "before-answering" {
            assert_eq!(committed, sold.killed);
        }
    }
}

/// The store's thread goes on until the worker stops, so it is not certain that an odd one dies first: then another sale.
#[test]
fn commits_cut_before_they_are_done_and_after_lose_nothing_on_sqlite() {
    const SALES_MAX: u32 = 20;
    let some_were_cut_before = (0..SALES_MAX).any(|_| {
        let (sold, committed) = sold_on_sqlite("commit-sent");
        let late = sold.late();
        assert!(!late.is_empty(), "{:?}", sold.killed);
        assert!(late.iter().all(|worker| committed.contains(worker)), "{late:?} of {committed:?}");
        committed.len() < KILLS
    });
    assert!(some_were_cut_before, "every commit was done in {SALES_MAX} sales");
}

/// A commit that is sent is done by the server, whoever waits for its answer.
#[cfg(feature = "postgres")]
#[test]
fn workers_killed_at_any_point_lose_nothing_on_postgres() {
    use postgres_server::{Durability, PostgresServer};

    let lock = if cfg!(feature = "redlock") { "redlock" } else { "sqlite" };
    let server = PostgresServer::start(Durability::Durable).expect("a server");
    for point in POINTS {
        let line = format!(
            "--store postgres --insecure --store-url {} --lock {lock} --lock-policy {}",
            server.url(),
            policy(point)
        );
        let sold = Sold::at(point, &line);
        let committed = sold.committed_untold(|operation| {
            let sql = format!("SELECT count(*) FROM ticket_reservation.operation WHERE operation_id = '{operation}'");
            server.psql(&sql).expect("an answer") == "1"
        });
        match point {
            "before-answering" => assert_eq!(committed, sold.killed),
            // The server does the others, too, unless a new connection has to prepare its statement first.
            "commit-sent" => assert!(sold.late().iter().all(|worker| committed.contains(worker)), "{committed:?}"),
            _ => {}
        }
    }
}
