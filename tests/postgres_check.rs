//! What the PostgreSQL adapter's check sees of the clock and of servers that follow.
#![cfg(feature = "postgres")]

#[path = "postgres_support/mod.rs"]
mod postgres_support;

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use postgres_support::other_clock::OtherClock;
use postgres_support::postgres_server::{Durability, PostgresServer};
use postgres_support::runtime::TestRuntime;
use postgres_support::{AT_MOST, builder};
use ticket_reservation::adapters::postgres::{CLOCK_OFFSET_MAX, Finding, PostgresRepository};

const HOUR: Duration = Duration::from_secs(3_600);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_is_far_from_the_hosts_is_found_ahead_and_behind() {
    let offset = |findings: Vec<Finding>| {
        findings.into_iter().find_map(|it| if let Finding::ClockOffset { by } = it { Some(by) } else { None })
    };
    let right = builder("right clock").build().expect("an address");
    right.migrate().await.expect("tables");
    assert_eq!(offset(right.check().await.expect("an answer")), None);
    let hour = HOUR.as_micros() as i64;
    for of_day in [hour, -hour] {
        let host = OtherClock::with_time_of_day(of_day);
        let repository = PostgresRepository::builder(postgres_support::server().url(), host);
        let repository = repository.schema("right clock").plain_on_loopback().build().expect("an address");
        let by = offset(repository.check().await.expect("an answer")).expect("it is found");
        assert!(by > HOUR - CLOCK_OFFSET_MAX && by < HOUR + AT_MOST, "{by:?}");
    }
}

/// Follows a server as a standby does, until it is dropped.
struct Follower(Child);

impl Follower {
    fn of(server: &PostgresServer, folder: &tempfile::TempDir, name: &str) -> Self {
        let url = format!("{}?application_name={name}", server.url());
        let mut follower = Command::new("pg_receivewal");
        follower.args(["--no-loop", "--no-sync", "-d", &url, "-D"]).arg(folder.path());
        follower.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Self(follower.spawn().expect("pg_receivewal, of the package postgresql-client"))
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_follows_and_is_not_waited_for_is_found() {
    let server = PostgresServer::start(Durability::Durable).expect("a server");
    let repository = PostgresRepository::builder(server.url(), TestRuntime::current()).plain_on_loopback();
    let repository = repository.build().expect("an address");
    repository.migrate().await.expect("tables");
    assert_eq!(repository.check().await.expect("an answer"), []);
    let folder = tempfile::tempdir().expect("a folder");
    let _follower = Follower::of(&server, &folder, "elsewhere");
    let found = Finding::AsynchronousReplication { standbys: 1 };
    let deadline = Instant::now() + AT_MOST;
    while repository.check().await.expect("an answer") != [found.clone()] {
        assert!(Instant::now() < deadline, "it is not found");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // Who only sells may not see what the standbys do, but that there are some.
    server.psql("CREATE ROLE seller LOGIN PASSWORD 'hunter2'").expect("a role");
    let url = format!("postgresql://seller:hunter2@127.0.0.1:{}/postgres", server.port());
    let seller = PostgresRepository::builder(url, TestRuntime::current()).plain_on_loopback();
    let seen = seller.build().expect("an address").check().await.expect("an answer");
    assert!(seen.contains(&found), "{seen:?}");
    server.psql("ALTER SYSTEM SET synchronous_standby_names = 'elsewhere'").expect("an answer");
    server.psql("SELECT pg_reload_conf()").expect("an answer");
    while !repository.check().await.expect("an answer").is_empty() {
        assert!(Instant::now() < deadline, "it is waited for now");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
