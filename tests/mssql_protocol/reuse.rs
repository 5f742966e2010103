//! Which connections are used again.

use std::time::Duration;

use ticket_reservation::adapters::mssql::{MssqlRepository, bb8};
use ticket_reservation::domain::RecordKey;
use ticket_reservation::ports::StoreErrorKind::{Transient, Unknown};
use ticket_reservation::ports::{GroupOutcome, Repository};

use super::answers::{begin, commit_answer, end, error, late_commit_answer, small_load_answer, stale};
use super::chain::chain;
use super::scripted_tds::{Answer, Gate, TdsServer, Wait};
use super::stage::{
    VERY_LONG, builder, calls, commit, commits, event, group, is_settings, kind_of, load, load_request, server, soon,
    stage,
};

/// Of a patient repository, which ends no call by itself.
async fn patient() -> (TdsServer, MssqlRepository) {
    let server = server().await;
    let repository = builder(&server).call_timeout(VERY_LONG).build().expect("a connection string");
    (server, repository)
}

/// Of a repository that waits for an answer as short as it can.
async fn impatient() -> (TdsServer, MssqlRepository) {
    let server = server().await;
    let repository = builder(&server).call_timeout(Duration::from_millis(10)).build().expect("a connection string");
    (server, repository)
}

/// Drops a commit when the server has read it.
async fn drop_commit(server: &TdsServer, repository: &MssqlRepository) {
    let (groups, event) = ([group("floor")], event());
    let read = server.requests().len() + 1 + usize::from(server.open().is_empty());
    tokio::select! {
        ended = repository.commit(&event, &groups) => panic!("it has ended: {ended:?}"),
        _ = server.requests_reach(read) => {}
    }
}

/// Drops a load when the server has read it.
async fn drop_load(server: &TdsServer, repository: &MssqlRepository) {
    let request = load_request();
    let read = server.requests().len() + 1 + usize::from(server.open().is_empty());
    tokio::select! {
        ended = repository.load(&request) => panic!("it has ended: {ended:?}"),
        _ = server.requests_reach(read) => {}
    }
}

#[tokio::test]
async fn a_connection_whose_call_ended_well_is_used_again() {
    let (server, repository) = stage().await;
    for _ in 0..3 {
        server.answers([commit_answer(&[]), commit_answer(&[0]), small_load_answer()]);
        commits(&repository).await;
        commit(&repository).await.expect("a conflict is an answer");
        load(&repository).await.expect("a snapshot");
    }
    assert_eq!((server.opened(), calls(&server).len()), (1, 9));
    assert_eq!(server.requests().iter().filter(|request| is_settings(request)).count(), 1);
}

#[tokio::test]
async fn a_connection_whose_call_failed_is_not_used_again() {
    let (server, repository) = stage().await;
    for (failures, answer) in
        [error(1205, 13), error(547, 16), Answer::rows(stale(&[])), Answer::new()].into_iter().enumerate()
    {
        server.answers([answer, commit_answer(&[])]);
        commit(&repository).await.expect_err("an error");
        server.wait_closed(failures + 1).await;
        commits(&repository).await;
        assert_eq!(server.opened(), failures + 2);
    }
}

#[tokio::test]
async fn a_dropped_commit_ends_its_connection_and_the_next_call_gets_its_own_answer() {
    let half = Answer::new().then_some_rows(stale(&[0])).wait(Wait::Forever);
    let late = late_commit_answer(&Gate::new(), &[0]);
    for kept_back in [half, late] {
        let (server, repository) = patient().await;
        server.answers([kept_back, commit_answer(&[])]);
        drop_commit(&server, &repository).await;
        server.wait_closed(1).await;
        commits(&repository).await;
        assert_eq!(server.opened(), 2);
    }
}

#[tokio::test]
async fn a_call_after_a_dropped_one_does_not_wait_for_it() {
    let server = server().await;
    let repository = builder(&server).pool_size(1).acquire_timeout(VERY_LONG).call_timeout(VERY_LONG);
    let repository = repository.build().expect("a connection string");
    server.answers([Answer::never(), commit_answer(&[])]);
    drop_commit(&server, &repository).await;
    commits(&repository).await;
}

#[tokio::test]
async fn a_dropped_load_ends_its_connection_and_the_next_call_gets_its_own_answer() {
    let half = Answer::new().then_some_rows(begin(1, 1)).wait(Wait::Forever);
    for kept_back in [half, Answer::never()] {
        let (server, repository) = patient().await;
        server.answers([kept_back, small_load_answer()]);
        drop_load(&server, &repository).await;
        server.wait_closed(1).await;
        let pool = load(&repository).await.expect("a snapshot").get(&load_request().records[1]).map(|it| it.version);
        assert_eq!(pool, Some(3));
        assert_eq!(server.opened(), 2);
    }
}

