//! The pool of connections: of a server that says nothing, and one of the host's own.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ticket_reservation::adapters::postgres::{PostgresRepository, bb8};
use ticket_reservation::ports::{Repository, StoreErrorKind};
use tokio::net::TcpListener;

use crate::postgres_support::groups::{event, load_event, new_event};
use crate::postgres_support::runtime::TestRuntime;
use crate::postgres_support::{AT_MOST, builder};

/// It accepts connections and says nothing. Nobody waits for that, and it is tried again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_says_nothing_keeps_neither_a_call_nor_the_pool() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("postgresql://a:hunter2@{}/b", listener.local_addr().expect("an address"));
    let builder = PostgresRepository::builder(url, TestRuntime::current()).plain_on_loopback().pool_size(1);
    let repository = builder.acquire_timeout(Duration::from_millis(100)).build().expect("an address");
    let accepted = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&accepted);
    let accepting = tokio::spawn(async move {
        let mut kept = Vec::new();
        while let Ok(connection) = listener.accept().await {
            kept.push(connection);
            count.fetch_add(1, Ordering::SeqCst);
        }
    });
    let calls = async {
        // The pool has room for one attempt at a time.
        while accepted.load(Ordering::SeqCst) < 3 {
            let error = repository.load(&load_event()).await.expect_err("nobody answers");
            assert_eq!(error.kind(), StoreErrorKind::Transient);
        }
        repository.check().await.expect_err("nobody answers");
        repository.migrate().await.expect_err("nobody answers");
    };
    tokio::time::timeout(AT_MOST, calls).await.expect("it is waited for");
    accepting.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hosts_own_pool_is_used_by_the_repository_and_by_the_host() {
    let mut own = None;
    let repository = builder("own pool").build_over(|manager| {
        own.insert(bb8::Pool::builder().max_size(1).test_on_check_out(false).build_unchecked(manager)).clone()
    });
    let (repository, own) = (repository.expect("an address"), own.expect("a pool"));
    repository.migrate().await.expect("tables");
    repository.commit(&event(), &[new_event()]).await.expect("an answer");
    assert_eq!(own.state().connections, 1);
    let id_of = async |says_so: bool| {
        let mut connection = own.get().await.expect("a connection");
        let row = connection.client().query_one("SELECT pg_backend_pid()", &[]).await.expect("a row");
        if says_so {
            connection.clean();
        }
        row.get::<_, i32>(0)
    };
    let first = id_of(true).await;
    repository.load(&load_event()).await.expect("a snapshot");
    assert_eq!(id_of(false).await, first);
    repository.load(&load_event()).await.expect("a snapshot");
    assert_ne!(id_of(true).await, first);
}
