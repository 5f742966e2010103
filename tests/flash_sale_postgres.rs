//! The flash sale on PostgreSQL: on a private server that never stays behind, and on one that is given and that fails in the
//! middle of it.
#![cfg(all(target_os = "linux", feature = "postgres"))]

mod flash_sale_support;
#[path = "../examples/flash_sale/postgres_server/mod.rs"]
mod postgres_server;

use flash_sale_support::running::Running;
use flash_sale_support::{command, eventually, number, report, run, run_sale, words};
use postgres_server::{Durability, PostgresServer};

fn start(line: &str, server: &PostgresServer) -> Running {
    let line = format!("--store postgres --insecure --json --store-url {} {line}", server.url());
    Running::start(command(words(&line)))
}

/// Waits until so many bookings are in the store.
fn bookings_reach(server: &PostgresServer, sale: &mut Running, count: u64) {
    let sql = "SELECT count(*) FROM ticket_reservation.reservation WHERE state = 'booked'";
    eventually(&format!("{count} bookings"), || {
        // Before the tables are made, and while the server is down, there is none.
        let booked = server.psql(sql).ok().and_then(|text| text.parse().ok()).unwrap_or(0_u64);
        assert!(booked >= count || !sale.is_over(), "it was over with {booked} bookings");
        booked >= count
    });
}

/// Ends all that there are, and waits until there are some.
fn end_connections(server: &PostgresServer, sale: &mut Running) {
    let sql = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
               WHERE application_name = 'ticket-reservation'";
    eventually("connections", || {
        assert!(!sale.is_over(), "it was over before its connections could be ended");
        server.psql(sql).expect("an answer") != "0"
    });
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
    let mut sale = start("--processes 3 --buyers 900 --concurrency 50 --pay-ms 100", &server);
    for bookings in [20, 80, 140] {
        bookings_reach(&server, &mut sale, bookings);
        end_connections(&server, &mut sale);
    }
    assert!(number(&report(&sale.wait()), "bookings") > 140);
}

/// What was acknowledged is in its log, and is there again when it starts again.
#[test]
fn a_server_that_stops_at_once_and_starts_again_has_lost_nothing_that_was_acknowledged() {
    let server = PostgresServer::start(Durability::Durable).expect("a server");
    let mut sale = start("--processes 3 --buyers 900 --concurrency 50 --pay-ms 100", &server);
    bookings_reach(&server, &mut sale, 50);
    server.stop_immediately().expect("it stops");
    assert!(!sale.is_over());
    server.start_again().expect("it starts again");
    assert!(number(&report(&sale.wait()), "bookings") > 50);
}

#[test]
fn what_cannot_be_done_is_one_line() {
    run("--store postgres --insecure").assert_refused("--insecure goes with");
    run("--store postgres --store-url postgresql://a:hunter2@127.0.0.1:1/x?sslmode=disable")
        .assert_said("danger_plain_connections");
    run("--store postgres --insecure --store-url postgresql://a:hunter2@127.0.0.1:1/x").assert_said("the store");
}
