//! Tables: who makes them, and which are used.

use futures_util::future::join_all;
use ticket_reservation::adapters::postgres::{PostgresError, PostgresRepository};
use ticket_reservation::domain::RecordKey;
use ticket_reservation::ports::{GroupOutcome, Repository, StoreErrorKind};

use crate::postgres_support::groups::{event, load_event, new_event};
use crate::postgres_support::{builder, migrated, server};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_instances_that_migrate_at_once_make_one_schema() {
    let instances: Vec<_> = (0..10).map(|_| builder("ten at once").build().expect("an address")).collect();
    for migrated in join_all(instances.iter().map(PostgresRepository::migrate)).await {
        migrated.expect("tables");
    }
    assert_eq!(server().psql("SELECT count(*) FROM \"ten at once\".store").unwrap(), "1");
    for instance in &instances {
        instance.open().await.expect("its tables");
    }
    let outcomes = instances[3].commit(&event(), &[new_event()]).await.expect("an answer");
    assert_eq!(outcomes, [GroupOutcome::Committed]);
    instances[0].migrate().await.expect("nothing is to be done");
    let found = instances[7].load(&load_event()).await.expect("a snapshot");
    assert_eq!(found.get(&RecordKey::Event).map(|it| it.version), Some(1), "what is there stays");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_tables_it_says_what_to_do() {
    let repository = builder("nothing here").build().expect("an address");
    let error = repository.open().await.expect_err("no tables");
    assert!(matches!(error, PostgresError::NoSchema { .. }) && error.to_string().contains("migrate()"), "{error}");
    assert_eq!(repository.load(&load_event()).await.expect_err("no tables").kind(), StoreErrorKind::Permanent);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_that_a_team_has_made_itself_are_used() {
    let repository = builder("by hand").build().expect("an address");
    server().psql(&repository.schema_sql()).expect("tables");
    repository.open().await.expect("its tables");
    assert_eq!(repository.availability(&event()).await.expect("an answer").areas, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_of_a_version_that_is_too_new_are_refused_and_those_of_a_newer_one_that_fits_are_not() {
    let repository = migrated("newer").await;
    server().psql("UPDATE newer.store SET schema_version = 3").expect("an answer");
    repository.open().await.expect("it says that version 1 may use it");
    server().psql("UPDATE newer.store SET compatible_with = 2").expect("an answer");
    for refused in [repository.open().await, repository.migrate().await] {
        let error = refused.expect_err("too new");
        assert!(matches!(error, PostgresError::NewerSchema { found: 3, needed: 2, known: 1 }), "{error:?}");
    }
}
