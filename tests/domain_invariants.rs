//! No sequence of commands, times and repetitions breaks what the rules promise, whatever order they come in.
//!
//! The rules run on a store with few tickets, few customers and few ids, so that commands meet; time moves forward and back.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use ticket_reservation::adapters::memory::MemoryRepository;
use ticket_reservation::domain::{
    Action, Allowance, AreaId, BlockReason, ChangeSet, Command, CreateEvent, CustomerId, EventId, Hold, Import,
    LatePayment, Lines, OperationId, Outcome, Place, Policies, Pool, PoolId, Receipt, Record, RecordKey, Rejection,
    Reservation, ReservationId, ReservationState, SalesWindow, Snapshot, Ticket, TicketId, TicketState, Timestamp,
    Transfer, View, decide, expire, void,
};
use ticket_reservation::ports::{
    Clock, Group, GroupOutcome, LoadRequest, PAGE_MAX, Repository, ReservationQuery, TicketQuery, Write,
};

const TICKETS: u8 = 5;
const POOLS: [(&str, u32); 2] = [("floor", 4), ("balcony", 2)];
const CUSTOMERS: u8 = 3;
const RESERVATIONS: u8 = 14;
const START: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);
const MINUTE: i64 = 60_000_000;

// ---------------------------------------------------------------------------------------------------------------------
// What may happen.

#[derive(Debug, Clone)]
enum Step {
    /// Commands that are decided one after another on one snapshot, and committed together.
    Batch(Vec<Action>),
    /// A command that was given before, under its old id; or another one under that id.
    Again { which: usize, instead: Option<Action> },
    /// A command is refused for good after an unknown outcome; it may come again.
    Void { which: usize, action: Action },
    /// Expired holds are settled.
    Sweep,
    /// The clock moves.
    Time(i64),
}

fn ticket_id(n: u8) -> TicketId {
    TicketId::new(format!("A-{n}")).unwrap()
}

fn pool_id(n: u8) -> PoolId {
    PoolId::new(POOLS[usize::from(n) % POOLS.len()].0).unwrap()
}

fn customer_id(n: u8) -> CustomerId {
    CustomerId::new(format!("customer {n}")).unwrap()
}

fn reservation_id(n: u8) -> ReservationId {
    uuid::Uuid::from_u128(0x7000 + u128::from(n)).into()
}

fn area() -> AreaId {
    AreaId::new("A").unwrap()
}

fn place(n: u8) -> Place {
    Place { area: area(), row: 1 + u32::from(n / 3), number: u32::from(n % 3) }
}

fn event_id() -> EventId {
    EventId::new("concert").unwrap()
}

fn any_reservation() -> impl Strategy<Value = ReservationId> {
    (0..RESERVATIONS).prop_map(reservation_id)
}

fn any_customer() -> impl Strategy<Value = CustomerId> {
    (0..CUSTOMERS).prop_map(customer_id)
}

fn any_tickets() -> impl Strategy<Value = Vec<TicketId>> {
    // One more than there are: some are unknown.
    prop::collection::vec((0..=TICKETS).prop_map(ticket_id), 0..3)
}

fn any_lines() -> impl Strategy<Value = Lines> {
    let tickets = prop::collection::vec((0..TICKETS).prop_map(ticket_id), 0..3);
    let pools = prop::collection::vec(((0..2_u8).prop_map(pool_id), 1..3_u32), 0..3);
    (tickets, pools).prop_map(|(tickets, pools)| Lines::merge(tickets, pools).unwrap())
}

fn any_ttl() -> impl Strategy<Value = Option<Duration>> {
    prop_oneof![
        3 => Just(None),
        1 => (0..40_u64).prop_map(|minutes| Some(Duration::from_secs(60 * minutes))),
    ]
}

fn any_hold() -> impl Strategy<Value = Action> {
    let best = prop::option::weighted(0.2, 1..3_u32);
    (any_reservation(), any_customer(), any_lines(), best, any_ttl()).prop_map(|(id, customer, lines, best, ttl)| {
        let mut hold = Hold::new(id, customer, lines);
        if let Some(quantity) = best {
            hold = hold.with_best_available(area(), quantity);
        }
        hold.ttl = ttl;
        Action::Hold(hold)
    })
}

