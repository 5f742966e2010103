//! PostgreSQL behind a connection that ends at one byte or another of a commit, from its first to its last: what was acknowledged is there, what failed is not, and of
//! what nobody knows there is all or nothing. And a pool of two connections under a crowd.
#![cfg(feature = "postgres")]

#[path = "common/cutting_proxy.rs"]
mod cutting_proxy;
#[path = "../examples/flash_sale/postgres_server/mod.rs"]
mod postgres_server;
#[path = "common/runtime.rs"]
mod runtime;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use cutting_proxy::{Cut, CuttingProxy, Passed};
use futures_util::future::join_all;
use postgres_server::{Durability, PostgresServer};
use runtime::TestRuntime;
use ticket_reservation::adapters::postgres::PostgresRepository;
use ticket_reservation::booking::{BookingError, BookingService};
use ticket_reservation::domain::{
    Action, AreaId, Command, CreateEvent, CustomerId, Event, EventId, EventState, Hold, Lines, OperationRecord, Place,
    Pool, PoolId, Receipt, Record, RecordKey, Recorded, Reservation, ReservationId, Ticket, TicketId, TicketState,
    Timestamp,
};
use ticket_reservation::ports::{
    Group, GroupOutcome, LoadRequest, PAGE_MAX, PoolQuery, Repository, ReservationQuery, StoreErrorKind, TicketQuery,
    Write,
};

const ROWS: u32 = 40;

fn event() -> EventId {
    EventId::new("gala").unwrap()
}

fn write(key: RecordKey, record: Record) -> Write {
    Write { key, version: 0, decided_at: Timestamp::from_micros(1), record }
}

fn new_event() -> Group {
    let event = Event { state: EventState::OnSale, window: Default::default(), limit_per_customer: None };
    Group { reads: Vec::new(), writes: vec![write(RecordKey::Event, Record::Event(event))], ..Group::default() }
}

/// The tickets of one commit, in an area of their own.
fn tickets(number: usize) -> Group {
    let ticket = |seat: u32| {
        let place = Place { area: AreaId::new(format!("area-{number}")).unwrap(), row: 1, number: seat };
        let record = Record::Ticket(Ticket { place, state: TicketState::Available });
        write(RecordKey::Ticket(TicketId::new(format!("{number:05}-{seat:02}")).unwrap()), record)
    };
    Group { reads: vec![(RecordKey::Event, 1)], writes: (0..ROWS).map(ticket).collect(), ..Group::default() }
}

/// Where the server listens, and its address with another place to listen at.
fn through(server: &PostgresServer, proxy: impl FnOnce(SocketAddr) -> SocketAddr) -> String {
    let url = server.url();
    let (before, rest) = url.split_once('@').expect("a user");
    let (host, path) = rest.split_once('/').expect("a database");
    let address = proxy(host.parse().expect("an address of numbers"));
    format!("{before}@{address}/{path}")
}

fn host_of(server: &PostgresServer) -> SocketAddr {
    let mut host = None;
    through(server, |address| *host.insert(address));
    host.expect("an address")
}

async fn repository(url: String, schema: &str, connections: u32) -> PostgresRepository {
    let builder = PostgresRepository::builder(url, TestRuntime::current()).schema(schema).plain_on_loopback();
    builder.pool_size(connections).call_timeout(Duration::from_secs(20)).build().expect("an address")
}

