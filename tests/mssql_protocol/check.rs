//! What would break a promise is found.

use std::time::Duration;

use ticket_reservation::adapters::SystemClock;
use ticket_reservation::adapters::mssql::{CLOCK_OFFSET_MAX, Finding, MssqlRepository};
use ticket_reservation::domain::Timestamp;
use ticket_reservation::ports::Clock;

use super::answers::end;
use super::scripted_tds::{Answer, Request, Table, TdsServer, Type, Value};
use super::stage::{calls, number_of, soon, stage};

const HOUR: Duration = Duration::from_secs(3_600);

/// How a server is.
#[derive(Clone)]
struct Server {
    updateability: &'static str,
    delayed_durability: i64,
    /// How ids are compared; nothing where there are no tables.
    collation: Option<&'static str>,
    /// Its clock, by the host's.
    clock: fn(Timestamp) -> Timestamp,
    /// How many replicas are not waited for, and how many are; without an answer where there is no such view.
    replicas: Option<(i64, i64)>,
    /// What this user lacks, and what the server says of it.
    lacks: Option<(&'static str, Option<i64>)>,
}

const HEALTHY: Server = Server {
    updateability: "READ_WRITE",
    delayed_durability: 0,
    collation: Some("Latin1_General_100_BIN2_UTF8"),
    clock: |host| host,
    replicas: Some((0, 0)),
    lacks: None,
};

impl Server {
    fn answer(&self, request: &Request) -> Option<Answer> {
        let sql = request.sql();
        let rows = if sql.contains("Updateability") {
            let now = (self.clock)(SystemClock.unix_time()).as_micros();
            let columns = [("updateability", Type::NVarChar(128)), ("delayed_durability", Type::BigInt)];
            let columns = columns.into_iter().chain([("now", Type::BigInt), ("collation", Type::NVarChar(128))]);
            let (updateability, durability) = (self.updateability.into(), self.delayed_durability.into());
            Table::new(columns).row([updateability, durability, now.into(), self.collation.into()])
        } else if sql.contains("sys.availability_replicas") {
            let Some((asynchronous, synchronous)) = self.replicas else { return Some(Answer::rows(end())) };
            let columns = [("asynchronous", Type::BigInt), ("synchronous", Type::BigInt)];
            Table::new(columns).row([asynchronous.into(), synchronous.into()])
        } else if sql.contains("HAS_PERMS_BY_NAME") {
            Table::new([("has", Type::BigInt)]).row([self.has(request.values()[0].as_text()?)])
        } else {
            return None;
        };
        Some(Answer::rows(rows).then_rows(end()))
    }

    fn has(&self, object: &str) -> Value {
        match self.lacks {
            Some((lacked, says)) if object == format!("[ticket_reservation].{lacked}") => says.into(),
            _ => 1_i64.into(),
        }
    }
}

async fn started(is: Server) -> (TdsServer, MssqlRepository) {
    let (server, repository) = stage().await;
    server.otherwise(move |request| is.answer(request));
    (server, repository)
}

async fn findings(is: Server) -> Vec<Finding> {
    let (_server, repository) = started(is).await;
    soon(repository.check()).await.expect("an answer")
}

#[tokio::test]
async fn nothing_is_found_of_a_healthy_server() {
    assert_eq!(findings(HEALTHY).await, []);
    assert_eq!(findings(Server { replicas: None, ..HEALTHY }).await, [], "in Azure SQL there is no such view");
    assert_eq!(findings(Server { delayed_durability: 1, ..HEALTHY }).await, [], "nobody asks for it");
}

#[tokio::test]
async fn commits_that_are_not_on_the_disk_are_found() {
    assert_eq!(findings(Server { delayed_durability: 2, ..HEALTHY }).await, [Finding::NotDurable]);
}

#[tokio::test]
async fn ids_that_are_compared_by_a_language_are_found() {
    let german = "German_PhoneBook_CI_AS";
    let found = [Finding::Collation { found: german.to_owned() }];
    assert_eq!(findings(Server { collation: Some(german), ..HEALTHY }).await, found);
    let exact = ["bbf_unicode_bin2", "Latin1_General_100_BIN2"].map(Some);
    for collation in exact.into_iter().chain([None]) {
        assert_eq!(findings(Server { collation, ..HEALTHY }).await, []);
    }
}

#[tokio::test]
async fn a_database_that_takes_no_writes_is_found() {
    assert_eq!(findings(Server { updateability: "READ_ONLY", ..HEALTHY }).await, [Finding::ReadOnly]);
}

#[tokio::test]
async fn replicas_that_nobody_waits_for_are_found() {
    let found = |replicas| findings(Server { replicas: Some(replicas), ..HEALTHY });
    assert_eq!(found((2, 0)).await, [Finding::AsynchronousReplication { replicas: 2 }]);
    assert_eq!(found((2, 1)).await, [], "one is waited for");
    assert_eq!(found((0, 2)).await, []);
}

#[tokio::test]
async fn a_permission_that_is_missing_is_found_and_so_is_an_object() {
    for (object, permission) in [
        ("event", "SELECT"),
        ("ticket", "SELECT"),
        ("pool", "SELECT"),
        ("reservation", "SELECT"),
        ("reservation_line", "SELECT"),
        ("change", "SELECT"),
        ("store", "SELECT"),
        ("load_records", "EXECUTE"),
        ("availability", "EXECUTE"),
        ("commit_groups", "EXECUTE"),
        ("purge_step", "EXECUTE"),
    ] {
        for says in [Some(0), None] {
            let found = findings(Server { lacks: Some((object, says)), ..HEALTHY }).await;
            assert_eq!(found, [Finding::MissingPermission { of: format!("{object} ({permission})") }]);
        }
    }
}

#[tokio::test]
async fn a_clock_that_is_an_hour_off_is_found() {
    let hour_off: [fn(Timestamp) -> Timestamp; 2] = [|host| host.before(HOUR), |host| host.after(HOUR)];
    for clock in hour_off {
        let found = findings(Server { clock, ..HEALTHY }).await;
        let [Finding::ClockOffset { by }] = found[..] else { panic!("{found:?}") };
        assert!(by > HOUR - CLOCK_OFFSET_MAX && by <= HOUR, "{by:?}");
    }
}

#[tokio::test]
async fn several_findings_are_told_together() {
    let bad = Server { delayed_durability: 2, updateability: "READ_ONLY", lacks: Some(("pool", Some(0))), ..HEALTHY };
    let found = findings(bad).await;
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(found.contains(&Finding::NotDurable) && found.contains(&Finding::ReadOnly));
}

#[tokio::test]
async fn looking_asks_for_permissions_by_value() {
    let (server, repository) = started(HEALTHY).await;
    soon(repository.check()).await.expect("an answer");
    let asked: Vec<_> = calls(&server).into_iter().filter(|it| it.sql().contains("HAS_PERMS_BY_NAME")).collect();
    assert!(asked.iter().all(|it| it.sql() == asked[0].sql()));
    assert!(asked.iter().any(|it| it.values() == [&"[ticket_reservation].purge_step".into(), &"EXECUTE".into()]));
}

#[tokio::test]
async fn a_look_that_fails_is_no_finding() {
    let (server, repository) = started(HEALTHY).await;
    server.answers([super::answers::error(229, 14)]);
    assert_eq!(number_of(&soon(repository.check()).await.expect_err("an error")), Some(229));
    for early in [Answer::new(), Answer::cut()] {
        server.answers([early]);
        soon(repository.check()).await.expect_err("no answer");
    }
}
