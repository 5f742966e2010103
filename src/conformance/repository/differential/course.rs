use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures_util::future::join_all;

use super::COMMANDS;
use super::commands::{Commands, LONG, SHORT, events};
use super::reference::Reference;
use super::time::{Time, Timed};
use crate::booking::{BookingError, BookingService};
use crate::conformance::bench::RepositoryBench;
use crate::conformance::check::{Checked, Failure, ensure, ensure_eq};
use crate::conformance::contest::Dice;
use crate::conformance::service;
use crate::domain::{Command, LatePayment, Policies, Receipt, Rejection, Timestamp};
use crate::ports::{Observation, Observer};

/// How far behind the store's own clock a course begins. It never comes near that clock, so that by it all short holds are
/// over and all long ones are live, however slow the store is.
const BEHIND: Duration = Duration::from_secs(3 * 24 * 60 * 60);

/// By how many seconds at most time goes forward now and then, and goes back for one command.
const FORWARD_MAX: u32 = 300;
const BACK_MAX: u32 = 1_800;

const MARGIN_SECONDS: u64 = 60 * 60;
const _: () = assert!(COMMANDS as u64 * FORWARD_MAX as u64 + SHORT.as_secs() + MARGIN_SECONDS < BEHIND.as_secs());
const _: () = assert!(BEHIND.as_secs() + BACK_MAX as u64 + MARGIN_SECONDS < LONG.as_secs());

/// How many instances of the service take turns.
const INSTANCES: u32 = 2;

/// Most commands that come at once.
const AT_ONCE_MAX: u32 = 16;

/// Of so many commands at least one is accepted: refusals alone compare little.
const ACCEPTED_ONE_IN: u32 = 10;

/// Commands that are sent to the store and carried out by the reference.
pub(super) struct Course {
    services: Vec<BookingService>,
    commits: Arc<Commits>,
    reference: Reference,
    commands: Commands,
    dice: Dice,
    time: Time,
    now: Timestamp,
    sent: u32,
    accepted: u32,
}

#[derive(Debug, Default)]
struct Commits(AtomicU32);

impl Observer for Commits {
    fn observe(&self, observation: &Observation<'_>) {
        if matches!(observation, Observation::Committed { .. }) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Course {
    /// Puts the first event on sale. Each number has commands of its own.
    pub(super) async fn new(bench: &RepositoryBench, number: u64) -> Result<Self, Failure> {
        let late_payment = LatePayment::RebookIfFree;
        let policies = Policies { hold_ttl: LONG, hold_ttl_max: LONG, late_payment, ..Policies::default() };
        let (time, commits) = (Time::default(), Arc::new(Commits::default()));
        let mut services = Vec::new();
        for _ in 0..INSTANCES {
            let timed = Arc::new(Timed::new(bench.open().await?, &time));
            let observer = Arc::clone(&commits) as Arc<dyn Observer>;
            services.push(service::observed(&bench.runtime, timed, policies.clone(), observer)?);
        }
        let clock = bench.clock().await?;
        let (now, seed) = (clock.before(BEHIND), bench.common.seed ^ (number << 32));
        let (reference, commands) = (Reference::new(policies, clock), Commands::new(seed));
        let dice = Dice::new(!seed);
        let mut course = Self { services, commits, reference, commands, dice, time, now, sent: 0, accepted: 0 };
        course.time.set(now);
        let [event, _] = events();
        for command in course.commands.opening(&event, now) {
            course.send(&[command], now).await?;
        }
        Ok(course)
    }

    pub(super) fn reference(&self) -> &Reference {
        &self.reference
    }

    /// All commands so far.
    pub(super) fn commands(&self) -> &[Command] {
        self.commands.drawn()
    }

    /// Says what there was to compare.
    pub(super) fn end(&self, bench: &RepositoryBench) -> Checked {
        let Self { sent, accepted, .. } = self;
        bench.note(format!(
            "{accepted} of {sent} commands accepted, {} commits",
            self.commits.0.load(Ordering::Relaxed)
        ));
        ensure!(accepted * ACCEPTED_ONE_IN >= *sent, "too few commands were accepted to compare much");
        Ok(())
    }

    /// Each after the one before is answered.
    pub(super) async fn send_one_by_one(&mut self, count: u32) -> Checked {
        for _ in 0..count {
            self.step(1).await?;
        }
        Ok(())
    }

    /// Some about one event, each before the one before is answered.
    pub(super) async fn send_many_at_once(&mut self) -> Checked {
        let count = 1 + self.dice.below(AT_ONCE_MAX);
        self.step(count).await
    }

    async fn step(&mut self, count: u32) -> Checked {
        let at = self.pass_time(count);
        if self.dice.below(40) == 0 {
            self.sweep(at).await?;
        }
        let [first, second] = events();
        let event = if self.dice.below(3) == 0 { second } else { first };
        let commands: Vec<Command> = (0..count).map(|_| self.commands.draw(&event, self.now)).collect();
        self.send(&commands, at).await
    }

    /// The more commands come, the more often time has gone forward. It goes back for single ones only: a decision is as
    /// late as the latest record that it looks at, and what it looks at depends on what is decided beside it.
    fn pass_time(&mut self, count: u32) -> Timestamp {
        if self.dice.below(6) < count {
            self.now = self.now.after(Duration::from_secs((1 + self.dice.below(FORWARD_MAX)).into()));
        }
        let goes_back = count == 1 && self.dice.below(20) == 0;
        let back = if goes_back { self.dice.below(BACK_MAX) } else { 0 };
        let at = self.now.before(Duration::from_secs(back.into()));
        self.time.set(at);
        at
    }

    fn instance(&mut self) -> BookingService {
        self.services[self.dice.below(INSTANCES) as usize].clone()
    }

    /// One hold at a time: how many commits more of them make is the service's own affair.
    async fn sweep(&mut self, at: Timestamp) -> Checked {
        for _ in 0..self.dice.below(6) {
            let swept = self.instance().sweep(1).await?;
            ensure_eq!(swept.expired, self.reference.sweep(at), "the number of holds that a sweeper settles at {at}");
        }
        Ok(())
    }

    async fn send(&mut self, commands: &[Command], at: Timestamp) -> Checked {
        let service = self.instance();
        // A command stands in the event's queue once it was polled, and they are polled in their order.
        let answers = join_all(commands.iter().map(|command| service.submit(command.clone()))).await;
        for (command, found) in commands.iter().zip(answers) {
            let n = self.sent;
            let what = || format!("the answer to command {n}, at {at}: {command:?}");
            let found = answer(found).map_err(|failure| failure.at(&what()))?;
            let expected = self.reference.submit(command, at);
            ensure_eq!(found, expected, "{}", what());
            self.commands.answered(&command.action, expected.is_ok());
            self.sent += 1;
            self.accepted += u32::from(expected.is_ok());
        }
        Ok(())
    }
}

/// The receipt, or why not; anything else is a failure.
fn answer(answer: Result<Receipt, BookingError>) -> Result<Result<Option<Receipt>, Rejection>, Failure> {
    match answer {
        Ok(receipt) => Ok(Ok(Some(receipt))),
        Err(BookingError::Rejected(rejection)) => Ok(Err(rejection)),
        Err(other) => Err(other.into()),
    }
}
