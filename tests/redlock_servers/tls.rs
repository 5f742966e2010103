//! Servers that speak TLS, with a certificate of an authority that nobody else knows.

use std::fs;
use std::net::TcpListener;

use redis::{Client, ClientTlsConfig, TlsCertificates};
use tempfile::TempDir;
use ticket_reservation::adapters::redlock::{Finding, redis};

use super::authority::{Authority, Identity};
use super::*;

/// What a client trusts, and who it is.
fn trusted(authority: &Authority, by: Option<&Identity>) -> TlsCertificates {
    let client_tls = by.map(|identity| ClientTlsConfig {
        client_cert: identity.certificate.clone().into_bytes(),
        client_key: identity.key.clone().into_bytes(),
    });
    TlsCertificates { client_tls, root_cert: Some(authority.pem().into_bytes()) }
}

/// Three servers with a second port for TLS each.
struct Encrypted {
    servers: RedisServers,
    ports: Vec<u16>,
    _files: TempDir,
}

/// Servers that call themselves `name`, and ask clients for a certificate or not.
fn encrypted(authority: &Authority, name: &str, asks_clients: bool) -> Encrypted {
    let (servers, files) = (servers(), tempfile::tempdir().expect("a folder"));
    let server = authority.identity(name);
    for (name, text) in [("ca", authority.pem()), ("cert", server.certificate), ("key", server.key)] {
        fs::write(files.path().join(name), text).expect("it is written");
    }
    let folder = files.path().display();
    let asks = if asks_clients { "yes" } else { "no" };
    let tls = format!(
        "CONFIG SET tls-cert-file {folder}/cert tls-key-file {folder}/key tls-ca-cert-file {folder}/ca \
         tls-auth-clients {asks} tls-port"
    );
    let listen = |server: &RedisServer| {
        // A port that was free a moment ago; if it no longer is, the next one.
        (0..20).find_map(|_| {
            let port = TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr()).expect("a free port").port();
            server.command(&format!("{tls} {port}").split(' ').collect::<Vec<_>>()).ok().map(|_| port)
        })
    };
    let ports = servers.iter().map(|server| listen(server).expect("this redis-server speaks TLS")).collect();
    Encrypted { servers, ports, _files: files }
}

impl Encrypted {
    fn urls(&self) -> impl Iterator<Item = String> {
        self.ports.iter().map(|port| format!("rediss://127.0.0.1:{port}"))
    }

    fn lock(&self, trusted: &TlsCertificates) -> Redlock {
        let client = |url| Client::build_with_tls(url, trusted.clone()).expect("a client");
        let builder = Redlock::builder(TestRuntime::current()).node_timeout(NO_TIMEOUT).connect_timeout(NO_TIMEOUT);
        self.urls().fold(builder, |builder, url| builder.client(&client(url))).build().expect("a lock")
    }

    async fn lets_nobody_in(&self, lock: &Redlock) {
        let before: Vec<u64> = self.servers.iter().map(|server| server.commands_processed().unwrap()).collect();
        for _ in 0..3 {
            let said = no_quorum(lock, "seat").await;
            assert!(said.iter().filter(|vote| matches!(vote, Vote::Unreachable(_))).count() >= 2, "{said:?}");
        }
        let found = soon("a check", lock.check()).await;
        assert!(found.iter().all(|node| matches!(node.findings[..], [Finding::Unreachable(_)])), "{found:?}");
        for (server, before) in self.servers.iter().zip(before) {
            assert_eq!(server.commands_processed().unwrap(), before, "nothing was sent, in the clear neither");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_over_tls_is_one_with_the_hosts_own_authority() {
    let authority = Authority::new();
    let encrypted = encrypted(&authority, "127.0.0.1", false);
    let lock = encrypted.lock(&trusted(&authority, None));
    let found = soon("a check", lock.check()).await;
    assert!(found.iter().all(|node| node.findings.is_empty()), "{found:?}");
    use_it(&lock, "seat").await;
    let lease = granted(&lock, "seat").await;
    assert!(is_contended(&open(&encrypted.servers), "seat").await, "it is the same lock as without TLS");
    assert_eq!(release(&lock, lease).await, Released::Released);
    assert_nothing_is_left(&lock, &encrypted.servers).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_not_known_to_the_client_is_not_spoken_to() {
    let authority = Authority::new();
    let known = encrypted(&authority, "127.0.0.1", false);
    let builder = Redlock::builder(TestRuntime::current()).nodes(known.urls()).connect_timeout(NO_TIMEOUT);
    known.lets_nobody_in(&builder.node_timeout(NO_TIMEOUT).build().expect("a lock")).await;
    known.lets_nobody_in(&known.lock(&trusted(&Authority::new(), None))).await;
    let misnamed = encrypted(&authority, "elsewhere.example", false);
    misnamed.lets_nobody_in(&misnamed.lock(&trusted(&authority, None))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_shows_its_certificate_where_it_is_asked_for_one() {
    let authority = Authority::new();
    let encrypted = encrypted(&authority, "127.0.0.1", true);
    encrypted.lets_nobody_in(&encrypted.lock(&trusted(&authority, None))).await;
    let client = authority.identity("box-office");
    use_it(&encrypted.lock(&trusted(&authority, Some(&client))), "seat").await;
}
