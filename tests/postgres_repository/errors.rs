//! What the server says, and what is made of it.

use ticket_reservation::adapters::postgres::PostgresRepository;
use ticket_reservation::domain::{PoolId, Record, RecordKey, Timestamp};
use ticket_reservation::ports::{Group, GroupOutcome, Repository, StoreErrorKind, Write};

use crate::postgres_support::chain::chain;
use crate::postgres_support::groups::{another_commit, event, new_event};
use crate::postgres_support::runtime::TestRuntime;
use crate::postgres_support::{migrated, server};
use crate::refused;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_not_come_in_is_told_why_and_no_secret_is() {
    migrated("who").await;
    let port = server().port();
    let with = |url: String| PostgresRepository::builder(url, TestRuntime::current()).schema("who").plain_on_loopback();
    let wrong = refused(with(format!("postgresql://box_office:hunter2@127.0.0.1:{port}/postgres"))).await;
    assert!(chain(&wrong).contains("password authentication failed"), "{}", chain(&wrong));
    let nowhere = refused(with(server().url().replace("/postgres", "/elsewhere"))).await;
    assert!(chain(&nowhere).contains("does not exist"), "{}", chain(&nowhere));
    server().psql("CREATE ROLE usher LOGIN PASSWORD 'hunter2'").expect("a role");
    let forbidden = refused(with(format!("postgresql://usher:hunter2@127.0.0.1:{port}/postgres"))).await;
    assert!(chain(&forbidden).contains("permission denied"), "{}", chain(&forbidden));
    let tls = refused(PostgresRepository::builder(server().url(), TestRuntime::current()).schema("who")).await;
    for error in [wrong, nowhere, forbidden, tls] {
        assert_eq!(error.kind(), StoreErrorKind::Permanent, "{}", chain(&error));
        assert!(!format!("{} {error:?}", chain(&error)).contains("hunter2"), "{error:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_not_there_may_be_there_later() {
    let url = server().url().replace(&server().port().to_string(), "1");
    let error = refused(PostgresRepository::builder(url, TestRuntime::current()).plain_on_loopback()).await;
    assert_eq!(error.kind(), StoreErrorKind::Transient, "{}", chain(&error));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_breaks_a_rule_of_the_tables_is_an_alarm() {
    let repository = migrated("alarm").await;
    repository.commit(&event(), &[new_event()]).await.expect("an answer");
    let id = PoolId::new("floor").unwrap();
    let record = Record::Pool(ticket_reservation::domain::Pool { capacity: 1, held: 1, booked: 1 });
    let write = Write { key: RecordKey::Pool(id), version: 0, decided_at: Timestamp::from_micros(1), record };
    let error = repository
        .commit(&event(), &[Group { reads: vec![], writes: vec![write], ..Group::default() }])
        .await
        .expect_err("oversold");
    assert_eq!(error.kind(), StoreErrorKind::Permanent);
    assert!(chain(&error).contains("pool_is_not_oversold"), "{}", chain(&error));
}

/// As the server says it, from inside of the commit's own transaction.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_is_transient_and_nothing_is_written() {
    let repository = migrated("full").await;
    repository.commit(&event(), &[new_event()]).await.expect("an answer");
    let full = "CREATE FUNCTION \"full\".fails() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full'; END $$;
        CREATE TRIGGER fails AFTER INSERT ON \"full\".change EXECUTE FUNCTION \"full\".fails()";
    server().psql(full).expect("a trigger");
    let error = repository.commit(&event(), &[another_commit()]).await.expect_err("it is full");
    assert_eq!(error.kind(), StoreErrorKind::Transient, "{}", chain(&error));
    server().psql("DROP TRIGGER fails ON \"full\".change").expect("room");
    let outcome = repository.commit(&event(), &[another_commit()]).await.expect("an answer");
    assert_eq!(outcome, [GroupOutcome::Committed]);
}
