//! What a hold through the whole service costs beside the least that could do it, as ratios of one run: they hold on a
//! noisy machine, where times do not.
//!
//! `cargo bench --features sqlite --bench ratios`
//!
//! Each ratio is the median of pairs, measured in turn.

#[path = "../examples/flash_sale/runtime.rs"]
mod runtime;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hint::black_box;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use runtime::TokioRuntime;
use ticket_reservation::adapters::memory::MemoryRepository;
use ticket_reservation::booking::{BookingService, Contention};
use ticket_reservation::domain::{
    AreaId, CreateEvent, CustomerId, EventId, Hold, IMPORT_CHUNK_MAX, Lines, Place, TicketId,
};
use ticket_reservation::ports::Repository;
use tokio::runtime::Handle;

const PAIRS: usize = 9;
/// Holds of one measurement.
const HOLDS: usize = 20_000;
/// Tickets of a small hall.
const SMALL: usize = 1_000;
/// Buyers at once.
const BUYERS: usize = 250;

fn main() {
    // Cargo passes `--bench`; there is nothing to choose.
    let tokio = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a tokio runtime");
    tokio.block_on(async {
        print("a hold of a seat : a check-and-set in a Mutex<HashMap>", hold_and_check_and_set().await);
        print("a hold of 1,000,000 tickets : a hold of 1,000", large_and_small().await);
        #[cfg(feature = "sqlite")]
        print("the same on SQLite", on_sqlite().await);
        print("an answer for one of 10,000 waiters on a seat : for one of 10", many_and_few_waiters().await);
    });
}

/// The ratios of pairs of times, and the median of the second ones.
struct Pairs {
    ratios: Vec<f64>,
    each: Vec<Duration>,
}

impl Pairs {
    fn new() -> Self {
        Self { ratios: Vec::new(), each: Vec::new() }
    }

    fn add(&mut self, left: Duration, right: Duration) {
        self.ratios.push(left.as_secs_f64() / right.as_secs_f64());
        self.each.push(left);
    }
}

fn print(what: &str, mut pairs: Pairs) {
    pairs.ratios.sort_by(f64::total_cmp);
    pairs.each.sort_unstable();
    let ratio = |at: usize| pairs.ratios[at];
    let (last, middle) = (pairs.ratios.len() - 1, pairs.ratios.len() / 2);
    println!("{what}: {:.2} ({:.2} to {:.2}); {:?}", ratio(middle), ratio(0), ratio(last), pairs.each[middle]);
}

fn event() -> EventId {
    EventId::new("gala").expect("an id")
}

fn seat(number: usize) -> TicketId {
    TicketId::new(format!("seat-{number}")).expect("an id")
}

fn customer(number: usize) -> CustomerId {
    CustomerId::new(format!("customer-{number}")).expect("an id")
}

/// A service on the memory store that sells so many seats.
async fn service(seats: usize) -> BookingService {
    service_on(Arc::new(MemoryRepository::new()), seats).await
}

async fn service_on(store: Arc<dyn Repository>, seats: usize) -> BookingService {
    let runtime = Arc::new(TokioRuntime::new(Handle::current()));
    let service = BookingService::builder(store, runtime)
        .contention(Contention::Wait(Duration::from_secs(3_600)))
        .build()
        .expect("valid defaults");
    let created = service.create_event(&event(), service.new_operation_id(), CreateEvent::default()).await;
    let _ = created.expect("a new event");
    let area = |number: usize| AreaId::new(format!("area-{}", number / 1_000)).expect("an id");
    let place = |number: usize| Place { area: area(number), row: 1, number: (number % 1_000) as u32 };
    let inventory: Vec<_> = (0..seats).map(|number| (seat(number), place(number))).collect();
    let batches = inventory.chunks(IMPORT_CHUNK_MAX * 100);
    for batch in batches {
        service.import(&event(), batch.to_vec(), Vec::new()).await.expect("a new inventory");
    }
    service
}