/// Places at which to cut: all of the first and last bytes, and some between.
fn places(bytes: usize) -> Vec<usize> {
    let edge = 12;
    let between = (edge..bytes.saturating_sub(edge)).step_by((bytes / 24).max(1));
    let mut places: Vec<usize> = (0..edge).chain(between).chain(bytes.saturating_sub(edge)..=bytes).collect();
    places.dedup();
    places
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_ends_anywhere_in_a_commit_loses_nothing() {
    let server = PostgresServer::start(Durability::Forgetful).expect("a server");
    let proxy = CuttingProxy::before(host_of(&server)).await;
    let straight = repository(server.url(), "cuts", 2).await;
    straight.migrate().await.expect("tables");
    straight.commit(&event(), &[new_event()]).await.expect("an event");
    let store = repository(through(&server, |_| proxy.address), "cuts", 1).await;
    let look = LoadRequest { event: event(), records: vec![RecordKey::Event], free_in: Vec::new() };

    // How many bytes a commit is, once its statement is prepared.
    store.commit(&event(), &[tickets(0)]).await.expect("an answer");
    proxy.cut(Cut::default());
    store.commit(&event(), &[tickets(1)]).await.expect("an answer");
    let Passed { from_client, from_server } = proxy.passed();
    assert!(from_client > 1_000 && from_server > 20, "{:?}", proxy.passed());

    let of_client = places(from_client).into_iter().map(|at| Cut { from_client: Some(at), from_server: None });
    let of_server = places(from_server).into_iter().map(|at| Cut { from_client: None, from_server: Some(at) });
    let (mut done, mut failed, mut unknown) = (vec![0, 1], Vec::new(), Vec::new());
    for (number, cut) in of_client.chain(of_server).enumerate().map(|(number, cut)| (number + 2, cut)) {
        // A connection that works and knows the statement.
        proxy.cut(Cut::default());
        store.load(&look).await.expect("the pool is whole");
        store.commit(&event(), &[tickets(10_000 + number)]).await.expect("the pool is whole");
        proxy.cut(cut);
        match store.commit(&event(), &[tickets(number)]).await {
            Ok(outcomes) => {
                assert_eq!(outcomes, [GroupOutcome::Committed], "{cut:?}");
                done.push(number);
            }
            Err(error) => match error.kind() {
                StoreErrorKind::Unknown => unknown.push(number),
                StoreErrorKind::Transient => failed.push(number),
                kind => panic!("{cut:?} is {kind:?}: {error}"),
            },
        }
    }
    assert!(unknown.len() > 20, "{} of unknown outcome", unknown.len());

    let mut seen = BTreeMap::<String, u32>::new();
    let mut query = TicketQuery { event: event(), area: None, only_available: false, after: None, limit: PAGE_MAX };
    loop {
        let page = straight.tickets(&query).await.expect("tickets");
        let Some((last, ..)) = page.last() else { break };
        query.after = Some(last.clone());
        page.iter().for_each(|(_, _, ticket)| *seen.entry(ticket.place.area.to_string()).or_default() += 1);
    }
    let count = |number: &usize| seen.get(&format!("area-{number}")).copied().unwrap_or(0);
    assert!(done.iter().all(|number| count(number) == ROWS), "an acknowledged commit is not there");
    assert!(failed.iter().all(|number| count(number) == 0), "a commit that failed is there");
    let (there, absent): (Vec<&usize>, Vec<&usize>) = unknown.iter().partition(|number| count(number) == ROWS);
    assert!(absent.into_iter().all(|number| count(number) == 0), "a part of a commit is there");
    // Cuts on the way back come after the commit.
    assert!(!there.is_empty(), "no commit was done whose answer was lost");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pool_of_two_connections_serves_five_hundred_callers() {
    let server = PostgresServer::start(Durability::Forgetful).expect("a server");
    let store = Arc::new(repository(server.url(), "crowd", 2).await);
    store.migrate().await.expect("tables");
    let service = BookingService::builder(store.clone(), TestRuntime::current()).build().expect("settings");
    let events: Vec<EventId> = (0..50).map(|number| EventId::new(format!("gig-{number}")).unwrap()).collect();
    let pool = PoolId::new("standing").unwrap();
    for event in &events {
        let _ =
            service.create_event(event, service.new_operation_id(), CreateEvent::default()).await.expect("an event");
        service.import(event, Vec::new(), vec![(pool.clone(), 6)]).await.expect("a pool");
    }
    // Ten callers at each event's six places, all at once.
    let callers = (0..500).map(|number| {
        let (service, pool, event) = (service.clone(), pool.clone(), events[number % 50].clone());
        async move {
            let customer = CustomerId::new(format!("customer-{number}")).unwrap();
            let lines = Lines::merge([], [(pool, 1)]).unwrap();
            let hold = Hold::new(service.new_reservation_id(), customer, lines);
            let command = Command { event, operation: service.new_operation_id(), action: Action::Hold(hold) };
            (command.event.clone(), service.submit(command).await)
        }
    });
    let answers = join_all(callers).await;
    let refused = answers.iter().filter(|(_, answer)| matches!(answer, Err(BookingError::Rejected(_)))).count();
    let mut held = BTreeMap::<EventId, Vec<Receipt>>::new();
    for (event, answer) in answers {
        held.entry(event).or_default().extend(answer.ok());
    }
    assert_eq!((held.values().map(Vec::len).sum::<usize>(), refused), (300, 200));
    // Half of each event's six pay, again all at once.
    let paying = held.iter().flat_map(|(event, held)| held.iter().step_by(2).map(move |it| (event, it)));
    let paying = paying.map(|(event, receipt)| {
        let Reservation { id: reservation, customer, .. } = receipt.outcome.reservation().expect("a hold").clone();
        let (action, operation) = (Action::Confirm { reservation, customer }, service.new_operation_id());
        let command = Command { event: event.clone(), operation, action };
        let service = service.clone();
        async move { (command.event.clone(), service.submit(command).await.expect("a booking")) }
    });
    let mut booked = BTreeMap::<EventId, Vec<Receipt>>::new();
    for (event, receipt) in join_all(paying).await {
        booked.entry(event).or_default().push(receipt);
    }
    for event in events {
        assert_eq!((held[&event].len(), booked[&event].len()), (6, 3));
        assert_has_exactly(&store, &event, &held[&event], &booked[&event]).await;
    }
}

/// The reservations, their operations, the pool and the feed are those that were acknowledged.
async fn assert_has_exactly(store: &PostgresRepository, event: &EventId, held: &[Receipt], booked: &[Receipt]) {
    let told = held.iter().chain(booked);
    // Of the two answers about a reservation that was booked, the later one.
    let expected: BTreeMap<ReservationId, Reservation> =
        told.clone().filter_map(|it| it.outcome.reservation()).map(|it| (it.id, it.clone())).collect();
    let query =
        ReservationQuery { event: Some(event.clone()), customer: None, state: None, after: None, limit: PAGE_MAX };
    let found = store.reservations(&query).await.expect("reservations");
    let found: BTreeMap<_, _> = found.into_iter().map(|(_, it)| (it.id, it)).collect();
    assert_eq!(found, expected, "{event}");

    let records: Vec<RecordKey> = told.clone().map(|it| RecordKey::Operation(it.operation)).collect();
    let look = LoadRequest { event: event.clone(), records, free_in: Vec::new() };
    let snapshot = store.load(&look).await.expect("operations");
    for it in told {
        let found = snapshot.get(&RecordKey::Operation(it.operation)).and_then(|it| it.record.clone());
        let Some(Record::Operation(OperationRecord { recorded: Recorded::Applied { kind, reservation, .. }, .. })) =
            found
        else {
            panic!("{event}: {it:?} was acknowledged, and the store has {found:?}")
        };
        assert_eq!((kind, reservation), (it.kind, it.outcome.reservation().map(|it| it.id)), "{event}");
    }

    let pools = store.pools(&PoolQuery { event: event.clone(), after: None, limit: 10 }).await.expect("pools");
    let places = |told: &[Receipt]| u32::try_from(told.len()).expect("a few");
    let pool = Pool { capacity: 6, held: places(held) - places(booked), booked: places(booked) };
    assert_eq!(pools.iter().map(|(_, _, it)| it).collect::<Vec<_>>(), [&pool], "{event}");

    let changes = store.changes(event, 0, PAGE_MAX).await.expect("the feed");
    assert!((1..).zip(&changes).all(|(nth, it)| it.sequence == nth), "{event}: {changes:?}");
    let rebuilt: BTreeMap<RecordKey, Record> = changes.into_iter().map(|it| (it.key, it.record)).collect();
    let is_listed = |key: &RecordKey| matches!(key, RecordKey::Reservation(_) | RecordKey::Pool(_));
    let rebuilt: BTreeMap<_, _> = rebuilt.into_iter().filter(|(key, _)| is_listed(key)).collect();
    let reservations = expected.into_iter().map(|(id, it)| (RecordKey::Reservation(id), Record::Reservation(it)));
    let pools = pools.into_iter().map(|(id, _, it)| (RecordKey::Pool(id), Record::Pool(it)));
    assert_eq!(rebuilt, reservations.chain(pools).collect(), "{event}");
}
