//! The sqlite repository, beyond what the conformance suite asks of every repository.
#![cfg(feature = "sqlite")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command as Process;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use tempfile::TempDir;
use ticket_reservation::adapters::sqlite::rusqlite::Connection;
use ticket_reservation::adapters::sqlite::{SqliteError, SqliteRepository};
use ticket_reservation::domain::*;
use ticket_reservation::ports::*;

/// A wall clock that stands still until it is set.
#[derive(Debug)]
struct StoppedClock(Mutex<Timestamp>);

impl StoppedClock {
    fn set(&self, micros: i64) {
        *self.0.lock().unwrap() = Timestamp::from_micros(micros);
    }
}

impl Clock for StoppedClock {
    fn now(&self) -> Instant {
        Instant::now()
    }
    fn unix_time(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

const NOW: i64 = 1_700_000_000_000_000;

struct Fixture {
    folder: TempDir,
    clock: Arc<StoppedClock>,
    repository: SqliteRepository,
}

fn fixture() -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(StoppedClock(Mutex::new(Timestamp::from_micros(NOW))));
    let repository = SqliteRepository::builder(folder.path().join("sale.db")).clock(clock.clone()).open().unwrap();
    Fixture { folder, clock, repository }
}

impl Fixture {
    fn path(&self) -> PathBuf {
        self.folder.path().join("sale.db")
    }

