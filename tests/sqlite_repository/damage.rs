//! What is never written, rows that this library has not written, a file that is busy, and calls that are dropped.

use std::time::Duration;

use futures_util::FutureExt as _;
use ticket_reservation::adapters::sqlite::SqliteRepository;
use ticket_reservation::adapters::sqlite::rusqlite::Connection;
use ticket_reservation::domain::{EventId, Pool, Record, RecordKey, Reservation, ReservationState, Versioned};
use ticket_reservation::ports::{ChangesError, GroupOutcome, LoadRequest, PoolQuery, Repository, StoreErrorKind};

use crate::fixture::{
    NOW, a_hold_of_ann, a_pool, a_reservation, an_event, applied, commit, event_id, fixture, group, load, operation_id,
    pool_id, reservation_id, standing, write,
};

#[tokio::test]
async fn a_broken_invariant_is_permanent_and_nothing_is_written() {
    let f = fixture();
    let event = write(RecordKey::Event, 0, an_event(None));
    let oversold = write(RecordKey::Pool(pool_id()), 0, a_pool(1, 1, 1));
    let error = f.repository.commit(&event_id(), &[group(vec![event]), group(vec![oversold])]).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Permanent);
    let snapshot = load(&f.repository, vec![RecordKey::Event]).await;
    assert_eq!(snapshot.get(&RecordKey::Event), Some(&Versioned::ABSENT));
}

#[tokio::test]
async fn records_of_another_event_are_not_written() {
    let f = fixture();
    commit(&f.repository, vec![write(RecordKey::Event, 0, an_event(None))]).await;
    let Record::Reservation(theirs) = a_reservation(1, "ann", standing(1), ReservationState::Booked) else { panic!() };
    let theirs = Record::Reservation(Reservation { event: EventId::new("other").unwrap(), ..theirs });
    let group = group(vec![write(RecordKey::Reservation(reservation_id(1)), 0, theirs)]);
    let error = f.repository.commit(&event_id(), &[group]).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Permanent);
}

/// The one after it cannot be counted any more.
#[tokio::test]
async fn a_record_of_the_last_version_is_not_written_again() {
    let f = fixture();
    commit(
        &f.repository,
        vec![write(RecordKey::Event, 0, an_event(None)), write(RecordKey::Pool(pool_id()), 0, a_pool(9, 1, 2))],
    )
    .await;
    f.outside().execute_batch("UPDATE pool SET version = 9223372036854775807").unwrap();
    let last = u64::try_from(i64::MAX).unwrap();
    let group = group(vec![write(RecordKey::Pool(pool_id()), last, a_pool(9, 2, 2))]);
    let error = f.repository.commit(&event_id(), &[group]).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Permanent);
    let pools = f.repository.pools(&PoolQuery { event: event_id(), after: None, limit: 1 }).await.unwrap();
    assert_eq!(pools, [(pool_id(), last, Pool { capacity: 9, held: 1, booked: 2 })]);
}

#[tokio::test]
async fn a_row_that_this_library_never_writes_is_an_error_and_not_a_record() {
    let f = fixture();
    commit(&f.repository, vec![write(RecordKey::Event, 0, an_event(None)), a_hold_of_ann()]).await;
    let outside = f.outside();
    for tampering in [
        "UPDATE reservation SET customer_id = ' '",
        "UPDATE reservation SET customer_id = 'ann'; UPDATE reservation_line SET quantity = 1, pool_id = ' '",
    ] {
        outside.execute_batch(tampering).unwrap();
        let records = vec![RecordKey::Reservation(reservation_id(1))];
        let request = LoadRequest { event: event_id(), records, free_in: Vec::new() };
        assert_eq!(f.repository.load(&request).await.unwrap_err().kind(), StoreErrorKind::Permanent);
    }
    outside.execute_batch("UPDATE change SET lines = '{}' WHERE kind = 'reservation'").unwrap();
    let error = f.repository.changes(&event_id(), 0, 10).await.unwrap_err();
    assert!(matches!(error, ChangesError::Store(error) if error.kind() == StoreErrorKind::Permanent));
    load(&f.repository, vec![RecordKey::Event]).await;
}

/// What another program has made of the rows, past the conditions of their tables.
#[tokio::test]
async fn rows_that_this_library_never_writes_are_refused_in_few_words() {
    for (damage, words) in [
        ("UPDATE pool SET held = 9", "9 held and 2 booked of 9"),
        ("UPDATE pool SET version = 0", "a version of 0"),
        ("UPDATE pool SET version = -1", "out of range"),
        ("UPDATE pool SET booked = 4294967296", "out of range"),
        ("UPDATE event SET state = replace(hex(zeroblob(1000000)), '00', 'x' || char(10))", "x\\nx\\nx"),
        ("UPDATE event SET state = CAST(x'ff' AS TEXT)", "utf-8"),
    ] {
        let f = fixture();
        commit(
            &f.repository,
            vec![write(RecordKey::Event, 0, an_event(None)), write(RecordKey::Pool(pool_id()), 0, a_pool(9, 1, 2))],
        )
        .await;
        let outside = f.outside();
        outside.execute_batch("PRAGMA ignore_check_constraints = ON").unwrap();
        outside.execute_batch(damage).unwrap();
        let records = vec![RecordKey::Pool(pool_id())];
        let request = LoadRequest { event: event_id(), records, free_in: Vec::new() };
        let error = f.repository.load(&request).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Permanent, "{damage}");
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert!(cause.contains(words) && cause.len() < 300, "{damage}: {cause:.300}");
    }
}

#[tokio::test]
async fn a_file_kept_busy_is_transient_and_free_again_afterwards() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sale.db");
    let repository = SqliteRepository::builder(&path).busy_timeout(Duration::from_millis(20)).open().unwrap();
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let groups = [group(vec![write(RecordKey::Event, 0, an_event(None))])];
    let error = repository.commit(&event_id(), &groups).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Transient);
    // Readers do not wait for writers.
    load(&repository, vec![RecordKey::Event]).await;
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(repository.commit(&event_id(), &groups).await.unwrap(), [GroupOutcome::Committed]);
}

#[tokio::test]
async fn a_dropped_call_breaks_no_later_one() {
    let f = fixture();
    for number in 0..50 {
        let groups =
            [group(vec![write(RecordKey::Operation(operation_id(NOW, number)), 0, applied(event_id(), None))])];
        let event = event_id();
        let call = f.repository.commit(&event, &groups);
        // Polled once, so that it is on its way, and dropped.
        drop(call.now_or_never());
    }
    commit(&f.repository, vec![write(RecordKey::Event, 0, an_event(None))]).await;
}
