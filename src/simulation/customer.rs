//! Who buys: holds, pays or not, changes their mind, and asks again when they do not know.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::clock::time_of_day;
use super::dice::Dice;
use super::executor::ProcessId;
use super::fault::Fault;
use super::hall;
use super::history::Reply;
use super::shop::{Heard, Shop};
use crate::domain::{
    Action, Command, CustomerId, EventId, Hold, Lines, OperationId, Receipt, Rejection, ReservationId, Timestamp,
    Transfer,
};
use crate::ports::Clock;

/// How often someone asks again who does not know.
const TRIES_MAX: usize = 8;

/// One customer.
#[derive(Debug)]
pub(super) struct Customer {
    pub(super) shop: Arc<Shop>,
    pub(super) dice: Dice,
    pub(super) name: CustomerId,
    pub(super) is_closing: Arc<AtomicBool>,
}

impl Customer {
    /// Buys one thing after another until the shop closes.
    pub(super) async fn buy(mut self) {
        while !self.is_closing.load(Ordering::Relaxed) {
            let pace = self.dice.millis(0, self.shop.settings.pace_ms);
            self.shop.executor.sleep(pace).await;
            if self.dice.per_mille(20) {
                self.block_a_seat().await;
            } else if self.dice.per_mille(60) {
                self.ask_oddly().await;
            } else {
                self.purchase().await;
            }
        }
    }

    async fn purchase(&mut self) {
        let reservation = self.new_reservation();
        let hold = self.hold(reservation);
        self.shop.tell_of(reservation);
        if self.insist(Action::Hold(hold)).await.is_none() {
            return;
        }
        self.think().await;
        while self.dice.per_mille(300) {
            let ttl = if self.dice.per_mille(500) { Some(self.dice.millis(1_000, 20_000)) } else { None };
            let customer = self.name.clone();
            self.insist(Action::Extend { reservation, customer, ttl }).await;
            self.think().await;
        }
        let mut owner = self.give_away(reservation, self.name.clone()).await;
        match self.dice.below(10) {
            // Lets it expire.
            0 => {}
            1 | 2 => {
                self.insist(Action::Release { reservation, customer: owner }).await;
            }
            3 if self.dice.per_mille(300) => {
                // Who may not.
                let stranger = hall::customer(3_000);
                let may_not = *self.dice.one_of(&[0, 1, 2, 3]);
                let action = match may_not {
                    0 => Action::Confirm { reservation, customer: stranger },
                    1 => Action::Release { reservation, customer: stranger },
                    2 => Action::Transfer(Transfer { reservation, from: stranger.clone(), to: stranger }),
                    _ => Action::Cancel { reservation, customer: owner },
                };
                self.insist(action).await;
            }
            _ => {
                let confirm = Action::Confirm { reservation, customer: owner.clone() };
                if self.insist(confirm).await.is_some() && self.dice.per_mille(980) {
                    self.think().await;
                    owner = self.give_away(reservation, owner).await;
                    self.insist(Action::Cancel { reservation, customer: owner }).await;
                }
            }
        }
    }

    /// To somebody else, perhaps, and on from there. Answers whose it is.
    async fn give_away(&mut self, reservation: ReservationId, mut owner: CustomerId) -> CustomerId {
        while self.dice.per_mille(100) {
            let (from, to) = (owner.clone(), hall::customer(self.dice.below(40)));
            if self.insist(Action::Transfer(Transfer { reservation, from, to: to.clone() })).await.is_some() {
                owner = to;
            }
        }
        owner
    }

    async fn block_a_seat(&mut self) {
        let tickets = vec![hall::any_ticket(&self.shop.settings, &mut self.dice)];
        let block = Action::Block { tickets: tickets.clone(), reason: hall::reason() };
        self.insist(block).await;
        self.think().await;
        // Also if it is not known whether it is blocked.
        for _ in 0..3 {
            if self.insist(Action::Unblock { tickets: tickets.clone() }).await.is_some() {
                return;
            }
            self.think().await;
        }
    }

    fn hold(&mut self, reservation: ReservationId) -> Hold {
        let settings = &self.shop.settings;
        let dice = &mut self.dice;
        let wants_seats = settings.pools.is_empty() || !dice.per_mille(settings.standing_per_mille);
        let tickets = if wants_seats { dice.between(1, 3) } else { 0 };
        let tickets: Vec<_> = (0..tickets).map(|_| hall::any_ticket(settings, dice)).collect();
        let wants_places = !settings.pools.is_empty() && (!wants_seats || dice.per_mille(300));
        let pools = if wants_places { dice.between(1, 2) } else { 0 };
        let pools: Vec<_> =
            (0..pools).map(|_| (hall::pool(dice.below(settings.pools.len())), dice.between(1, 3) as u32)).collect();
        let mut hold = Hold::new(reservation, self.name.clone(), Lines::merge(tickets, pools).unwrap_or_default());
        if wants_seats && dice.per_mille(250) {
            hold.lines = Lines::default();
            hold = hold.with_best_available(hall::area(), dice.between(1, 3) as u32);
        }
        if dice.per_mille(300) {
            hold = hold.with_ttl(dice.millis(500, 20_000));
        }
        hold
    }

