//! Connections that cannot be made: nothing was sent, and so nothing was changed.

use std::time::{Duration, Instant};

use ticket_reservation::adapters::mssql::{MssqlError, MssqlRepository};
use ticket_reservation::ports::StoreErrorKind::{Permanent, Transient};

use super::answers::{commit_answer, error, settings_answer, small_load_answer};
use super::chain::chain;
use super::scripted_tds::{Answer, Gate, LoginAnswer, Message, Table, TdsServer, Type, Wait};
use super::stage::{PASSWORD, VERY_LONG, builder, calls, commit, commits, kind_of, load, number_of, server, soon};

/// One that waits for a connection longer than any test.
async fn waits_for_ever() -> (TdsServer, MssqlRepository) {
    let server = server().await;
    let repository = builder(&server).acquire_timeout(VERY_LONG).build().expect("a connection string");
    (server, repository)
}

/// One that waits for a connection for so long.
fn waiting_for(server: &TdsServer, timeout: Duration) -> MssqlRepository {
    builder(server).acquire_timeout(timeout).build().expect("a connection string")
}

#[tokio::test]
async fn who_may_not_come_in_is_told_so_at_once() {
    let (server, repository) = waits_for_ever().await;
    for number in [18456, 18452, 18470, 18486, 18487, 18488, 4060, 911, 916] {
        server.login_otherwise(LoginAnswer::Refuse(Message::new(number, "You do not come in.").class(14)));
        for failed in [commit(&repository).await.expect_err("refused"), load(&repository).await.expect_err("refused")] {
            assert_eq!(failed.kind(), Permanent, "{number}: {failed:?}");
            assert!(chain(&failed).contains("You do not come in."), "{}", chain(&failed));
        }
    }
    assert_eq!(server.requests(), []);
}

#[tokio::test]
async fn opening_a_store_says_why_nobody_is_let_in() {
    let (server, repository) = waits_for_ever().await;
    for number in [18456, 4060] {
        server.login_otherwise(LoginAnswer::Refuse(Message::new(number, "You do not come in.").class(14)));
        let migrated = soon(repository.migrate()).await.expect_err("refused");
        let opened = soon(repository.open()).await.expect_err("refused");
        let checked = soon(repository.check()).await.expect_err("refused");
        for failed in [migrated, opened, checked] {
            assert_eq!(number_of(&failed), Some(number), "{failed:?}");
        }
    }
}

/// It is a refusal for now, or of a server that has something else to do.
#[tokio::test]
async fn a_login_that_fails_for_another_reason_may_be_tried_again() {
    let (server, repository) = waits_for_ever().await;
    for (number, class) in [(40197, 17), (40501, 20), (40613, 17), (49918, 16), (49919, 16), (49920, 16)]
        .into_iter()
        .chain([(10928, 16), (10929, 16), (17809, 20), (983, 14), (1205, 13), (99999, 16)])
    {
        server.login_otherwise(LoginAnswer::Refuse(Message::new(number, "Not now.").class(class)));
        assert_eq!(kind_of(commit(&repository).await), Transient, "after {number}");
        assert_eq!(kind_of(load(&repository).await), Transient, "after {number}");
    }
}

#[tokio::test]
async fn a_server_that_ends_the_login_may_be_there_later() {
    let (server, repository) = waits_for_ever().await;
    server.login_otherwise(LoginAnswer::Close);
    assert_eq!(kind_of(commit(&repository).await), Transient);
    assert_eq!(kind_of(load(&repository).await), Transient);
    let failed = soon(repository.open()).await.expect_err("no connection");
    assert!(matches!(failed, MssqlError::Mssql(_)), "{failed:?}");
    server.login_otherwise(LoginAnswer::Accept);
    server.answers([commit_answer(&[])]);
    commits(&repository).await;
}

#[tokio::test]
async fn a_server_that_is_not_there_may_be_there_later() {
    let (server, repository) = waits_for_ever().await;
    server.stop().await;
    assert_eq!(kind_of(commit(&repository).await), Transient);
    assert_eq!(kind_of(load(&repository).await), Transient);
    soon(repository.migrate()).await.expect_err("nobody listens");
    server.start_again().await;
    server.answers([commit_answer(&[]), small_load_answer()]);
    commits(&repository).await;
    load(&repository).await.expect("a snapshot");
}

