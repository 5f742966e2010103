//! What a decision costs, and a hold that is confirmed through the whole service: on the memory repository and on SQLite, a
//! hot pool and seats spread over a hall, beside a bare check-and-set in a `Mutex<HashMap>`.
//!
//! `cargo bench --features sqlite --bench booking`

mod common;
#[path = "../examples/flash_sale/runtime.rs"]
mod runtime;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hint::black_box;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use common::AsyncIn;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use runtime::TokioRuntime;
use ticket_reservation::adapters::memory::MemoryRepository;
use ticket_reservation::booking::BookingService;
use ticket_reservation::domain::{
    Action, AreaId, Command, CreateEvent, CustomerId, Event, EventId, EventState, Hold, Lines, OperationId, Place,
    Policies, Pool, PoolId, Record, RecordKey, ReservationId, SalesWindow, Snapshot, TicketId, Timestamp, Versioned,
    View, decide,
};
use ticket_reservation::ports::Repository;
use tokio::runtime::Handle;

/// Buyers at once.
const BUYERS: u64 = 250;

fn id<T: TryFrom<&'static str>>(text: &'static str) -> T {
    T::try_from(text).unwrap_or_else(|_| panic!("{text} is a valid id"))
}

fn seat(number: u64) -> TicketId {
    TicketId::new(format!("seat-{number}")).expect("an id")
}

fn customer(number: u64) -> CustomerId {
    CustomerId::new(format!("customer-{number}")).expect("an id")
}

fn deciding(criterion: &mut Criterion) {
    let now = Timestamp::from_micros(1_700_000_000_000_000);
    let operation = OperationId::from_parts(now, [1; 10]);
    let reservation = ReservationId::from_parts(now, [2; 10]);
    let lines = Lines::merge([], [(id::<PoolId>("standing"), 2)]).expect("two places are valid lines");
    let hold = Hold::new(reservation, id("alice"), lines);
    let command = Command { event: id("gala"), operation, action: Action::Hold(hold) };
    let mut snapshot = Snapshot::new(id("gala"), now);
    let event = Event { state: EventState::OnSale, window: SalesWindow::default(), limit_per_customer: None };
    snapshot.insert(RecordKey::Event, Versioned::new(1, now, Record::Event(event)));
    let pool = Versioned::new(1, now, Record::Pool(Pool::with_capacity(1_000)));
    snapshot.insert(RecordKey::Pool(id("standing")), pool);
    snapshot.insert(RecordKey::Operation(operation), Versioned::ABSENT);
    snapshot.insert(RecordKey::Reservation(reservation), Versioned::ABSENT);
    let policies = Policies::default();
    criterion.bench_function("decide/hold of a pool", |bencher| {
        bencher.iter_batched(
            || View::new(&snapshot),
            |mut view| black_box(decide(&mut view, &command, &policies)),
            BatchSize::SmallInput,
        );
    });
}

/// What buyers want: one place each.
#[derive(Clone, Copy)]
enum Demand {
    /// A place of one pool.
    Hot,
    /// A seat of their own.
    Spread,
}

fn selling(criterion: &mut Criterion) {
    let tokio = tokio::runtime::Builder::new_multi_thread().enable_time().build().expect("a tokio runtime starts");
    let mut group = criterion.benchmark_group("hold and confirm");
    group.sample_size(10).measurement_time(Duration::from_secs(3)).throughput(Throughput::Elements(BUYERS));
    group.bench_function("bare check-and-set", |bencher| {
        bencher.iter_custom(|rounds| check_and_set(rounds * BUYERS));
    });
    for (name, demand) in [("hot", Demand::Hot), ("spread", Demand::Spread)] {
        group.bench_function(format!("memory, {name}"), |bencher| {
            let store = || Arc::new(MemoryRepository::new());
            bencher.to_async(AsyncIn(&tokio)).iter_custom(|rounds| sell(store(), demand, rounds));
        });
        #[cfg(feature = "sqlite")]
        group.bench_function(format!("sqlite, {name}"), |bencher| {
            let folder = tempfile::tempdir().expect("a folder");
            let mut files = 0;
            bencher.to_async(AsyncIn(&tokio)).iter_custom(|rounds| {
                files += 1;
                let file = folder.path().join(format!("sale-{files}.db"));
                let store = ticket_reservation::adapters::sqlite::SqliteRepository::builder(file).open();
                sell(Arc::new(store.expect("a store")), demand, rounds)
            });
        });
    }
    group.finish();
}

/// The least that could sell a seat: a map under a mutex, twice, for a hold and its confirmation.
fn check_and_set(sales: u64) -> Duration {
    let taken: Mutex<HashMap<TicketId, (CustomerId, bool)>> = Mutex::default();
    let started = Instant::now();
    for number in 0..sales {
        let (seat, customer) = (seat(number), customer(number));
        if let Entry::Vacant(free) = taken.lock().expect("nobody panics").entry(seat.clone()) {
            black_box(free.insert((customer, false)));
        }
        if let Some((_, booked)) = taken.lock().expect("nobody panics").get_mut(&seat) {
            *booked = true;
        }
    }
    started.elapsed()
}

async fn sell(store: Arc<dyn Repository>, demand: Demand, rounds: u64) -> Duration {
    let runtime = Arc::new(TokioRuntime::new(Handle::current()));
    let service = BookingService::builder(store, runtime).build().expect("the defaults are valid");
    let event: EventId = id("gala");
    let created = service.create_event(&event, service.new_operation_id(), CreateEvent::default()).await;
    let _ = created.expect("a new event");
    let seats = match demand {
        Demand::Hot => 0,
        Demand::Spread => rounds * BUYERS,
    };
    let place = |number: u64| Place { area: id::<AreaId>("A"), row: 1, number: number as u32 };
    let seats = (0..seats).map(|number| (seat(number), place(number))).collect();
    service.import(&event, seats, vec![(id("standing"), u32::MAX)]).await.expect("a new inventory");
    let started = Instant::now();
    let buyers: Vec<_> = (0..BUYERS)
        .map(|buyer| {
            let service = service.clone();
            tokio::spawn(async move {
                for round in 0..rounds {
                    buy(&service, demand, round * BUYERS + buyer).await;
                }
            })
        })
        .collect();
    for buyer in buyers {
        buyer.await.expect("no buyer panics");
    }
    let took = started.elapsed();
    service.shutdown(Duration::from_secs(10)).await;
    took
}

async fn buy(service: &BookingService, demand: Demand, number: u64) {
    let event: EventId = id("gala");
    let lines = match demand {
        Demand::Hot => Lines::merge([], [(id("standing"), 1)]),
        Demand::Spread => Lines::merge([seat(number)], []),
    };
    let (customer, reservation) = (customer(number), service.new_reservation_id());
    let hold = Hold::new(reservation, customer.clone(), lines.expect("one place"));
    service.hold(&event, service.new_operation_id(), hold).await.expect("it is free");
    let booked = service.confirm(&event, service.new_operation_id(), reservation, customer).await;
    black_box(booked).expect("it is held");
}

criterion_group!(benches, deciding, selling);
criterion_main!(benches);