fn any_import() -> impl Strategy<Value = Action> {
    let tickets = prop::collection::vec((0..TICKETS, prop::bool::weighted(0.1)), 0..3);
    (tickets, prop::bool::weighted(0.1), any::<bool>()).prop_map(|(tickets, other_capacity, last)| {
        let tickets = tickets.into_iter().map(|(n, moved)| (ticket_id(n), place(if moved { n + 1 } else { n })));
        let pools = POOLS.map(|(id, capacity)| (PoolId::new(id).unwrap(), capacity + u32::from(other_capacity)));
        Action::Import(Import { tickets: tickets.collect(), pools: pools.to_vec(), last })
    })
}

fn any_action() -> impl Strategy<Value = Action> {
    let of_reservation = || (any_reservation(), any_customer());
    prop_oneof![
        12 => any_hold(),
        3 => (of_reservation(), any_ttl())
            .prop_map(|((reservation, customer), ttl)| Action::Extend { reservation, customer, ttl }),
        8 => of_reservation().prop_map(|(reservation, customer)| Action::Confirm { reservation, customer }),
        3 => of_reservation().prop_map(|(reservation, customer)| Action::Release { reservation, customer }),
        4 => of_reservation().prop_map(|(reservation, customer)| Action::Cancel { reservation, customer }),
        4 => (any_reservation(), any_customer(), any_customer())
            .prop_map(|(reservation, from, to)| Action::Transfer(Transfer { reservation, from, to })),
        2 => any_tickets().prop_map(|tickets| Action::Block { tickets, reason: BlockReason::new("camera").unwrap() }),
        2 => any_tickets().prop_map(|tickets| Action::Unblock { tickets }),
        1 => any_import(),
        1 => Just(Action::CreateEvent(CreateEvent::default())),
    ]
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        10 => any_action().prop_map(|action| Step::Batch(vec![action])),
        5 => prop::collection::vec(any_action(), 2..5).prop_map(Step::Batch),
        3 => (any::<usize>(), prop::option::weighted(0.3, any_action()))
            .prop_map(|(which, instead)| Step::Again { which, instead }),
        1 => (any::<usize>(), any_action()).prop_map(|(which, action)| Step::Void { which, action }),
        1 => Just(Step::Sweep),
        4 => (-12..25_i64).prop_map(|minutes| Step::Time(minutes * MINUTE)),
    ]
}

#[derive(Debug, Clone)]
struct Terms {
    limit: Option<u32>,
    late_payment: LatePayment,
    window: SalesWindow,
}

fn any_terms() -> impl Strategy<Value = Terms> {
    let late_payment = prop_oneof![Just(LatePayment::Refuse), Just(LatePayment::RebookIfFree)];
    let minutes = |minutes: i64| Timestamp::from_micros(START.as_micros() + minutes * MINUTE);
    let window = prop_oneof![
        4 => Just(SalesWindow::default()),
        1 => (-10..10_i64, 30..90_i64)
            .prop_map(move |(from, to)| SalesWindow { opens: Some(minutes(from)), closes: Some(minutes(to)) }),
    ];
    (prop::option::of(2..6_u32), late_payment, window).prop_map(|(limit, late_payment, window)| Terms {
        limit,
        late_payment,
        window,
    })
}

// ---------------------------------------------------------------------------------------------------------------------
// The store that the rules run on.

#[derive(Debug)]
struct ManualClock(AtomicI64);

impl Clock for ManualClock {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn unix_time(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::Relaxed))
    }
}

struct World {
    repository: MemoryRepository,
    clock: Arc<ManualClock>,
    policies: Policies,
    terms: Terms,
    operations_made: u64,
    /// What was asked for, and the receipt if it took effect.
    asked: Vec<(Command, Option<Receipt>)>,
    voided: BTreeSet<OperationId>,
    /// The latest time at which anything was decided or looked at.
    latest: Timestamp,
}

/// The memory store answers at once.
fn now<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().expect("the memory store never waits")
}

/// A snapshot that grows by what a decision lacks.
struct Loaded {
    snapshot: Snapshot,
    records: BTreeSet<RecordKey>,
}

