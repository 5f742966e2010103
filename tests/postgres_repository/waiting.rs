//! Calls that wait for what somebody else has locked.

use std::time::Duration;

use futures_util::FutureExt;
use ticket_reservation::domain::{
    CustomerId, Fingerprint, Lines, OperationId, OperationRecord, Record, RecordKey, Recorded, Reservation,
    ReservationId, ReservationState, TicketId,
};
use ticket_reservation::ports::{
    Availability, Clock, Group, GroupOutcome, LoadRequest, Repository, StoreErrorKind, Write,
};

use crate::postgres_support::blocker::{Blocker, is_waited_for};
use crate::postgres_support::chain::chain;
use crate::postgres_support::groups::{another_commit, event, new_event};
use crate::postgres_support::runtime::TestRuntime;
use crate::postgres_support::{AT_MOST, builder, migrated, server};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_that_is_not_had_in_time_changes_nothing() {
    let repository = migrated("lock timeout").await;
    repository.commit(&event(), &[new_event()]).await.expect("an answer");
    let blocker = Blocker::start("lock timeout");
    let impatient = builder("lock timeout").call_timeout(Duration::from_millis(200)).build().expect("an address");
    let error = impatient.commit(&event(), &[another_commit()]).await.expect_err("somebody has the row");
    assert_eq!(error.kind(), StoreErrorKind::Transient, "{}", chain(&error));
    drop(blocker);
    let outcome = impatient.commit(&event(), &[another_commit()]).await.expect("an answer");
    assert_eq!(outcome, [GroupOutcome::Committed], "on the same connection or another");
}

/// That an operation is not purged is looked at before anything is written, and again once it is written.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operation_that_a_purge_forgets_while_its_commit_waits_is_not_written() {
    let schema = "purged meanwhile";
    let repository = migrated(schema).await;
    let now = TestRuntime::current().unix_time();
    let an_hour_ago = now.before(Duration::from_secs(3_600));
    let write = |key, record| Write { key, version: 0, decided_at: now, record };
    let operation = |number| {
        let (event, fingerprint) = (event(), Fingerprint::from_bytes([0; 16]));
        let key = RecordKey::Operation(OperationId::from_parts(an_hour_ago, [number; 10]));
        write(key, Record::Operation(OperationRecord { event, fingerprint, recorded: Recorded::Voided }))
    };
    let of = |writes| Group { writes, ..Group::default() };
    let mut event_made_now = new_event();
    event_made_now.writes[0].decided_at = now;
    event_made_now.writes.push(operation(1));
    repository.commit(&event(), &[event_made_now]).await.expect("an answer");

    let id = ReservationId::from_parts(now, [1; 10]);
    let lines = Lines::merge(vec![TicketId::new("a").unwrap()], Vec::new()).unwrap();
    let booked = Reservation {
        id,
        event: event(),
        customer: CustomerId::new("ada").unwrap(),
        lines,
        state: ReservationState::Booked,
        held_at: now,
    };
    let late = of(vec![write(RecordKey::Reservation(id), Record::Reservation(booked)), operation(2)]);
    let forgotten = late.writes[1].key.clone();
    // Somebody has inserted the reservation, and the commit waits for what becomes of that.
    let blocker = Blocker::with(
        schema,
        &format!(
            "INSERT INTO \"{schema}\".reservation (reservation_id, event_id, customer_id, state, held_at, version, decided_at,
                tickets) VALUES ('{id}', 'gala', 'bob', 'booked', 1, 1, 1, '{{a}}')"
        ),
    );
    let (event, groups) = (event(), [late]);
    let commit = repository.commit(&event, &groups);
    let purge = async {
        is_waited_for(schema).await;
        let purged = repository.purge(Duration::from_secs(1_800), 10).await.expect("an answer");
        assert_eq!(purged.operations, 1, "the one that is there");
        drop(blocker);
    };
    let (outcomes, ()) = tokio::join!(commit, purge);
    let conflict = GroupOutcome::Conflict { stale: vec![forgotten.clone()] };
    assert_eq!(outcomes.expect("an answer"), [conflict]);
    let loaded = repository.load(&LoadRequest { event, records: vec![forgotten.clone()], free_in: Vec::new() }).await;
    assert!(loaded.expect("an answer").get(&forgotten).is_none_or(|it| it.record.is_none()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_ends_during_a_commit_leaves_its_outcome_unknown() {
    let repository = migrated("ended").await;
    repository.commit(&event(), &[new_event()]).await.expect("an answer");
    let _blocker = Blocker::start("ended");
    let (groups, event) = ([another_commit()], event());
    let commit = repository.commit(&event, &groups);
    let end = async {
        is_waited_for("ended").await;
        let sql = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE query LIKE '%\"ended\".commit_groups%' AND pid <> pg_backend_pid()";
        server().psql(sql).expect("an answer");
    };
    let (error, ()) = tokio::join!(commit, end);
    let error = error.expect_err("its connection is gone");
    assert_eq!(error.kind(), StoreErrorKind::Unknown, "{}", chain(&error));
}

/// The next call would wait for its answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_whose_call_was_dropped_is_not_used_again() {
    // The server does not end the dropped call during this test.
    let patient = builder("dropped").call_timeout(Duration::from_secs(3_600));
    let repository = patient.pool_size(1).build().expect("an address");
    repository.migrate().await.expect("tables");
    repository.commit(&event(), &[new_event()]).await.expect("an answer");
    let _blocker = Blocker::start("dropped");
    {
        let (groups, event) = ([another_commit()], event());
        let mut commit = repository.commit(&event, &groups);
        assert!((&mut commit).now_or_never().is_none());
        let waits = std::pin::pin!(is_waited_for("dropped"));
        assert!(matches!(futures_util::future::select(commit, waits).await, futures_util::future::Either::Right(_)));
    }
    let event = event();
    let answer = tokio::time::timeout(AT_MOST, repository.availability(&event)).await;
    let found: Availability = answer.expect("it waits for the call that was dropped").expect("an answer");
    assert_eq!(found.areas, []);
}
