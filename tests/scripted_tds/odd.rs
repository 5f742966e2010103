//! What the client does that one would not expect. When one of these fails, the client has changed.

use std::time::Duration;

use tiberius::EncryptionLevel;
use tiberius::error::Error;

use super::scripted_tds::{Answer, Gate, TdsServer, Type};
use super::{assert_io, config, connect, connect_with, number, seven, single, soon};

/// DONE with this status.
fn done(status: u8) -> Answer {
    Answer::new().then_bytes([0xfd, status, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]).without_end()
}

/// It takes the acknowledgement for the next answer, and from then on each answer for that to the next request.
#[tokio::test]
async fn a_cancellation_that_comes_too_late_shifts_all_answers() {
    let server = TdsServer::start().await;
    let gate = Gate::new();
    let late = Answer::new().until(&gate).then_rows(single(Type::BigInt, 1_i64));
    server.answers([late]);
    server.answers((2_i64..5).map(|it| Answer::rows(single(Type::BigInt, it))));
    let mut client = connect(&server).await;
    assert!(tokio::time::timeout(Duration::from_millis(50), number(&mut client)).await.is_err());
    gate.open();
    server.answers_sent_reach(1).await;
    let error = soon(client.cancel_query()).await.expect_err("no acknowledgement in the answer");
    assert!(matches!(error, Error::Protocol(_)), "{error:?}");
    server.attentions_reach(1).await;
    assert_eq!(soon(client.execute("UPDATE", &[])).await.expect("the acknowledgement").rows_affected(), [0]);
    assert_eq!(number(&mut client).await.expect("the answer to another"), 2);
    assert_eq!(number(&mut client).await.expect("the answer to another"), 3);
}

#[tokio::test]
async fn an_answer_without_its_end_is_a_success() {
    let server = TdsServer::start().await;
    server.answers([
        Answer::affected(1).without_end(),
        Answer::new().then_some_rows(single(Type::BigInt, 1_i64)).without_end(),
    ]);
    let mut client = connect(&server).await;
    assert_eq!(soon(client.execute("UPDATE", &[])).await.expect("a success").rows_affected(), [1]);
    assert_eq!(number(&mut client).await.expect("a success"), 1);
}

#[tokio::test]
async fn an_end_that_says_error_without_an_error_is_a_success() {
    const ERROR: u8 = 0x02;
    let server = TdsServer::start().await;
    server.answers([done(ERROR), seven()]);
    let mut client = connect(&server).await;
    assert_eq!(soon(client.execute("UPDATE", &[])).await.expect("a success").rows_affected(), [0]);
    assert_eq!(number(&mut client).await.expect("an answer"), 7);
}

#[tokio::test]
async fn an_unasked_acknowledgement_is_a_success() {
    const ATTENTION: u8 = 0x20;
    let server = TdsServer::start().await;
    server.answers([done(ATTENTION)]);
    let mut client = connect(&server).await;
    assert_eq!(soon(client.execute("UPDATE", &[])).await.expect("a success").rows_affected(), [0]);
}

#[tokio::test]
async fn a_client_that_wants_no_encryption_begins_it_with_a_server_that_cannot() {
    let server = TdsServer::start().await;
    let mut config = config(&server);
    config.encryption(EncryptionLevel::Off);
    assert_io(connect_with(config).await);
    server.wait_closed(1).await;
    assert_eq!(server.errors().len(), 1, "{:?}", server.errors());
}

/// It reads the old answer first, however long that takes.
#[tokio::test]
async fn a_request_waits_for_the_answer_to_the_one_that_was_dropped() {
    let server = TdsServer::start().await;
    let gate = Gate::new();
    server.answers([Answer::new().until(&gate).then_rows(single(Type::BigInt, 1_i64)), seven()]);
    let mut client = connect(&server).await;
    for _ in 0..2 {
        assert!(tokio::time::timeout(Duration::from_millis(50), number(&mut client)).await.is_err());
        assert_eq!(server.requests().len(), 1);
    }
    gate.open();
    assert_eq!(number(&mut client).await.expect("an answer"), 7);
}
