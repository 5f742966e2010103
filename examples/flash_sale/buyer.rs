//! One buyer: how people behave in a flash sale.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};
use ticket_reservation::domain::{Action, Command, CustomerId, Hold, OperationId, Receipt, ReservationId};
use tokio::time::sleep;

use crate::demand::Wish;
use crate::desk::{Answer, Desk};
use crate::runtime::unix_time;

/// How many choices a buyer tries before giving up.
const CHOICES: u32 = 4;
/// How often a buyer comes back for the same choice when told that it is busy.
const PATIENCE: u32 = 5;
/// How often a buyer comes back who has paid.
const PATIENCE_PAID: u32 = 50;
/// How many in a hundred click twice.
const DOUBLE_CLICKS: f64 = 0.10;

/// How it ends, once places are held.
#[derive(Debug, Clone, Copy)]
enum Ending {
    Pays,
    PaysTooLate,
    GivesBack,
    WalksAway,
}

/// Somebody who wants places. Everything about it comes from the sale's seed and its number.
#[derive(Debug)]
pub(crate) struct Buyer<'d> {
    desk: &'d Desk,
    rng: StdRng,
    /// For what happens more or less often depending on how busy it is, so that nothing else depends on that.
    jitter: StdRng,
    customer: CustomerId,
    ending: Ending,
}

impl<'d> Buyer<'d> {
    /// Buyer number `index`.
    pub(crate) fn new(desk: &'d Desk, index: u64) -> Self {
        // An odd multiplier keeps the seeds of all buyers of a sale apart.
        let seed = desk.seed ^ (index + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let (mut rng, jitter) = (StdRng::seed_from_u64(seed), StdRng::seed_from_u64(!seed));
        let ending = match rng.random_range(0..100) {
            0..5 => Ending::GivesBack,
            5..9 => Ending::WalksAway,
            9..14 if !desk.pay.is_zero() => Ending::PaysTooLate,
            _ => Ending::Pays,
        };
        // Digits behind a word are always an id.
        let customer = CustomerId::new(format!("buyer-{index}")).expect("a valid id");
        Self { desk, rng, jitter, customer, ending }
    }

    /// Tries some choices, holds, pays and confirms, or not.
    pub(crate) async fn buy(mut self) {
        self.desk.meter.started();
        for attempt in 0..CHOICES {
            if attempt > 0 {
                self.spend(0.3).await;
            }
            let wish = self.desk.demand.draw(&mut self.rng, attempt);
            if let Some((reservation, places)) = self.hold(&wish).await {
                self.finish(reservation, places).await;
                break;
            }
        }
        self.desk.meter.finished();
    }

    async fn hold(&mut self, wish: &Wish) -> Option<(ReservationId, u32)> {
        let reservation = ReservationId::from_parts(unix_time(), self.random_bytes());
        let mut hold = Hold::new(reservation, self.customer.clone(), self.desk.demand.lines(wish));
        if let Some((area, quantity)) = &wish.best_available {
            hold = hold.with_best_available(area.clone(), *quantity);
        }
        let receipt = self.request(Action::Hold(hold), PATIENCE).await?;
        let places = receipt.outcome.reservation().map_or(0, |reservation| reservation.lines.places());
        self.desk.meter.held(places);
        Some((reservation, places))
    }

    async fn finish(&mut self, reservation: ReservationId, places: u32) {
        let customer = self.customer.clone();
        let meter = &self.desk.meter;
        match self.ending {
            Ending::WalksAway => meter.left_behind(places, self.desk.hold_ttl),
            Ending::GivesBack => {
                self.spend(0.5).await;
                let released = self.request(Action::Release { reservation, customer }, PATIENCE).await;
                match released {
                    Some(_) => meter.freed(places),
                    None => meter.left_behind(places, self.desk.hold_ttl),
                }
            }
            Ending::Pays | Ending::PaysTooLate => {
                match self.ending {
                    Ending::PaysTooLate => sleep(self.desk.hold_ttl.mul_f64(self.rng.random_range(1.0..1.1))).await,
                    _ => self.spend(1.0).await,
                }
                match self.request(Action::Confirm { reservation, customer }, PATIENCE_PAID).await {
                    Some(_) => meter.sold(places),
                    None => meter.freed(places),
                }
            }
        }
    }

    /// Asks until there is an answer that stands, or patience ends. Always under one operation id.
    async fn request(&mut self, action: Action, patience: u32) -> Option<Receipt> {
        let operation = OperationId::from_parts(unix_time(), self.random_bytes());
        let command = Command { event: self.desk.event.clone(), operation, action };
        let double_click = self.rng.random_bool(DOUBLE_CLICKS);
        let mut answer = if double_click { self.desk.ask_twice(&command).await } else { self.desk.ask(&command).await };
        for _ in 0..patience {
            match answer {
                Answer::Done(receipt) => return Some(*receipt),
                Answer::No => return None,
                Answer::Busy(wait) => {
                    sleep(wait.mul_f64(self.jitter.random_range(0.75..1.25))).await;
                    answer = self.desk.ask(&command).await;
                }
            }
        }
        match answer {
            Answer::Done(receipt) => Some(*receipt),
            _ => None,
        }
    }

    /// Takes a share of the time that paying takes, half as long or up to half as long again.
    async fn spend(&mut self, share: f64) {
        let pay: Duration = self.desk.pay;
        if !pay.is_zero() {
            sleep(pay.mul_f64(share * self.rng.random_range(0.5..1.5))).await;
        }
    }

    fn random_bytes(&mut self) -> [u8; 10] {
        let mut bytes = [0; 10];
        self.rng.fill_bytes(&mut bytes);
        bytes
    }
}
