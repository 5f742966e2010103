//! PostgreSQL: a private server, and those that are none.

use ticket_reservation::adapters::postgres::{PostgresRepository, PostgresRepositoryBuilder, bb8};
use tokio::net::TcpListener;

use super::authority::Authority;
use super::collector::Collector;
use super::postgres_server::{Durability, PostgresServer};
use super::redis_servers::SilentServer;
use super::runtime::TestRuntime;
use super::secret::Secrets;
use super::stores::call_all;
use super::{AT_MOST, NOT_LONG, soon};

const RIGHT: &str = "postgres-right-e07b31";
const WRONG: &str = "postgres-wrong-59a2c4";
const APART: &str = "postgres-apart-c61d90";
const LOST: &str = "postgres-lost-77f0a8";
const KEY: &str = "postgres-key-3bd1e2";

fn builder(url: &str) -> PostgresRepositoryBuilder {
    PostgresRepository::builder(url, TestRuntime::current()).schema("secrets").plain_on_loopback()
}

/// Builds it and makes every call, and says how many failed; `None` when it could not be built.
async fn use_it(said: &Collector, what: &str, builder: PostgresRepositoryBuilder) -> Option<usize> {
    said.debug(what, &builder);
    let built = builder.build();
    said.answer(what, &built);
    let repository = built.ok()?;
    let (migrated, opened) = (soon(repository.migrate()).await, soon(repository.open()).await);
    let checked = soon(repository.check()).await;
    for finding in checked.iter().flatten() {
        said.debug(what, &finding.to_string());
    }
    let ready = [said.answer(what, &migrated), said.answer(what, &opened), said.answer(what, &checked)];
    Some(call_all(said, what, &repository).await + ready.iter().filter(|good| !**good).count())
}

pub(crate) async fn say_everything(said: &'static Collector, secrets: &mut Secrets) {
    let passwords =
        [("right", RIGHT), ("wrong", WRONG), ("given apart", APART), ("of what is no address", LOST), ("key", KEY)];
    passwords.iter().for_each(|(what, secret)| secrets.plant(&format!("PostgreSQL's password, {what}"), secret));
    let server = PostgresServer::start(Durability::Forgetful).expect("a server");
    let own = server.url();
    secrets.plant("PostgreSQL's password, the owner's", own.split([':', '@']).nth(2).expect("a password"));
    server.psql(&format!("CREATE ROLE cashier SUPERUSER LOGIN PASSWORD '{RIGHT}'")).expect("a role");
    server.psql(&format!("CREATE ROLE usher LOGIN PASSWORD '{APART}'")).expect("a role");
    let at = |user_and_password: &str, port: u16| format!("postgresql://{user_and_password}@127.0.0.1:{port}/postgres");
    let port = server.port();

    let right = at(&format!("cashier:{RIGHT}"), port);
    assert_eq!(use_it(said, "the right password", builder(&right)).await, Some(1), "one group is never written");
    let words = format!("host=127.0.0.1 port={port} user=cashier password={RIGHT} dbname=postgres");
    assert!(use_it(said, "the right password in words", builder(&words)).await.is_some_and(|failed| failed < 4));
    for (what, builder, least) in [
        ("a wrong password", builder(&at(&format!("cashier:{WRONG}"), port)), 12),
        ("a wrong password apart", builder(&at("cashier", port)).password(WRONG), 12),
        ("a role that may nothing", builder(&at("usher", port)).password(APART), 10),
        ("no such database", builder(&right.replace("/postgres", "/elsewhere")), 12),
        ("a server without TLS", PostgresRepository::builder(&right, TestRuntime::current()), 12),
        ("nobody there", builder(&at(&format!("cashier:{RIGHT}"), 1)), 12),
    ] {
        let builder = builder.acquire_timeout(NOT_LONG);
        assert!(use_it(said, what, builder).await.is_some_and(|failed| failed >= least), "{what}");
    }
    // However slow the machine is, the server has its say here.
    let wrong = builder(&at(&format!("cashier:{WRONG}"), port)).acquire_timeout(AT_MOST).build().expect("an address");
    assert!(!said.answer("a wrong password", &soon(wrong.open()).await));
    assert!(said.texts().iter().any(|text| text.contains("password authentication failed")));
    over_its_own_pool(said, &right).await;
    that_fails(said, server, &right).await;
    that_are_none(said, &at(&format!("cashier:{RIGHT}"), 0)).await;
    what_is_no_address(said);
}