/// Holds seats, each once, by buyers that come at the same time; the time of one hold.
async fn hold(service: &BookingService, first: usize, holds: usize, step: usize) -> Duration {
    let started = Instant::now();
    for round in 0..holds / BUYERS {
        let requests = (0..BUYERS).map(|buyer| {
            let number = round * BUYERS + buyer;
            let lines = Lines::merge([seat(first + number * step)], []).expect("one seat");
            let hold = Hold::new(service.new_reservation_id(), customer(number), lines);
            let operation = service.new_operation_id();
            async move { service.hold(&event(), operation, hold).await }
        });
        for answer in join_all(requests).await {
            black_box(answer).expect("it is free");
        }
    }
    started.elapsed() / u32::try_from(holds).expect("few enough")
}

/// The same with nothing but a map under a mutex: is it free, then it is taken.
fn check_and_set(holds: usize) -> Duration {
    let taken: Mutex<HashMap<TicketId, CustomerId>> = Mutex::default();
    let started = Instant::now();
    for number in 0..holds {
        let (seat, customer) = (seat(number), customer(number));
        if let Entry::Vacant(free) = taken.lock().expect("nobody panics").entry(seat) {
            black_box(free.insert(customer));
        }
    }
    started.elapsed() / u32::try_from(holds).expect("few enough")
}

async fn hold_and_check_and_set() -> Pairs {
    let mut pairs = Pairs::new();
    for _ in 0..PAIRS {
        let service = service(HOLDS).await;
        pairs.add(hold(&service, 0, HOLDS, 1).await, check_and_set(HOLDS));
    }
    pairs
}

async fn large_and_small() -> Pairs {
    let mut pairs = Pairs::new();
    let large = service(1_000_000).await;
    for pair in 0..PAIRS {
        compare(&mut pairs, pair, &large, &service(SMALL).await).await;
    }
    pairs
}

#[cfg(feature = "sqlite")]
async fn on_sqlite() -> Pairs {
    use ticket_reservation::adapters::sqlite::SqliteRepository;
    let folder = tempfile::tempdir().expect("a folder");
    let store = |name: &str| Arc::new(SqliteRepository::builder(folder.path().join(name)).open().expect("a store"));
    let started = Instant::now();
    let large = service_on(store("large.db"), 1_000_000).await;
    println!("(1,000,000 tickets are imported into SQLite in {:.1} s)", started.elapsed().as_secs_f64());
    let mut pairs = Pairs::new();
    for pair in 0..PAIRS {
        let small = service_on(store(&format!("small-{pair}.db")), SMALL).await;
        compare(&mut pairs, pair, &large, &small).await;
    }
    pairs
}

async fn compare(pairs: &mut Pairs, pair: usize, large: &BookingService, small: &BookingService) {
    // Spread over all of them, and each once.
    let of_large = hold(large, pair, SMALL, 1_000_000 / SMALL).await;
    pairs.add(of_large, hold(small, 0, SMALL, 1).await);
}

/// So many want one seat at once; the time of one answer.
async fn wait_for_a_seat(waiters: usize) -> Duration {
    let rounds = (10_000 / waiters).min(200);
    let service = service(rounds).await;
    let started = Instant::now();
    for round in 0..rounds {
        let requests = (0..waiters).map(|number| {
            let lines = Lines::merge([seat(round)], []).expect("one seat");
            let hold = Hold::new(service.new_reservation_id(), customer(number), lines);
            let (service, operation) = (service.clone(), service.new_operation_id());
            tokio::spawn(async move { service.hold(&event(), operation, hold).await })
        });
        let answers = join_all(requests.collect::<Vec<_>>()).await;
        let held = answers.into_iter().filter(|answer| matches!(answer, Ok(Ok(_)))).count();
        assert_eq!(held, 1, "a seat is held once");
    }
    started.elapsed() / u32::try_from(rounds * waiters).expect("few enough")
}

async fn many_and_few_waiters() -> Pairs {
    let mut pairs = Pairs::new();
    for _ in 0..PAIRS {
        pairs.add(wait_for_a_seat(10_000).await, wait_for_a_seat(10).await);
    }
    pairs
}
