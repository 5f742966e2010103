//! Loads during which a commit came in between are asked again.

use ticket_reservation::domain::RecordKey;
use ticket_reservation::ports::StoreErrorKind::{Permanent, Transient};
use ticket_reservation::ports::{Repository, StoreError};

use super::answers::{POOL, begin, end, load_answer, load_end, pool_row, small_load_answer, table, torn_answer};
use super::chain::chain;
use super::scripted_tds::{Answer, Request, TdsServer, Value};
use super::stage::{calls, event, kind_of, load, pool_id, soon, stage};

fn pools(held: i64) -> super::scripted_tds::Table {
    table("pool", POOL, [pool_row("floor", [100, held, 0])])
}

/// Whether the requests asked to keep commits away.
fn are_alone(server: &TdsServer) -> Vec<Value> {
    calls(server).iter().map(|request: &Request| request.values()[1].clone()).collect()
}

fn held(snapshot: &ticket_reservation::domain::Snapshot) -> u32 {
    let read = snapshot.get(&RecordKey::Pool(pool_id("floor"))).expect("it was asked for");
    match &read.record {
        Some(ticket_reservation::domain::Record::Pool(pool)) => pool.held,
        other => panic!("{other:?} is no pool"),
    }
}

#[tokio::test]
async fn a_load_of_one_moment_is_asked_once_beside_commits() {
    let (server, repository) = stage().await;
    server.answers([load_answer([pools(1)])]);
    assert_eq!(held(&load(&repository).await.expect("a snapshot")), 1);
    assert_eq!(are_alone(&server), [Value::Bit(false)]);
}

#[tokio::test]
async fn a_torn_load_is_asked_again_without_commits_and_the_second_answer_counts() {
    let (server, repository) = stage().await;
    server.answers([torn_answer([pools(1)]), load_answer([pools(2)])]);
    assert_eq!(held(&load(&repository).await.expect("a snapshot")), 2);
    assert_eq!(are_alone(&server), [Value::Bit(false), Value::Bit(true)]);
    let sent = calls(&server);
    let rest = |request: &Request| request.parameters()[2..].to_vec();
    assert_eq!(rest(&sent[0]), rest(&sent[1]), "the same is asked for");
    assert_eq!(server.opened(), 1);
}

/// The event itself can have been created meanwhile, when there was no row to lock.
#[tokio::test]
async fn the_third_answer_can_be_of_one_moment() {
    let (server, repository) = stage().await;
    let created = Answer::rows(begin(1_000, -1)).then_rows(load_end(0, None));
    server.answers([created.clone(), created, load_answer([pools(3)])]);
    assert_eq!(held(&load(&repository).await.expect("a snapshot")), 3);
    assert_eq!(are_alone(&server), [Value::Bit(false), Value::Bit(true), Value::Bit(true)]);
}

#[tokio::test]
async fn a_load_that_is_torn_three_times_is_given_up() {
    let (server, repository) = stage().await;
    server.answers([torn_answer([pools(1)]), torn_answer([pools(2)]), torn_answer([pools(3)])]);
    let failed = load(&repository).await.expect_err("torn");
    assert_eq!(failed.kind(), Transient, "{}", chain(&failed));
    assert_eq!(are_alone(&server).len(), 3);
    server.answers([small_load_answer()]);
    load(&repository).await.expect("a snapshot");
    assert_eq!(server.opened(), 1, "its connection is a good one");
}

#[tokio::test]
async fn a_second_answer_that_fails_fails_the_load() {
    let (server, repository) = stage().await;
    server.answers([torn_answer([pools(1)]), Answer::cut()]);
    assert_eq!(kind_of(load(&repository).await), Transient);
}

#[tokio::test]
async fn an_event_that_does_not_exist_is_read_at_one_moment_too() {
    let (server, repository) = stage().await;
    server.answers([Answer::rows(begin(1_000, -1)).then_rows(load_end(-1, None))]);
    let snapshot = load(&repository).await.expect("a snapshot");
    assert_eq!(snapshot.get(&RecordKey::Event).map(|read| read.version), Some(0));
    assert_eq!(calls(&server).len(), 1);
}

#[tokio::test]
async fn an_answer_that_does_not_say_how_many_commits_there_were_is_no_snapshot() {
    let (server, repository) = stage().await;
    let uncounted = table("begin", &[("now", super::scripted_tds::Type::BigInt)], [vec![1_i64.into()]]);
    for (what, answer) in [
        ("no beginning", Answer::rows(load_end(7, None))),
        ("a beginning that does not count", Answer::rows(uncounted).then_rows(load_end(7, None))),
        ("an end that does not count", Answer::rows(begin(1_000, 7)).then_rows(end())),
        ("a pool first", Answer::rows(pools(1)).then_rows(load_end(7, None))),
    ] {
        server.answers([answer]);
        assert_eq!(kind_of(load(&repository).await), Permanent, "{what}");
    }
}

#[tokio::test]
async fn the_count_of_what_is_free_is_of_one_moment_too() {
    let (server, repository) = stage().await;
    let answer = |now, commits| Answer::rows(begin(now, 7)).then_rows(load_end(commits, None));
    server.answers([answer(1, 8), answer(2, 7)]);
    let found = soon(repository.availability(&event())).await.expect("an answer");
    assert_eq!(found.at.as_micros(), 2);
    assert_eq!(are_alone(&server), [Value::Bit(false), Value::Bit(true)]);
    server.answers([answer(1, 8), answer(2, 8), answer(3, 8)]);
    let failed: StoreError = soon(repository.availability(&event())).await.expect_err("torn");
    assert_eq!(failed.kind(), Transient);
}
