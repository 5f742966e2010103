//! Everything that a store is asked, and commands decided on what it answers.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::Duration;

use ticket_reservation::domain::{
    Action, AreaId, ChangeSet, Command, CustomerId, EventId, Fingerprint, Hold, LatePayment, Lines, OperationId,
    Policies, Record, RecordKey, ReservationId, Snapshot, TicketId, Transfer, View, decide, expire,
};
use ticket_reservation::ports::{
    ChangesError, Group, LAPSED_MAX, LoadRequest, PoolQuery, Repository, ReservationFilter, ReservationQuery,
    StoreError, TicketQuery, Write,
};
use ticket_reservation::uuid::Uuid;

use crate::file::File;
use crate::limits;
use crate::rows::reservation_bytes;

/// More loads than any decision needs.
const LOADS_MAX: usize = 8;

const LIMIT: usize = 100;

pub(crate) fn ask(file: &File) {
    let repository = &file.repository;
    list(repository);
    follow(repository);
    for n in 0..8 {
        decide_on(repository, n);
    }
    answered(block_on(repository.purge(Duration::ZERO, LIMIT)));
}

/// Its answer, or nothing if it has failed as it may.
fn answered<T>(answer: Result<T, StoreError>) -> Option<T> {
    answer.inspect_err(limits::failed).ok()
}

fn list(repository: &impl Repository) {
    let event = event();
    for (area, only_available) in [(None, false), (None, true), (Some(area()), false), (Some(area()), true)] {
        let query = TicketQuery { event: event.clone(), area, only_available, after: None, limit: LIMIT };
        let tickets = answered(block_on(repository.tickets(&query))).unwrap_or_default();
        tickets.iter().for_each(|(id, _, ticket)| limits::ticket(id, ticket));
        assert!(tickets.is_sorted_by(|(a, ..), (b, ..)| a < b), "{tickets:?}");
    }
    let query = PoolQuery { event: event.clone(), after: None, limit: LIMIT };
    let pools = answered(block_on(repository.pools(&query))).unwrap_or_default();
    pools.iter().for_each(|(id, _, pool)| limits::pool(id, pool));

    let filters = ReservationFilter::ALL.map(Some).into_iter().chain([None]);
    for (state, of_customer) in filters.flat_map(|state| [(state, false), (state, true)]) {
        let customer = of_customer.then(|| customer(0));
        let query = ReservationQuery { event: Some(event.clone()), customer, state, after: None, limit: LIMIT };
        let reservations = answered(block_on(repository.reservations(&query))).unwrap_or_default();
        reservations.iter().for_each(|(_, it)| limits::reservation(it));
    }
    if let Some(availability) = answered(block_on(repository.availability(&event))) {
        for pool in &availability.pools {
            assert!(pool.available <= pool.capacity, "{pool:?}");
        }
        for area in &availability.areas {
            // Counted by the store from single columns, which may contradict each other.
            let counts = [area.available, area.held, area.booked, area.blocked];
            assert!(counts.iter().all(|count| *count <= area.tickets), "{area:?}");
        }
        let _ = availability.total();
    }
    let lapsed = answered(block_on(repository.lapsed(3))).unwrap_or_default();
    assert!(lapsed.len() <= 3);
}

fn follow(repository: &impl Repository) {
    let mut read = 0;
    for _ in 0..LIMIT {
        let page = match block_on(repository.changes(&event(), read, 3)) {
            Err(ChangesError::Truncated { purged_through }) => {
                assert!(purged_through > read, "the feed begins after {purged_through}, and {read} is not enough");
                read = purged_through;
                continue;
            }
            page => page.inspect_err(limits::changes_failed).unwrap_or_default(),
        };
        assert!(page.len() <= 3 && page.iter().all(|change| change.sequence > read), "{page:?}");
        page.iter().for_each(|change| limits::record(&change.key, &change.record));
        let Some(last) = page.last() else { return };
        read = last.sequence;
    }
}

