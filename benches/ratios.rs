//! What a hold through the whole service costs beside the least that could do it, as ratios of one run: they hold on a
//! noisy machine, where times do not.
//!
//! The least is a check-and-set in a `Mutex<HashMap>`: lock, look the seat up, see that nobody has it, write down who does,
//! unlock; one seat after the other in one thread. Ids, lines and commands are made before the clock starts, on both
//! sides. There are two maps, and a hold is measured beside each in the same turn:
//!
//! - one of who holds what, empty at first, as the reservations of the store are: it grows by an entry with each hold;
//! - one that has all the seats from the beginning, in which an owner is all that changes: the least that can be done at
//!   all.
//!
//! `cargo bench --features sqlite --bench ratios`
//!
//! Each ratio is the median of pairs, measured in turn. One over its bound makes it exit 1. In memory all is done by one
//! thread, and its processor time is measured: what else the machine does would count against the longer of two runs. On
//! an idle machine it is the time that passes, which is measured on SQLite.

#[path = "../examples/flash_sale/runtime.rs"]
mod runtime;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hint::black_box;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::join_all;
use runtime::TokioRuntime;
use rustix::time::{ClockId, clock_gettime};
use ticket_reservation::adapters::memory::MemoryRepository;
use ticket_reservation::booking::{BookingService, Contention};
use ticket_reservation::domain::{
    Action, AreaId, Command, CreateEvent, CustomerId, EventId, Hold, IMPORT_CHUNK_MAX, Lines, Place, TicketId,
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

fn main() -> ExitCode {
    // Cargo passes `--bench`; there is nothing to choose.
    let tokio = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a tokio runtime");
    let is_met = tokio.block_on(async {
        let mut is_met = true;
        let mut judge = |what: &str, pairs: Pairs, bound: Option<f64>| {
            is_met &= print(what, pairs, bound) <= bound.unwrap_or(f64::INFINITY);
        };
        let (beside_growing, beside_full) = hold_and_check_and_set().await;
        judge("a hold of a seat : a check-and-set in a Mutex<HashMap> of holders", beside_growing, Some(50.0));
        judge("a hold of a seat : a check-and-set in a Mutex<HashMap> of all seats", beside_full, Some(50.0));
        judge("a hold of 1,000,000 tickets : a hold of 1,000", large_and_small().await, Some(2.0));
        #[cfg(feature = "sqlite")]
        judge("the same on SQLite", on_sqlite().await, None);
        judge("an answer for one of 10,000 waiters on a seat : for one of 10", many_and_few_waiters().await, Some(1.5));
        is_met
    });
    if is_met { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The ratios of pairs of times, and the times.
struct Pairs {
    ratios: Vec<f64>,
    lefts: Vec<Duration>,
    rights: Vec<Duration>,
}

impl Pairs {
    fn new() -> Self {
        Self { ratios: Vec::new(), lefts: Vec::new(), rights: Vec::new() }
    }

    fn add(&mut self, left: Duration, right: Duration) {
        self.ratios.push(left.as_secs_f64() / right.as_secs_f64());
        self.lefts.push(left);
        self.rights.push(right);
    }
}

/// Prints the ratios, and answers with their median.
fn print(what: &str, mut pairs: Pairs, bound: Option<f64>) -> f64 {
    pairs.ratios.sort_by(f64::total_cmp);
    pairs.lefts.sort_unstable();
    pairs.rights.sort_unstable();
    let (last, middle) = (pairs.ratios.len() - 1, pairs.ratios.len() / 2);
    let (ratio, left, right) = (pairs.ratios[middle], pairs.lefts[middle], pairs.rights[middle]);
    let bound = match bound {
        Some(bound) if ratio > bound => format!("bound {bound}, which it MISSES"),
        Some(bound) => format!("bound {bound}"),
        None => "no bound".to_owned(),
    };
    println!("{what}: {ratio:.2} ({:.2} to {:.2}); {left:?} : {right:?}; {bound}", pairs.ratios[0], pairs.ratios[last]);
    ratio
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

/// Which time is measured.
#[derive(Clone, Copy)]
enum Timer {
    /// What passes.
    #[cfg(feature = "sqlite")]
    Clock,
    /// What this thread's processor spends on it.
    Thread,
}

impl Timer {
    fn now(self) -> Duration {
        let clock = match self {
            #[cfg(feature = "sqlite")]
            Self::Clock => ClockId::Monotonic,
            Self::Thread => ClockId::ThreadCPUTime,
        };
        clock_gettime(clock).try_into().expect("a time after zero")
    }
}

/// Holds seats, each once, by buyers that come at the same time; the time of one hold.
async fn hold(timer: Timer, service: &BookingService, first: usize, holds: usize, step: usize) -> Duration {
    let command = |number: usize| {
        let lines = Lines::merge([seat(first + number * step)], []).expect("one seat");
        let hold = Hold::new(service.new_reservation_id(), customer(number), lines);
        Command { event: event(), operation: service.new_operation_id(), action: Action::Hold(hold) }
    };
    let commands: Vec<_> = (0..holds).map(command).collect();
    let mut commands = commands.into_iter();
    let started = timer.now();
    while commands.len() > 0 {
        for answer in join_all(commands.by_ref().take(BUYERS).map(|command| service.submit(command))).await {
            black_box(answer).expect("it is free");
        }
    }
    (timer.now() - started) / u32::try_from(holds).expect("few enough")
}

/// The same with nothing but a map of who holds what under a mutex: is it free, then it is taken.
fn check_and_set_in_growing(holds: usize) -> Duration {
    let held: Mutex<HashMap<TicketId, CustomerId>> = Mutex::default();
    let wishes: Vec<_> = (0..holds).map(|number| (seat(number), customer(number))).collect();
    let started = Timer::Thread.now();
    for (seat, customer) in wishes {
        match held.lock().expect("nobody panics").entry(seat) {
            Entry::Vacant(free) => free.insert(customer),
            Entry::Occupied(_) => unreachable!("each is wanted once"),
        };
    }
    let took = Timer::Thread.now() - started;
    black_box(held);
    took / u32::try_from(holds).expect("few enough")
}

/// The same where the map has all the seats already.
fn check_and_set_in_full(holds: usize) -> Duration {
    let free = (0..holds).map(|number| (seat(number), None)).collect();
    let seats: Mutex<HashMap<TicketId, Option<CustomerId>>> = Mutex::new(free);
    let mut wishes: Vec<_> = (0..holds).map(|number| (seat(number), Some(customer(number)))).collect();
    let started = Timer::Thread.now();
    for (seat, customer) in &mut wishes {
        let mut seats = seats.lock().expect("nobody panics");
        let holder = seats.get_mut(seat).expect("a seat of the hall");
        assert!(holder.is_none(), "it is free");
        *holder = customer.take();
    }
    let took = Timer::Thread.now() - started;
    black_box(seats);
    took / u32::try_from(holds).expect("few enough")
}

async fn hold_and_check_and_set() -> (Pairs, Pairs) {
    let (mut beside_growing, mut beside_full) = (Pairs::new(), Pairs::new());
    for _ in 0..PAIRS {
        let service = service(HOLDS).await;
        let of_service = hold(Timer::Thread, &service, 0, HOLDS, 1).await;
        beside_growing.add(of_service, check_and_set_in_growing(HOLDS));
        beside_full.add(of_service, check_and_set_in_full(HOLDS));
    }
    (beside_growing, beside_full)
}

async fn large_and_small() -> Pairs {
    let mut pairs = Pairs::new();
    let large = service(1_000_000).await;
    for pair in 0..PAIRS {
        compare(Timer::Thread, &mut pairs, pair, &large, &service(SMALL).await).await;
    }
    pairs
}

#[cfg(feature = "sqlite")]
async fn on_sqlite() -> Pairs {
    use ticket_reservation::adapters::sqlite::SqliteRepository;
    let folder = tempfile::tempdir().expect("a folder");
    let store = |name: &str| Arc::new(SqliteRepository::builder(folder.path().join(name)).open().expect("a store"));
    let started = Timer::Clock.now();
    let large = service_on(store("large.db"), 1_000_000).await;
    println!("(1,000,000 tickets are imported into SQLite in {:.1} s)", (Timer::Clock.now() - started).as_secs_f64());
    let mut pairs = Pairs::new();
    for pair in 0..PAIRS {
        let small = service_on(store(&format!("small-{pair}.db")), SMALL).await;
        compare(Timer::Clock, &mut pairs, pair, &large, &small).await;
    }
    pairs
}

async fn compare(timer: Timer, pairs: &mut Pairs, pair: usize, large: &BookingService, small: &BookingService) {
    // Spread over all of them, and each once.
    let of_large = hold(timer, large, pair, SMALL, 1_000_000 / SMALL).await;
    pairs.add(of_large, hold(timer, small, 0, SMALL, 1).await);
}

/// So many want one seat at once; the time of one answer.
async fn wait_for_a_seat(waiters: usize) -> Duration {
    let rounds = (10_000 / waiters).min(200);
    let service = service(rounds).await;
    let mut took = Duration::ZERO;
    for round in 0..rounds {
        let command = |number: usize| {
            let lines = Lines::merge([seat(round)], []).expect("one seat");
            let hold = Hold::new(service.new_reservation_id(), customer(number), lines);
            Command { event: event(), operation: service.new_operation_id(), action: Action::Hold(hold) }
        };
        let commands: Vec<_> = (0..waiters).map(command).collect();
        let started = Timer::Thread.now();
        let requests = commands.into_iter().map(|command| {
            let service = service.clone();
            tokio::spawn(async move { service.submit(command).await })
        });
        let answers = join_all(requests.collect::<Vec<_>>()).await;
        took += Timer::Thread.now() - started;
        let held = answers.into_iter().filter(|answer| matches!(answer, Ok(Ok(_)))).count();
        assert_eq!(held, 1, "a seat is held once");
    }
    took / u32::try_from(rounds * waiters).expect("few enough")
}

async fn many_and_few_waiters() -> Pairs {
    let mut pairs = Pairs::new();
    for _ in 0..PAIRS {
        pairs.add(wait_for_a_seat(10_000).await, wait_for_a_seat(10).await);
    }
    pairs
}
