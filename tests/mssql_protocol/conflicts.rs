//! What a commit's answer says of its groups.

use ticket_reservation::domain::RecordKey;
use ticket_reservation::ports::GroupOutcome::{Committed, Conflict};
use ticket_reservation::ports::StoreErrorKind::{Permanent, Unknown};
use ticket_reservation::ports::{Group, GroupOutcome, Repository, StoreError};

use super::answers::{commit_answer, end, table};
use super::scripted_tds::{Answer, Type, Value};
use super::stage::{calls, event, group, pool_id, soon, stage};

/// Two groups of two checks each: number 0 is the event and 1 a pool, 2 is the event and 3 another pool.
fn groups() -> [Group; 2] {
    [group("floor"), group("gallery")]
}

fn floor() -> RecordKey {
    RecordKey::Pool(pool_id("floor"))
}

fn gallery() -> RecordKey {
    RecordKey::Pool(pool_id("gallery"))
}

async fn outcomes(answer: Answer) -> Result<Vec<GroupOutcome>, StoreError> {
    let (server, repository) = stage().await;
    server.answers([answer]);
    soon(repository.commit(&event(), &groups())).await
}

#[tokio::test]
async fn a_failed_check_fails_its_own_group_alone() {
    let failed = |key| Conflict { stale: vec![key] };
    for (numbers, expected) in [
        (&[][..], [Committed, Committed]),
        (&[0], [failed(RecordKey::Event), Committed]),
        (&[1], [failed(floor()), Committed]),
        (&[2], [Committed, failed(RecordKey::Event)]),
        (&[3], [Committed, failed(gallery())]),
        (&[3, 1], [failed(floor()), failed(gallery())]),
    ] {
        assert_eq!(outcomes(commit_answer(numbers)).await.expect("an answer"), expected, "{numbers:?}");
    }
}

#[tokio::test]
async fn a_group_says_all_that_failed_in_it() {
    let found = outcomes(commit_answer(&[0, 1, 2])).await.expect("an answer");
    let both = Conflict { stale: vec![RecordKey::Event, floor()] };
    assert_eq!(found, [both, Conflict { stale: vec![RecordKey::Event] }]);
}

/// What the server has done is not known, and it says that it is at the end.
#[tokio::test]
async fn numbers_of_no_check_are_never_a_success() {
    for number in [4, -1, i32::MAX, i32::MIN] {
        for numbers in [&[number][..], &[0, number]] {
            let failed = outcomes(commit_answer(numbers)).await.expect_err("no such check").kind();
            assert!(matches!(failed, Permanent | Unknown), "{numbers:?}: {failed:?}");
        }
    }
}

#[tokio::test]
async fn rows_that_name_no_check_are_never_a_success() {
    let no_number = table("stale", &[("no", Type::Int)], [vec![Value::Null]]);
    let wider = table("stale", &[("no", Type::BigInt)], [vec![0_i64.into()]]);
    let text = table("stale", &[("no", Type::NVarChar(9))], [vec!["0".into()]]);
    let nothing = table("stale", &[], [vec![]]);
    let other = table("surprise", &[("other", Type::Int)], [vec![0_i32.into()]]);
    for (what, odd) in [("null", no_number), ("wider", wider), ("text", text), ("nothing", nothing), ("other", other)] {
        let failed = outcomes(Answer::rows(odd).then_rows(end())).await.expect_err(what).kind();
        assert!(matches!(failed, Permanent | Unknown), "{what}: {failed:?}");
    }
}

#[tokio::test]
async fn without_groups_nothing_is_sent() {
    let (server, repository) = stage().await;
    assert_eq!(soon(repository.commit(&event(), &[])).await.expect("an answer"), []);
    assert!(calls(&server).is_empty());
}

#[tokio::test]
async fn what_cannot_be_right_is_not_even_sent() {
    let (server, repository) = stage().await;
    let mut under_another_key = group("floor");
    under_another_key.writes[0].key = RecordKey::Event;
    let mut beyond_all_versions = group("floor");
    beyond_all_versions.writes[0].version = u64::MAX;
    let mut read_beyond = group("floor");
    read_beyond.reads[0].1 = u64::MAX;
    for odd in [under_another_key, beyond_all_versions, read_beyond] {
        let failed = soon(repository.commit(&event(), &[group("gallery"), odd])).await.expect_err("it is an alarm");
        assert_eq!(failed.kind(), Permanent);
    }
    assert!(calls(&server).is_empty());
}
