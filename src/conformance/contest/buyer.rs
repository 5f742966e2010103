use std::sync::Arc;
use std::time::Duration;

use super::{Asked, Dice, Line, Log, POOL, TICKETS, Word};
use crate::booking::{BookingError, BookingService};
use crate::conformance::bench::{area_id, customer_id, lines, nth_ticket};
use crate::conformance::check::{Checked, Failure};
use crate::domain::{Action, Command, EventId, Hold, Receipt, ReservationId, Transfer};
use crate::ports::{Runtime, RuntimeExt};

/// How long a hold lasts that its buyer does not mean to confirm in time.
const SHORT_TTL: Duration = Duration::from_millis(40);

pub(super) struct Buyer {
    pub(super) service: BookingService,
    pub(super) runtime: Arc<dyn Runtime>,
    pub(super) event: EventId,
    pub(super) name: String,
    pub(super) dice: Dice,
    pub(super) log: Log,
}

impl Buyer {
    pub(super) async fn buy(mut self, rounds: u32) -> Checked {
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
                self.ask_for(Asked::Cancel, reservation, action).await?;
            }
        }
        Ok(())
    }

    async fn one_round(&mut self) -> Result<Option<(ReservationId, String)>, Failure> {
        let (hold, is_short) = self.wish();
        let reservation = hold.reservation;
        if !self.ask_for(Asked::Hold, reservation, Action::Hold(hold)).await? {
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
                if self.submit(Action::Transfer(transfer)).await? == Word::Done {
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
        let confirmed = self.ask_for(Asked::Confirm, reservation, action).await?;
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

    /// Asks, with a line before it is sent and one when it is answered.
    async fn ask_for(&mut self, asked: Asked, reservation: ReservationId, action: Action) -> Result<bool, Failure> {
        (self.log)(Line { asked, word: Word::Sent, reservation });
        let word = self.submit(action).await?;
        (self.log)(Line { asked, word, reservation });
        Ok(word == Word::Done)
    }

    /// Asks, and after one in five successes asks again under the same id: the answer must be the same.
    async fn submit(&mut self, action: Action) -> Result<Word, Failure> {
        let command = Command { event: self.event.clone(), operation: self.runtime.operation_id(), action };
        match self.service.submit(command.clone()).await {
            Ok(receipt) => {
                if self.dice.below(5) == 0 {
                    self.ask_again(command, &receipt).await?;
                }
                Ok(Word::Done)
            }
            Err(BookingError::Rejected(_)) => Ok(Word::Refused),
            Err(BookingError::OutcomeUnknown(_)) => Ok(Word::Unknown),
            Err(error) => Err(error.into()),
        }
    }

    async fn ask_again(&self, command: Command, first: &Receipt) -> Checked {
        match self.service.submit(command).await {
            Ok(again) if again.outcome == first.outcome => Ok(()),
            Ok(again) => Err(Failure::new(format!("asked twice: {first:?} and then {again:?}"))),
            Err(BookingError::Rejected(rejection)) if rejection.is_about_load() => Ok(()),
            Err(error) => Err(Failure::from(error).at("asked again after a success")),
        }
    }
}
