//! What one decision costs, and one hold through the whole service on the memory repository.
//!
//! `cargo bench --features tokio --bench booking`

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use ticket_reservation::adapters::memory::MemoryRepository;
use ticket_reservation::adapters::tokio::TokioRuntime;
use ticket_reservation::booking::BookingService;
use ticket_reservation::domain::{
    Action, Command, CreateEvent, Event, EventId, EventState, Hold, Lines, OperationId, Policies, Pool, PoolId, Record,
    RecordKey, ReservationId, SalesWindow, Snapshot, Timestamp, Versioned, View, decide,
};

fn id<T: TryFrom<&'static str>>(text: &'static str) -> T {
    T::try_from(text).unwrap_or_else(|_| panic!("{text} is a valid id"))
}

fn hold_of_two(operation: OperationId, reservation: ReservationId) -> Command {
    let lines = Lines::merge([], [(id::<PoolId>("standing"), 2)]).expect("two places are valid lines");
    Command { event: id("gala"), operation, action: Action::Hold(Hold::new(reservation, id("alice"), lines)) }
}

fn deciding(criterion: &mut Criterion) {
    let now = Timestamp::from_micros(1_700_000_000_000_000);
    let operation = OperationId::from_parts(now, [1; 10]);
    let reservation = ReservationId::from_parts(now, [2; 10]);
    let command = hold_of_two(operation, reservation);
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

fn holding(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_time().build().expect("a tokio runtime starts");
    let mut group = criterion.benchmark_group("service/hold of a pool, memory");
    for buyers in [1_u64, 250] {
        group.throughput(Throughput::Elements(buyers));
        group.bench_function(format!("{buyers} buyers at once"), |bencher| {
            bencher.to_async(&Tokio(&runtime)).iter_custom(|rounds| hold_in_rounds(rounds, buyers));
        });
    }
    group.finish();
}

struct Tokio<'r>(&'r tokio::runtime::Runtime);

impl criterion::async_executor::AsyncExecutor for &Tokio<'_> {
    fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.0.block_on(future)
    }
}

async fn hold_in_rounds(rounds: u64, buyers: u64) -> Duration {
    let runtime = Arc::new(TokioRuntime::current().expect("benches run in tokio"));
    let service =
        BookingService::builder(Arc::new(MemoryRepository::new()), runtime).build().expect("the defaults are valid");
    let event: EventId = id("gala");
    let created = service.create_event(&event, service.new_operation_id(), CreateEvent::default()).await;
    created.expect("a new event");
    let imported = service.import(&event, vec![], vec![(id("standing"), u32::MAX)]).await;
    imported.expect("a new pool");
    let started = Instant::now();
    let tasks: Vec<_> = (0..buyers)
        .map(|_| {
            let service = service.clone();
            tokio::spawn(async move {
                for _ in 0..rounds {
                    let command = hold_of_two(service.new_operation_id(), service.new_reservation_id());
                    black_box(service.submit(command).await).expect("the pool is large enough");
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("no buyer panics");
    }
    started.elapsed()
}

criterion_group!(benches, deciding, holding);
criterion_main!(benches);
