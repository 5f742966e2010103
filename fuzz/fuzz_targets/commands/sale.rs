//! The service, its store, and the model that watches them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::join_all;
use proptest::test_runner::TestCaseError;
use ticket_reservation::booking::{BookingError, BookingService, Limits};
use ticket_reservation::domain::{
    Action, BlockReason, Command, CreateEvent, CustomerId, EventId, Hold, Import, Lines, OperationId, Place, PoolId,
    Receipt, RecordKey, Rejection, ReservationId, SalesWindow, TicketId, Timestamp, Transfer,
};
use ticket_reservation::ports::Repository;

use crate::domain_support::hall::{
    CUSTOMERS, TICKETS, Terms, area_id, customer_id, event_id, events, place, reservation_id, ticket_id,
};
use crate::domain_support::judge::At;
use crate::domain_support::model::Status;
use crate::domain_support::world::{World, at_once};
use crate::follower::Follower;
use crate::sim::Sim;
use crate::wishes::{ClockMove, Deed, Input, Step, Ttl, Who, Wish};

/// Reservations and pools that wishes name.
const RESERVATIONS: u8 = 16;
const POOLS: u8 = 4;

/// The times for which ids can be made: see `OperationId::from_parts`.
const TIMES_OF_IDS: std::ops::Range<i64> = 0..(1 << 48) * 1_000;

type Answer = Result<Receipt, BookingError>;

pub(crate) struct Sale {
    world: World,
    service: BookingService,
    followers: BTreeMap<EventId, Follower>,
    opening: Vec<Wish>,
}

impl Sale {
    pub(crate) fn new(sim: &Sim, input: &Input) -> Self {
        let (books_late_payments, window) = (input.books_late_payments, SalesWindow::default());
        let world = World::new(Terms { limit: None, books_late_payments, window });
        let service = BookingService::builder(Arc::new(world.repository.clone()), Arc::new(sim.clone()))
            .policies(world.model.policies.clone())
            .limits(Limits::default().batch_max(usize::from(input.batch_max)))
            .build()
            .expect("a service");
        let opening = input.opening.iter().flat_map(|opening| {
            let [floor, balcony] = opening.capacities;
            let tickets = (0..TICKETS).map(|n| (n, None)).collect();
            [
                Wish::Create { limit: opening.limit, opens: None, closes: None },
                Wish::Import { tickets, pools: vec![(0, floor), (1, balcony)], last: true },
            ]
        });
        let followers = events().map(|event| (event, Follower::default()));
        Self { opening: opening.collect(), world, service, followers: followers.into() }
    }

    pub(crate) async fn step(&mut self, step: &Step) {
        for wish in std::mem::take(&mut self.opening) {
            self.ask(&event_id(0), &[Deed::Ask(wish)]).await;
        }
        match step {
            Step::Ask { event, deeds } => self.ask(&event_id((*event).into()), Step::deeds(deeds)).await,
            Step::Clock(to) => self.move_clock(to),
            Step::Purge { limit } => {
                let retention = self.world.model.policies.retention;
                at_once(self.world.repository.purge(retention, usize::from(*limit))).expect("the memory store purges");
                self.purged();
            }
            Step::Sweep { limit } => {
                self.service.sweep(usize::from(*limit)).await.expect("the memory store does not fail");
                self.world.model.latest = self.world.model.latest.max(self.world.now());
                self.purged();
            }
        }
        self.check();
    }

    /// What is free can be had, and the service ends.
    pub(crate) async fn end(&mut self) {
        for event in events() {
            if TIMES_OF_IDS.contains(&self.world.now().as_micros()) {
                right(self.world.check_free_is_sellable(&event));
            }
        }
        self.service.shutdown(Duration::from_secs(60)).await;
    }

    fn purged(&mut self) {
        let before = self.world.now().before(self.world.model.policies.retention);
        self.world.model.purged_before = self.world.model.purged_before.max(before);
    }

    fn check(&mut self) {
        for (event, follower) in &mut self.followers {
            right(self.world.check(event));
            follower.read(&self.world.repository, event);
            follower.check(&self.world.repository, event);
        }
    }

    /// Several commands at once are decided one after another, in their order.
    async fn ask(&mut self, event: &EventId, deeds: &[Deed]) {
        let asked: Vec<(Command, bool)> = deeds.iter().filter_map(|deed| self.command(event, deed)).collect();
        let mut recorded = self.recorded(event, &asked);
        let clock = self.world.now();
        let answers = join_all(asked.iter().map(async |(command, is_resolved)| match is_resolved {
            false => self.service.submit(command.clone()).await,
            true => self.service.resolve(command.clone()).await,
        }))
        .await;
        for ((command, is_resolved), answer) in asked.into_iter().zip(answers) {
            self.judge(&command, is_resolved, &answer, clock, &mut recorded);
        }
    }

