//! The flash sale on PostgreSQL: on a private server that never stays behind, and on one that is given and that fails in the
//! middle of it.
#![cfg(all(target_os = "linux", feature = "postgres"))]

mod flash_sale_support;
#[path = "../examples/flash_sale/postgres_server/mod.rs"]
mod postgres_server;

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use flash_sale_support::{Run, command, run, run_sale};
use postgres_server::{Durability, PostgresServer};
use serde_json::Value;

fn number(report: &Value, field: &str) -> u64 {
    report[field].as_u64().unwrap_or_else(|| panic!("{field} is {}", report[field]))
}

/// Killed when a test ends, if it has not ended by then.
struct Sale(Option<Child>);

impl Sale {
    fn start(line: &str, server: &PostgresServer) -> Self {
        let line = format!("--store postgres --insecure --json --store-url {} {line}", server.url());
        let mut command = command(line.split_whitespace());
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        Self(Some(child.expect("it runs")))
    }

    fn is_over(&mut self) -> bool {
        self.0.as_mut().expect("a sale").try_wait().expect("its state").is_some()
    }

    /// What it says when its audit has passed.
    fn report(mut self) -> Value {
        let run = Run::from(self.0.take().expect("a sale").wait_with_output().expect("it ends"));
        assert_eq!(run.code, Some(0), "{run:?}");
        let report: Value = serde_json::from_str(&run.stdout).expect("JSON");
        assert_eq!(report["audit"], "passed", "{run:?}");
        report
    }
}

impl Drop for Sale {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            child.kill().expect("SIGKILL");
            child.wait().expect("its end");
        }
    }
}

/// Waits until so many bookings are in the store.
fn bookings_reach(server: &PostgresServer, sale: &mut Sale, count: u64) {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let sql = "SELECT count(*) FROM ticket_reservation.reservation WHERE state = 'booked'";
        // Before the tables are made, and while the server is down, there is none.
        let booked = server.psql(sql).ok().and_then(|text| text.parse().ok()).unwrap_or(0_u64);
        if booked >= count {
            return;
        }
        assert!(!sale.is_over(), "it was over with {booked} bookings");
        assert!(Instant::now() < deadline, "not within a minute: {count} bookings");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Ends all that there are, and waits until there are some.
fn end_connections(server: &PostgresServer, sale: &mut Sale) {
    let sql = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
               WHERE application_name = 'ticket-reservation'";
    while server.psql(sql).expect("an answer") == "0" {
        assert!(!sale.is_over(), "it was over before its connections could be ended");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn every_lock_and_none_sells_on_a_private_server() {
    let locks = [
        "none",
        #[cfg(feature = "sqlite")]
        "sqlite",
        #[cfg(feature = "redlock")]
        "redlock",
        #[cfg(feature = "rslock")]
        "rslock",
    ];
    for lock in locks {
        let policy = if lock == "none" { "never" } else { "ticket" };
        let line = format!(
            "--store postgres --processes 3 --buyers 300 --concurrency 40 --pay-ms 0 --lock {lock} --lock-policy {policy}"
        );
        let (report, _) = run_sale(&line);
        assert_eq!((&report["store"], &report["lock"]), (&"postgres".into(), &lock.into()));
        assert!(number(&report, "bookings") > 100, "{report}");
    }
}

#[test]
fn killed_workers_lose_nothing_that_was_acknowledged() {
    let (report, run) =
        run_sale("--store postgres --processes 4 --buyers 600 --concurrency 40 --pay-ms 20 --kill-workers 2");
    assert_eq!(number(&report, "killed"), 2, "{run:?}");
}

/// Every connection ends in the middle of whatever it does.
#[test]
fn connections_that_the_server_ends_lose_nothing_that_was_acknowledged() {
    let server = PostgresServer::start(Durability::Durable).expect("a server");
    let mut sale = Sale::start("--processes 3 --buyers 900 --concurrency 50 --pay-ms 100", &server);
    for bookings in [20, 80, 140] {
        bookings_reach(&server, &mut sale, bookings);
        end_connections(&server, &mut sale);
    }
    assert!(number(&sale.report(), "bookings") > 140);
}

/// What was acknowledged is in its log, and is there again when it starts again.
#[test]
fn a_server_that_stops_at_once_and_starts_again_has_lost_nothing_that_was_acknowledged() {
    let server = PostgresServer::start(Durability::Durable).expect("a server");
    let mut sale = Sale::start("--processes 3 --buyers 900 --concurrency 50 --pay-ms 100", &server);
    bookings_reach(&server, &mut sale, 50);
    server.stop_immediately().expect("it stops");
    assert!(!sale.is_over());
    server.start_again().expect("it starts again");
    assert!(number(&sale.report(), "bookings") > 50);
}

#[test]
fn what_cannot_be_done_is_one_line() {
    run("--store postgres --insecure").assert_refused("--insecure goes with");
    run("--store postgres --store-url postgresql://a:hunter2@127.0.0.1:1/x?sslmode=disable")
        .assert_said("danger_plain_connections");
    run("--store postgres --insecure --store-url postgresql://a:hunter2@127.0.0.1:1/x").assert_said("the store");
}