impl World {
    fn new(terms: Terms) -> Self {
        let clock = Arc::new(ManualClock(AtomicI64::new(START.as_micros())));
        let repository = MemoryRepository::with_clock(Arc::clone(&clock) as Arc<dyn Clock>);
        let policies = Policies { late_payment: terms.late_payment, ..Policies::default() };
        let asked = Vec::new();
        let voided = BTreeSet::new();
        Self { repository, clock, policies, terms, operations_made: 0, asked, voided, latest: START }
    }

    /// An event on sale with everything in it.
    fn stage(&mut self) -> TestCaseResult {
        let terms = CreateEvent { window: self.terms.window, limit_per_customer: self.terms.limit };
        let tickets = (0..TICKETS).map(|n| (ticket_id(n), place(n))).collect();
        let pools = POOLS.map(|(id, capacity)| (PoolId::new(id).unwrap(), capacity)).to_vec();
        for action in [Action::CreateEvent(terms), Action::Import(Import { tickets, pools, last: true })] {
            let command = self.command(action);
            self.batch(vec![command])?;
            prop_assert!(self.asked.last().is_some_and(|(_, receipt)| receipt.is_some()));
        }
        Ok(())
    }

    fn command(&mut self, action: Action) -> Command {
        self.operations_made += 1;
        let mut random = [0; 10];
        random[2..].copy_from_slice(&self.operations_made.to_be_bytes());
        Command { event: event_id(), operation: OperationId::from_parts(self.clock.unix_time(), random), action }
    }

    fn load(&self, records: &BTreeSet<RecordKey>) -> Snapshot {
        let request =
            LoadRequest { event: event_id(), records: records.iter().cloned().collect(), free_in: vec![area()] };
        now(self.repository.load(&request)).expect("the memory store does not fail")
    }

    /// Decides commands one after another on one snapshot, loads what they lack, and commits all of it as one group.
    fn batch(&mut self, commands: Vec<Command>) -> TestCaseResult {
        let mut loaded = Loaded { snapshot: Snapshot::new(event_id(), START), records: BTreeSet::new() };
        loaded.records = commands.iter().flat_map(Command::records).collect();
        for round in 0.. {
            prop_assert!(round < 8, "decisions still lack records after {round} loads");
            loaded.snapshot = self.load(&loaded.records);
            let before = loaded.records.len();
            let decided = self.decide_all(&mut loaded, &commands)?;
            if loaded.records.len() == before {
                let Some((touched, writes, answers)) = decided else { break };
                self.commit(&loaded, touched, writes)?;
                for (command, answer) in commands.into_iter().zip(answers) {
                    self.note_answer(command, answer)?;
                }
                return Ok(());
            }
        }
        Err(TestCaseError::fail("a decision lacks records that were loaded"))
    }

    /// `None` when records lack; they are asked for from then on.
    #[allow(clippy::type_complexity)]
    fn decide_all(
        &mut self,
        loaded: &mut Loaded,
        commands: &[Command],
    ) -> Result<
        Option<(BTreeSet<RecordKey>, BTreeMap<RecordKey, (Timestamp, Record)>, Vec<Result<Receipt, Rejection>>)>,
        TestCaseError,
    > {
        let mut snapshot = loaded.snapshot.clone();
        let (mut touched, mut writes, mut answers) = (BTreeSet::new(), BTreeMap::new(), Vec::new());
        for command in commands {
            let mut view = View::new(&snapshot);
            let decided = decide(&mut view, command, &self.policies);
            if !view.missing().is_empty() {
                loaded.records.extend(view.missing().iter().cloned());
                return Ok(None);
            }
            self.latest = self.latest.max(view.now());
            prop_assert!(!view.has_more_lapsed(), "so few reservations fit into one list");
            let seen: BTreeSet<RecordKey> = view.into_touched().into_iter().collect();
            match decided {
                Ok(changes) => {
                    check_changes(&snapshot, &changes, &seen)?;
                    snapshot.apply(&changes);
                    writes.extend(changes.writes.iter().map(|(key, it)| (key.clone(), (changes.at, it.clone()))));
                    answers.push(Ok(changes.receipt.expect("a command that takes effect has a receipt")));
                }
                Err(rejection) => answers.push(Err(rejection)),
            }
            touched.extend(seen);
        }
        Ok(Some((touched, writes, answers)))
    }

