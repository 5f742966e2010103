//! The SQL Server adapter on the server that the environment names, if it names one, beyond what the conformance suite asks of
//! every repository. Every test has a schema of its own, which stays.
#![cfg(feature = "mssql")]

#[path = "../benches/common/mssql_server.rs"]
mod mssql_server;
#[path = "common/one_event.rs"]
#[allow(dead_code, reason = "there is more that others use")]
mod one_event;
#[path = "common/runtime.rs"]
mod runtime;

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{Either, join_all, select};
use one_event::{event, new_event};
use runtime::TestRuntime;
use ticket_reservation::adapters::mssql::tiberius::Client;
use ticket_reservation::adapters::mssql::{MssqlError, MssqlRepository, MssqlRepositoryBuilder};
use ticket_reservation::domain::{AreaId, Place, Record, RecordKey, Ticket, TicketId, TicketState, Timestamp};
use ticket_reservation::ports::{
    Group, GroupOutcome, LoadRequest, PAGE_MAX, Repository, Runtime, StoreErrorKind, TicketQuery, Write,
};
use tokio::net::TcpStream;
use tokio_util::compat::Compat;

/// A repository in a schema of its own, which has no tables yet. None where there is no server.
fn builder() -> Option<MssqlRepositoryBuilder> {
    let connection_string = mssql_server::connection_string()?;
    let runtime = TestRuntime::current();
    let schema = format!("test {:016x}", runtime.random());
    // Babelfish compiles a procedure anew for every connection, which takes it seconds.
    Some(mssql_server::builder(&connection_string, &schema, runtime).call_timeout(Duration::from_secs(120)))
}

async fn migrated() -> Option<MssqlRepository> {
    let repository = builder()?.acquire_timeout(Duration::from_secs(60)).build().expect("a connection string");
    repository.migrate().await.expect("tables");
    Some(repository)
}

