//! Which connections are used again after an error, and what is known when one has gone.

use std::sync::Arc;

use ticket_reservation::adapters::postgres::{ConnectionManager, PostgresRepository, bb8};
use ticket_reservation::domain::{RecordKey, Timestamp};
use ticket_reservation::ports::{BoxFuture, Clock, GroupOutcome, Repository, Runtime, StoreErrorKind};
use tokio::sync::Semaphore;

use crate::postgres_support::chain::chain;
use crate::postgres_support::failing::{self, Moment};
use crate::postgres_support::groups::{another_commit, event, load_event, new_event};
use crate::postgres_support::runtime::TestRuntime;
use crate::postgres_support::{AT_MOST, server};
use crate::{commit, kind_of, load};

type Connections = bb8::Pool<ConnectionManager>;

/// A repository with one connection, and the pool that has it.
async fn with_one_connection(schema: &str) -> (PostgresRepository, Connections) {
    over_a_pool(schema, TestRuntime::current(), true).await
}

/// The same over connections that are looked at before they are used, or not.
async fn over_a_pool(schema: &str, runtime: Arc<dyn Runtime>, looks: bool) -> (PostgresRepository, Connections) {
    let mut own = None;
    let builder = PostgresRepository::builder(server().url(), runtime).schema(schema).plain_on_loopback();
    let repository = builder.build_over(|manager| {
        own.insert(bb8::Pool::builder().max_size(1).test_on_check_out(looks).build_unchecked(manager)).clone()
    });
    let repository = repository.expect("an address");
    repository.migrate().await.expect("tables");
    (repository, own.expect("a pool"))
}

/// How many there have been.
fn made(connections: &Connections) -> u64 {
    connections.state().statistics.connections_created
}

async fn version(repository: &PostgresRepository) -> u64 {
    let found = repository.load(&load_event()).await.expect("a snapshot");
    found.get(&RecordKey::Event).map_or(0, |it| it.version)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_is_used_again_unless_the_error_may_be_its_own() {
    let schema = "used again";
    let (repository, connections) = with_one_connection(schema).await;
    failing::prepare(schema);
    failing::insertions(schema, "change", Moment::InIt);
    for code in ["40001", "40P01", "55P03", "57014", "25006", "53100", "23514", "42501", "XX000", "0A000", "TR002"] {
        kind_of(commit(&repository, code).await);
        load(&repository, "gala").await.expect("a snapshot");
        assert_eq!(made(&connections), 1, "after {code}");
    }
    for (thrown_away, code) in (1..).zip(["26000", "25P02", "08006", "57P01", "40003", "ended"]) {
        kind_of(commit(&repository, code).await);
        load(&repository, "gala").await.expect("a snapshot");
        assert_eq!(made(&connections), 1 + thrown_away, "after {code}");
    }
}

/// As by a pooler in between, or by a host that uses the connection too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_that_is_gone_is_prepared_again_on_another_connection() {
    let (repository, connections) = with_one_connection("deallocated").await;
    repository.commit(&event(), &[new_event()]).await.expect("an answer");
    assert_eq!(version(&repository).await, 1);
    let deallocate = async || {
        let mut connection = connections.get().await.expect("a connection");
        connection.client().batch_execute("DEALLOCATE ALL").await.expect("an answer");
        connection.clean();
    };
    deallocate().await;
    let error = repository.commit(&event(), &[another_commit()]).await.expect_err("it is gone");
    assert!(chain(&error).contains("prepared statement"), "{}", chain(&error));
    assert_eq!(error.kind(), StoreErrorKind::Transient);
    assert_eq!(version(&repository).await, 1);
    assert_eq!(made(&connections), 2);
    deallocate().await;
    let error = repository.load(&load_event()).await.expect_err("it is gone");
    assert_eq!(error.kind(), StoreErrorKind::Transient, "{}", chain(&error));
    let outcome = repository.commit(&event(), &[another_commit()]).await.expect("an answer");
    assert_eq!((outcome, made(&connections)), (vec![GroupOutcome::Committed], 3));
}