    /// A connection of another program.
    fn outside(&self) -> Connection {
        Connection::open(self.path()).unwrap()
    }
}

fn at(micros: i64) -> Timestamp {
    Timestamp::from_micros(micros)
}

fn event_id() -> EventId {
    EventId::new("gala").unwrap()
}

fn ticket_id(id: &str) -> TicketId {
    TicketId::new(id).unwrap()
}

fn pool_id() -> PoolId {
    PoolId::new("standing").unwrap()
}

fn customer(id: &str) -> CustomerId {
    CustomerId::new(id).unwrap()
}

fn reservation_id(number: u16) -> ReservationId {
    let [high, low] = number.to_be_bytes();
    ReservationId::from_parts(at(NOW), [high, low, 0, 0, 0, 0, 0, 0, 0, 0])
}

fn operation_id(made_at: i64, number: u8) -> OperationId {
    OperationId::from_parts(at(made_at), [number; 10])
}

fn place(row: u32, number: u32) -> Place {
    Place { area: AreaId::new("A").unwrap(), row, number }
}

fn an_event(limit: Option<u32>) -> Record {
    Record::Event(Event { state: EventState::OnSale, window: SalesWindow::default(), limit_per_customer: limit })
}

fn a_pool(capacity: u32, held: u32, booked: u32) -> Record {
    Record::Pool(Pool { capacity, held, booked })
}

fn a_reservation(number: u16, who: &str, lines: Lines, state: ReservationState) -> Record {
    Record::Reservation(Reservation {
        id: reservation_id(number),
        event: event_id(),
        customer: customer(who),
        lines,
        state,
        held_at: at(NOW - 5),
    })
}

fn standing(quantity: u32) -> Lines {
    Lines::merge([], [(pool_id(), quantity)]).unwrap()
}

fn held_until(micros: i64) -> ReservationState {
    ReservationState::Held { until: at(micros) }
}

fn write(key: RecordKey, version: u64, record: Record) -> Write {
    Write { key, version, decided_at: at(NOW), record }
}

fn group(mut writes: Vec<Write>) -> Group {
    writes.sort_by(|left, right| left.key.cmp(&right.key));
    Group { reads: Vec::new(), writes, ..Group::default() }
}

async fn commit(repository: &dyn Repository, writes: Vec<Write>) {
    let outcomes = repository.commit(&event_id(), &[group(writes)]).await.unwrap();
    assert_eq!(outcomes, [GroupOutcome::Committed]);
}

async fn load(repository: &dyn Repository, records: Vec<RecordKey>) -> Snapshot {
    let request = LoadRequest { event: event_id(), records, free_in: Vec::new() };
    repository.load(&request).await.unwrap()
}

fn applied(event: EventId, reservation: Option<u16>) -> Record {
    Record::Operation(OperationRecord {
        event,
        fingerprint: Fingerprint::from_bytes([7; 16]),
        recorded: Recorded::Applied {
            kind: ActionKind::Hold,
            reservation: reservation.map(reservation_id),
            customer: reservation.map(|_| customer("ann")),
            until: reservation.map(|_| at(NOW + 9)),
            changed: 3,
        },
    })
}

/// One record of every kind and every state.
fn every_record() -> Vec<(RecordKey, Record)> {
    let ticket = |id: &str, state| {
        (RecordKey::Ticket(ticket_id(id)), Record::Ticket(Ticket { place: place(1, u32::MAX), state }))
    };
    let reservation = |number, state| {
        let lines = Lines::merge([ticket_id("a \"quoted\" \\ seat"), ticket_id("☃")], [(pool_id(), 2)]).unwrap();
        (RecordKey::Reservation(reservation_id(number)), a_reservation(number, "Zoë", lines, state))
    };
    let voided = OperationRecord {
        event: event_id(),
        fingerprint: Fingerprint::from_bytes([255; 16]),
        recorded: Recorded::Voided,
    };
    let window = SalesWindow { opens: Some(at(-3)), closes: Some(at(i64::MAX)) };
    let event = Event { state: EventState::Preparing, window, limit_per_customer: Some(u32::MAX) };
    vec![
        (RecordKey::Event, Record::Event(event)),
        ticket("A", TicketState::Available),
        ticket("B", TicketState::Held { reservation: reservation_id(1), until: at(NOW + 1) }),
        ticket("C", TicketState::Booked { reservation: reservation_id(2) }),
        ticket("D", TicketState::Blocked { reason: BlockReason::new("pillar").unwrap() }),
        (RecordKey::Pool(pool_id()), a_pool(u32::MAX, 2, 3)),
        (RecordKey::Allowance(customer("Zoë")), Record::Allowance(Allowance { held: 1, booked: 2 })),
        reservation(1, held_until(NOW + 1)),
        reservation(2, ReservationState::Booked),
        reservation(3, ReservationState::Released),
        reservation(4, ReservationState::Cancelled),
        reservation(5, ReservationState::Expired),
        (RecordKey::Operation(operation_id(NOW, 1)), applied(event_id(), Some(1))),
        (RecordKey::Operation(operation_id(NOW, 2)), applied(event_id(), None)),
        (RecordKey::Operation(operation_id(NOW, 3)), Record::Operation(voided)),
    ]
}

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
            write(
                RecordKey::Reservation(reservation_id(1)),
                0,
                a_reservation(1, "ann", standing(1), held_until(NOW + 1)),
            ),
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
async fn the_oldest_expired_holds_come_with_their_pool_and_their_customer_up_to_the_bound() {
    let f = fixture();
    let mut writes = vec![
        write(RecordKey::Event, 0, an_event(Some(500))),
        write(RecordKey::Pool(pool_id()), 0, a_pool(500, 100, 0)),
    ];
    for number in 0..100 {
        // Deadlines fall as numbers rise; the last thirty are still alive.
        let until = NOW + 30 - i64::from(number);
        let record = a_reservation(number, "ann", standing(1), held_until(until));
        writes.push(write(RecordKey::Reservation(reservation_id(number)), 0, record));
    }
    commit(&f.repository, writes).await;
    let keys = vec![RecordKey::Pool(pool_id()), RecordKey::Allowance(customer("ann"))];
    let oldest: Vec<ReservationId> = (36..100).rev().map(reservation_id).collect();
    let of = [LapsedOf::Pool(pool_id()), LapsedOf::Customer(customer("ann"))];

    let snapshot = load(&f.repository, keys.clone()).await;
    for of in &of {
        assert_eq!(snapshot.lapsed(of), Some(&Lapsed { reservations: oldest.clone(), more: true }));
    }
    assert!(oldest.iter().all(|id| snapshot.get(&RecordKey::Reservation(*id)).unwrap().version == 1));
    let all = f.repository.lapsed(PAGE_MAX).await.unwrap();
    assert_eq!(all.len(), 70);
    assert_eq!(all[..64].iter().map(|(_, id)| *id).collect::<Vec<_>>(), oldest);

    // Those that are settled do not count any more; a hold ends at its deadline, not after it.
    let settle = (37..100)
        .map(|number| {
            let record = a_reservation(number, "ann", standing(1), ReservationState::Expired);
            write(RecordKey::Reservation(reservation_id(number)), 1, record)
        })
        .collect();
    commit(&f.repository, settle).await;
    let snapshot = load(&f.repository, keys).await;
    let left: Vec<ReservationId> = (30..37).rev().map(reservation_id).collect();
    for of in &of {
        assert_eq!(snapshot.lapsed(of), Some(&Lapsed { reservations: left.clone(), more: false }));
    }
}

#[tokio::test]
async fn the_free_tickets_of_an_area_are_those_available_at_the_stores_clock() {
    let f = fixture();
    let held = |until| TicketState::Held { reservation: reservation_id(1), until: at(until) };
    let states = [
        ("free", TicketState::Available),
        ("lapsed", held(NOW)),
        ("held", held(NOW + 1)),
        ("booked", TicketState::Booked { reservation: reservation_id(1) }),
        ("blocked", TicketState::Blocked { reason: BlockReason::new("x").unwrap() }),
    ];
    let mut writes = vec![write(RecordKey::Event, 0, an_event(None))];
    for (number, (id, state)) in (0..).zip(states) {
        let ticket = Ticket { place: place(1, number), state };
        writes.push(write(RecordKey::Ticket(ticket_id(id)), 0, Record::Ticket(ticket)));
    }
    let elsewhere = Place { area: AreaId::new("B").unwrap(), row: 1, number: 1 };
    writes.push(write(RecordKey::Ticket(ticket_id("else")), 0, Record::Ticket(Ticket::available(elsewhere))));
    commit(&f.repository, writes).await;
    let area = AreaId::new("A").unwrap();
    let request = LoadRequest { event: event_id(), records: Vec::new(), free_in: vec![area.clone()] };
    let snapshot = f.repository.load(&request).await.unwrap();
    assert_eq!(snapshot.free(&area), Some(&[ticket_id("free"), ticket_id("lapsed")][..]));
    assert!(snapshot.get(&RecordKey::Ticket(ticket_id("lapsed"))).is_some());
    f.clock.set(NOW + 1);
    let snapshot = f.repository.load(&request).await.unwrap();
    assert_eq!(snapshot.free(&area).unwrap().len(), 3);
}

#[tokio::test]
async fn lists_come_in_pages_ordered_by_id() {
    let f = fixture();
    let mut writes =
        vec![write(RecordKey::Event, 0, an_event(None)), write(RecordKey::Pool(pool_id()), 0, a_pool(9, 0, 0))];
    for number in 0..6_u16 {
        let area = AreaId::new(if number % 2 == 0 { "A" } else { "B" }).unwrap();
        let ticket = Ticket::available(Place { area, row: 1, number: number.into() });
        writes.push(write(RecordKey::Ticket(ticket_id(&format!("t{number}"))), 0, Record::Ticket(ticket)));
        let who = if number % 2 == 0 { "ann" } else { "bob" };
        let record = a_reservation(number, who, standing(1), held_until(NOW + i64::from(100 - number)));
        writes.push(write(RecordKey::Reservation(reservation_id(number)), 0, record));
    }
    commit(&f.repository, writes).await;

    let mut query = TicketQuery { event: event_id(), area: None, only_available: false, after: None, limit: 4 };
    let ids = |page: Vec<(TicketId, u64, Ticket)>| page.iter().map(|(id, ..)| id.to_string()).collect::<Vec<_>>();
    assert_eq!(ids(f.repository.tickets(&query).await.unwrap()), ["t0", "t1", "t2", "t3"]);
    query.after = Some(ticket_id("t3"));
    assert_eq!(ids(f.repository.tickets(&query).await.unwrap()), ["t4", "t5"]);
    query.area = Some(AreaId::new("B").unwrap());
    assert_eq!(ids(f.repository.tickets(&query).await.unwrap()), ["t5"]);

    let mut query = ReservationQuery { event: Some(event_id()), customer: None, state: None, after: None, limit: 4 };
    let ids = |page: Vec<(u64, Reservation)>| page.iter().map(|(_, found)| found.id).collect::<Vec<_>>();
    assert_eq!(ids(f.repository.reservations(&query).await.unwrap()), [0, 1, 2, 3].map(reservation_id));
    query.after = Some(reservation_id(3));
    assert_eq!(ids(f.repository.reservations(&query).await.unwrap()), [4, 5].map(reservation_id));
    query = ReservationQuery { customer: Some(customer("ann")), after: Some(reservation_id(0)), ..query };
    assert_eq!(ids(f.repository.reservations(&query).await.unwrap()), [2, 4].map(reservation_id));

    let mut query = PoolQuery { event: event_id(), after: None, limit: 1 };
    assert_eq!(f.repository.pools(&query).await.unwrap(), [(pool_id(), 1, Pool::with_capacity(9))]);
    query.after = Some(pool_id());
    assert_eq!(f.repository.pools(&query).await.unwrap(), []);
}

#[tokio::test]
async fn what_is_purged_is_refused_or_truncated_and_what_is_young_stays() {
    let f = fixture();
    let pool = |version| write(RecordKey::Pool(pool_id()), version, a_pool(9, 0, 0));
    let operation =
        |made_at, number| write(RecordKey::Operation(operation_id(made_at, number)), 0, applied(event_id(), None));
    commit(&f.repository, vec![write(RecordKey::Event, 0, an_event(None)), pool(0), operation(NOW, 1)]).await;
    commit(&f.repository, vec![operation(NOW + 1_000, 2), operation(NOW + 9_000_000, 3)]).await;
    let mut late = pool(1);
    late.decided_at = at(NOW + 9_000_000);
    commit(&f.repository, vec![late]).await;
    let retention = Duration::from_secs(1);
    assert_eq!(f.repository.purge(retention, 10).await.unwrap(), Purged::default());
    let before = load(&f.repository, Vec::new()).await.operations_purged_before();
    assert_eq!(before, at(i64::MIN));

    f.clock.set(NOW + 5_000_000);
    let one = Purged { operations: 1, changes: 1 };
    assert_eq!(f.repository.purge(retention, 1).await.unwrap(), one);
    assert!(matches!(
        f.repository.changes(&event_id(), 0, 10).await,
        Err(ChangesError::Truncated { purged_through: 1 })
    ));
    assert_eq!(f.repository.changes(&event_id(), 1, 10).await.unwrap().len(), 2);
    assert_eq!(f.repository.purge(retention, 10).await.unwrap(), one);
    assert_eq!(f.repository.purge(retention, 10).await.unwrap(), Purged::default());
    let changes = f.repository.changes(&event_id(), 2, 10).await.unwrap();
    assert_eq!(changes.iter().map(|change| change.sequence).collect::<Vec<_>>(), [3]);

    let keys = [(NOW, 1), (NOW + 1_000, 2), (NOW + 9_000_000, 3)]
        .map(|(made_at, number)| RecordKey::Operation(operation_id(made_at, number)));
    let snapshot = load(&f.repository, keys.to_vec()).await;
    assert_eq!(keys.map(|key| snapshot.get(&key).unwrap().version), [0, 0, 1]);
    assert_eq!(snapshot.operations_purged_before(), at(NOW + 4_000_000));

    // A clock that steps back lowers nothing, and the feed goes on where it was.
    f.clock.set(NOW);
    f.repository.purge(retention, 10).await.unwrap();
    assert_eq!(load(&f.repository, Vec::new()).await.operations_purged_before(), at(NOW + 4_000_000));
    commit(&f.repository, vec![pool(2)]).await;
    assert_eq!(f.repository.changes(&event_id(), 3, 10).await.unwrap()[0].sequence, 4);
}

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
async fn a_row_that_this_library_never_writes_is_an_error_and_not_a_record() {
    let f = fixture();
    commit(
        &f.repository,
        vec![
            write(RecordKey::Event, 0, an_event(None)),
            write(
                RecordKey::Reservation(reservation_id(1)),
                0,
                a_reservation(1, "ann", standing(1), held_until(NOW + 1)),
            ),
        ],
    )
    .await;
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

#[tokio::test]
async fn the_clock_in_a_snapshot_is_the_stores() {
    let f = fixture();
    f.clock.set(42);
    assert_eq!(load(&f.repository, Vec::new()).await.clock(), at(42));
}

/// Adds one to the pool's capacity, `times` times, each decided on what was loaded, with a line in the feed.
async fn count_up(repository: &dyn Repository, times: u32) {
    let key = RecordKey::Pool(pool_id());
    let mut left = times;
    while left > 0 {
        let snapshot = load(repository, vec![key.clone()]).await;
        let found = snapshot.get(&key).unwrap();
        let Some(Record::Pool(pool)) = &found.record else { panic!("no pool") };
        let next = write(key.clone(), found.version, a_pool(pool.capacity + 1, 0, 0));
        match repository.commit(&event_id(), &[group(vec![next])]).await {
            Ok(outcomes) if outcomes == [GroupOutcome::Committed] => left -= 1,
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), StoreErrorKind::Transient, "{error:?}"),
        }
    }
}

