//! What a lock is worth by itself: the experiment of "How to do distributed locking" (Kleppmann 2016), as Jepsen replays it.
//!
//! Processes stand still for longer than their locks last, now and then. One kind books as the classic demo does: take the ticket's lock, look
//! whether it is free, write that it is booked. The other kind is the booking service, with the same lock.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::clock::MachineClock;
use super::dice::Dice;
use super::executor::{Executor, ProcessId, locked};
use super::fault::Trouble;
use super::hall;
use super::lock_node::LockNode;
use super::process::ProcessRuntime;
use super::store_client::StoreClient;
use super::store_server::StoreServer;
use super::trace::Trace;
use crate::adapters::redlock::Redlock;
use crate::booking::{BookingService, Limits, LockPolicy, LockScope};
use crate::domain::{
    Action, AreaId, Command, Event, EventState, Hold, Lines, Place, Policies, Record, RecordKey, ReservationId,
    SalesWindow, Ticket, TicketId, TicketState, Timestamp,
};
use crate::ports::{Attempt, Group, LoadRequest, Lock, LockKey, Repository, Runtime, RuntimeExt, Write};

const PROCESSES: usize = 3;
const CLIENTS_OF_PROCESS: usize = 2;
const NODES: usize = 3;
const TICKETS: u32 = 40;
/// How long a lock lasts, and how long a process stands still.
const LOCK_TTL: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_secs(5);
/// How much time lies between two pauses of any of the processes, at most.
const PAUSE_EVERY_MS: u64 = 4_000;
/// How long somebody takes to pay, at most.
const PAYING_MS: u64 = 300;
const LENGTH: Duration = Duration::from_secs(180);

/// What was told to customers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Booked {
    /// How many tickets were booked.
    pub tickets: u64,
    /// How many of them more than one customer was told to have.
    pub twice: u64,
}

/// How many tickets are sold twice, with the same lock and the same pauses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Experiment {
    /// By a lock alone.
    pub lock_only: Booked,
    /// By the booking service.
    pub ours: Booked,
}

/// Runs it in so many worlds.
///
/// # Panics
///
/// When something panics in one of them.
#[must_use]
pub fn lock_experiment(seed: u64, worlds: u64) -> Experiment {
    let mut experiment = Experiment::default();
    for number in 0..worlds {
        let seed = super::seed_of(seed, number);
        for (kind, sum) in [(Kind::LockOnly, &mut experiment.lock_only), (Kind::Ours, &mut experiment.ours)] {
            let booked = run(seed, kind);
            sum.tickets += booked.tickets;
            sum.twice += booked.twice;
        }
    }
    experiment
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    LockOnly,
    Ours,
}

/// Who was told to have which ticket.
type Told = Arc<Mutex<BTreeMap<TicketId, Vec<ReservationId>>>>;

fn run(seed: u64, kind: Kind) -> Booked {
    let mut dice = Dice::new(seed);
    let executor = Executor::new(dice.another(), Trace::off());
    let trouble = Arc::new(Trouble::new(dice.another(), |_| false));
    let clock = MachineClock::new(&executor, 0);
    let store = StoreServer::new(&executor, clock.clone(), Policies::default().retention, Arc::clone(&trouble));
    open(&store);
    let node = |number| LockNode::new(&executor, format!("node {number}"), clock.clone(), Arc::clone(&trouble));
    let nodes: Vec<LockNode> = (1..=NODES).map(node).collect();
    let told = Told::default();
    let mut processes = Vec::new();
    for _ in 0..PROCESSES {
        let process = executor.process();
        processes.push(process);
        let runtime = ProcessRuntime::new(&executor, process, clock.clone(), dice.another());
        let redlock = Redlock::builder(runtime.clone()).key_prefix("");
        let redlock = nodes.iter().fold(redlock, |redlock, node| redlock.server(Arc::new(node.clone())));
        let lock = redlock.build().expect("nodes with names of their own");
        let store = StoreClient::new(&store, &clock);
        let service = BookingService::builder(Arc::new(store.clone()), runtime.clone())
            .lock(Arc::new(lock.clone()))
            .lock_policy(LockPolicy::Always(LockScope::Ticket))
            .limits(Limits::default().lock_ttl(LOCK_TTL))
            .build()
            .expect("settings within their bounds");
        for _ in 0..CLIENTS_OF_PROCESS {
            let (runtime, lock, store, service) = (runtime.clone(), lock.clone(), store.clone(), service.clone());
            let client =
                Client { runtime: runtime.clone(), lock, store, service, told: told.clone(), dice: dice.another() };
            runtime.spawn(Box::pin(client.buy(kind)));
        }
    }
    executor.spawn(ProcessId::OUTSIDE, 0, Box::pin(pause_them(executor.clone(), processes, dice)));
    let ends = executor.sleep(LENGTH);
    let ended = executor.run(ends);
    assert!(ended.is_ok() && executor.panics().is_empty(), "{ended:?} {:?}", executor.panics());
    executor.end();
    let told = locked(&told);
    Booked { tickets: told.len() as u64, twice: told.values().filter(|owners| owners.len() > 1).count() as u64 }
}