    /// Which of these operations the store has a record of.
    fn recorded(&self, event: &EventId, asked: &[(Command, bool)]) -> BTreeSet<OperationId> {
        let key = |operation: &OperationId| RecordKey::Operation(*operation);
        let operations: BTreeSet<OperationId> = asked.iter().map(|(command, _)| command.operation).collect();
        let snapshot = self.world.load(event, &operations.iter().map(key).collect());
        let is_recorded = |it: &OperationId| snapshot.get(&key(it)).is_some_and(|found| found.record.is_some());
        operations.into_iter().filter(is_recorded).collect()
    }

    fn judge(
        &mut self,
        command: &Command,
        is_resolved: bool,
        answer: &Answer,
        clock: Timestamp,
        recorded: &mut BTreeSet<OperationId>,
    ) {
        let model = &mut self.world.model;
        let answer = match answer {
            Ok(receipt) => Ok(receipt),
            Err(BookingError::Rejected(rejection)) => Err(rejection),
            // What is older than it is remembered cannot be resolved any more.
            Err(BookingError::OutcomeUnknown(_)) if is_resolved => {
                let age = model.reasons_against(command, At { clock, now: clock, picked: &[] });
                assert!(age.contains("operation_too_old") || clock < model.latest, "{command:?} is not resolved");
                return;
            }
            Err(error) => panic!("{command:?}: {error}"),
        };
        if recorded.contains(&command.operation) {
            return right(model.check_repetition(command, answer));
        }
        let now = answer.map_or(clock, |receipt| receipt.at);
        assert!(clock <= now && now <= clock.max(model.latest), "{command:?} is decided at {now}");
        right(model.check_answer(command, answer, At { clock, now, picked: &[] }));
        model.latest = model.latest.max(now);
        match answer {
            Ok(receipt) => {
                right(model.apply(command, receipt));
                recorded.insert(command.operation);
            }
            // A refusal that is final is written down.
            Err(rejection) if is_resolved && is_written_down(rejection) => {
                model.voided.insert(command.operation, command.clone().into());
                recorded.insert(command.operation);
            }
            Err(_) => {}
        }
    }

    fn move_clock(&mut self, to: &ClockMove) {
        let now = self.world.now().as_micros();
        let target = match to {
            ClockMove::Minutes(minutes) => now.saturating_add(i64::from(*minutes) * 60_000_000),
            ClockMove::Deadline { n, micros } => {
                let held = self.world.model.bookings.values().filter_map(|booking| match booking.status {
                    Status::Held(until) => Some(until.as_micros()),
                    _ => None,
                });
                let deadline = choose(&held.collect::<Vec<_>>(), *n);
                deadline.map_or(now, |until| until.saturating_add((*micros).into()))
            }
            ClockMove::To(micros) => *micros,
        };
        // Records that do not exist are as old as the epoch.
        self.world.clock.0.store(target.max(0), Ordering::Relaxed);
    }

    /// The command, and whether it is resolved instead of asked for.
    fn command(&mut self, event: &EventId, deed: &Deed) -> Option<(Command, bool)> {
        let earlier = |n: u8| choose(&self.world.asked, n).map(|asked| Command { event: event.clone(), ..asked });
        let command = match deed {
            Deed::Ask(wish) => self.new_command(event, self.world.now(), wish)?,
            Deed::AskLate(wish, micros) => self.new_command(event, Timestamp::from_micros(*micros), wish)?,
            Deed::Again(n) | Deed::Resolve(n) => earlier(*n)?,
            Deed::Instead(n, wish) => Command { action: self.action(wish)?, ..earlier(*n)? },
        };
        Some((command, matches!(deed, Deed::Resolve(_))))
    }

    fn new_command(&mut self, event: &EventId, made_at: Timestamp, wish: &Wish) -> Option<Command> {
        self.world.operations_made += 1;
        let mut random = [0; 10];
        random[2..].copy_from_slice(&self.world.operations_made.to_be_bytes());
        let operation = OperationId::from_parts(made_at, random);
        let command = Command { event: event.clone(), operation, action: self.action(wish)? };
        self.world.asked.push(command.clone());
        Some(command)
    }

