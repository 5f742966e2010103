//! Buyers who fight over a small inventory, without a lock, and write down what they were told.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use super::bench::{area_id, customer_id, event_id, lines, nth_ticket, side_by_side};
use super::check::{Checked, Failure};
use super::service;
use crate::booking::{BookingError, BookingService};
use crate::domain::{Action, Command, EventId, Hold, LatePayment, Policies, Receipt, ReservationId, Transfer};
use crate::ports::{BoxFuture, Repository, Runtime, RuntimeExt};

pub(super) const TICKETS: u32 = 24;
pub(super) const POOL: (&str, u32) = ("floor", 30);
pub(super) const LIMIT: u32 = 12;

/// How long a hold lasts that its buyer does not mean to confirm in time.
const SHORT_TTL: Duration = Duration::from_millis(40);

/// Repeatable randomness: SplitMix64 (Steele, Lea, Flood 2014).
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// `0..bound`.
    pub(super) fn below(&mut self, bound: u32) -> u32 {
        (self.next() % u64::from(bound.max(1))) as u32
    }
}

/// What one instance does: how many buyers try how often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Job {
    pub(super) event: EventId,
    pub(super) instance: u32,
    pub(super) buyers: u32,
    pub(super) rounds: u32,
    pub(super) seed: u64,
}

impl fmt::Display for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} {} {}", self.event, self.instance, self.buyers, self.rounds, self.seed)
    }
}

impl FromStr for Job {
    type Err = Failure;

    fn from_str(text: &str) -> Result<Self, Failure> {
        let fields: Vec<&str> = text.split(' ').collect();
        let [event, instance, buyers, rounds, seed] = fields[..] else {
            return Err(Failure::new(format!("not a job: {text:?}")));
        };
        Ok(Self {
            event: EventId::new(event)?,
            instance: instance.parse()?,
            buyers: buyers.parse()?,
            rounds: rounds.parse()?,
            seed: seed.parse()?,
        })
    }
}

/// Something that a buyer knows: what is being asked for (before it is sent), and what was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    Sent,
    Done,
    Refused,
    Unknown,
}

/// One line of a log: a word about confirming or cancelling a reservation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) confirms: bool,
    pub(super) word: Word,
    pub(super) reservation: ReservationId,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = if self.confirms { "confirm" } else { "cancel" };
        let word = match self.word {
            Word::Sent => "sent",
            Word::Done => "done",
            Word::Refused => "refused",
            Word::Unknown => "unknown",
        };
        write!(f, "{what} {word} {}", self.reservation)
    }
}

impl FromStr for Line {
    type Err = Failure;

    fn from_str(text: &str) -> Result<Self, Failure> {
        let fields: Vec<&str> = text.split(' ').collect();
        let [what, word, reservation] = fields[..] else {
            return Err(Failure::new(format!("not a line of a log: {text:?}")));
        };
        let word = match word {
            "sent" => Word::Sent,
            "done" => Word::Done,
            "refused" => Word::Refused,
            "unknown" => Word::Unknown,
            _ => return Err(Failure::new(format!("not a line of a log: {text:?}"))),
        };
        Ok(Self { confirms: what == "confirm", word, reservation: reservation.parse()? })
    }
}

/// Where lines go.
pub(super) type Log = Arc<dyn Fn(Line) + Send + Sync>;

/// Runs all buyers of one instance side by side.
pub(super) async fn run(repository: Arc<dyn Repository>, runtime: Arc<dyn Runtime>, job: &Job, log: Log) -> Checked {
    let late_payment = if job.instance.is_multiple_of(2) { LatePayment::Refuse } else { LatePayment::RebookIfFree };
    let policies = Policies { late_payment, ..Policies::default() };
    let service = service::with_policies(&runtime, repository, policies)?;
    let mut tasks: Vec<BoxFuture<'static, Checked>> = Vec::new();
    for n in 0..job.buyers {
        let buyer = Buyer {
            service: service.clone(),
            runtime: Arc::clone(&runtime),
            event: job.event.clone(),
            name: format!("customer {}", (job.instance * job.buyers + n) % 20),
            dice: Dice::new(job.seed ^ (u64::from(job.instance) << 40) ^ (u64::from(n) << 20)),
            log: Arc::clone(&log),
        };
        tasks.push(Box::pin(buyer.buy(job.rounds)));
    }
    side_by_side(&runtime, tasks).await?;
    Ok(())
}

struct Buyer {
    service: BookingService,
    runtime: Arc<dyn Runtime>,
    event: EventId,
    name: String,
    dice: Dice,
    log: Log,
}

impl Buyer {
    async fn buy(mut self, rounds: u32) -> Checked {
        let mut booked: Vec<(ReservationId, String)> = Vec::new();
        for _ in 0..rounds {
            if let Some(booking) = self.one_round().await? {
                booked.push(booking);
            }
            // Most bookings are given back, so that the fight goes on.
            if !booked.is_empty() && self.dice.below(3) > 0 {
                let n = self.dice.below(booked.len() as u32) as usize;
                let (reservation, customer) = booked.swap_remove(n);
                let action = Action::Cancel { reservation, customer: customer_id(customer) };
                self.ask_for(false, reservation, action).await?;
            }
        }
        Ok(())
    }