/// Loads what a command needs, decides it, and commits what is decided.
fn decide_on(repository: &impl Repository, n: u8) {
    let command = command(n, true);
    let mut keys: BTreeSet<RecordKey> = command.records().into_iter().collect();
    for _ in 0..LOADS_MAX {
        let records: Vec<RecordKey> = keys.iter().cloned().collect();
        let free_in = command.area().cloned().into_iter().collect();
        let request = LoadRequest { event: event(), records: records.clone(), free_in };
        let Some(snapshot) = answered(block_on(repository.load(&request))) else { return };
        limits::snapshot(&snapshot, &records);
        for (of, lapsed) in snapshot.all_lapsed() {
            assert!(lapsed.reservations.len() <= LAPSED_MAX, "{of:?}");
        }
        let late_payment = if n.is_multiple_of(2) { LatePayment::Refuse } else { LatePayment::RebookIfFree };
        let policies = Policies { late_payment, ..Policies::default() };
        let mut view = View::new(&snapshot);
        let decided = decide(&mut view, &command, &policies).or_else(|rejection| {
            let text = rejection.to_string();
            assert!(text.len() < 100_000 && !text.chars().any(char::is_control), "{text:.200}");
            if view.missing().is_empty() { Ok(expire(&mut view, &ids().collect::<Vec<_>>())) } else { Err(rejection) }
        });
        if !view.missing().is_empty() {
            let known = keys.len();
            keys.extend(view.missing().iter().cloned());
            assert!(keys.len() > known, "a decision lacks records that were loaded");
            continue;
        }
        if let Ok(changes) = decided {
            // Counters that were wrong stay wrong: the store keeps them from being written.
            let written = changes.writes.iter().filter(|(_, record)| !matches!(record, Record::Pool(_)));
            written.for_each(|(key, record)| limits::record(key, record));
            commit(repository, &snapshot, &changes, view.touched());
        }
        return;
    }
    panic!("{command:?} cannot be decided");
}

fn commit(repository: &impl Repository, snapshot: &Snapshot, changes: &ChangeSet, touched: &[RecordKey]) {
    let version = |key: &RecordKey| snapshot.get(key).map_or(0, |found| found.version);
    let written: BTreeSet<&RecordKey> = changes.writes.iter().map(|(key, _)| key).collect();
    let read: BTreeSet<&RecordKey> = touched.iter().filter(|key| !written.contains(key)).collect();
    let write = |(key, record): &(RecordKey, Record)| Write {
        key: key.clone(),
        version: version(key),
        decided_at: changes.at,
        record: record.clone(),
    };
    let reads = read.into_iter().map(|key| (key.clone(), version(key))).collect();
    let group = Group { reads, writes: changes.writes.iter().map(write).collect(), ..Group::default() };
    if !group.writes.is_empty() {
        answered(block_on(repository.commit(&event(), &[group])));
    }
}

/// What is asked for under the `n`th operation id.
fn command(n: u8, is_asked_first: bool) -> Command {
    let (reservation, customer_of_it) = (id(n), customer(n));
    let action = match n {
        0 => Action::Hold(Hold::new(id(100), customer(0), lines(&["T0"], 2))),
        1 => Action::Confirm { reservation, customer: customer_of_it },
        2 => Action::Cancel { reservation, customer: customer_of_it },
        3 => Action::Hold(Hold::new(id(101), customer(1), lines(&[], 1)).with_best_available(area(), 2)),
        4 => Action::Release { reservation: id(0), customer: customer(0) },
        5 => Action::Confirm { reservation, customer: customer_of_it },
        6 => Action::Transfer(Transfer { reservation, from: customer_of_it, to: customer(1) }),
        _ => Action::Extend { reservation: id(1), customer: customer(1), ttl: None },
    };
    // Half of them are asked for the first time.
    let operation = if is_asked_first && n.is_multiple_of(2) { 50 + n } else { n };
    let operation = OperationId::try_from(Uuid::from_bytes(reservation_bytes(operation))).expect("of version 7");
    Command { event: event(), operation, action }
}

pub(crate) fn fingerprint(n: u8) -> [u8; 16] {
    *Fingerprint::of(&command(n, false)).as_bytes()
}

fn lines(tickets: &[&str], places: u32) -> Lines {
    let tickets = tickets.iter().map(|id| TicketId::new(id).expect("an id"));
    Lines::merge(tickets, [("floor".try_into().expect("an id"), places)]).expect("so few lines")
}

fn ids() -> impl Iterator<Item = ReservationId> {
    (0..8).map(id)
}

fn id(n: u8) -> ReservationId {
    Uuid::from_bytes(reservation_bytes(n)).into()
}

fn event() -> EventId {
    EventId::new("gala").expect("an id")
}

fn area() -> AreaId {
    AreaId::new("stalls").expect("an id")
}

fn customer(n: u8) -> CustomerId {
    CustomerId::new(if n.is_multiple_of(2) { "ann" } else { "bob" }).expect("an id")
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// The store has threads of its own; this one waits for them.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(answer) => return answer,
            Poll::Pending => std::thread::park(),
        }
    }
}
