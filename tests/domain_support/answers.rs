//! Answers against the model, and the model after them. These are the only ways in which it changes: a booking ends by a
//! cancellation and by nothing else.

use std::collections::BTreeMap;
use std::rc::Rc;

use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use ticket_reservation::domain::{
    Action, Command, CreateEvent, Hold, Import, Outcome, Receipt, Rejection, Reservation, ReservationState, Transfer,
};

use super::judge::{At, subject};
use super::model::{Booking, Model, Sale, Status};

type Answer<'a> = Result<&'a Receipt, &'a Rejection>;

impl Model {
    /// Against the answer that is written down under the operation's id.
    pub(crate) fn check_repetition(&self, command: &Command, answer: Answer<'_>) -> TestCaseResult {
        let done = self.done.get(&command.operation).map(|it| (&it.0, &it.1));
        match (self.voided.get(&command.operation), done) {
            (Some(asked), _) if **asked == *command && command.check().is_ok() => {
                prop_assert_eq!(answer.err(), Some(&Rejection::OperationVoided));
            }
            (None, Some((asked, first))) if asked == command => {
                let expected = Receipt { repeated: true, ..first.clone() };
                prop_assert_eq!(answer.ok(), Some(&expected), "a repeated success is the same success");
            }
            (None, None) => return Err(TestCaseError::fail(format!("recorded, and never asked: {command:?}"))),
            _ => {
                let refused = matches!(answer, Err(Rejection::OperationReused | Rejection::InvalidLines(_)));
                prop_assert!(refused, "other content under a used id: {:?}", answer);
            }
        }
        Ok(())
    }

    /// Against what the model says of a command that nothing is written down about.
    pub(crate) fn check_answer(&self, command: &Command, answer: Answer<'_>, at: At<'_>) -> TestCaseResult {
        let reasons = self.reasons_against(command, at);
        let known = self.done.contains_key(&command.operation) || self.voided.contains_key(&command.operation);
        let purged = command.operation.made_at() < self.purged_before;
        prop_assert!(!known || purged, "the record of {:?} is gone without a purge", command);
        match answer {
            Ok(receipt) => {
                prop_assert!(!known, "an operation that is over took effect: {:?}", command);
                prop_assert!(reasons.is_empty(), "{:?} succeeds at {:?} in spite of {:?}", command, at, reasons);
                prop_assert!(!receipt.repeated, "a first success is told to be a repetition");
                let told = (receipt.operation, receipt.kind, receipt.at);
                prop_assert_eq!(told, (command.operation, command.kind(), at.now));
            }
            // A clock that has stepped back does not see all that is over: it may refuse more.
            Err(_) if at.clock < self.latest => {}
            Err(rejection) => {
                let why = rejection.kind();
                prop_assert!(reasons.contains(why), "{:?} is refused at {:?}: {}, not {:?}", command, at, why, reasons);
                prop_assert!(
                    self.tells_the_truth(command, rejection, at),
                    "{:?} is told at {:?}: {:?}",
                    command,
                    at,
                    rejection
                );
            }
        }
        Ok(())
    }

    /// Carries a success out.
    pub(crate) fn apply(&mut self, command: &Command, receipt: &Receipt) -> TestCaseResult {
        self.done.insert(command.operation, Rc::new((command.clone(), receipt.clone())));
        let changed = match &command.action {
            Action::CreateEvent(terms) => self.create(command, terms),
            Action::Import(import) => self.import(command, import),
            Action::Block { tickets, reason } => {
                let Some(sale) = self.sales.get_mut(&command.event) else { return unknown(command) };
                let blocked = sale.blocked.len();
                sale.blocked.extend(tickets.iter().map(|ticket| (ticket.clone(), reason.clone())));
                sale.blocked.len() - blocked
            }
            Action::Unblock { tickets } => {
                let Some(sale) = self.sales.get_mut(&command.event) else { return unknown(command) };
                let blocked = sale.blocked.len();
                sale.blocked.retain(|ticket, _| !tickets.contains(ticket));
                blocked - sale.blocked.len()
            }
            Action::Hold(hold) => return self.hold(command, hold, receipt),
            action => return self.change(command, action, receipt),
        };
        let changed = u32::try_from(changed).expect("so few of them");
        prop_assert_eq!(&receipt.outcome, &Outcome::Inventory { changed }, "{:?}", command);
        Ok(())
    }