async fn pause_them(executor: Executor, processes: Vec<ProcessId>, mut dice: Dice) {
    loop {
        executor.sleep(dice.millis(0, PAUSE_EVERY_MS)).await;
        executor.stop(*dice.one_of(&processes), PAUSE);
    }
}

fn ticket(number: u32) -> TicketId {
    TicketId::new(format!("seat-{number}")).expect("an id")
}

fn open(store: &Arc<StoreServer>) {
    let event = Event { state: EventState::OnSale, window: SalesWindow::default(), limit_per_customer: None };
    let mut records = vec![(RecordKey::Event, Record::Event(event))];
    for number in 0..TICKETS {
        let place = Place { area: AreaId::new("stalls").expect("an id"), row: 1, number };
        records.push((RecordKey::Ticket(ticket(number)), Record::Ticket(Ticket::available(place))));
    }
    let write = |(key, record)| Write { key, version: 0, decided_at: Timestamp::from_micros(1), record };
    let group = Group { reads: Vec::new(), writes: records.into_iter().map(write).collect(), ..Group::default() };
    store.overwrite(&hall::event(), group).expect("memory does not fail");
}

struct Client {
    runtime: Arc<ProcessRuntime>,
    lock: Redlock,
    store: StoreClient,
    service: BookingService,
    told: Told,
    dice: Dice,
}

impl Client {
    /// Wants one ticket after another.
    async fn buy(mut self, kind: Kind) {
        loop {
            let wanted = ticket(self.dice.below(TICKETS as usize) as u32);
            let mine = match kind {
                Kind::LockOnly => self.book_under_lock(&wanted).await,
                Kind::Ours => self.book_with_service(&wanted).await,
            };
            if let Some(mine) = mine {
                locked(&self.told).entry(wanted).or_default().push(mine);
            }
            self.pause(200).await;
        }
    }

    async fn pause(&mut self, longest_ms: u64) {
        let pause = self.dice.millis(0, longest_ms);
        self.runtime.sleep(pause).await;
    }

    /// Lock, check, pay, write.
    async fn book_under_lock(&mut self, wanted: &TicketId) -> Option<ReservationId> {
        let key = LockKey::new(wanted.as_str()).expect("a key");
        let Ok(Attempt::Granted(leases)) = self.lock.acquire_all(&[key], LOCK_TTL).await else { return None };
        let booked = self.check_and_write(wanted).await;
        let _ = self.lock.release(leases).await;
        booked
    }

    async fn check_and_write(&mut self, wanted: &TicketId) -> Option<ReservationId> {
        let key = RecordKey::Ticket(wanted.clone());
        let request = LoadRequest { event: hall::event(), records: vec![key.clone()], free_in: Vec::new() };
        let snapshot = self.store.load(&request).await.ok()?;
        let read = snapshot.get(&key)?;
        let Some(Record::Ticket(Ticket { place, state: TicketState::Available })) = &read.record else { return None };
        self.pause(PAYING_MS).await;
        let reservation = self.runtime.reservation_id();
        let record = Record::Ticket(Ticket { place: place.clone(), state: TicketState::Booked { reservation } });
        let write = Write { key, version: read.version, decided_at: snapshot.clock(), record };
        let group = Group { reads: Vec::new(), writes: vec![write], ..Group::default() };
        let written = self.store.write(move |server| server.overwrite(&hall::event(), group.clone())).await;
        written.ok().map(|_| reservation)
    }

    /// Hold, pay, confirm.
    async fn book_with_service(&mut self, wanted: &TicketId) -> Option<ReservationId> {
        let (reservation, customer) = (self.runtime.reservation_id(), hall::customer(1));
        let lines = Lines::merge([wanted.clone()], []).expect("one ticket");
        self.submit(Action::Hold(Hold::new(reservation, customer.clone(), lines))).await?;
        self.pause(PAYING_MS).await;
        self.submit(Action::Confirm { reservation, customer }).await?;
        Some(reservation)
    }

    async fn submit(&self, action: Action) -> Option<()> {
        let command = Command { event: hall::event(), operation: self.runtime.operation_id(), action };
        self.service.submit(command).await.ok().map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_alone_sells_tickets_twice_and_the_service_does_not() {
        let experiment = lock_experiment(1, 3);
        assert!(experiment.lock_only.twice > 0, "{experiment:?}");
        assert!(experiment.ours.tickets > 30, "{experiment:?}");
        assert_eq!(experiment.ours.twice, 0);
    }
}
