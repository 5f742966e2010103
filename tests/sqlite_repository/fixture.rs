//! A repository in a file of its own, and records to write there.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use tempfile::TempDir;
use ticket_reservation::adapters::sqlite::SqliteRepository;
use ticket_reservation::adapters::sqlite::rusqlite::Connection;
use ticket_reservation::domain::{
    ActionKind, Allowance, AreaId, BlockReason, CustomerId, Event, EventId, EventState, Fingerprint, Lines,
    OperationId, OperationRecord, Place, Pool, PoolId, Record, RecordKey, Recorded, Reservation, ReservationId,
    ReservationState, SalesWindow, Snapshot, Ticket, TicketId, TicketState, Timestamp,
};
use ticket_reservation::ports::{Clock, Group, GroupOutcome, LoadRequest, Repository, Write};

/// A wall clock that stands still until it is set.
#[derive(Debug)]
pub(crate) struct StoppedClock(Mutex<Timestamp>);

impl StoppedClock {
    pub(crate) fn set(&self, micros: i64) {
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

pub(crate) const NOW: i64 = 1_700_000_000_000_000;

pub(crate) struct Fixture {
    folder: TempDir,
    pub(crate) clock: Arc<StoppedClock>,
    pub(crate) repository: SqliteRepository,
}

pub(crate) fn fixture() -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(StoppedClock(Mutex::new(Timestamp::from_micros(NOW))));
    let repository = SqliteRepository::builder(folder.path().join("sale.db")).clock(clock.clone()).open().unwrap();
    Fixture { folder, clock, repository }
}

impl Fixture {
    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("sale.db")
    }

    /// A connection of another program.
    pub(crate) fn outside(&self) -> Connection {
        Connection::open(self.path()).unwrap()
    }
}

pub(crate) fn at(micros: i64) -> Timestamp {
    Timestamp::from_micros(micros)
}

pub(crate) fn event_id() -> EventId {
    EventId::new("gala").unwrap()
}

pub(crate) fn ticket_id(id: &str) -> TicketId {
    TicketId::new(id).unwrap()
}

pub(crate) fn pool_id() -> PoolId {
    PoolId::new("standing").unwrap()
}

pub(crate) fn customer(id: &str) -> CustomerId {
    CustomerId::new(id).unwrap()
}

pub(crate) fn reservation_id(number: u16) -> ReservationId {
    let [high, low] = number.to_be_bytes();
    ReservationId::from_parts(at(NOW), [high, low, 0, 0, 0, 0, 0, 0, 0, 0])
}

pub(crate) fn operation_id(made_at: i64, number: u8) -> OperationId {
    OperationId::from_parts(at(made_at), [number; 10])
}

pub(crate) fn place(row: u32, number: u32) -> Place {
    Place { area: AreaId::new("A").unwrap(), row, number }
}

pub(crate) fn an_event(limit: Option<u32>) -> Record {
    Record::Event(Event { state: EventState::OnSale, window: SalesWindow::default(), limit_per_customer: limit })
}

pub(crate) fn a_pool(capacity: u32, held: u32, booked: u32) -> Record {
    Record::Pool(Pool { capacity, held, booked })
}

pub(crate) fn a_reservation(number: u16, who: &str, lines: Lines, state: ReservationState) -> Record {
    Record::Reservation(Reservation {
        id: reservation_id(number),
        event: event_id(),
        customer: customer(who),
        lines,
        state,
        held_at: at(NOW - 5),
    })
}

pub(crate) fn standing(quantity: u32) -> Lines {
    Lines::merge([], [(pool_id(), quantity)]).unwrap()
}

pub(crate) fn held_until(micros: i64) -> ReservationState {
    ReservationState::Held { until: at(micros) }
}

pub(crate) fn write(key: RecordKey, version: u64, record: Record) -> Write {
    Write { key, version, decided_at: at(NOW), record }
}

pub(crate) fn a_hold_of_ann() -> Write {
    let record = a_reservation(1, "ann", standing(1), held_until(NOW + 1));
    write(RecordKey::Reservation(reservation_id(1)), 0, record)
}

pub(crate) fn group(mut writes: Vec<Write>) -> Group {
    writes.sort_by(|left, right| left.key.cmp(&right.key));
    Group { reads: Vec::new(), writes, ..Group::default() }
}

pub(crate) async fn commit(repository: &dyn Repository, writes: Vec<Write>) {
    let outcomes = repository.commit(&event_id(), &[group(writes)]).await.unwrap();
    assert_eq!(outcomes, [GroupOutcome::Committed]);
}

pub(crate) async fn load(repository: &dyn Repository, records: Vec<RecordKey>) -> Snapshot {
    let request = LoadRequest { event: event_id(), records, free_in: Vec::new() };
    repository.load(&request).await.unwrap()
}

pub(crate) fn applied(event: EventId, reservation: Option<u16>) -> Record {
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
pub(crate) fn every_record() -> Vec<(RecordKey, Record)> {
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
