//! Who is trusted, and who hears the password.

use ticket_reservation::adapters::mssql::{MssqlError, MssqlRepository, MssqlRepositoryBuilder};
use ticket_reservation::ports::StoreErrorKind::Permanent;

use super::answers::commit_answer;
use super::authority::Authority;
use super::chain::chain;
use super::runtime::TestRuntime;
use super::scripted_tds::{Encryption, TdsServer, Tls};
use super::stage::{VERY_LONG, commit, commits, connection_string, default_builder, load, server, server_with, soon};

/// A server that an authority vouches for, under this name.
async fn server_called(name: &str, authority: &Authority) -> TdsServer {
    let identity = authority.identity(name);
    server_with(Encryption::Required(Tls::new(&identity.certificate, &identity.key))).await
}

/// Nobody gets in, and nobody has said who he is.
async fn assert_refuses(server: &TdsServer, builder: MssqlRepositoryBuilder) {
    let repository = builder.acquire_timeout(VERY_LONG).build().expect("a connection string");
    for failed in [commit(&repository).await.expect_err("refused"), load(&repository).await.expect_err("refused")] {
        assert_eq!(failed.kind(), Permanent, "{}", chain(&failed));
    }
    let failed = soon(repository.migrate()).await.expect_err("refused");
    assert!(matches!(failed, MssqlError::Mssql(_)), "{failed:?}");
    server.wait_closed(3).await;
    assert_eq!(server.logins(), [], "nobody has heard the password");
}

async fn assert_comes_in(server: &TdsServer, builder: MssqlRepositoryBuilder) {
    server.answers([commit_answer(&[])]);
    commits(&builder.build().expect("a connection string")).await;
    assert!(server.logins().iter().all(|login| login.is_encrypted));
}

#[tokio::test]
async fn a_server_without_tls_does_not_hear_the_password() {
    for encryption in [Encryption::NotSupported, Encryption::Declined] {
        let server = server_with(encryption.clone()).await;
        assert_refuses(&server, default_builder(&server)).await;
        let server = server_with(encryption).await;
        assert_refuses(&server, default_builder(&server).danger_any_certificate()).await;
    }
}

#[tokio::test]
async fn a_server_that_nobody_vouches_for_does_not_hear_the_password() {
    let server = server_called("127.0.0.1", &Authority::new()).await;
    assert_refuses(&server, default_builder(&server)).await;
    let server = server_called("127.0.0.1", &Authority::new()).await;
    assert_refuses(&server, default_builder(&server).root_certificates(Authority::new().pem())).await;
}

#[tokio::test]
async fn a_server_that_is_called_otherwise_does_not_hear_the_password() {
    let authority = Authority::new();
    let server = server_called("elsewhere.example", &authority).await;
    assert_refuses(&server, default_builder(&server).root_certificates(authority.pem())).await;
}

#[tokio::test]
async fn a_server_of_an_authority_that_the_host_names_is_trusted() {
    let authority = Authority::new();
    let server = server_called("127.0.0.1", &authority).await;
    assert_comes_in(&server, default_builder(&server).root_certificates(authority.pem())).await;
    let another = Authority::new().pem();
    let several = default_builder(&server).root_certificates(authority.pem()).root_certificates(another.clone());
    assert_comes_in(&server, several).await;
    assert_comes_in(&server, default_builder(&server).root_certificates(format!("{another}{}", authority.pem()))).await;
}

#[tokio::test]
async fn a_server_that_offers_tls_is_spoken_to_in_tls() {
    let authority = Authority::new();
    let identity = authority.identity("127.0.0.1");
    let server = server_with(Encryption::Offered(Tls::new(&identity.certificate, &identity.key))).await;
    assert_comes_in(&server, default_builder(&server).root_certificates(authority.pem())).await;
}

#[tokio::test]
async fn a_connection_string_can_say_what_the_certificate_calls_the_server() {
    let authority = Authority::new();
    let server = server_called("sale.example", &authority).await;
    let string = format!("{};HostNameInCertificate=sale.example;Encrypt=true", connection_string(&server));
    let builder = MssqlRepository::builder(string, TestRuntime::current()).root_certificates(authority.pem());
    assert_comes_in(&server, builder).await;
}