    /// Some time, as paying takes: mostly less than a hold lasts.
    async fn think(&mut self) {
        let ttl = self.shop.settings.hold_ttl.as_millis() as u64;
        let longest = *self.dice.one_of(&[50, ttl / 2, ttl / 2, ttl * 3 / 2]);
        let thinks = self.dice.millis(0, longest);
        self.shop.executor.sleep(thinks).await;
    }

    /// Asks until there is an answer, or patience ends. Always under the same operation id.
    pub(super) async fn insist(&mut self, action: Action) -> Option<Receipt> {
        self.insist_at(hall::event(), action).await
    }

    /// The same of whichever event.
    pub(super) async fn insist_at(&mut self, event: EventId, action: Action) -> Option<Receipt> {
        let command = Command { event, operation: self.new_operation(), action };
        let answer = self.ask_until_answered(&command).await;
        if self.shop.settings.forgets() && self.dice.per_mille(120) {
            self.come_back_later(command);
        } else if answer.is_some() && self.dice.per_mille(40) {
            self.use_its_id_again(command).await;
        }
        answer
    }

    /// Somebody asks once more, when the operation may be forgotten, or will be soon.
    fn come_back_later(&mut self, command: Command) {
        let retention = u64::try_from(self.shop.settings.retention.as_millis()).unwrap_or(u64::MAX);
        let is_soon = self.dice.per_mille(500);
        let (first, last) = if is_soon { (retention - 8_000, retention) } else { (retention / 3, retention * 3 / 2) };
        let later = self.dice.millis(first, last);
        let (shop, is_closing) = (Arc::clone(&self.shop), Arc::clone(&self.is_closing));
        let mut again = Self { shop, is_closing, dice: self.dice.another(), name: self.name.clone() };
        let resolves = self.dice.per_mille(500);
        let comes_back = async move {
            again.shop.executor.sleep(later).await;
            if again.is_closing.load(Ordering::Relaxed) {
                return;
            }
            if let Heard::Reply(Reply::Unknown) | Heard::Nothing = again.ask(&command, resolves).await {
                again.ask(&command, true).await;
            }
        };
        self.shop.executor.spawn(ProcessId::OUTSIDE, 0, Box::pin(comes_back));
    }

    /// By the clock of the process that is asked for it. Until the shop closes some keep it for nearly as long as it is good.
    fn new_operation(&mut self) -> OperationId {
        let seller = self.dice.below(self.shop.sellers.len());
        let mut made_at = self.shop.sellers[seller].clock.unix_time();
        let is_closing = self.is_closing.load(Ordering::Relaxed);
        if self.shop.settings.forgets() && !is_closing && self.dice.per_mille(60) {
            made_at = made_at.before(self.shop.settings.retention - self.dice.millis(0, 8_000));
        }
        OperationId::from_parts(made_at, self.ten_bytes())
    }

    async fn ask_until_answered(&mut self, command: &Command) -> Option<Receipt> {
        let mut is_unknown = false;
        for _ in 0..TRIES_MAX {
            let resolves = is_unknown && self.dice.per_mille(700);
            match self.ask(command, resolves).await {
                Heard::Reply(Reply::Done(receipt)) => {
                    // Who lost the answer asks again.
                    if self.dice.per_mille(80) {
                        self.ask(command, false).await;
                    }
                    return Some(receipt);
                }
                Heard::Reply(Reply::Refused(rejection)) if is_final(&rejection) => return None,
                Heard::Reply(Reply::Refused(_) | Reply::Failed) | Heard::Closed => {}
                Heard::Reply(Reply::Unknown) | Heard::Nothing => is_unknown = true,
            }
            let pause = self.dice.millis(5, 4_000);
            self.shop.executor.sleep(pause).await;
        }
        None
    }

    pub(super) async fn ask(&mut self, command: &Command, resolves: bool) -> Heard {
        let shop = Arc::clone(&self.shop);
        let seller = &shop.sellers[self.dice.below(shop.sellers.len())];
        let goes_away = shop.trouble.has(Fault::CallDropped) && self.dice.per_mille(40);
        let patience = if goes_away { Some(self.dice.millis(0, 40)) } else { None };
        shop.ask(seller, command.clone(), resolves, patience).await
    }

    pub(super) fn new_reservation(&mut self) -> ReservationId {
        ReservationId::from_parts(self.now(), self.ten_bytes())
    }

    fn now(&self) -> Timestamp {
        time_of_day(self.shop.executor.elapsed())
    }

    fn ten_bytes(&mut self) -> [u8; 10] {
        let mut bytes = [0; 10];
        bytes[..8].copy_from_slice(&self.dice.next().to_be_bytes());
        bytes[8..].copy_from_slice(&self.dice.next().to_be_bytes()[..2]);
        bytes
    }
}

/// Whether it is of no use to ask again soon.
fn is_final(rejection: &Rejection) -> bool {
    !matches!(
        rejection,
        Rejection::Contended { .. } | Rejection::Overloaded | Rejection::DeadlinePassed | Rejection::ShuttingDown
    )
}
