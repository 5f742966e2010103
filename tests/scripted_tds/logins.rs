//! Logging in.

use tiberius::error::Error;
use tiberius::{AuthMethod, EncryptionLevel};

use super::authority::Authority;
use super::scripted_tds::{Answer, Encryption, Gate, LoginAnswer, Message, TdsServer, Tls, Wait};
use super::{AT_MOST, config, connect, connect_with, number, seven, soon};

fn tls(authority: &Authority) -> Tls {
    let identity = authority.identity("localhost");
    Tls::new(&identity.certificate, &identity.key)
}

#[tokio::test]
async fn the_server_hears_who_logs_in() {
    let server = TdsServer::start().await;
    let mut client = connect(&server).await;
    let login = server.logins().remove(0);
    assert_eq!((login.user.as_str(), login.password.as_str()), ("seller", "päss🎫word"));
    assert_eq!((login.database.as_str(), login.application.as_str()), ("tickets", "box office"));
    assert_eq!((login.packet_bytes, login.is_encrypted, login.connection), (4096, false, 0));
    server.answers([seven()]);
    assert_eq!(number(&mut client).await.expect("an answer"), 7);
    assert_eq!(server.open(), [0]);
    client.close().await.expect("the end");
    server.wait_closed(1).await;
    assert_eq!((server.opened(), server.open()), (1, vec![]));
}

#[tokio::test]
async fn a_refused_login_says_why() {
    let server = TdsServer::start().await;
    let refusals =
        [Message::new(18456, "Login failed for user 'seller'.").class(14), Message::new(4060, "No such database.")];
    server.logins_go(refusals.map(LoginAnswer::Refuse));
    for number in [18456, 4060] {
        let error = connect_with(config(&server)).await.expect_err("a refusal");
        assert_eq!(error.code(), Some(number), "{error:?}");
    }
    connect(&server).await;
    assert_eq!(server.logins_reach(3).await.len(), 3);
}

#[tokio::test]
async fn a_login_can_hang_or_end_or_wait() {
    let server = TdsServer::start().await;
    let gate = Gate::new();
    server.logins_go([
        LoginAnswer::Close,
        LoginAnswer::Hang,
        LoginAnswer::Mute,
        LoginAnswer::AcceptAfter(Wait::Until(gate.clone())),
    ]);
    super::assert_io(connect_with(config(&server)).await);
    for opened in [2, 3] {
        let connecting = tokio::spawn(connect_with(config(&server)));
        server.wait_opened(opened).await;
        // The last of them is not even asked who it is.
        assert_eq!(server.logins_reach(2).await.len(), 2);
        assert!(!connecting.is_finished());
        connecting.abort();
        assert!(connecting.await.expect_err("no end of its own").is_cancelled());
    }
    let config = config(&server);
    let connecting = tokio::spawn(connect_with(config));
    server.logins_reach(3).await;
    assert!(!connecting.is_finished());
    gate.open();
    soon(connecting).await.expect("no panic").expect("a login");
    server.wait_closed(4).await;
}

#[tokio::test]
async fn all_goes_in_tls_that_the_authority_vouches_for() {
    let authority = Authority::new();
    for encryption in [Encryption::Offered(tls(&authority)), Encryption::Required(tls(&authority))] {
        for level in [EncryptionLevel::On, EncryptionLevel::Required] {
            let server = TdsServer::with(encryption.clone()).await;
            let mut config = config(&server);
            config.encryption(level);
            config.trust_cert_ca_bundle(authority.pem());
            config.hostname_in_certificate("localhost");
            let mut client = connect_with(config).await.expect("a login");
            assert!(server.logins()[0].is_encrypted);
            let long = "🎫".repeat(50_000);
            server.answers([seven(), Answer::affected(1), seven()]);
            assert_eq!(number(&mut client).await.expect("an answer"), 7);
            soon(client.execute("INSERT", &[&long.as_str()])).await.expect("an answer");
            assert_eq!(server.requests()[1].values()[0].as_text(), Some(long.as_str()));
            assert_eq!(number(&mut client).await.expect("an answer"), 7);
        }
    }
}