    fn commit(
        &mut self,
        loaded: &Loaded,
        touched: BTreeSet<RecordKey>,
        writes: BTreeMap<RecordKey, (Timestamp, Record)>,
    ) -> TestCaseResult {
        if writes.is_empty() {
            return Ok(());
        }
        let version = |key: &RecordKey| loaded.snapshot.get(key).map_or(0, |versioned| versioned.version);
        let reads = touched.iter().filter(|key| !writes.contains_key(*key));
        let group = Group {
            reads: reads.map(|key| (key.clone(), version(key))).collect(),
            writes: writes
                .iter()
                .map(|(key, (decided_at, record))| Write {
                    key: key.clone(),
                    version: version(key),
                    decided_at: *decided_at,
                    record: record.clone(),
                })
                .collect(),
        };
        let outcomes = now(self.repository.commit(&event_id(), &[group]));
        prop_assert_eq!(outcomes.ok(), Some(vec![GroupOutcome::Committed]), "the store refuses what the rules allow");
        Ok(())
    }

    fn note_answer(&mut self, command: Command, answer: Result<Receipt, Rejection>) -> TestCaseResult {
        if self.voided.contains(&command.operation) {
            prop_assert!(answer.is_err(), "a voided operation took effect: {:?}", answer);
            return Ok(());
        }
        let earlier = self.asked.iter().find_map(|(asked, receipt)| match receipt {
            Some(receipt) if asked.operation == command.operation => Some((asked, receipt)),
            _ => None,
        });
        match (earlier, &answer) {
            (Some((asked, first)), answer) if *asked == command => {
                let expected = Receipt { repeated: true, ..first.clone() };
                prop_assert_eq!(answer.as_ref().ok(), Some(&expected), "a repeated success is the same success");
            }
            (Some(_), answer) => {
                let refused = matches!(answer, Err(Rejection::OperationReused | Rejection::InvalidLines(_)));
                prop_assert!(refused, "other content under a used id: {:?}", answer);
            }
            (None, Ok(receipt)) => {
                prop_assert!(!receipt.repeated, "a first success is told to be a repetition");
                prop_assert_eq!(receipt.operation, command.operation);
                check_receipt(&command, receipt)?;
            }
            (None, Err(_)) => {}
        }
        if earlier.is_none() {
            self.asked.push((command, answer.ok()));
        }
        Ok(())
    }

    fn again(&mut self, which: usize, instead: Option<Action>) -> TestCaseResult {
        let Some((command, _)) = self.asked.get(which % self.asked.len().max(1)) else { return Ok(()) };
        let action = instead.unwrap_or_else(|| command.action.clone());
        let before = self.rows();
        let applied = self.asked.iter().any(|(it, receipt)| it.operation == command.operation && receipt.is_some());
        let command = Command { action, ..command.clone() };
        self.batch(vec![command])?;
        prop_assert!(!applied || self.rows() == before, "an operation that took effect took effect again");
        Ok(())
    }

    /// Refuses an operation for good: one that was asked for, or a new one.
    fn void(&mut self, which: usize, action: Action) -> TestCaseResult {
        let applied = |it: &Command| {
            self.asked.iter().any(|(asked, receipt)| asked.operation == it.operation && receipt.is_some())
        };
        let refused: Vec<&Command> = self.asked.iter().map(|(it, _)| it).filter(|it| !applied(it)).collect();
        let command = match refused.get(which % (refused.len() + 1)) {
            Some(command) => (*command).clone(),
            None => self.command(action),
        };
        let records = command.records().into_iter().collect();
        let loaded = Loaded { snapshot: self.load(&records), records };
        let mut view = View::new(&loaded.snapshot);
        let changes = void(&mut view, &command);
        let seen = view.into_touched().into_iter().collect();
        check_changes(&loaded.snapshot, &changes, &seen)?;
        let writes = changes.writes.into_iter().map(|(key, record)| (key, (changes.at, record))).collect();
        self.commit(&loaded, seen, writes)?;
        if command.check().is_ok() {
            self.voided.insert(command.operation);
            let before = self.rows();
            self.batch(vec![command])?;
            prop_assert_eq!(self.rows(), before, "a voided operation changed something");
        }
        Ok(())
    }

