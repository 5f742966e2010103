//! TLS: which authorities are trusted, and which versions are spoken.

use ticket_reservation::adapters::postgres::{PostgresError, PostgresRepository};
use ticket_reservation::ports::{Repository, StoreErrorKind};

use crate::authority::Authority;
use crate::postgres_support::chain::chain;
use crate::postgres_support::groups::{event, new_event};
use crate::postgres_support::postgres_server::{Durability, PostgresServer};
use crate::postgres_support::runtime::TestRuntime;
use crate::refused;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_is_verified_with_the_authorities_that_are_trusted() {
    let (server, authority) = (PostgresServer::start(Durability::Forgetful).expect("a server"), Authority::new());
    let identity = authority.identity("127.0.0.1");
    server.speak_tls(&identity.certificate, &identity.key).expect("it speaks TLS");
    let builder = || PostgresRepository::builder(server.url(), TestRuntime::current());
    let repository = builder().root_certificates(authority.pem()).build().expect("an address");
    repository.migrate().await.expect("tables");
    repository.commit(&event(), &[new_event()]).await.expect("an answer");
    let encrypted = "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
                     WHERE application_name = 'ticket-reservation'";
    assert_eq!(server.psql(encrypted).expect("an answer"), "t");
    for unknown in [builder(), builder().root_certificates(Authority::new().pem())] {
        let error = refused(unknown).await;
        assert_eq!(error.kind(), StoreErrorKind::Permanent, "{}", chain(&error));
        assert!(chain(&error).contains("TLS"), "{}", chain(&error));
    }
    let unusable = builder().root_certificates("none").build().expect_err("no certificate");
    assert!(matches!(unusable, PostgresError::Certificate { .. }));
}

/// Old versions of TLS are not spoken, whoever offers them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_of_tls_that_is_not_safe_is_refused() {
    let (server, authority) = (PostgresServer::start(Durability::Forgetful).expect("a server"), Authority::new());
    let identity = authority.identity("127.0.0.1");
    server.speak_tls(&identity.certificate, &identity.key).expect("it speaks TLS");
    for (setting, version) in [("ssl_min_protocol_version", "TLSv1"), ("ssl_max_protocol_version", "TLSv1.1")] {
        server.psql(&format!("ALTER SYSTEM SET {setting} = '{version}'")).expect("an old version");
    }
    server.psql("SELECT pg_reload_conf()").expect("it reads that");
    let builder = PostgresRepository::builder(server.url(), TestRuntime::current()).root_certificates(authority.pem());
    let error = refused(builder).await;
    assert_eq!(error.kind(), StoreErrorKind::Permanent, "{}", chain(&error));
    assert!(chain(&error).contains("TLS"), "{}", chain(&error));
}
