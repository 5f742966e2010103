//! What customers ask for that cannot be: what is somebody else's, what is not so, and what is not there.

use super::customer::Customer;
use super::hall;
use crate::domain::{Action, Command, CustomerId, EventId, Hold, Lines, PoolId, ReservationId, TicketId, Transfer};

impl Customer {
    pub(super) async fn ask_oddly(&mut self) {
        match self.dice.below(8) {
            0..3 => {
                let Some(reservation) = self.somebodys() else { return };
                let action = self.anything(reservation, self.name.clone());
                self.insist(action).await;
            }
            3 => {
                let (nobodys, customer) = (self.new_reservation(), self.name.clone());
                let action = self.anything(nobodys, customer);
                self.insist(action).await;
            }
            4 => {
                let nowhere = TicketId::new("0-0").expect("an id");
                let action = self.hold_of(Lines::merge([nowhere], []).unwrap_or_default());
                self.insist(action).await;
            }
            5 => {
                let nowhere = PoolId::new("nowhere").expect("an id");
                let action = self.hold_of(Lines::merge([], [(nowhere, 1)]).unwrap_or_default());
                self.insist(action).await;
            }
            6 => {
                let tickets = vec![hall::any_ticket(&self.shop.settings, &mut self.dice)];
                self.insist(Action::Unblock { tickets }).await;
            }
            _ => {
                let elsewhere = EventId::new("elsewhere").expect("an id");
                let ticket = hall::any_ticket(&self.shop.settings, &mut self.dice);
                let action = match self.somebodys() {
                    Some(reservation) => self.anything(reservation, self.name.clone()),
                    None => self.hold_of(Lines::merge([ticket], []).unwrap_or_default()),
                };
                self.insist_at(elsewhere, action).await;
            }
        }
    }

    /// By mistake, for something else.
    pub(super) async fn use_its_id_again(&mut self, command: Command) {
        let ticket = hall::any_ticket(&self.shop.settings, &mut self.dice);
        let action = self.hold_of(Lines::merge([ticket], []).unwrap_or_default());
        let resolves = self.dice.per_mille(300);
        self.ask(&Command { action, ..command }, resolves).await;
    }

    fn hold_of(&mut self, lines: Lines) -> Action {
        Action::Hold(Hold::new(self.new_reservation(), self.name.clone(), lines))
    }

    /// One of which they have heard.
    fn somebodys(&mut self) -> Option<ReservationId> {
        self.shop.overheard(&mut self.dice)
    }

    fn anything(&mut self, reservation: ReservationId, customer: CustomerId) -> Action {
        match self.dice.below(5) {
            0 => Action::Confirm { reservation, customer },
            1 => Action::Release { reservation, customer },
            2 => Action::Cancel { reservation, customer },
            3 => Action::Extend { reservation, customer, ttl: None },
            _ => Action::Transfer(Transfer { reservation, from: customer.clone(), to: customer }),
        }
    }
}
