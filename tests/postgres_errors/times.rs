//! What is known when an answer, or a connection, does not come in time.

use std::time::{Duration, Instant};

use ticket_reservation::adapters::postgres::PostgresRepositoryBuilder;
use ticket_reservation::ports::{GroupOutcome, StoreErrorKind};

use crate::postgres_support::chain::chain;
use crate::postgres_support::failing::{self, Moment};
use crate::postgres_support::{AT_MOST, builder};
use crate::{commit, load};

/// A schema in which commits wait before they end. The server's own timeout is not about that: its statement is over.
async fn waiting(schema: &str) -> PostgresRepositoryBuilder {
    crate::failing(schema, "change", Moment::AtItsEnd).await;
    builder(schema)
}

async fn until(schema: &str, what: impl Fn(&str) -> bool) {
    let deadline = Instant::now() + AT_MOST;
    while !what(schema) {
        assert!(Instant::now() < deadline, "it does not happen");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Nobody could have said that nothing was written.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_whose_answer_does_not_come_in_time_may_happen_later() {
    let schema = "no answer";
    // Long enough for the statement itself, also where its plans are made first.
    let impatient = waiting(schema).await.call_timeout(Duration::from_secs(2)).build().expect("an address");
    let error = commit(&impatient, "waits").await.expect_err("it waits");
    assert_eq!(error.kind(), StoreErrorKind::Unknown, "{}", chain(&error));
    assert_eq!((failing::count(schema), failing::rows(schema).as_str()), (1, "0"), "it is not tried again");
    failing::release(schema);
    until(schema, |schema| failing::rows(schema) == "3").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_gets_no_connection_in_time_is_not_begun() {
    let schema = "no connection";
    let builder = waiting(schema).await.pool_size(1).acquire_timeout(Duration::from_millis(500)).call_timeout(AT_MOST);
    let repository = builder.build().expect("an address");
    // That time is for a new connection too, which may be more than a busy machine can do at first.
    let connected = async { while load(&repository, "gala").await.is_err() {} };
    tokio::time::timeout(AT_MOST, connected).await.expect("a connection");
    let others = async {
        until(schema, |schema| failing::count(schema) == 1).await;
        let error = commit(&repository, "gala").await.expect_err("somebody has it");
        failing::release(schema);
        error
    };
    let (committed, error) = tokio::join!(commit(&repository, "waits"), others);
    assert_eq!(error.kind(), StoreErrorKind::Transient);
    assert!(chain(&error).contains("no connection was free in time"), "{}", chain(&error));
    assert_eq!(committed.expect("an answer"), [GroupOutcome::Committed]);
    assert_eq!(failing::rows(schema), "3", "of one event");
}
