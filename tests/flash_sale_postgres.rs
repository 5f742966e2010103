//! The flash sale on PostgreSQL: on a private server that never stays behind, and on one that is given and that fails in the
//! middle of it.
#![cfg(all(target_os = "linux", feature = "postgres"))]

#[path = "common/cutting_proxy.rs"]
mod cutting_proxy;
mod flash_sale_support;
#[path = "../examples/flash_sale/postgres_server/mod.rs"]
mod postgres_server;

use std::net::SocketAddr;

use cutting_proxy::{Cut, CuttingProxy};
use flash_sale_support::one_seat::OneSeat;
use flash_sale_support::running::Running;
use flash_sale_support::{command, eventually, number, report, run, run_sale, words};
use postgres_server::{Durability, PostgresServer};

fn start(line: &str, server: &PostgresServer) -> Running {
    start_at(&server.url(), line)
}

fn start_at(url: &str, line: &str) -> Running {
    Running::start(command(words(&format!("--store postgres --insecure --json --store-url {url} {line}"))))
}

/// How many bookings are in the store. Before its tables are made, and while the server is down, there is none.
fn booked(server: &PostgresServer) -> u64 {
    let sql = "SELECT count(*) FROM ticket_reservation.reservation WHERE state = 'booked'";
    server.psql(sql).ok().and_then(|text| text.parse().ok()).unwrap_or_default()
}

/// Waits until so many are.
fn bookings_reach(server: &PostgresServer, sale: &mut Running, count: u64) {
    eventually(&format!("{count} bookings"), || {
        let booked = booked(server);
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
        "grants-all",
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
            "--store postgres --processes 4 --buyers 400 --concurrency 40 --pay-ms 0 --lock {lock} --lock-policy {policy}"
        );
        let (report, _) = run_sale(&line);
        assert_eq!((&report["store"], &report["lock"]), (&"postgres".into(), &lock.into()));
        assert!(number(&report, "bookings") > 100, "{report}");
    }
}

#[test]
fn one_seat_is_sold_once_at_most_to_ten_thousand_buyers_of_eight_processes() {
    let hall = OneSeat::new();
    let (report, _) = run_sale(&format!("--store postgres {}", hall.sale()));
    hall.assert_is_sold_once_at_most(&report);
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
    let mut sale = start("--processes 4 --buyers 2400 --concurrency 50 --pay-ms 100", &server);
    for bookings in [20, 80, 140] {
        bookings_reach(&server, &mut sale, bookings);
        end_connections(&server, &mut sale);
    }
    assert!(number(&report(&sale.wait()), "bookings") > 140);
}

/// After few and many bytes of what workers ask, of what they are told, and of what is said when they connect.
#[test]
fn connections_that_are_cut_again_and_again_lose_nothing_that_was_acknowledged() {
    const CUTS: usize = 24;
    let server = PostgresServer::start(Durability::Durable).expect("a server");
    let tokio = tokio::runtime::Runtime::new().expect("a runtime");
    let proxy = tokio.block_on(CuttingProxy::before(SocketAddr::from(([127, 0, 0, 1], server.port()))));
    let host = |port| format!("@127.0.0.1:{port}/");
    let url = server.url().replace(&host(server.port()), &host(proxy.address.port()));
    let mut sale = start_at(&url, "--processes 4 --buyers 2400 --concurrency 50 --pay-ms 100");
    bookings_reach(&server, &mut sale, 20);
    for number in 0..CUTS {
        // No two are alike, and they come in no order.
        let (bytes, cut) = (Some(1 + number * 7_919 % 20_011), proxy.connections_cut());
        proxy.cut(match number % 2 {
            0 => Cut { from_client: bytes, from_server: None },
            _ => Cut { from_client: None, from_server: bytes },
        });
        eventually("a connection is cut", || proxy.connections_cut() > cut || sale.is_over());
        assert!(!sale.is_over(), "it was over after {number} cuts");
    }
    proxy.cut(Cut::default());
    let booked = booked(&server);
    let report = report(&sale.wait());
    assert!(number(&report, "bookings") > booked, "after {booked} bookings: {report}");
}

/// What was acknowledged is in its log, and is there again when it starts again.
#[test]
fn a_server_that_stops_at_once_and_starts_again_has_lost_nothing_that_was_acknowledged() {
    let server = PostgresServer::start(Durability::Durable).expect("a server");
    let mut sale = start("--processes 4 --buyers 2400 --concurrency 50 --pay-ms 100", &server);
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
