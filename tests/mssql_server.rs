//! The SQL Server adapter on the server that the environment names, if it names one, beyond what the conformance suite asks of
//! every repository. Every test has a schema of its own, which stays.
#![cfg(feature = "mssql")]

#[path = "common/mssql_server.rs"]
mod mssql_server;
#[path = "common/runtime.rs"]
mod runtime;

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::join_all;
use runtime::TestRuntime;
use ticket_reservation::adapters::mssql::{MssqlError, MssqlRepository, MssqlRepositoryBuilder};
use ticket_reservation::domain::{
    AreaId, EventId, EventState, Place, Record, RecordKey, Ticket, TicketId, TicketState, Timestamp,
};
use ticket_reservation::ports::{Group, GroupOutcome, LoadRequest, PAGE_MAX, Repository, Runtime, TicketQuery, Write};

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

fn event() -> EventId {
    EventId::new("gala").unwrap()
}

fn new_event() -> Group {
    let record = Record::Event(ticket_reservation::domain::Event {
        state: EventState::OnSale,
        window: Default::default(),
        limit_per_customer: None,
    });
    let write = Write { key: RecordKey::Event, version: 0, decided_at: Timestamp::from_micros(1), record };
    Group { reads: Vec::new(), writes: vec![write] }
}

fn tickets(numbers: std::ops::Range<u32>) -> Group {
    let write = |number: u32| {
        let place = Place { area: AreaId::new("stalls").unwrap(), row: 1, number };
        let record = Record::Ticket(Ticket { place, state: TicketState::Available });
        let key = RecordKey::Ticket(TicketId::new(format!("S-{number:06}")).unwrap());
        Write { key, version: 0, decided_at: Timestamp::from_micros(1), record }
    };
    Group { reads: vec![(RecordKey::Event, 1)], writes: numbers.map(write).collect() }
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
