//! A repository, its scripted server, and what the tests ask it to do.

use std::fmt::Debug;
use std::future::Future;
use std::time::Duration;

use ticket_reservation::adapters::mssql::{MssqlError, MssqlRepository, MssqlRepositoryBuilder};
use ticket_reservation::domain::{
    AreaId, EventId, Place, Pool, PoolId, Record, RecordKey, Snapshot, Ticket, TicketId, Timestamp,
};
use ticket_reservation::ports::{Group, GroupOutcome, LoadRequest, Repository, StoreError, StoreErrorKind, Write};

use super::answers::settings_answer;
use super::runtime::TestRuntime;
use super::scripted_tds::{Answer, Encryption, Request, TdsServer};

/// How long a test may wait for anything.
pub(crate) const AT_MOST: Duration = Duration::from_secs(30);

/// Longer than any test waits.
pub(crate) const VERY_LONG: Duration = Duration::from_secs(3_600);

/// What must not be seen anywhere.
pub(crate) const PASSWORD: &str = "hunter2";

pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(AT_MOST, what).await.expect("it does not take so long")
}

/// A server without TLS that knows what a new connection asks.
pub(crate) async fn server() -> TdsServer {
    server_with(Encryption::NotSupported).await
}

pub(crate) async fn server_with(encryption: Encryption) -> TdsServer {
    let server = TdsServer::with(encryption).await;
    server.rule(|request| is_settings(request).then(|| settings_answer(Some(65_001))));
    server
}

/// Whether it is what a new connection begins with.
pub(crate) fn is_settings(request: &Request) -> bool {
    request.sql().ends_with("AS code_page")
}

/// The requests that no new connection begins with.
pub(crate) fn calls(server: &TdsServer) -> Vec<Request> {
    server.requests().into_iter().filter(|request| !is_settings(request)).collect()
}

pub(crate) fn connection_string(server: &TdsServer) -> String {
    format!("Server=tcp:127.0.0.1,{};Database=sale;User ID=box_office;Password={PASSWORD}", server.port())
}

/// With TLS, as it is unless somebody says otherwise.
pub(crate) fn default_builder(server: &TdsServer) -> MssqlRepositoryBuilder {
    MssqlRepository::builder(connection_string(server), TestRuntime::current())
}

/// Without TLS.
pub(crate) fn builder(server: &TdsServer) -> MssqlRepositoryBuilder {
    default_builder(server).plain_on_loopback()
}

pub(crate) fn repository(server: &TdsServer) -> MssqlRepository {
    builder(server).build().expect("a connection string")
}

/// A server and a repository on it.
pub(crate) async fn stage() -> (TdsServer, MssqlRepository) {
    let server = server().await;
    let repository = repository(&server);
    (server, repository)
}

pub(crate) fn event() -> EventId {
    EventId::new("gala").unwrap()
}

pub(crate) fn pool_id(name: &str) -> PoolId {
    PoolId::new(name).unwrap()
}

pub(crate) fn ticket_id(name: &str) -> TicketId {
    TicketId::new(name).unwrap()
}

/// Writes a pool that was not there.
pub(crate) fn group(pool: &str) -> Group {
    let record = Record::Pool(Pool::with_capacity(100));
    let write = Write { key: RecordKey::Pool(pool_id(pool)), version: 0, decided_at: Timestamp::EPOCH, record };
    Group { reads: vec![(RecordKey::Event, 1)], writes: vec![write], ..Group::default() }
}

/// Writes a ticket that was not there.
pub(crate) fn ticket_write(ticket: &str, area: &str) -> Write {
    let place = Place { area: AreaId::new(area).unwrap(), row: 1, number: 1 };
    let record = Record::Ticket(Ticket::available(place));
    Write { key: RecordKey::Ticket(ticket_id(ticket)), version: 0, decided_at: Timestamp::EPOCH, record }
}

pub(crate) fn load_request() -> LoadRequest {
    let records = vec![RecordKey::Event, RecordKey::Pool(pool_id("floor"))];
    LoadRequest { event: event(), records, free_in: Vec::new() }
}

/// Commits one group.
pub(crate) async fn commit(repository: &MssqlRepository) -> Result<Vec<GroupOutcome>, StoreError> {
    soon(repository.commit(&event(), &[group("floor")])).await
}

pub(crate) async fn load(repository: &MssqlRepository) -> Result<Snapshot, StoreError> {
    soon(repository.load(&load_request())).await
}

pub(crate) async fn commits(repository: &MssqlRepository) {
    assert_eq!(commit(repository).await.expect("an answer"), [GroupOutcome::Committed]);
}

/// What is known after a call that failed.
pub(crate) fn kind_of<T: Debug>(result: Result<T, StoreError>) -> StoreErrorKind {
    result.expect_err("no answer").kind()
}

/// What a commit that is answered so comes to.
pub(crate) async fn commit_that_gets(
    server: &TdsServer,
    repository: &MssqlRepository,
    answer: Answer,
) -> Result<Vec<GroupOutcome>, StoreError> {
    server.answers([answer]);
    commit(repository).await
}

/// What a load that is answered so comes to.
pub(crate) async fn load_that_gets(
    server: &TdsServer,
    repository: &MssqlRepository,
    answer: Answer,
) -> Result<Snapshot, StoreError> {
    server.answers([answer]);
    load(repository).await
}

/// The number that SQL Server has given.
pub(crate) fn number_of(error: &MssqlError) -> Option<u32> {
    if let MssqlError::Mssql(error) = error { error.code() } else { None }
}