#[tokio::test]
async fn a_client_refuses_a_certificate_of_somebody_else() {
    let server = TdsServer::with(Encryption::Required(tls(&Authority::new()))).await;
    let mut wrong_authority = config(&server);
    wrong_authority.encryption(EncryptionLevel::Required);
    wrong_authority.trust_cert_ca_bundle(Authority::new().pem());
    wrong_authority.hostname_in_certificate("localhost");
    let error = connect_with(wrong_authority).await.expect_err("a refusal");
    assert!(matches!(error, Error::Tls(_)), "{error:?}");
    server.wait_closed(1).await;
    assert!(server.logins().is_empty());
    assert_eq!(server.errors().len(), 1);
}

#[tokio::test]
async fn the_login_alone_goes_in_tls_when_nobody_wants_more() {
    let authority = Authority::new();
    let server = TdsServer::with(Encryption::Offered(tls(&authority))).await;
    let mut config = config(&server);
    config.encryption(EncryptionLevel::Off);
    config.trust_cert_ca_bundle(authority.pem());
    config.hostname_in_certificate("localhost");
    let mut client = connect_with(config).await.expect("a login");
    assert!(server.logins()[0].is_encrypted);
    server.answers([seven()]);
    assert_eq!(number(&mut client).await.expect("an answer"), 7);
}

#[tokio::test]
async fn a_client_that_wants_encryption_refuses_a_server_without() {
    for encryption in [Encryption::NotSupported, Encryption::Declined] {
        for level in [EncryptionLevel::On, EncryptionLevel::Required] {
            let server = TdsServer::with(encryption.clone()).await;
            let mut config = config(&server);
            config.encryption(level);
            let error = connect_with(config).await.expect_err("a refusal");
            assert!(matches!(error, Error::Protocol(_)), "{error:?}");
            server.wait_closed(1).await;
            assert!(server.logins().is_empty());
        }
    }
}

#[tokio::test]
async fn a_server_stops_and_starts_again() {
    let server = TdsServer::start().await;
    server.otherwise(|_| Some(seven()));
    let mut client = connect(&server).await;
    server.stop().await;
    assert!(number(&mut client).await.is_err());
    assert!(connect_with(config(&server)).await.is_err());
    server.start_again().await;
    assert_eq!(number(&mut connect(&server).await).await.expect("an answer"), 7);
}

#[tokio::test]
async fn packets_have_the_size_that_is_agreed_on() {
    for (wanted, max, agreed) in [(512, 32_767, 512), (16_000, 32_767, 16_000), (32_767, 8_000, 8_000)] {
        let server = TdsServer::with_packets_of(Encryption::NotSupported, max).await;
        let mut config = config(&server);
        config.packet_size(wanted);
        let mut client = connect_with(config).await.expect("a login");
        assert_eq!(server.logins()[0].packet_bytes, wanted as usize);
        server.answers([seven()]);
        let long = "x".repeat(100_000);
        let _ = soon(client.query("SELECT @P1", &[&long.as_str()])).await.expect("an answer");
        let request = server.requests().remove(0);
        assert_eq!(request.values()[0].as_text(), Some(long.as_str()));
        assert_eq!(request.largest_packet_bytes, agreed);
    }
}

#[tokio::test]
#[should_panic(expected = "nothing is scripted for")]
async fn a_request_that_is_not_scripted_fails_the_test() {
    let server = TdsServer::start().await;
    let mut client = connect(&server).await;
    let _ = number(&mut client).await;
    server.wait_closed(1).await;
}

#[tokio::test]
async fn a_user_without_a_password_comes_in() {
    let server = TdsServer::start().await;
    let mut config = config(&server);
    config.authentication(AuthMethod::sql_server("", ""));
    tokio::time::timeout(AT_MOST, connect_with(config)).await.expect("in time").expect("a login");
    assert_eq!(server.logins()[0].password, "");
}