    /// `None` when there is no such command: the type of its lines refuses them.
    fn action(&self, wish: &Wish) -> Option<Action> {
        let change = |id: &u8, who: &Who| (reservation(*id), self.customer(*id, *who));
        Some(match wish {
            Wish::Create { limit, opens, closes } => {
                let [opens, closes] = [opens, closes].map(|end| end.map(Timestamp::from_micros));
                let window = SalesWindow { opens, closes };
                Action::CreateEvent(CreateEvent { window, limit_per_customer: *limit })
            }
            Wish::Import { tickets, pools, last } => {
                let usual = |n: u8| Place { area: area_id(0), ..place(n) };
                let place = |n: u8, at: Option<(u32, u32)>| match at {
                    Some((row, number)) => Place { area: area_id(n % 2), row, number },
                    None if n < TICKETS => place(n),
                    None => usual(n),
                };
                let tickets = tickets.iter().map(|(n, at)| (ticket(*n), place(*n % (TICKETS + 1), *at))).collect();
                let pools = pools.iter().map(|(n, capacity)| (pool(*n), *capacity)).collect();
                Action::Import(Import { tickets, pools, last: *last })
            }
            Wish::Hold { id, who, tickets, pools, best, ttl } => {
                let pools = pools.iter().map(|(n, quantity)| (pool(*n), *quantity));
                let lines = Lines::merge(tickets.iter().map(|n| ticket(*n)), pools).ok()?;
                let mut hold = Hold::new(reservation(*id), customer_id(who % (CUSTOMERS + 1)), lines);
                if let Some((area, quantity)) = best {
                    hold = hold.with_best_available(area_id((*area).into()), *quantity);
                }
                hold.ttl = ttl.duration();
                Action::Hold(hold)
            }
            Wish::Extend(id, who, ttl) => {
                let (reservation, customer) = change(id, who);
                Action::Extend { reservation, customer, ttl: Ttl::duration(*ttl) }
            }
            Wish::Confirm(id, who) => {
                let (reservation, customer) = change(id, who);
                Action::Confirm { reservation, customer }
            }
            Wish::Release(id, who) => {
                let (reservation, customer) = change(id, who);
                Action::Release { reservation, customer }
            }
            Wish::Cancel(id, who) => {
                let (reservation, customer) = change(id, who);
                Action::Cancel { reservation, customer }
            }
            Wish::Transfer(id, who, to) => {
                let (reservation, from) = change(id, who);
                Action::Transfer(Transfer { reservation, from, to: customer_id(to % (CUSTOMERS + 1)) })
            }
            Wish::Block(tickets) => {
                let tickets = tickets.iter().map(|n| ticket(*n)).collect();
                Action::Block { tickets, reason: BlockReason::new("camera").expect("a reason") }
            }
            Wish::Unblock(tickets) => Action::Unblock { tickets: tickets.iter().map(|n| ticket(*n)).collect() },
            Wish::BlockMany(count) => {
                let name = |n: u16| TicketId::new(format!("T{n}")).expect("an id");
                let tickets = (0..*count % 2_000).map(name).collect();
                Action::Block { tickets, reason: BlockReason::new("camera").expect("a reason") }
            }
        })
    }

    fn customer(&self, id: u8, who: Who) -> CustomerId {
        let owner = self.world.model.bookings.get(&reservation(id)).map(|booking| booking.customer.clone());
        match (who, owner) {
            (Who::Owner, Some(owner)) => owner,
            (Who::Owner, None) => customer_id(0),
            (Who::Customer(n), _) => customer_id(n % (CUSTOMERS + 1)),
        }
    }
}

/// The last of the tickets is in no hall.
fn ticket(n: u8) -> TicketId {
    ticket_id(n % (TICKETS + 2))
}

/// So is the last of the pools.
fn pool(n: u8) -> PoolId {
    PoolId::new(format!("pool {}", n % POOLS)).expect("an id")
}

fn reservation(n: u8) -> ReservationId {
    reservation_id((n % RESERVATIONS).into())
}

fn choose<T: Clone>(of: &[T], n: u8) -> Option<T> {
    if of.is_empty() { None } else { Some(of[usize::from(n) % of.len()].clone()) }
}

/// Whether a refusal of something that was to be made final used its id up.
fn is_written_down(rejection: &Rejection) -> bool {
    !matches!(rejection, Rejection::InvalidLines(_) | Rejection::OperationReused)
}

#[track_caller]
fn right(checked: Result<(), TestCaseError>) {
    if let Err(why) = checked {
        panic!("{why}");
    }
}
