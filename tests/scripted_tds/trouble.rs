//! Answers that come late, in part, or not at all.

use std::time::Duration;

use tiberius::EncryptionLevel;

use super::authority::Authority;
use super::scripted_tds::{Answer, Encryption, Gate, Kind, Message, TdsServer, Tls, Type};
use super::{TdsClient, assert_io, connect, number, seven, single, soon};

/// What an answer is waited for in vain.
const IN_VAIN: Duration = Duration::from_millis(50);

async fn is_not_answered(client: &mut TdsClient) {
    assert!(tokio::time::timeout(IN_VAIN, number(client)).await.is_err());
}

#[tokio::test]
async fn an_answer_can_be_late() {
    let server = TdsServer::start().await;
    let mut client = connect(&server).await;
    let gate = Gate::new();
    server.answers([
        seven().delay(Duration::from_millis(20)),
        Answer::new().until(&gate).then_rows(single(Type::BigInt, 8_i64)),
    ]);
    assert_eq!(number(&mut client).await.expect("an answer"), 7);
    let asking = tokio::spawn(async move { number(&mut client).await });
    server.requests_reach(2).await;
    assert!(!asking.is_finished());
    gate.open();
    assert_eq!(soon(asking).await.expect("no panic").expect("an answer"), 8);
}

#[tokio::test]
async fn a_request_that_is_not_answered_can_be_cancelled() {
    let server = TdsServer::start().await;
    let mut client = connect(&server).await;
    let half = Answer::new().then_some_rows(single(Type::BigInt, 1_i64)).delay(Duration::from_secs(3_600));
    server.answers([Answer::never(), half, seven()]);
    for attentions in 1..=2 {
        is_not_answered(&mut client).await;
        soon(client.cancel_query()).await.expect("it is cancelled");
        assert_eq!(server.attentions(), attentions);
    }
    assert_eq!(number(&mut client).await.expect("an answer"), 7);
    assert_eq!(server.open(), [0]);
}

#[tokio::test]
async fn an_attention_can_be_ignored() {
    let server = TdsServer::start().await;
    server.ignore_attention(true);
    let mut client = connect(&server).await;
    let gate = Gate::new();
    server.answers([Answer::new().until(&gate).then_rows(single(Type::BigInt, 7_i64))]);
    is_not_answered(&mut client).await;
    assert!(tokio::time::timeout(IN_VAIN, client.cancel_query()).await.is_err());
    server.attentions_reach(1).await;
    drop(client);
    server.wait_closed(1).await;
}

#[tokio::test]
async fn an_answer_can_be_cut_after_any_byte() {
    let server = TdsServer::start().await;
    let answer = Answer::rows(single(Type::NVarChar(20), "Reihe 1").row(["Platz 🎫".into()])).in_packets_of(40);
    let bytes = answer.wire_bytes(Kind::Procedure);
    assert!(bytes > 2 * 40, "{bytes} bytes are not several packets");
    for cut in 0..=bytes {
        let mut client = connect(&server).await;
        server.answers([answer.clone().cut_after(cut)]);
        let asked = soon(async {
            let rows = client.query("SELECT name", &[]).await?;
            rows.into_first_result().await
        })
        .await;
        if cut < bytes {
            assert_io(asked);
        } else {
            assert_eq!(asked.expect("a whole answer").len(), 2);
        }
        server.wait_closed(cut + 1).await;
        assert!(number(&mut client).await.is_err(), "after a cut at {cut} of {bytes}");
    }
}

#[tokio::test]
async fn an_answer_in_tls_can_be_cut_after_any_byte() {
    let authority = Authority::new();
    let identity = authority.identity("localhost");
    let server = TdsServer::with(Encryption::Required(Tls::new(&identity.certificate, &identity.key))).await;
    let answer = seven().in_packets_of(30);
    let bytes = answer.wire_bytes(Kind::Procedure);
    for cut in 0..=bytes {
        let mut config = super::config(&server);
        config.encryption(EncryptionLevel::Required);
        config.trust_cert_ca_bundle(authority.pem());
        config.hostname_in_certificate("localhost");
        let mut client = super::connect_with(config).await.expect("a login");
        server.answers([answer.clone().cut_after(cut)]);
        let asked = number(&mut client).await;
        if cut < bytes {
            assert_io(asked);
        } else {
            assert_eq!(asked.expect("a whole answer"), 7);
        }
    }
}

#[tokio::test]
async fn an_answer_to_execute_can_be_cut_after_any_byte() {
    let server = TdsServer::start().await;
    let answer = Answer::affected(1).in_packets_of(20);
    let bytes = answer.wire_bytes(Kind::Procedure);
    for cut in 0..bytes {
        let mut client = connect(&server).await;
        server.answers([answer.clone().cut_after(cut)]);
        assert_io(soon(client.execute("UPDATE", &[])).await);
    }
}

#[tokio::test]
async fn a_request_can_be_cut_after_any_byte() {
    let server = TdsServer::start().await;
    let text = "x".repeat(20_000);
    for (count, cut) in [0, 1, 8, 9, 4_095, 4_096, 4_097, 30_000, 1_000_000].into_iter().enumerate() {
        let mut client = connect(&server).await;
        server.answers([Answer::cut_reading_after(cut)]);
        assert_io(soon(client.execute("INSERT", &[&text.as_str()])).await);
        server.wait_closed(count + 1).await;
        assert_eq!(server.cut_requests(), count + 1);
    }
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn a_request_is_read_and_not_answered() {
    let server = TdsServer::start().await;
    let mut client = connect(&server).await;
    server.answers([Answer::cut()]);
    assert_io(number(&mut client).await);
    assert_eq!(server.requests().len(), 1);
    server.wait_closed(1).await;
}

#[tokio::test]
async fn a_connection_ends_in_an_answer_and_after_one() {
    let server = TdsServer::start().await;
    let gate = Gate::new();
    server.answers([
        Answer::new().then_some_rows(single(Type::BigInt, 1_i64)).until(&gate).then_cut(),
        Answer::error(Message::new(21, "Fatal.").class(20)).closes(),
    ]);
    let mut client = connect(&server).await;
    let rows = soon(client.query("SELECT", &[])).await.expect("the beginning of an answer");
    gate.open();
    assert_io(soon(rows.into_results()).await);
    let mut client = connect(&server).await;
    let error = soon(client.execute("SELECT", &[])).await.expect_err("an error");
    assert_eq!(error.code(), Some(21));
    server.wait_closed(2).await;
}

#[tokio::test]
async fn a_client_that_goes_away_is_noticed_during_an_answer() {
    let server = TdsServer::start().await;
    server.answers([Answer::never()]);
    let mut client = connect(&server).await;
    is_not_answered(&mut client).await;
    assert_eq!(server.open(), [0]);
    drop(client);
    server.wait_closed(1).await;
}

#[tokio::test]
async fn all_connections_can_be_ended() {
    let server = TdsServer::start().await;
    let (mut first, mut second) = (connect(&server).await, connect(&server).await);
    server.close_all();
    server.wait_closed(2).await;
    assert!(number(&mut first).await.is_err());
    assert!(number(&mut second).await.is_err());
}

#[tokio::test]
async fn the_command_timeout_is_an_io_error() {
    let server = TdsServer::start().await;
    server.answers([Answer::never()]);
    let mut config = super::config(&server);
    config.command_timeout(Some(IN_VAIN));
    let mut client = super::connect_with(config).await.expect("a login");
    assert_io(number(&mut client).await);
}