    /// Settles all expired holds, as a sweeper would.
    fn sweep(&mut self) -> TestCaseResult {
        let lapsed = now(self.repository.lapsed(100)).expect("the memory store does not fail");
        let ids: Vec<ReservationId> = lapsed.into_iter().map(|(_, id)| id).collect();
        let mut records: BTreeSet<RecordKey> = ids.iter().map(|id| RecordKey::Reservation(*id)).collect();
        for round in 0.. {
            prop_assert!(round < 8, "expiring still lacks records after {round} loads");
            let loaded = Loaded { snapshot: self.load(&records), records: records.clone() };
            let mut view = View::new(&loaded.snapshot);
            let changes = expire(&mut view, &ids);
            if !view.missing().is_empty() {
                records.extend(view.missing().iter().cloned());
                continue;
            }
            self.latest = self.latest.max(view.now());
            let seen = view.into_touched().into_iter().collect();
            check_changes(&loaded.snapshot, &changes, &seen)?;
            let settled = changes.writes.iter().filter(|(key, _)| matches!(key, RecordKey::Reservation(_))).count();
            prop_assert_eq!(settled, ids.len(), "every expired hold is settled");
            let writes = changes.writes.into_iter().map(|(key, record)| (key, (changes.at, record))).collect();
            return self.commit(&loaded, seen, writes);
        }
        Ok(())
    }

    fn rows(&self) -> usize {
        now(self.repository.changes(&event_id(), 0, PAGE_MAX)).expect("nothing is purged").len()
    }

    fn tickets(&self) -> BTreeMap<TicketId, Ticket> {
        let query = TicketQuery { event: event_id(), area: None, after: None, limit: PAGE_MAX };
        let listed = now(self.repository.tickets(&query)).expect("the memory store does not fail");
        listed.into_iter().map(|(id, _, ticket)| (id, ticket)).collect()
    }

    fn pools(&self) -> BTreeMap<PoolId, Pool> {
        let listed = now(self.repository.pools(&event_id())).expect("the memory store does not fail");
        listed.into_iter().map(|(id, _, pool)| (id, pool)).collect()
    }

    fn reservations(&self) -> Vec<Reservation> {
        let query = ReservationQuery { event: event_id(), customer: None, after: None, limit: PAGE_MAX };
        let listed = now(self.repository.reservations(&query)).expect("the memory store does not fail");
        listed.into_iter().map(|(_, reservation)| reservation).collect()
    }

    // -----------------------------------------------------------------------------------------------------------------
    // What must hold after every step.

    fn check(&self) -> TestCaseResult {
        let (tickets, reservations) = (self.tickets(), self.reservations());
        self.check_owners(&tickets, &reservations)?;
        self.check_counts(&reservations)?;
        self.check_times()?;
        self.check_expired_is_free(&reservations)
    }

    /// At most one live owner per ticket, and all or nothing.
    fn check_owners(&self, tickets: &BTreeMap<TicketId, Ticket>, reservations: &[Reservation]) -> TestCaseResult {
        let mut owners: BTreeMap<&TicketId, ReservationId> = BTreeMap::new();
        for reservation in reservations {
            let id = reservation.id;
            // Whatever the clock says now: what nobody can have seen expired is live.
            let live_until = match reservation.state {
                ReservationState::Held { until } if self.latest < until => Some(until),
                _ => None,
            };
            for ticket in reservation.lines.tickets() {
                let state = &tickets[ticket].state;
                match (reservation.state, live_until) {
                    (ReservationState::Booked, _) => {
                        prop_assert_eq!(state, &TicketState::Booked { reservation: id }, "{} is booked", id);
                    }
                    (_, Some(until)) => {
                        prop_assert_eq!(state, &TicketState::Held { reservation: id, until }, "{} is held", id);
                    }
                    (ReservationState::Held { .. } | ReservationState::Expired, None) => {
                        prop_assert!(*state != TicketState::Booked { reservation: id }, "{} has expired", id);
                    }
                    _ => prop_assert!(tickets[ticket].owner() != Some(id), "{} was given back", id),
                }
                if reservation.state == ReservationState::Booked || live_until.is_some() {
                    let other = owners.insert(ticket, id);
                    prop_assert!(other.is_none(), "{} and {:?} both own {}", id, other, ticket);
                }
            }
        }
        for (id, ticket) in tickets {
            let Some(owner) = ticket.owner() else { continue };
            let reservation = reservations.iter().find(|it| it.id == owner);
            let names_it = reservation.is_some_and(|it| it.lines.tickets().contains(id));
            prop_assert!(names_it, "{} belongs to {}, which has not asked for it", id, owner);
        }
        Ok(())
    }