    fn create(&mut self, command: &Command, terms: &CreateEvent) -> usize {
        let sale = Sale {
            terms: terms.clone(),
            on_sale: false,
            places: BTreeMap::new(),
            blocked: BTreeMap::new(),
            capacities: BTreeMap::new(),
        };
        self.sales.insert(command.event.clone(), sale);
        0
    }

    fn import(&mut self, command: &Command, import: &Import) -> usize {
        let Some(sale) = self.sales.get_mut(&command.event) else { return usize::MAX };
        let before = sale.places.len() + sale.capacities.len();
        sale.places.extend(import.tickets.iter().cloned());
        sale.capacities.extend(import.pools.iter().cloned());
        sale.on_sale |= import.last;
        sale.places.len() + sale.capacities.len() - before
    }

    fn hold(&mut self, command: &Command, hold: &Hold, receipt: &Receipt) -> TestCaseResult {
        let Some(reservation) = receipt.outcome.reservation() else { return unknown(command) };
        let until = receipt.at.after(hold.ttl.unwrap_or(self.policies.hold_ttl));
        let expected = Reservation {
            id: hold.reservation,
            event: command.event.clone(),
            customer: hold.customer.clone(),
            lines: reservation.lines.clone(),
            state: ReservationState::Held { until },
            held_at: receipt.at,
        };
        prop_assert_eq!(reservation, &expected);
        prop_assert_eq!(reservation.lines.pools(), hold.lines.pools());
        let named = hold.lines.tickets();
        let (kept, chosen): (Vec<_>, Vec<_>) = reservation.lines.tickets().iter().partition(|it| named.contains(it));
        prop_assert_eq!(kept, named.iter().collect::<Vec<_>>(), "all that is named is held");
        let wanted = hold.best_available.as_ref().map_or(0, |best| best.quantity);
        prop_assert_eq!(chosen.len(), wanted as usize);
        if let Some(best) = &hold.best_available {
            let sale = &self.sales[&command.event];
            let mut places: Vec<_> = chosen.iter().map(|ticket| &sale.places[*ticket]).collect();
            places.sort();
            let adjacent = places.iter().zip(u64::from(places[0].number)..).all(|(place, nth)| {
                (&place.area, place.row, u64::from(place.number)) == (&best.area, places[0].row, nth)
            });
            prop_assert!(adjacent, "best available chose {:?}", places);
        }
        // Chosen or named: nobody else may have any of it.
        let taken = self.taken(&command.event, reservation.lines.tickets(), receipt.at, None);
        prop_assert!(taken.is_empty(), "{:?} are held, and were taken", taken);
        let booking = Booking {
            event: command.event.clone(),
            customer: hold.customer.clone(),
            lines: reservation.lines.clone(),
            held_at: receipt.at,
            status: Status::Held(until),
        };
        self.bookings.insert(hold.reservation, booking);
        Ok(())
    }

    fn change(&mut self, command: &Command, action: &Action, receipt: &Receipt) -> TestCaseResult {
        let max = self.policies.hold_ttl_max;
        let ttl_of_policy = self.policies.hold_ttl;
        let Some((id, _)) = subject(action) else { return unknown(command) };
        let Some(booking) = self.bookings.get_mut(&id) else { return unknown(command) };
        booking.status = match (action, booking.status) {
            (Action::Extend { ttl, .. }, Status::Held(before)) => {
                let wanted = receipt.at.after(ttl.unwrap_or(ttl_of_policy));
                Status::Held(wanted.min(booking.held_at.after(max)).max(before))
            }
            (Action::Confirm { .. }, _) => Status::Booked,
            (Action::Release { .. }, _) => Status::Released,
            (Action::Cancel { .. }, Status::Booked) => Status::Cancelled,
            (Action::Transfer(Transfer { to, .. }), status) => {
                booking.customer = to.clone();
                status
            }
            _ => return unknown(command),
        };
        let expected = Reservation {
            id,
            event: booking.event.clone(),
            customer: booking.customer.clone(),
            lines: booking.lines.clone(),
            state: match booking.status {
                Status::Held(until) => ReservationState::Held { until },
                Status::Booked => ReservationState::Booked,
                Status::Released => ReservationState::Released,
                Status::Cancelled => ReservationState::Cancelled,
            },
            held_at: booking.held_at,
        };
        prop_assert_eq!(receipt.outcome.reservation(), Some(&expected), "{:?}", action);
        Ok(())
    }
}

fn unknown(command: &Command) -> TestCaseResult {
    Err(TestCaseError::fail(format!("the model cannot follow {command:?}")))
}