async fn assert_counted(repository: &dyn Repository, expected: u32) {
    let changes = repository.changes(&event_id(), 2, PAGE_MAX).await.unwrap();
    let counted: Vec<u32> = changes
        .iter()
        .map(|change| match &change.record {
            Record::Pool(pool) => pool.capacity,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(counted, (1..=expected).collect::<Vec<_>>());
    assert!(changes.iter().zip(3..).all(|(change, sequence)| change.sequence == sequence));
}

/// The path of the file that a child process of the test below works on.
const CHILD_FILE: &str = "SQLITE_REPOSITORY_TEST_FILE";

#[test]
fn ten_processes_open_an_empty_file_at_once_and_lose_no_update_without_a_lock() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    if let Some(path) = std::env::var_os(CHILD_FILE) {
        let repository = SqliteRepository::builder(path).busy_timeout(Duration::from_secs(60)).open().unwrap();
        runtime.block_on(async {
            // Whoever comes first makes the event.
            let made = [group(vec![
                write(RecordKey::Event, 0, an_event(None)),
                write(RecordKey::Pool(pool_id()), 0, a_pool(0, 0, 0)),
            ])];
            repository.commit(&event_id(), &made).await.unwrap();
            count_up(&repository, 20).await;
        });
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sale.db");
    let name = "ten_processes_open_an_empty_file_at_once_and_lose_no_update_without_a_lock";
    let children: Vec<_> = (0..10)
        .map(|_| {
            Process::new(std::env::current_exe().unwrap())
                .args(["--exact", name, "--nocapture"])
                .env(CHILD_FILE, &path)
                .spawn()
                .unwrap()
        })
        .collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let repository = SqliteRepository::builder(&path).open().unwrap();
    runtime.block_on(assert_counted(&repository, 200));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn repositories_open_an_empty_file_at_once_in_one_process() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sale.db");
    let opened = std::thread::scope(|scope| {
        let handles: Vec<_> =
            (0..10).map(|_| scope.spawn(|| SqliteRepository::builder(&path).open().unwrap())).collect();
        handles.into_iter().map(|handle| handle.join().unwrap()).collect::<Vec<_>>()
    });
    commit(
        &opened[0],
        vec![write(RecordKey::Event, 0, an_event(None)), write(RecordKey::Pool(pool_id()), 0, a_pool(0, 0, 0))],
    )
    .await;
    futures_util::future::join_all(opened.iter().map(|repository| count_up(repository, 20))).await;
    assert_counted(&opened[9], 200).await;
}

fn open_error(path: &Path) -> SqliteError {
    SqliteRepository::builder(path).busy_timeout(Duration::from_millis(20)).open().unwrap_err()
}

#[test]
fn a_file_that_is_no_database_is_refused_and_left_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("letter.txt");
    let text = "Dear customer, ".repeat(1_000);
    std::fs::write(&path, &text).unwrap();
    let error = open_error(&path);
    assert!(matches!(error, SqliteError::NotADatabase { .. }), "{error:?}");
    assert!(error.to_string().contains("letter.txt"));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
}

#[test]
fn a_schema_that_needs_a_newer_program_is_refused_and_a_compatible_one_is_not() {
    let f = fixture();
    let outside = f.outside();
    outside.execute_batch("UPDATE store SET schema_version = 9, compatible_with = 1").unwrap();
    SqliteRepository::builder(f.path()).open().unwrap();
    outside.execute_batch("UPDATE store SET compatible_with = 2").unwrap();
    let error = open_error(&f.path());
    assert!(matches!(error, SqliteError::NewerSchema { found: 9, needed: 2, known: 1, .. }), "{error:?}");
}

#[test]
fn tables_of_another_program_are_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("other.db");
    let other = Connection::open(&path).unwrap();
    other.execute_batch("CREATE TABLE invoice (title TEXT); INSERT INTO invoice VALUES ('birthday')").unwrap();
    drop(other);
    let before = std::fs::read(&path).unwrap();
    let error = open_error(&path);
    assert!(matches!(error, SqliteError::ForeignFile { .. }), "{error:?}");
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[tokio::test]
async fn a_host_may_have_tables_of_its_own_beside_ours() {
    let f = fixture();
    f.outside().execute_batch("CREATE TABLE invoice (title TEXT)").unwrap();
    SqliteRepository::builder(f.path()).open().unwrap();
}

#[test]
fn a_schema_that_lacks_a_table_is_refused_when_it_is_opened() {
    let f = fixture();
    f.outside().execute_batch("DROP TABLE change").unwrap();
    let error = open_error(&f.path());
    assert!(matches!(error, SqliteError::Schema(_)), "{error:?}");
}

#[test]
fn the_schema_can_be_printed() {
    let printed = Connection::open_in_memory().unwrap();
    printed.execute_batch(SqliteRepository::schema_sql()).unwrap();
    for table in ["event", "ticket", "pool", "reservation", "reservation_line", "operation", "change"] {
        assert!(printed.table_exists(None, table).unwrap(), "{table}");
    }
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

#[test]
fn a_damaged_schema_is_refused() {
    let f = fixture();
    f.outside().execute_batch("DELETE FROM store").unwrap();
    let error = open_error(&f.path());
    assert!(matches!(error, SqliteError::Schema(_)), "{error:?}");
}

#[test]
fn a_folder_that_does_not_exist_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let error = open_error(&folder.path().join("missing").join("sale.db"));
    assert!(matches!(error, SqliteError::Sqlite(_)), "{error:?}");
}

#[test]
fn a_store_in_memory_cannot_be_shared_and_is_refused() {
    let error = open_error(Path::new(":memory:"));
    assert!(matches!(error, SqliteError::NoWal { .. }), "{error:?}");
}

#[test]
fn the_file_is_durable_and_its_tables_are_strict() {
    let f = fixture();
    let outside = f.outside();
    let mode: String = outside.query_row("PRAGMA journal_mode", [], |row| row.get(0)).unwrap();
    assert_eq!(mode, "wal");
    let loose: i64 = outside
        .query_row(
            "SELECT count(*) FROM pragma_table_list WHERE schema = 'main' AND name NOT LIKE 'sqlite_%' AND NOT strict",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(loose, 0);
}

#[tokio::test]
async fn every_pool_and_allowance_of_an_expired_hold_comes_with_its_own_expired_holds() {
    let f = fixture();
    let bar = PoolId::new("bar").unwrap();
    let both = Lines::merge([], [(pool_id(), 1), (bar.clone(), 1)]).unwrap();
    let in_bar = Lines::merge([], [(bar.clone(), 1)]).unwrap();
    commit(
        &f.repository,
        vec![
            write(RecordKey::Event, 0, an_event(Some(9))),
            write(RecordKey::Pool(pool_id()), 0, a_pool(9, 1, 0)),
            write(RecordKey::Pool(bar.clone()), 0, a_pool(9, 2, 0)),
            write(RecordKey::Reservation(reservation_id(1)), 0, a_reservation(1, "ann", both, held_until(NOW))),
            write(RecordKey::Reservation(reservation_id(2)), 0, a_reservation(2, "bob", in_bar, held_until(NOW - 1))),
        ],
    )
    .await;
    let snapshot = load(&f.repository, vec![RecordKey::Pool(pool_id())]).await;
    let lapsed = |of| snapshot.lapsed(&of).map(|lapsed: &Lapsed| lapsed.reservations.clone());
    assert_eq!(lapsed(LapsedOf::Pool(pool_id())), Some(vec![reservation_id(1)]));
    assert_eq!(lapsed(LapsedOf::Customer(customer("ann"))), Some(vec![reservation_id(1)]));
    assert_eq!(lapsed(LapsedOf::Pool(bar)), Some([2, 1].map(reservation_id).to_vec()));
}