    /// Counters of pools and allowances are the sums of the reservations, and within their limits.
    fn check_counts(&self, reservations: &[Reservation]) -> TestCaseResult {
        let mut pools: BTreeMap<PoolId, Pool> = BTreeMap::new();
        let mut allowances: BTreeMap<CustomerId, Allowance> = BTreeMap::new();
        for reservation in reservations {
            let (held, booked) = match reservation.state {
                ReservationState::Held { .. } => (1, 0),
                ReservationState::Booked => (0, 1),
                _ => (0, 0),
            };
            for (pool, quantity) in reservation.lines.pools() {
                let sum = pools.entry(pool.clone()).or_insert_with(|| Pool::with_capacity(0));
                sum.held += held * quantity;
                sum.booked += booked * quantity;
            }
            let sum = allowances.entry(reservation.customer.clone()).or_default();
            sum.held += held * reservation.lines.places();
            sum.booked += booked * reservation.lines.places();
        }
        for (id, pool) in self.pools() {
            let sum = pools.remove(&id).unwrap_or_else(|| Pool::with_capacity(0));
            prop_assert_eq!((pool.held, pool.booked), (sum.held, sum.booked), "pool {} against its reservations", id);
            prop_assert!(pool.held + pool.booked <= pool.capacity, "pool {} is oversold: {:?}", id, pool);
        }
        let Some(limit) = self.terms.limit else { return Ok(()) };
        for (customer, sum) in allowances {
            let key = RecordKey::Allowance(customer.clone());
            let snapshot = self.load(&BTreeSet::from([key.clone()]));
            let found = match snapshot.get(&key).and_then(|it| it.record.clone()) {
                Some(Record::Allowance(allowance)) => allowance,
                _ => Allowance::default(),
            };
            prop_assert_eq!(&found, &sum, "the allowance of {} against the reservations", customer);
            prop_assert!(found.taken() <= limit, "{} has {:?}, the limit is {}", customer, found, limit);
        }
        Ok(())
    }

    /// The time of a record never goes back.
    fn check_times(&self) -> TestCaseResult {
        let mut times: BTreeMap<RecordKey, Timestamp> = BTreeMap::new();
        for change in now(self.repository.changes(&event_id(), 0, PAGE_MAX)).expect("nothing is purged") {
            let before = times.insert(change.key.clone(), change.decided_at);
            let fell = before.is_some_and(|before| before > change.decided_at);
            prop_assert!(!fell, "{:?} was decided at {:?} and then at {:?}", change.key, before, change.decided_at);
        }
        Ok(())
    }

