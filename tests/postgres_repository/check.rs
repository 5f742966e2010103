//! The check: settings that would lose a sale, and permissions that are missing.

use std::time::Duration;

use ticket_reservation::adapters::postgres::{Finding, PostgresRepository};
use ticket_reservation::ports::{GroupOutcome, Repository};

use crate::postgres_support::groups::{another_commit, event, load_event, new_event};
use crate::postgres_support::postgres_server::{Durability, PostgresServer};
use crate::postgres_support::runtime::TestRuntime;
use crate::postgres_support::{migrated, server};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_would_lose_an_acknowledged_sale_is_found() {
    let server = PostgresServer::start(Durability::Durable).expect("a server");
    let found = async |server: &PostgresServer| {
        let builder = PostgresRepository::builder(server.url(), TestRuntime::current()).plain_on_loopback();
        let repository = builder.build().expect("an address");
        repository.migrate().await.expect("tables");
        repository.check().await.expect("an answer")
    };
    assert_eq!(found(&server).await, []);
    // Waiting for the own disk alone is too little where a standby is to be waited for.
    server.psql("ALTER SYSTEM SET synchronous_commit = local").expect("an answer");
    server.psql("ALTER SYSTEM SET synchronous_standby_names = 'elsewhere'").expect("an answer");
    server.psql("SELECT pg_reload_conf()").expect("an answer");
    let local = Finding::NotDurable { setting: "synchronous_commit".to_owned(), value: "local".to_owned() };
    assert_eq!(found(&server).await, [local]);
    server.psql("ALTER SYSTEM RESET synchronous_standby_names").expect("an answer");
    server.psql("ALTER SYSTEM SET synchronous_commit = off").expect("an answer");
    server.psql("ALTER SYSTEM SET default_transaction_read_only = on").expect("an answer");
    server.psql("SELECT pg_reload_conf()").expect("an answer");
    assert_eq!(found(&server).await, [Finding::ReadOnly], "what its connections may switch on is on");
    let is_off = |name: &str| Finding::NotDurable { setting: name.to_owned(), value: "off".to_owned() };
    let forgetful = found(self::server()).await;
    assert_eq!(forgetful, [is_off("fsync"), is_off("full_page_writes")]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_permission_that_is_missing_is_found_and_those_of_the_page_are_enough() {
    let owner = migrated("permissions").await;
    owner.commit(&event(), &[new_event()]).await.expect("an answer");
    server().psql("CREATE ROLE seller LOGIN PASSWORD 'hunter2'").expect("a role");
    let page = include_str!("../../docs/backends/postgres.md");
    let grants: Vec<&str> = page.lines().filter(|line| line.starts_with("GRANT ")).collect();
    assert_eq!(grants.len(), 3);
    for grant in grants {
        server().psql(&grant.replace("ticket_reservation", "permissions")).expect("it is granted");
    }
    let url = format!("postgresql://seller:hunter2@127.0.0.1:{}/postgres", server().port());
    let builder =
        || PostgresRepository::builder(&url, TestRuntime::current()).schema("permissions").plain_on_loopback();
    let seller = builder().build().expect("an address");
    let lacking = async || -> Vec<String> {
        let found = seller.check().await.expect("an answer").into_iter();
        found.filter_map(|it| if let Finding::MissingPermission { of } = it { Some(of) } else { None }).collect()
    };
    assert_eq!(lacking().await, [""; 0]);
    seller.open().await.expect("its tables");
    assert_eq!(seller.commit(&event(), &[another_commit()]).await.expect("an answer"), [GroupOutcome::Committed]);
    seller.load(&load_event()).await.expect("a snapshot");
    seller.purge(Duration::ZERO, 10).await.expect("a step");
    for (privilege, table) in [
        ("UPDATE", "store"),
        ("INSERT", "event"),
        ("SELECT", "pool"),
        ("UPDATE", "allowance"),
        ("INSERT", "reservation"),
        ("DELETE", "hold"),
        ("DELETE", "operation"),
        ("DELETE", "change"),
    ] {
        server().psql(&format!("REVOKE {privilege} ON permissions.{table} FROM seller")).expect("an answer");
        assert_eq!(lacking().await, [format!("table {table}")], "without {privilege}");
        server().psql(&format!("GRANT {privilege} ON permissions.{table} TO seller")).expect("an answer");
    }
    server().psql("REVOKE UPDATE ON permissions.ticket FROM seller").expect("an answer");
    server().psql("REVOKE EXECUTE ON FUNCTION permissions.purge_step FROM seller, public").expect("an answer");
    assert_eq!(lacking().await, ["function purge_step", "table ticket"]);
}
