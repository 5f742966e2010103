//! Wishes become jobs, and steps happen: alone, in batches, and as races of two processes on one snapshot.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use ticket_reservation::domain::{
    Action, BlockReason, Command, CreateEvent, CustomerId, EventId, Hold, Lines, OPERATION_CLOCK_SKEW_MAX, OperationId,
    ReservationId, Timestamp, Transfer,
};
use ticket_reservation::ports::{GroupOutcome, Repository};

use super::hall::{area_id, customer_id, event_id, reservation_id};
use super::judge::{At, subject};
use super::model::Status;
use super::steps::{Age, Among, Deed, Step, TimeMove, Which, Who, Wish};
use super::world::{Job, World, at_once};

impl World {
    pub(crate) fn step(&mut self, step: Step) -> TestCaseResult {
        match step {
            Step::Batch(event, deeds) => {
                let event = event_id(event);
                let mut jobs = Vec::new();
                for deed in deeds {
                    let job = self.job(&event, deed, &jobs);
                    jobs.push(job);
                }
                self.batch(&event, &jobs)
            }
            Step::Race { event, first, second, meet, keeps_its_pick } => {
                let event = event_id(event);
                let first = self.job(&event, *first, &[]);
                self.meeting = match &first {
                    Job::Ask { command, .. } if meet => Some(command.action.clone()),
                    _ => None,
                };
                let second = match (&self.meeting, *second) {
                    // Two who want the best places at once are rare and matter: the second wants them, too.
                    (Some(Action::Hold(Hold { best_available: Some(_), .. })), Deed::Ask(_, age)) => {
                        let lines = Lines::default();
                        Deed::Ask(Wish::Hold { used_id: None, who: 1, lines, best: None, ttl: None }, age)
                    }
                    (_, second) => second,
                };
                let second = self.job(&event, second, std::slice::from_ref(&first));
                self.meeting = None;
                self.race(&event, &first, second, keeps_its_pick)
            }
            Step::Time(to) => {
                self.move_clock(to);
                Ok(())
            }
            Step::Purge(limit) => {
                let retention = self.model.policies.retention;
                let purged = at_once(self.repository.purge(retention, limit)).expect("the memory store does not fail");
                self.model.purged_before = self.model.purged_before.max(self.now().before(retention));
                if purged.operations > 0 {
                    self.tally.count("operations purged");
                }
                Ok(())
            }
        }
    }

    /// Both decide on one snapshot, and the first commits. The second commits only if nothing it rests on has changed, and
    /// then what it decided must be right after the first, too; else it decides again.
    fn race(&mut self, event: &EventId, first: &Job, mut second: Job, keeps_its_pick: bool) -> TestCaseResult {
        let jobs = [std::slice::from_ref(first), std::slice::from_ref(&second)];
        let (snapshot, mut decided) = self.load_and_decide(event, &jobs)?;
        let (mut behind, ahead) = (decided.remove(1), decided.remove(0));
        prop_assert_eq!(self.commit(event, &snapshot, &ahead)?, GroupOutcome::Committed);
        let changed: BTreeSet<_> = ahead.writes.keys().cloned().collect();
        let both_write = !changed.is_empty() && !behind.writes.is_empty();
        self.carry_out(ahead);
        if behind.writes.is_empty() {
            // What changes nothing was true on its snapshot, before the first.
            return Ok(());
        }
        match self.commit(event, &snapshot, &behind)? {
            GroupOutcome::Conflict { stale } => {
                prop_assert!(
                    !behind.touched.is_disjoint(&changed),
                    "{:?} stale, and nothing it rests on changed",
                    stale
                );
                self.tally.count("a race with a conflict");
                if let (Job::Ask { picked, command }, Some((_, receipt, _))) = (&mut second, behind.successes.first())
                    && let (Action::Hold(hold), Some(reservation)) = (&command.action, receipt.outcome.reservation())
                    && keeps_its_pick
                {
                    let chosen = reservation.lines.tickets().iter().filter(|it| !hold.lines.tickets().contains(it));
                    *picked = chosen.cloned().collect();
                    if !picked.is_empty() {
                        self.tally.count("decided again with its earlier pick");
                    }
                }
                self.batch(event, &[second])
            }
            _ => {
                prop_assert!(behind.touched.is_disjoint(&changed), "a commit rests on what has changed");
                if both_write {
                    self.tally.count("a race that both win");
                }
                let clock = snapshot.clock();
                for (command, receipt, now) in std::mem::take(&mut behind.successes) {
                    let at = At { clock, now, picked: &[] };
                    self.model.check_answer(&command, Ok(&receipt), at)?;
                    self.model.apply(&command, &receipt)?;
                }
                self.model.latest = self.model.latest.max(behind.model.latest);
                self.model.voided.extend(behind.model.voided);
                self.tally.add(behind.tally);
                Ok(())
            }
        }
    }