/// The pool, its manager and its connections are the host's too.
async fn over_its_own_pool(said: &Collector, url: &str) {
    let mut own = None;
    let repository = builder(url).build_over(|manager| {
        said.debug("a manager", &manager);
        own.insert(bb8::Pool::builder().max_size(1).build_unchecked(manager)).clone()
    });
    said.answer("over a pool", &repository);
    let pool = own.expect("a pool");
    said.debug("a pool", &pool);
    let mut connection = soon(pool.get()).await.expect("a connection");
    said.debug("a connection", &*connection);
    said.debug("a client", connection.client());
}

/// Its connections end, and then it does.
async fn that_fails(said: &Collector, server: PostgresServer, url: &str) {
    let repository = builder(url).build().expect("an address");
    soon(repository.open()).await.expect("tables");
    server.psql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'cashier'").expect("SQL");
    call_all(said, "connections that were ended", &repository).await;
    server.stop_immediately().expect("it stops");
    assert!(!said.answer("a server that was stopped", &soon(repository.open()).await));
    let late = builder(url).acquire_timeout(NOT_LONG);
    assert_eq!(use_it(said, "a server that was stopped", late).await, Some(14));
}

/// One that says nothing, and one that hangs up.
async fn that_are_none(said: &Collector, url: &str) {
    let silent = SilentServer::start().expect("a port");
    let to = |port: u16| url.replace(":0/", &format!(":{port}/"));
    let builder_to = |port: u16| builder(&to(port)).acquire_timeout(NOT_LONG).call_timeout(NOT_LONG);
    assert_eq!(use_it(said, "a silent server", builder_to(silent.port())).await, Some(14));
    let rude = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = rude.local_addr().expect("an address").port();
    let hangs_up = tokio::spawn(async move { while rude.accept().await.is_ok() {} });
    assert_eq!(use_it(said, "a server that hangs up", builder_to(port)).await, Some(14));
    hangs_up.abort();
}

fn what_is_no_address(said: &Collector) {
    for url in [
        format!("postgresql://cashier:{LOST}@127.0.0.1:port/postgres"),
        format!("postgresql://cashier:{LOST}@127.0.0.1/postgres?sslmode=perhaps"),
        format!("postgresql://cashier:{LOST}@127.0.0.1/postgres?colour={LOST}"),
        format!("postgresql://cashier:{LOST}%zz@127.0.0.1/postgres"),
        format!("postgresql://cashier:{LOST}@[::1/postgres"),
        format!("postgresql://cashier:{LOST}@10.0.0.1/postgres"),
        format!("postgresql://cashier:{LOST}@127.0.0.1/postgres?sslmode=disable"),
        format!("mysql://cashier:{LOST}@127.0.0.1/postgres"),
        format!("host=127.0.0.1 password='{LOST}"),
        format!("host=127.0.0.1 password={LOST} port=none"),
        format!("host=127.0.0.1 password={LOST} colour=blue"),
        format!("host=127.0.0.1 password=start {LOST}=rest"),
        format!("postgresql://cashier:start@127.0.0.1/postgres?{LOST}=rest"),
        format!("postgresql://cashier:start/{LOST}@127.0.0.1/postgres"),
        format!("postgresql://cashier:start@{LOST}@127.0.0.1/postgres"),
        format!("password={LOST}"),
        LOST.to_owned(),
    ] {
        for builder in [builder(&url), PostgresRepository::builder(&url, TestRuntime::current())] {
            said.debug("no address", &builder);
            said.answer("no address", &builder.build());
        }
    }
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{KEY}\n-----END PRIVATE KEY-----\n");
    for pem in [pem, format!("{}{KEY}", Authority::new().pem()), KEY.to_owned()] {
        let builder = PostgresRepository::builder("postgresql://127.0.0.1/postgres", TestRuntime::current());
        let builder = builder.root_certificates(pem);
        said.debug("a certificate", &builder);
        said.answer("a certificate", &builder.build());
    }
}
