//! What was written comes back, what has changed meanwhile conflicts, and the change feed has all of it.

use std::collections::BTreeMap;

use ticket_reservation::adapters::sqlite::SqliteRepository;
use ticket_reservation::domain::{AreaId, EventId, Lines, Record, RecordKey, ReservationState, Ticket, Versioned};
use ticket_reservation::ports::{Group, GroupOutcome, LoadRequest, PAGE_MAX, Repository, Sequence};

use crate::fixture::{
    NOW, a_hold_of_ann, a_pool, a_reservation, an_event, applied, at, commit, customer, event_id, every_record,
    fixture, group, held_until, load, operation_id, place, pool_id, reservation_id, standing, ticket_id, write,
};

#[tokio::test]
async fn records_of_an_unknown_event_are_absent() {
    let f = fixture();
    let keys: Vec<RecordKey> = every_record().into_iter().map(|(key, _)| key).collect();
    let area = AreaId::new("A").unwrap();
    let request = LoadRequest { event: event_id(), records: keys.clone(), free_in: vec![area.clone()] };
    let snapshot = f.repository.load(&request).await.unwrap();
    for key in &keys {
        assert_eq!(snapshot.get(key), Some(&Versioned::ABSENT), "{key:?}");
    }
    assert_eq!(snapshot.free(&area), Some(&[][..]));
    assert_eq!(snapshot.clock(), at(NOW));
    assert!(f.repository.changes(&event_id(), 0, 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn every_kind_of_record_comes_back_as_it_was_written_also_from_a_file_opened_again() {
    let f = fixture();
    let records = every_record();
    let writes = records.iter().map(|(key, record)| write(key.clone(), 0, record.clone())).collect();
    commit(&f.repository, writes).await;
    let path = f.path();
    f.repository.close().await;
    let repository = SqliteRepository::builder(path).open().unwrap();
    let snapshot = load(&repository, records.iter().map(|(key, _)| key.clone()).collect()).await;
    for (key, record) in &records {
        assert_eq!(snapshot.get(key), Some(&Versioned::new(1, at(NOW), record.clone())), "{key:?}");
    }
}

#[tokio::test]
async fn the_change_feed_holds_every_record_as_the_commit_left_it_without_gaps() {
    let f = fixture();
    let records = every_record();
    let writes = records.iter().map(|(key, record)| write(key.clone(), 0, record.clone())).collect();
    commit(&f.repository, writes).await;
    let update = a_reservation(1, "Zoë", standing(1), ReservationState::Booked);
    commit(&f.repository, vec![write(RecordKey::Reservation(reservation_id(1)), 1, update.clone())]).await;

    let changes = f.repository.changes(&event_id(), 0, PAGE_MAX).await.unwrap();
    let sequences: Vec<Sequence> = changes.iter().map(|change| change.sequence).collect();
    assert_eq!(sequences, (1..=13).collect::<Vec<_>>());
    let expected: BTreeMap<_, _> =
        records.into_iter().filter(|(key, _)| !matches!(key, RecordKey::Operation(_))).collect();
    let first: BTreeMap<_, _> =
        changes[..12].iter().map(|change| (change.key.clone(), change.record.clone())).collect();
    assert_eq!(first, expected);
    assert!(changes[..12].iter().all(|change| change.version == 1 && change.decided_at == at(NOW)));
    assert_eq!((changes[12].version, &changes[12].record), (2, &update));

    let page = f.repository.changes(&event_id(), 5, 2).await.unwrap();
    assert_eq!(page.iter().map(|change| change.sequence).collect::<Vec<_>>(), [6, 7]);
}

#[tokio::test]
async fn a_conflicting_group_writes_nothing_and_the_others_go_on() {
    let f = fixture();
    let ticket = |number| Record::Ticket(Ticket::available(place(1, number)));
    let key = |id: &str| RecordKey::Ticket(ticket_id(id));
    commit(
        &f.repository,
        vec![
            write(RecordKey::Event, 0, an_event(None)),
            write(key("A"), 0, ticket(1)),
            write(key("B"), 0, ticket(2)),
            write(key("C"), 0, ticket(3)),
        ],
    )
    .await;
    let groups = [
        Group { reads: vec![(RecordKey::Event, 1)], writes: vec![write(key("A"), 1, ticket(1))], ..Group::default() },
        Group {
            reads: vec![(RecordKey::Event, 1)],
            writes: vec![write(key("B"), 7, ticket(2)), write(key("X"), 0, ticket(9))],
            ..Group::default()
        },
        Group {
            reads: vec![(RecordKey::Event, 2), (key("Y"), 3)],
            writes: vec![write(key("C"), 1, ticket(3))],
            ..Group::default()
        },
        Group { reads: vec![(key("Y"), 0)], writes: vec![write(key("Z"), 0, ticket(8))], ..Group::default() },
    ];
    let outcomes = f.repository.commit(&event_id(), &groups).await.unwrap();
    assert_eq!(
        outcomes,
        [
            GroupOutcome::Committed,
            GroupOutcome::Conflict { stale: vec![key("B")] },
            GroupOutcome::Conflict { stale: vec![RecordKey::Event, key("Y")] },
            GroupOutcome::Committed,
        ]
    );
    let snapshot = load(&f.repository, ["A", "B", "C", "X", "Y", "Z"].map(key).to_vec()).await;
    let versions = ["A", "B", "C", "X", "Y", "Z"].map(|id| snapshot.get(&key(id)).unwrap().version);
    assert_eq!(versions, [2, 1, 1, 0, 0, 1]);
    assert_eq!(f.repository.changes(&event_id(), 4, 10).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_record_that_was_absent_and_is_there_now_conflicts() {
    let f = fixture();
    let key = RecordKey::Operation(operation_id(NOW, 1));
    commit(&f.repository, vec![write(key.clone(), 0, applied(event_id(), None))]).await;
    let again = [group(vec![write(key.clone(), 0, applied(event_id(), None))])];
    let outcomes = f.repository.commit(&event_id(), &again).await.unwrap();
    assert_eq!(outcomes, [GroupOutcome::Conflict { stale: vec![key] }]);
}

#[tokio::test]
async fn reservations_and_operations_of_another_event_are_found_with_their_own_event() {
    let f = fixture();
    commit(
        &f.repository,
        vec![
            write(RecordKey::Event, 0, an_event(None)),
            a_hold_of_ann(),
            write(RecordKey::Operation(operation_id(NOW, 1)), 0, applied(event_id(), Some(1))),
        ],
    )
    .await;
    let other = EventId::new("other").unwrap();
    let keys = vec![RecordKey::Reservation(reservation_id(1)), RecordKey::Operation(operation_id(NOW, 1))];
    let request = LoadRequest { event: other, records: keys.clone(), free_in: Vec::new() };
    let snapshot = f.repository.load(&request).await.unwrap();
    match &snapshot.get(&keys[0]).unwrap().record {
        Some(Record::Reservation(reservation)) => assert_eq!(reservation.event, event_id()),
        other => panic!("{other:?}"),
    }
    match &snapshot.get(&keys[1]).unwrap().record {
        Some(Record::Operation(operation)) => assert_eq!(operation.event, event_id()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_load_of_an_operation_brings_all_that_repeating_it_needs() {
    let f = fixture();
    let lines = Lines::merge([ticket_id("A")], [(pool_id(), 2)]).unwrap();
    commit(
        &f.repository,
        vec![
            write(RecordKey::Event, 0, an_event(Some(4))),
            write(RecordKey::Ticket(ticket_id("A")), 0, Record::Ticket(Ticket::available(place(1, 1)))),
            write(RecordKey::Pool(pool_id()), 0, a_pool(9, 2, 0)),
            write(RecordKey::Reservation(reservation_id(1)), 0, a_reservation(1, "ann", lines, held_until(NOW + 1))),
            write(RecordKey::Operation(operation_id(NOW, 1)), 0, applied(event_id(), Some(1))),
        ],
    )
    .await;
    let snapshot = load(&f.repository, vec![RecordKey::Operation(operation_id(NOW, 1))]).await;
    for (key, version) in [
        (RecordKey::Event, 1),
        (RecordKey::Reservation(reservation_id(1)), 1),
        (RecordKey::Ticket(ticket_id("A")), 1),
        (RecordKey::Pool(pool_id()), 1),
        (RecordKey::Allowance(customer("ann")), 0),
    ] {
        assert_eq!(snapshot.get(&key).map(|found| found.version), Some(version), "{key:?}");
    }
}

#[tokio::test]
async fn the_clock_in_a_snapshot_is_the_stores() {
    let f = fixture();
    f.clock.set(42);
    assert_eq!(load(&f.repository, Vec::new()).await.clock(), at(42));
}