/// As by a newer version of this crate that changes the functions while this one runs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_whose_columns_are_others_now_is_prepared_again_on_another_connection() {
    let schema = "other columns";
    let (repository, connections) = with_one_connection(schema).await;
    repository.commit(&event(), &[new_event()]).await.expect("an answer");
    assert_eq!(version(&repository).await, 1);
    let change = |function: &str, from: &str, to: &str| {
        let sql = format!(
            "DO $do$ DECLARE v_it text := pg_get_functiondef('\"{schema}\".{function}'::regproc); BEGIN
                DROP FUNCTION \"{schema}\".{function};
                EXECUTE replace(v_it, '{from}', '{to}');
            END $do$"
        );
        server().psql(&sql).expect("another function");
    };
    // It is the same to who reads it, and not to the server.
    server().psql(&format!("CREATE DOMAIN \"{schema}\".numbers AS bigint[]")).expect("a domain");
    change("commit_groups", "RETURNS bigint[]", &format!("RETURNS \"{schema}\".numbers"));
    let error = repository.commit(&event(), &[another_commit()]).await.expect_err("it has another column");
    assert!(chain(&error).contains("cached plan must not change result type"), "{}", chain(&error));
    assert_eq!(error.kind(), StoreErrorKind::Transient);
    assert_eq!((version(&repository).await, made(&connections)), (1, 2));
    change("load_records", "quantities bigint[])", "amounts bigint[])");
    let error = repository.load(&load_event()).await.expect_err("it has another column");
    assert_eq!(error.kind(), StoreErrorKind::Transient, "{}", chain(&error));
    let outcome = repository.commit(&event(), &[another_commit()]).await.expect("an answer");
    assert_eq!((outcome, version(&repository).await, made(&connections)), (vec![GroupOutcome::Committed], 2, 3));
}

/// A runtime that tells when a connection's own task has ended: from then on the adapter can see that it is gone.
#[derive(Debug)]
struct Watched {
    inner: Arc<TestRuntime>,
    ended: Arc<Semaphore>,
}

impl Clock for Watched {
    fn now(&self) -> std::time::Instant {
        self.inner.now()
    }

    fn unix_time(&self) -> Timestamp {
        self.inner.unix_time()
    }
}

impl Runtime for Watched {
    fn sleep(&self, duration: std::time::Duration) -> BoxFuture<'static, ()> {
        self.inner.sleep(duration)
    }

    fn spawn(&self, task: BoxFuture<'static, ()>) {
        let ended = Arc::clone(&self.ended);
        self.inner.spawn(Box::pin(async move {
            task.await;
            ended.add_permits(1);
        }));
    }

    fn random(&self) -> u64 {
        self.inner.random()
    }
}

/// A repository whose only connection the server has just ended.
async fn with_a_lost_connection(schema: &str, looks: bool) -> PostgresRepository {
    let ended = Arc::new(Semaphore::new(0));
    let runtime = Watched { inner: TestRuntime::current(), ended: Arc::clone(&ended) };
    let (repository, _) = over_a_pool(schema, Arc::new(runtime), looks).await;
    repository.commit(&event(), &[new_event()]).await.expect("an answer");
    let end = format!(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
         WHERE query LIKE '%\"{schema}\".commit_groups%' AND pid <> pg_backend_pid()"
    );
    assert_eq!(server().psql(&end).expect("an answer"), "1");
    let permit = tokio::time::timeout(AT_MOST, ended.acquire()).await.expect("it ends");
    permit.expect("it is open").forget();
    repository
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_was_lost_between_two_calls_is_replaced() {
    let repository = with_a_lost_connection("lost", true).await;
    let outcome = repository.commit(&event(), &[another_commit()]).await.expect("an answer");
    assert_eq!(outcome, [GroupOutcome::Committed]);
}

/// A host's own pool need not look before. Nothing was sent, and that is known.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_was_lost_before_the_commit_was_sent_has_changed_nothing() {
    let repository = with_a_lost_connection("lost unseen", false).await;
    let error = repository.commit(&event(), &[another_commit()]).await.expect_err("it is gone");
    assert_eq!(error.kind(), StoreErrorKind::Transient, "{}", chain(&error));
    assert_eq!(version(&repository).await, 1);
    let outcome = repository.commit(&event(), &[another_commit()]).await.expect("an answer");
    assert_eq!(outcome, [GroupOutcome::Committed]);
}