fn tickets(numbers: std::ops::Range<u32>) -> Group {
    let write = |number: u32| {
        let place = Place { area: AreaId::new("stalls").unwrap(), row: 1, number };
        let record = Record::Ticket(Ticket { place, state: TicketState::Available });
        let key = RecordKey::Ticket(TicketId::new(format!("S-{number:06}")).unwrap());
        Write { key, version: 0, decided_at: Timestamp::from_micros(1), record }
    };
    Group { reads: vec![(RecordKey::Event, 1)], writes: numbers.map(write).collect(), ..Group::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_instances_that_migrate_at_once_make_one_schema() {
    let Some(connection_string) = mssql_server::connection_string() else { return };
    let schema = format!("test {:016x}", TestRuntime::current().random());
    let instance = || {
        let builder = mssql_server::builder(&connection_string, &schema, TestRuntime::current());
        builder.acquire_timeout(Duration::from_secs(60)).build().expect("a connection string")
    };
    let all: Vec<_> = (0..10).map(|_| instance()).collect();
    assert!(matches!(all[0].open().await, Err(MssqlError::NoSchema { .. })));
    for migrated in join_all(all.iter().map(MssqlRepository::migrate)).await {
        migrated.expect("tables");
    }
    join_all(all.iter().map(MssqlRepository::open)).await.into_iter().for_each(|opened| opened.expect("tables"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_keeps_its_promises_is_reported_as_such() {
    let Some(repository) = migrated().await else { return };
    assert_eq!(repository.check().await.expect("an answer"), []);
}

/// A commit that is dropped at any of its waits keeps nobody waiting, and is there whole or not at all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropped_commits_lock_nothing() {
    let Some(repository) = migrated().await else { return };
    let repository: Arc<dyn Repository> = Arc::new(repository);
    repository.commit(&event(), &[new_event()]).await.expect("an event");
    for polls in 0..8 {
        let (event, group) = (event(), [tickets(polls * 10..polls * 10 + 10)]);
        let mut commit = repository.commit(&event, &group);
        for _ in 0..polls {
            if (&mut commit).now_or_never().is_some() {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(commit);
        let query = TicketQuery { event, area: None, only_available: false, after: None, limit: PAGE_MAX };
        let there = repository.tickets(&query).await.expect("tickets").len();
        assert_eq!(there % 10, 0, "{there} tickets");
    }
    let last = [tickets(1_000..1_010)];
    assert_eq!(repository.commit(&event(), &last).await.expect("an answer"), [GroupOutcome::Committed]);
}

/// Ends every session of the program with this name, as an administrator would.
async fn kill(administrator: &mut Client<Compat<TcpStream>>, program: &str) {
    let sessions = "SELECT CAST(session_id AS int) AS id FROM sys.dm_exec_sessions WHERE program_name = @P1";
    let rows = administrator.query(sessions, &[&program]).await.expect("sessions");
    for row in rows.into_first_result().await.expect("rows") {
        let id: i32 = row.get("id").expect("a number");
        // It may have ended by itself.
        if let Ok(answer) = administrator.simple_query(format!("KILL {id}")).await {
            let _ = answer.into_results().await;
        }
    }
}

/// What was acknowledged is there, what was refused is not, and of what nobody knows there is all or nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_killed_in_the_middle_of_commits_lose_nothing() {
    let Some(connection_string) = mssql_server::connection_string() else { return };
    let runtime = TestRuntime::current();
    let program = format!("killed {:016x}", runtime.random());
    let named = format!("{connection_string};Application Name={program}");
    let repository = mssql_server::builder(&named, &format!("test {:016x}", runtime.random()), runtime)
        .call_timeout(Duration::from_secs(120))
        .acquire_timeout(Duration::from_secs(60))
        .build()
        .expect("a connection string");
    repository.migrate().await.expect("tables");
    repository.commit(&event(), &[new_event()]).await.expect("an event");
    let mut administrator = mssql_server::connect(&connection_string).await;

    let (mut there, mut absent, mut unknown, mut killed) = (Vec::new(), Vec::new(), Vec::new(), 0);
    // Each is killed a little later in its course than the one before: once the commit has been polled so often.
    for round in 0..12_u32 {
        let numbers = round * 500..round * 500 + 500;
        let (event, group) = (event(), [tickets(numbers.clone())]);
        let mut commit = repository.commit(&event, &group);
        let polled = async {
            for _ in 0..round / 2 {
                tokio::task::yield_now().await;
            }
        };
        let answer = match select(&mut commit, std::pin::pin!(polled)).await {
            Either::Left((answer, _)) => answer,
            Either::Right(_) => {
                let (answer, ()) = futures_util::future::join(commit, kill(&mut administrator, &program)).await;
                answer
            }
        };
        match answer {
            Ok(outcomes) => {
                assert_eq!(outcomes, [GroupOutcome::Committed]);
                there.push(numbers);
            }
            Err(error) => {
                killed += 1;
                match error.kind() {
                    StoreErrorKind::Unknown => unknown.push(numbers),
                    StoreErrorKind::Transient => absent.push(numbers),
                    kind => panic!("a killed session is {kind:?}: {error}"),
                }
            }
        }
    }
    assert!(killed > 0, "no commit was under way when its session was killed");

    let query = TicketQuery { event: event(), area: None, only_available: false, after: None, limit: PAGE_MAX };
    let found = repository.tickets(&query).await.expect("tickets");
    let count = |numbers: &std::ops::Range<u32>| {
        found.iter().filter(|(_, _, ticket)| numbers.contains(&ticket.place.number)).count()
    };
    assert!(there.iter().all(|numbers| count(numbers) == 500), "an acknowledged commit is not there");
    assert!(absent.iter().all(|numbers| count(numbers) == 0), "a commit that failed is there");
    assert!(unknown.iter().all(|numbers| matches!(count(numbers), 0 | 500)), "a part of a commit is there");
    let changes = repository.changes(&event(), 0, PAGE_MAX).await.expect("the feed").len();
    assert_eq!(changes, found.len() + 1, "the feed has other rows than the tables");
}

/// A commit of more rows than one statement writes, and one of them conflicts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_rows_are_one_commit() {
    let Some(repository) = migrated().await else { return };
    repository.commit(&event(), &[new_event()]).await.expect("an event");
    let outcome = repository.commit(&event(), &[tickets(0..7_001)]).await.expect("an answer");
    assert_eq!(outcome, [GroupOutcome::Committed]);
    // The last one of the other group is there already.
    let outcome = repository.commit(&event(), &[tickets(7_001..9_000), tickets(9_000..9_001)]).await;
    assert_eq!(outcome.expect("an answer"), [GroupOutcome::Committed, GroupOutcome::Committed]);
    let outcome = repository.commit(&event(), &[tickets(8_999..12_000), tickets(12_000..12_001)]).await;
    assert!(matches!(&outcome.expect("an answer")[..], [GroupOutcome::Conflict { .. }, GroupOutcome::Committed]));
    let request = LoadRequest { event: event(), records: Vec::new(), free_in: vec![AreaId::new("stalls").unwrap()] };
    let snapshot = repository.load(&request).await.expect("a snapshot");
    let free = snapshot.free(&AreaId::new("stalls").unwrap()).expect("the area");
    assert_eq!(free.len(), 9_002);
    let changes = repository.changes(&event(), 9_000, 100).await.expect("the feed");
    assert_eq!(changes.iter().map(|change| change.sequence).collect::<Vec<_>>(), [9_001, 9_002, 9_003]);
}