    fn move_clock(&mut self, to: TimeMove) {
        let shifted = |time: Timestamp, micros: i64| time.as_micros() + micros;
        let target = match to {
            TimeMove::ByMinutes(minutes) => Some(shifted(self.now(), minutes * super::hall::MINUTE)),
            TimeMove::Deadline { n, micros } => {
                let from = self.now().before(Duration::from_secs(60));
                let held = self.model.bookings.values().filter_map(|it| match it.status {
                    Status::Held(until) if from < until => Some(until),
                    _ => None,
                });
                choose(&held.collect::<Vec<_>>(), n).map(|until| shifted(until, micros))
            }
            TimeMove::Window { opens, micros } => {
                let end = if opens { self.terms.window.opens } else { self.terms.window.closes };
                end.map(|end| shifted(end, micros))
            }
        };
        if let Some(target) = target {
            self.clock.0.store(target, Ordering::Relaxed);
        }
    }

    fn job(&mut self, event: &EventId, deed: Deed, before: &[Job]) -> Job {
        let command = match deed {
            Deed::Ask(wish, age) => self.command(event, wish, age, before),
            Deed::Same => match before.last() {
                Some(Job::Ask { command, .. }) => {
                    self.tally.count("a double click");
                    command.clone()
                }
                _ => self.earlier(0, event),
            },
            Deed::Again { n, instead } => {
                let earlier = self.earlier(n, event);
                match instead {
                    Some(wish) => Command { action: self.action(event, wish, before), ..earlier },
                    None => earlier,
                }
            }
            Deed::Void { n } => {
                let command = self.earlier(n, event);
                // Of an operation that may have been purged nothing is written down: there is nothing to do.
                let is_purged = command.operation.made_at() < self.model.purged_before;
                return if is_purged { Job::Expire(Vec::new()) } else { Job::Void(command) };
            }
            Deed::Sweep { all: true } => return Job::Expire(self.model.bookings.keys().copied().collect()),
            Deed::Sweep { all: false } => {
                let due = at_once(self.repository.lapsed(100)).expect("the memory store does not fail");
                return Job::Expire(due.into_iter().filter(|(of, _)| of == event).map(|(_, id)| id).collect());
            }
        };
        if self.asked.iter().all(|asked| asked.operation != command.operation) {
            self.asked.push(command.clone());
        }
        Job::Ask { command, picked: Vec::new() }
    }

    /// A command that was given before, the latest first; given to this event, whatever it was given to then.
    fn earlier(&mut self, n: usize, event: &EventId) -> Command {
        match self.asked.len() {
            0 => self.command(event, Wish::Create, Age::Now, &[]),
            asked => Command { event: event.clone(), ..self.asked[asked - 1 - n % asked].clone() },
        }
    }

    fn command(&mut self, event: &EventId, wish: Wish, age: Age, before: &[Job]) -> Command {
        let millis = |time: Timestamp, millis: i64| Timestamp::from_micros(time.as_micros() + millis * 1_000);
        let made_at = match age {
            Age::Now => self.now(),
            Age::Retention(more) => millis(self.now().before(self.model.policies.retention), more),
            Age::Skew(more) => millis(self.now().after(OPERATION_CLOCK_SKEW_MAX), more),
        };
        self.operations_made += 1;
        let mut random = [0; 10];
        random[2..].copy_from_slice(&self.operations_made.to_be_bytes());
        let action = self.action(event, wish, before);
        Command { event: event.clone(), operation: OperationId::from_parts(made_at, random), action }
    }