    async fn one_round(&mut self) -> Result<Option<(ReservationId, String)>, Failure> {
        let (hold, is_short) = self.wish();
        let reservation = hold.reservation;
        if self.submit(Action::Hold(hold)).await?.is_none() {
            return Ok(None);
        }
        if is_short && self.dice.below(2) == 0 {
            self.runtime.sleep(SHORT_TTL * 2).await;
        }
        let mut customer = self.name.clone();
        match self.dice.below(10) {
            0 | 1 => {
                let action = Action::Release { reservation, customer: customer_id(&customer) };
                self.submit(action).await?;
                return Ok(None);
            }
            2 => {
                let to = format!("customer {}", self.dice.below(20));
                let transfer = Transfer { reservation, from: customer_id(&customer), to: customer_id(&to) };
                if self.submit(Action::Transfer(transfer)).await?.is_some() {
                    customer = to;
                }
            }
            3 => {
                let action = Action::Extend { reservation, customer: customer_id(&customer), ttl: None };
                self.submit(action).await?;
            }
            _ => {}
        }
        let action = Action::Confirm { reservation, customer: customer_id(&customer) };
        let confirmed = self.ask_for(true, reservation, action).await?;
        Ok(confirmed.then_some((reservation, customer)))
    }

    /// A few tickets, some places of the pool, or neighbours; one in five lasts only shortly.
    fn wish(&mut self) -> (Hold, bool) {
        let first = self.dice.below(TICKETS);
        let tickets: Vec<_> = match self.dice.below(4) {
            0 => Vec::new(),
            1 => vec![nth_ticket(first)],
            _ => vec![nth_ticket(first), nth_ticket((first + 1) % TICKETS)],
        };
        let places = self.dice.below(3);
        let wants_best = places == 0 && tickets.is_empty();
        let of_pool = if places > 0 { vec![(POOL.0, places)] } else { Vec::new() };
        let lines = lines(&tickets, &of_pool);
        let mut hold = Hold::new(self.runtime.reservation_id(), customer_id(&self.name), lines);
        if wants_best {
            hold = hold.with_best_available(area_id("A"), 2);
        }
        let is_short = self.dice.below(5) == 0;
        if is_short {
            hold = hold.with_ttl(SHORT_TTL);
        }
        (hold, is_short)
    }

    /// Asks, and one in five times asks again under the same id: the answer must be the same.
    async fn submit(&mut self, action: Action) -> Result<Option<Receipt>, Failure> {
        let command = Command { event: self.event.clone(), operation: self.runtime.operation_id(), action };
        let answer = self.service.submit(command.clone()).await;
        if self.dice.below(5) == 0
            && let Ok(first) = &answer
        {
            let again = self.service.submit(command).await;
            match again {
                Ok(again) if again.outcome == first.outcome => {}
                Ok(again) => return Err(Failure::new(format!("asked twice: {first:?} and then {again:?}"))),
                Err(BookingError::Rejected(rejection)) if rejection.is_about_load() => {}
                Err(error) => return Err(Failure::from(error).at("asked again after a success")),
            }
        }
        match answer {
            Ok(receipt) => Ok(Some(receipt)),
            Err(BookingError::Rejected(_) | BookingError::OutcomeUnknown(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Confirms or cancels, with a line before it is sent and one when it is answered.
    async fn ask_for(&mut self, confirms: bool, reservation: ReservationId, action: Action) -> Result<bool, Failure> {
        let say = |word| (self.log)(Line { confirms, word, reservation });
        let command = Command { event: self.event.clone(), operation: self.runtime.operation_id(), action };
        say(Word::Sent);
        match self.service.submit(command).await {
            Ok(_) => {
                say(Word::Done);
                Ok(true)
            }
            Err(BookingError::Rejected(_)) => {
                say(Word::Refused);
                Ok(false)
            }
            Err(BookingError::OutcomeUnknown(_)) => {
                say(Word::Unknown);
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// The event of a contest.
pub(super) fn event() -> EventId {
    event_id("contest")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_and_lines_survive_their_way_through_text() {
        let job = Job { event: event(), instance: 3, buyers: 8, rounds: 9, seed: u64::MAX };
        assert_eq!(job.to_string().parse::<Job>().ok(), Some(job));
        for word in [Word::Sent, Word::Done, Word::Refused, Word::Unknown] {
            for confirms in [false, true] {
                let line = Line { confirms, word, reservation: uuid::Uuid::from_u128(7).into() };
                assert_eq!(line.to_string().parse::<Line>().ok(), Some(line));
            }
        }
    }

    #[test]
    fn what_is_no_line_is_refused() {
        assert!("confirm maybe 00000000-0000-0000-0000-000000000007".parse::<Line>().is_err());
        assert!("confirm done".parse::<Line>().is_err());
    }
}