#[tokio::test]
async fn a_commit_that_is_not_answered_in_time_may_have_happened() {
    let (server, repository) = impatient().await;
    let late = Gate::new();
    server.answers([late_commit_answer(&late, &[0]), commit_answer(&[])]);
    let failed = commit(&repository).await.expect_err("no answer");
    assert_eq!(failed.kind(), Unknown);
    assert!(chain(&failed).contains("did not answer in time"), "{}", chain(&failed));
    server.wait_closed(1).await;
    late.open();
    commits(&repository).await;
    assert_eq!(server.opened(), 2);
}

#[tokio::test]
async fn a_load_that_is_not_answered_in_time_has_changed_nothing() {
    let (server, repository) = impatient().await;
    let half = Answer::new().then_rows(begin(1_000, 7)).wait(Wait::Forever);
    for (failures, answer) in [Answer::never(), half].into_iter().enumerate() {
        server.answers([answer]);
        assert_eq!(kind_of(load(&repository).await), Transient);
        server.wait_closed(failures + 1).await;
    }
    server.answers([small_load_answer()]);
    load(&repository).await.expect("a snapshot");
    assert_eq!(server.opened(), 3);
}

#[tokio::test]
async fn without_a_free_connection_a_call_is_not_begun() {
    let server = server().await;
    let repository = builder(&server).pool_size(1).acquire_timeout(Duration::from_millis(50)).call_timeout(VERY_LONG);
    let repository = repository.build().expect("a connection string");
    let gate = Gate::new();
    server.answers([late_commit_answer(&gate, &[])]);
    let first = tokio::spawn({
        let repository = repository.clone();
        async move { commit(&repository).await }
    });
    server.requests_reach(2).await;
    for failed in [commit(&repository).await.expect_err("no connection"), load(&repository).await.expect_err("none")] {
        assert_eq!(failed.kind(), Transient);
        assert!(chain(&failed).contains("no connection was free in time"), "{}", chain(&failed));
    }
    assert_eq!(calls(&server).len(), 1, "nothing was sent");
    gate.open();
    assert_eq!(soon(first).await.expect("no panic").expect("an answer"), [GroupOutcome::Committed]);
    server.answers([commit_answer(&[])]);
    commits(&repository).await;
    assert_eq!(server.opened(), 1);
}

#[tokio::test]
async fn calls_side_by_side_have_a_connection_each() {
    let (server, repository) = stage().await;
    let gate = Gate::new();
    // Whoever comes first: each has the answer that is meant for it.
    server.rule({
        let gate = gate.clone();
        move |request| {
            let is_gala = request.values().first()?.as_text() == Some("gala");
            let answer = Answer::new().until(&gate).then_rows(stale(if is_gala { &[0] } else { &[] }));
            Some(answer.then_rows(end()))
        }
    });
    let (groups, other) = ([group("floor")], ticket_reservation::domain::EventId::new("ball").unwrap());
    let gala = event();
    let both = async { tokio::join!(repository.commit(&gala, &groups), repository.commit(&other, &groups)) };
    let open = async {
        server.requests_reach(4).await;
        gate.open();
    };
    let ((gala, ball), ()) = soon(async { tokio::join!(both, open) }).await;
    assert_eq!(gala.expect("an answer"), [GroupOutcome::Conflict { stale: vec![RecordKey::Event] }]);
    assert_eq!(ball.expect("an answer"), [GroupOutcome::Committed]);
    assert_eq!(server.opened(), 2);
}

/// The driver notices it when it is used.
#[tokio::test]
async fn connections_that_the_server_has_ended_are_replaced() {
    let (server, repository) = stage().await;
    server.answers([commit_answer(&[])]);
    commits(&repository).await;
    server.close_all();
    server.wait_closed(1).await;
    assert_eq!(kind_of(load(&repository).await), Transient);
    server.answers([small_load_answer()]);
    load(&repository).await.expect("a snapshot");
    assert_eq!(server.opened(), 2);
}

#[tokio::test]
async fn a_hosts_own_pool_is_used_by_the_repository_and_by_the_host() {
    let server = server().await;
    let mut own = None;
    let repository = builder(&server)
        .build_over(|manager| own.insert(bb8::Pool::builder().max_size(1).build_unchecked(manager)).clone());
    let (repository, own) = (repository.expect("a connection string"), own.expect("a pool"));
    server.answers([commit_answer(&[]), Answer::rows(end()), commit_answer(&[])]);
    commits(&repository).await;
    let ask = async |says_so: bool| {
        let mut connection = own.get().await.expect("a connection");
        connection.client().simple_query("SELECT 'mine'").await.expect("an answer").into_results().await.expect("rows");
        if says_so {
            connection.clean();
        }
    };
    ask(true).await;
    commits(&repository).await;
    assert_eq!(server.opened(), 1);
    server.answers([Answer::rows(end()), commit_answer(&[])]);
    ask(false).await;
    commits(&repository).await;
    assert_eq!(server.opened(), 2);
}
