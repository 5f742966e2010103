//! Random commands on every repository and on the reference in memory: every answer and the final state are the same.
#![cfg(feature = "sqlite")]

#[path = "common/runtime.rs"]
mod runtime;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng as _, RngExt, SeedableRng};
use runtime::TestRuntime;
use ticket_reservation::adapters::memory::MemoryRepository;
use ticket_reservation::adapters::sqlite::SqliteRepository;
use ticket_reservation::booking::{BookingError, BookingService, SeatMap};
use ticket_reservation::domain::{
    Action, BlockReason, Command, CreateEvent, CustomerId, EventId, Hold, Import, LatePayment, Lines, OperationId,
    Place, Policies, PoolId, Receipt, Rejection, ReservationId, TicketId, Timestamp, Transfer,
};
use ticket_reservation::ports::{
    Change, Clock, PAGE_MAX, PoolQuery, Repository, ReservationFilter, ReservationQuery, TicketQuery,
};

const SEEDS: u64 = 12;
const COMMANDS: usize = 400;
/// Tickets of an event.
const TICKETS: u32 = 40;

/// The clock of both stores, which moves when the test says so.
#[derive(Debug)]
struct SteppedClock(Mutex<Timestamp>);

impl Clock for SteppedClock {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn unix_time(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

impl SteppedClock {
    fn step(&self, forward: Duration) {
        let mut time = self.0.lock().unwrap();
        *time = time.after(forward);
    }
}

/// Draws commands about a small world, so that they meet.
struct Dice {
    rng: StdRng,
    clock: Arc<SteppedClock>,
    reservations: Vec<(EventId, ReservationId, CustomerId)>,
    sent: Vec<Command>,
}

fn id<T: for<'t> TryFrom<&'t str>>(text: &str) -> T {
    T::try_from(text).unwrap_or_else(|_| panic!("{text} is a valid id"))
}

impl Dice {
    fn event(&mut self) -> EventId {
        id(["gala", "matinee"].choose(&mut self.rng).unwrap())
    }

    fn customer(&mut self) -> CustomerId {
        id(["ann", "bob", "Bob", "cat"].choose(&mut self.rng).unwrap())
    }

    fn ticket(&mut self) -> TicketId {
        id(&format!("A-{}", self.rng.random_range(0..TICKETS)))
    }

    fn tickets(&mut self, most: usize) -> Vec<TicketId> {
        (0..self.rng.random_range(0..=most)).map(|_| self.ticket()).collect()
    }

    fn random_bytes(&mut self) -> [u8; 10] {
        let mut bytes = [0; 10];
        self.rng.fill_bytes(&mut bytes);
        bytes
    }

    fn ttl(&mut self) -> Option<Duration> {
        [None, Some(Duration::from_secs(60)), Some(Duration::from_secs(600))].choose(&mut self.rng).copied().unwrap()
    }

    fn hold(&mut self, event: &EventId) -> Action {
        let reservation = ReservationId::from_parts(self.clock.unix_time(), self.random_bytes());
        let (customer, tickets) = (self.customer(), self.tickets(3));
        let pools: Vec<(PoolId, u32)> = (0..self.rng.random_range(0..=2))
            .map(|_| (id(["floor", "roof"].choose(&mut self.rng).unwrap()), self.rng.random_range(1..=3)))
            .collect();
        self.reservations.push((event.clone(), reservation, customer.clone()));
        let mut hold = Hold::new(reservation, customer, Lines::merge(tickets, pools).unwrap());
        hold.ttl = self.ttl();
        if self.rng.random_ratio(1, 3) {
            hold = hold.with_best_available(id("A"), self.rng.random_range(1..=3));
        }
        Action::Hold(hold)
    }

    /// Something about a reservation that was asked for, mostly by its own customer.
    fn about_a_reservation(&mut self) -> (EventId, Action) {
        // Mostly a late one, of which there is still something to do.
        let first = if self.rng.random_ratio(4, 5) { self.reservations.len().saturating_sub(6) } else { 0 };
        let (event, reservation, owner) = self.reservations[first..].choose(&mut self.rng).unwrap().clone();
        let customer = if self.rng.random_ratio(9, 10) { owner } else { self.customer() };
        let event = if self.rng.random_ratio(19, 20) { event } else { self.event() };
        let action = match self.rng.random_range(0..6) {
            0 => Action::Extend { reservation, customer, ttl: self.ttl() },
            1 | 2 => Action::Confirm { reservation, customer },
            3 => Action::Release { reservation, customer },
            4 => Action::Cancel { reservation, customer },
            _ => Action::Transfer(Transfer { reservation, from: customer, to: self.customer() }),
        };
        (event, action)
    }

    fn import(&mut self, from: u32, roof: u32) -> Action {
        let place = |n: u32| Place { area: id("A"), row: n / 7 + 1, number: n % 7 + 1 };
        let tickets = (from..TICKETS).map(|n| (id(&format!("A-{n}")), place(n))).collect();
        let pools = vec![(id("floor"), 20), (id("roof"), roof)];
        Action::Import(Import { tickets, pools, last: self.rng.random_ratio(1, 2) })
    }

    /// One event is on sale from the start, so that there is something to sell; the other one comes when it comes.
    fn opening(&mut self) -> Vec<Command> {
        let limit_per_customer = self.rng.random_ratio(1, 2).then_some(20);
        let terms = CreateEvent { limit_per_customer, ..CreateEvent::default() };
        let Action::Import(import) = self.import(0, 2) else { unreachable!("an import") };
        let actions = [Action::CreateEvent(terms), Action::Import(Import { last: true, ..import })];
        actions.into_iter().map(|action| self.under_a_new_id(id("gala"), action)).collect()
    }

    fn under_a_new_id(&mut self, event: EventId, action: Action) -> Command {
        let operation = OperationId::from_parts(self.clock.unix_time(), self.random_bytes());
        let command = Command { event, operation, action };
        self.sent.push(command.clone());
        command
    }

    fn command(&mut self) -> Command {
        if !self.sent.is_empty() && self.rng.random_ratio(1, 10) {
            return self.sent.choose(&mut self.rng).unwrap().clone();
        }
        let event = if self.rng.random_ratio(3, 4) { id("gala") } else { self.event() };
        let (event, action) = match self.rng.random_range(0..20) {
            0 => {
                let limit_per_customer = self.rng.random_ratio(1, 2).then_some(5);
                (event, Action::CreateEvent(CreateEvent { limit_per_customer, ..CreateEvent::default() }))
            }
            1 => {
                let (from, roof) = (self.rng.random_range(0..TICKETS), if self.rng.random_ratio(1, 8) { 3 } else { 2 });
                (event, self.import(from, roof))
            }
            2 => (event, Action::Block { tickets: self.tickets(3), reason: BlockReason::new("camera").unwrap() }),
            3 => (event, Action::Unblock { tickets: self.tickets(2) }),
            4..=10 if !self.reservations.is_empty() => self.about_a_reservation(),
            _ => {
                let action = self.hold(&event);
                (event, action)
            }
        };
        self.under_a_new_id(event, action)
    }
}

/// What was answered: a receipt, or why not.
fn answer(answer: Result<Receipt, BookingError>) -> Result<Receipt, Rejection> {
    answer.map_err(|error| match error {
        BookingError::Rejected(rejection) => rejection,
        other => panic!("the store failed: {other:?}"),
    })
}

/// Everything that a store says about an event.
#[derive(Debug, PartialEq)]
struct State {
    tickets: Vec<String>,
    reservations: Vec<String>,
    pools: String,
    availability: String,
    feed: Vec<Change>,
    seat_map: SeatMap,
}

async fn state(store: &dyn Repository, event: &EventId) -> State {
    let mut tickets = Vec::new();
    for only_available in [false, true] {
        let query = TicketQuery { event: event.clone(), area: None, only_available, after: None, limit: PAGE_MAX };
        tickets.push(format!("{:?}", store.tickets(&query).await.unwrap()));
    }
    let mut reservations = Vec::new();
    for state in ReservationFilter::ALL.map(Some).into_iter().chain([None]) {
        for customer in [None, Some(id("ann")), Some(id("Bob"))] {
            for event in [Some(event.clone()), None] {
                let customer = customer.clone();
                let query = ReservationQuery { event, customer, state, after: None, limit: PAGE_MAX };
                reservations.push(format!("{:?}", store.reservations(&query).await.unwrap()));
            }
        }
    }
    let pools = PoolQuery { event: event.clone(), after: None, limit: PAGE_MAX };
    State {
        tickets,
        reservations,
        pools: format!("{:?}", store.pools(&pools).await.unwrap()),
        availability: format!("{:?}", store.availability(event).await.unwrap()),
        feed: store.changes(event, 0, PAGE_MAX).await.unwrap(),
        seat_map: SeatMap::read(store, event).await.unwrap(),
    }
}

async fn compare(seed: u64) {
    let clock = Arc::new(SteppedClock(Mutex::new(Timestamp::from_micros(1_900_000_000_000_000))));
    let folder = tempfile::tempdir().unwrap();
    let sqlite = SqliteRepository::builder(folder.path().join("store.db")).clock(clock.clone()).open().unwrap();
    let stores: [Arc<dyn Repository>; 2] = [Arc::new(MemoryRepository::with_clock(clock.clone())), Arc::new(sqlite)];
    let policies = Policies { late_payment: LatePayment::RebookIfFree, ..Policies::default() };
    let services = stores.each_ref().map(|store| {
        let runtime = TestRuntime::current();
        BookingService::builder(Arc::clone(store), runtime).policies(policies.clone()).build().unwrap()
    });
    let rng = StdRng::seed_from_u64(seed);
    let mut dice = Dice { rng, clock: clock.clone(), reservations: Vec::new(), sent: Vec::new() };
    let mut accepted = 0;
    let mut opening = dice.opening().into_iter();
    for step in 0..COMMANDS {
        if dice.rng.random_ratio(1, 8) {
            clock.step(Duration::from_secs(dice.rng.random_range(1..400)));
        }
        if dice.rng.random_ratio(1, 40) {
            for service in &services {
                let _ = service.sweep(3).await.unwrap();
            }
        }
        let command = opening.next().unwrap_or_else(|| dice.command());
        let [reference, other] = [&services[0], &services[1]].map(|service| service.submit(command.clone()));
        let (reference, other) = (answer(reference.await), answer(other.await));
        assert_eq!(reference, other, "seed {seed}, step {step}: {command:?}");
        accepted += u32::from(reference.is_ok());
    }
    assert!(accepted > 60, "seed {seed}: only {accepted} commands were accepted, which compares little");
    for event in ["gala", "matinee"].map(id::<EventId>) {
        let (reference, other) = (state(&*stores[0], &event).await, state(&*stores[1], &event).await);
        assert_eq!(reference, other, "seed {seed}: the state of {event}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_and_the_final_state_are_those_of_the_reference() {
    for seed in 0..SEEDS {
        compare(seed).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_seed_each_time_agrees_too() {
    let seed = rand::random();
    println!("seed {seed}");
    compare(seed).await;
}