#[tokio::test]
async fn a_server_that_says_nothing_at_login_is_given_up_in_time() {
    let timeout = Duration::from_millis(100);
    for silent in [LoginAnswer::Hang, LoginAnswer::Mute] {
        let server = server().await;
        let repository = waiting_for(&server, timeout);
        server.login_otherwise(silent);
        let began = Instant::now();
        assert_eq!(kind_of(commit(&repository).await), Transient);
        assert!(began.elapsed() >= timeout, "{:?}", began.elapsed());
        assert_eq!(kind_of(load(&repository).await), Transient);
        // Connections that nobody waits for any more are given up too.
        server.login_otherwise(LoginAnswer::Accept);
        server.wait_closed(server.opened()).await;
        server.answers([commit_answer(&[])]);
        commits(&repository).await;
    }
}

// ---- what a new connection is told first

/// Of a server for which a new connection's first request is like any other.
async fn without_settings(timeout: Duration) -> (TdsServer, MssqlRepository) {
    let server = TdsServer::start().await;
    let repository = waiting_for(&server, timeout);
    (server, repository)
}

#[tokio::test]
async fn a_connection_that_cannot_be_set_up_has_sent_nothing() {
    let other_type = Answer::rows(Table::new([("code_page", Type::NVarChar(9))]).row(["65001".into()]));
    let other_name = Answer::rows(Table::new([("page", Type::BigInt)]).row([65_001_i64.into()]));
    for (what, answer, known) in [
        ("an unknown error", error(99999, 16), Transient),
        ("a fatal error", error(596, 21).closes(), Transient),
        ("a permission", error(229, 14), Permanent),
        ("a cut", Answer::cut(), Transient),
        ("no row", Answer::new(), Transient),
        ("another type", other_type, Transient),
        ("another name", other_name, Transient),
    ] {
        let (server, repository) = without_settings(VERY_LONG).await;
        server.answers([answer.clone(), answer]);
        assert_eq!(kind_of(commit(&repository).await), known, "{what}");
        assert_eq!(kind_of(load(&repository).await), known, "{what}");
        assert!(calls(&server).is_empty(), "{what}");
        server.wait_closed(2).await;
    }
}

#[tokio::test]
async fn a_connection_that_is_not_set_up_in_time_is_given_up() {
    let (server, repository) = without_settings(Duration::from_millis(100)).await;
    server.otherwise(|_| Some(Answer::never()));
    assert_eq!(kind_of(commit(&repository).await), Transient);
    assert!(calls(&server).is_empty());
    server.wait_closed(1).await;
}

#[tokio::test]
async fn a_connection_says_what_it_needs_before_anything_else() {
    let (server, repository) = without_settings(VERY_LONG).await;
    server.answers([settings_answer(Some(65_001)), commit_answer(&[])]);
    commits(&repository).await;
    let first = server.requests().remove(0);
    for setting in ["LOCK_TIMEOUT 10000;", "XACT_ABORT ON", "NOCOUNT ON", "READ COMMITTED;", "QUOTED_IDENTIFIER ON"] {
        assert!(first.sql().contains(setting), "{setting} is not in {}", first.sql());
    }
    let login = server.logins().remove(0);
    assert_eq!((login.user.as_str(), login.database.as_str()), ("box_office", "sale"));
    assert_eq!((login.password.as_str(), login.application.as_str()), (PASSWORD, "ticket-reservation"));
}

#[tokio::test]
async fn a_call_that_is_dropped_while_it_connects_breaks_no_later_one() {
    let server = server().await;
    let repository = waiting_for(&server, VERY_LONG);
    let gate = Gate::new();
    server.logins_go([LoginAnswer::AcceptAfter(Wait::Until(gate.clone()))]);
    tokio::select! {
        ended = commit(&repository) => panic!("it has ended: {ended:?}"),
        _ = server.logins_reach(1) => {}
    }
    gate.open();
    server.answers([commit_answer(&[])]);
    commits(&repository).await;
    assert_eq!(calls(&server).len(), 1, "the dropped commit was not sent");
}