    fn action(&mut self, event: &EventId, wish: Wish, before: &[Job]) -> Action {
        match wish {
            Wish::Create => {
                Action::CreateEvent(CreateEvent { window: self.terms.window, limit_per_customer: self.terms.limit })
            }
            Wish::Import(import) => Action::Import(import),
            Wish::Hold { used_id, who, lines, best, ttl } => {
                let used: Vec<ReservationId> = self.model.bookings.keys().copied().collect();
                let id = used_id.and_then(|n| choose(&used, n)).unwrap_or_else(|| {
                    self.reservations_made += 1;
                    reservation_id(self.reservations_made)
                });
                let mut hold = Hold::new(id, customer_id(who), lines);
                if let Some((area, quantity)) = best {
                    hold = hold.with_best_available(area_id(area), quantity);
                }
                hold.ttl = ttl;
                if let Some(Action::Hold(met)) = &self.meeting {
                    hold.lines = met.lines.clone();
                    hold.best_available = met.best_available.clone();
                }
                Action::Hold(hold)
            }
            Wish::Extend(which, who, ttl) => {
                let (reservation, customer) = self.resolve(event, which, who, before);
                Action::Extend { reservation, customer, ttl }
            }
            Wish::Confirm(which, who) => {
                let (reservation, customer) = self.resolve(event, which, who, before);
                Action::Confirm { reservation, customer }
            }
            Wish::Release(which, who) => {
                let (reservation, customer) = self.resolve(event, which, who, before);
                Action::Release { reservation, customer }
            }
            Wish::Cancel(which, who) => {
                let (reservation, customer) = self.resolve(event, which, who, before);
                Action::Cancel { reservation, customer }
            }
            Wish::Transfer(which, who, to) => {
                let (reservation, from) = self.resolve(event, which, who, before);
                Action::Transfer(Transfer { reservation, from, to: customer_id(to) })
            }
            Wish::Block(tickets) => Action::Block { tickets, reason: BlockReason::new("camera").unwrap() },
            Wish::Unblock(tickets) => {
                // Blocked ones are few: they are found rather than guessed.
                let blocked = self.model.sales.get(event).map(|sale| sale.blocked.keys().cloned().collect());
                let all_blocked: Vec<_> = blocked.unwrap_or_default();
                let tickets = if tickets.len() == 1 && !all_blocked.is_empty() { all_blocked } else { tickets };
                Action::Unblock { tickets }
            }
        }
    }

    /// A reservation of the kind that is wanted, if there is one; those that are asked for just before count as live.
    fn resolve(&self, event: &EventId, which: Which, who: Who, before: &[Job]) -> (ReservationId, CustomerId) {
        let now = self.now();
        let among = |wanted: Among| {
            let all = self.model.bookings.iter().filter(move |(_, it)| match wanted {
                Among::OfAllEvents => true,
                Among::Live => it.event == *event && it.is_live(now),
                Among::Over => it.event == *event && it.is_over(now),
                Among::Booked => it.event == *event && it.status == Status::Booked,
            });
            all.map(|(id, it)| (*id, it.customer.clone())).collect::<Vec<_>>()
        };
        let mut found = among(which.among);
        if let Among::Live = which.among {
            found.extend(before.iter().filter_map(|job| match job {
                Job::Ask { command: Command { action: Action::Hold(hold), .. }, .. } => {
                    Some((hold.reservation, hold.customer.clone()))
                }
                _ => None,
            }));
        }
        if let Some((met, _)) = self.meeting.as_ref().and_then(subject) {
            found = among(Among::OfAllEvents).into_iter().filter(|(id, _)| *id == met).collect();
        }
        if found.is_empty() {
            found = among(Among::OfAllEvents);
        }
        let (id, owner) = choose(&found, which.n).unwrap_or_else(|| (reservation_id(0), customer_id(0)));
        match who {
            Who::Owner => (id, owner),
            Who::Customer(n) => (id, customer_id(n)),
        }
    }
}

fn choose<T: Clone>(of: &[T], n: usize) -> Option<T> {
    if of.is_empty() { None } else { Some(of[n % of.len()].clone()) }
}