    /// Everything that is over can be had by someone else, though nobody has swept.
    fn check_expired_is_free(&self, reservations: &[Reservation]) -> TestCaseResult {
        let clock = self.clock.unix_time();
        // A clock that has stepped back does not see what was over.
        if clock < self.latest || !self.terms.window.contains(clock) {
            return Ok(());
        }
        let most = self.terms.limit.unwrap_or(u32::MAX);
        let tickets = self.tickets();
        let free: Vec<TicketId> = tickets
            .iter()
            .filter(|(_, it)| it.is_available(clock))
            .map(|(id, _)| id.clone())
            .take(most as usize)
            .collect();
        let mut wishes = vec![Lines::merge(free, []).unwrap()];
        for (id, pool) in self.pools() {
            let live: u32 = reservations
                .iter()
                .filter(|it| it.is_live_hold(clock))
                .flat_map(|it| it.lines.pools().iter().filter(|(of, _)| *of == id).map(|(_, quantity)| quantity))
                .sum();
            let free = (pool.capacity - pool.booked - live).min(most);
            if free > 0 {
                wishes.push(Lines::merge([], [(id, free)]).unwrap());
            }
        }
        for wish in wishes.into_iter().filter(|wish| wish.places() > 0) {
            let hold = Hold::new(reservation_id(250), CustomerId::new("someone else").unwrap(), wish);
            let operation = OperationId::from_parts(clock, [0xff; 10]);
            let command = Command { event: event_id(), operation, action: Action::Hold(hold) };
            let mut records: BTreeSet<RecordKey> = command.records().into_iter().collect();
            let decided = loop {
                let snapshot = self.load(&records);
                let mut view = View::new(&snapshot);
                let decided = decide(&mut view, &command, &self.policies);
                if view.missing().is_empty() {
                    break decided;
                }
                let before = records.len();
                records.extend(view.missing().iter().cloned());
                prop_assert!(records.len() > before, "{:?} is loaded and lacks", view.missing());
            };
            prop_assert!(decided.is_ok(), "{:?} is free, and refused: {:?}", command.action, decided.err());
        }
        Ok(())
    }
}

/// Each record once, each of them looked at, and none at an earlier time than it had.
fn check_changes(snapshot: &Snapshot, changes: &ChangeSet, seen: &BTreeSet<RecordKey>) -> TestCaseResult {
    let mut keys = BTreeSet::new();
    for (key, record) in &changes.writes {
        prop_assert!(keys.insert(key), "{:?} is written twice", key);
        prop_assert!(seen.contains(key), "{:?} is written and was not looked at", key);
        let before = snapshot.get(key).map_or(Timestamp::EPOCH, |it| it.decided_at);
        prop_assert!(before <= changes.at, "{:?} goes back from {} to {}", key, before, changes.at);
        if let (Some(Record::Reservation(before)), Record::Reservation(after)) =
            (snapshot.get(key).and_then(|it| it.record.as_ref()), record)
        {
            prop_assert_eq!(&before.lines, &after.lines, "the lines of a reservation never change");
            prop_assert_eq!(before.held_at, after.held_at);
        }
    }
    Ok(())
}

/// What a first receipt says about a reservation is what was asked for.
fn check_receipt(command: &Command, receipt: &Receipt) -> TestCaseResult {
    let Outcome::Reservation(reservation) = &receipt.outcome else { return Ok(()) };
    match &command.action {
        Action::Hold(hold) => {
            prop_assert!(reservation.is_live_hold(receipt.at), "a hold that is over when it is granted: {:?}", receipt);
            prop_assert_eq!(&reservation.customer, &hold.customer);
            let best = hold.best_available.as_ref().map_or(0, |best| best.quantity);
            prop_assert_eq!(reservation.lines.places(), hold.lines.places() + best);
        }
        Action::Extend { .. } => {
            prop_assert!(reservation.is_live_hold(receipt.at), "an extended hold is over: {:?}", receipt);
        }
        Action::Confirm { .. } => prop_assert_eq!(reservation.state, ReservationState::Booked),
        Action::Release { .. } => prop_assert_eq!(reservation.state, ReservationState::Released),
        Action::Cancel { .. } => prop_assert_eq!(reservation.state, ReservationState::Cancelled),
        Action::Transfer(transfer) => prop_assert_eq!(&reservation.customer, &transfer.to),
        _ => {}
    }
    Ok(())
}

fn run(terms: Terms, steps: Vec<Step>) -> TestCaseResult {
    let mut world = World::new(terms);
    world.stage()?;
    for step in steps {
        match step {
            Step::Batch(actions) => {
                let commands = actions.into_iter().map(|action| world.command(action)).collect();
                world.batch(commands)?;
            }
            Step::Again { which, instead } => world.again(which, instead)?,
            Step::Void { which, action } => world.void(which, action)?,
            Step::Sweep => world.sweep()?,
            Step::Time(micros) => drop(world.clock.0.fetch_add(micros, Ordering::Relaxed)),
        }
        world.check()?;
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_sequence_breaks_an_invariant(terms in any_terms(), steps in prop::collection::vec(any_step(), 1..60)) {
        run(terms, steps)?;
    }
}