#[tokio::test]
async fn who_takes_every_certificate_takes_this_one() {
    let server = server_called("elsewhere.example", &Authority::new()).await;
    assert_comes_in(&server, default_builder(&server).danger_any_certificate()).await;
    let string = format!("{};TrustServerCertificate=true", connection_string(&server));
    let builder = MssqlRepository::builder(string, TestRuntime::current()).danger_any_certificate();
    assert_comes_in(&server, builder).await;
}

#[tokio::test]
async fn who_says_so_connects_without_tls_to_this_machine() {
    let server = server().await;
    for builder in [default_builder(&server).plain_on_loopback(), default_builder(&server).danger_plain_connections()] {
        server.answers([commit_answer(&[])]);
        commits(&builder.build().expect("a connection string")).await;
    }
    assert!(server.logins().iter().all(|login| !login.is_encrypted));
}

// ---- what is refused before anything is sent

fn built(string: &str, with: impl Fn(MssqlRepositoryBuilder) -> MssqlRepositoryBuilder) -> Result<(), MssqlError> {
    let string = format!("{string};User ID=box_office;Password=hunter2");
    with(MssqlRepository::builder(string, TestRuntime::current())).build().map(drop)
}

#[tokio::test]
async fn plain_connections_to_this_machine_are_none_to_another() {
    for host in ["10.0.0.1", "db.example", "127.0.0.1.example", "localhost.example", "[::1]", "0.0.0.0"] {
        let refused = built(&format!("Server={host}"), MssqlRepositoryBuilder::plain_on_loopback);
        assert!(matches!(&refused, Err(MssqlError::NotLoopback { host: named }) if named == host), "{refused:?}");
    }
    for host in ["127.0.0.1", "127.8.9.10", "localhost", "::1", ".", "(local)", "tcp:localhost,5"] {
        built(&format!("Server={host}"), MssqlRepositoryBuilder::plain_on_loopback).expect(host);
    }
    built("Server=10.0.0.1", MssqlRepositoryBuilder::danger_plain_connections).expect("it is meant");
}

#[tokio::test]
async fn a_connection_string_that_asks_for_less_than_verified_tls_is_refused_with_the_call_that_does_it() {
    for (setting, call) in [
        ("Encrypt=false", "danger_plain_connections()"),
        ("encrypt = No", "plain_on_loopback()"),
        ("Encrypt=optional", "danger_plain_connections()"),
        ("TrustServerCertificate=true", "danger_any_certificate()"),
        ("Trust Server Certificate=yes", "danger_any_certificate()"),
    ] {
        let refused = built(&format!("Server=127.0.0.1;{setting}"), |it| it).expect_err(setting);
        assert!(matches!(refused, MssqlError::WeakTls { .. }), "{refused:?}");
        assert!(refused.to_string().contains(call), "{refused}");
    }
}

#[tokio::test]
async fn a_connection_string_and_a_builder_that_contradict_each_other_are_refused() {
    let plain = MssqlRepositoryBuilder::plain_on_loopback;
    built("Server=127.0.0.1;Encrypt=true", plain).expect_err("plain and not plain");
    built("Server=127.0.0.1;Encrypt=false", plain).expect("both say so");
    built("Server=127.0.0.1;Encrypt=false", MssqlRepositoryBuilder::danger_any_certificate).expect_err("TLS or not");
    built("Server=127.0.0.1;Encrypt=strict", |it| it).expect_err("this driver cannot");
}

#[tokio::test]
async fn certificates_that_are_none_are_refused() {
    for pem in ["", "hunter2", "-----BEGIN CERTIFICATE-----\nhunter2\n-----END CERTIFICATE-----\n"] {
        let refused = built("Server=127.0.0.1", |it| it.root_certificates(pem)).expect_err(pem);
        assert!(matches!(refused, MssqlError::Certificate { .. }), "{refused:?}");
    }
}
