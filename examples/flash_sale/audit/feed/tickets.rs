//! What may happen to a ticket: who holds it keeps it until the deadline, and who has bought it keeps it.

use std::collections::HashMap;

use uuid::Uuid;

use super::super::books::{Reservation, Row, Ticket, TicketState as State};
use super::super::findings::{Findings, Wrong};
use super::reservations::Reservations;

/// What must be judged at the end of the feed, when the reservations are known.
#[derive(Default)]
pub(super) struct Tickets<'b> {
    given_up: Vec<GivenUp<'b>>,
    /// The tickets that each reservation ever held, and until when.
    held_by: HashMap<Uuid, Vec<(&'b str, i64)>>,
}

/// A ticket that was not kept until the deadline of its hold.
struct GivenUp<'b> {
    ticket: &'b str,
    from: Uuid,
    to: Option<Uuid>,
    decided_at: i64,
}

impl<'b> Tickets<'b> {
    pub(super) fn changed(
        &mut self,
        at: i64,
        id: &'b str,
        before: Option<&Row<Ticket>>,
        after: &Row<Ticket>,
        findings: &mut Findings,
    ) {
        let Row { decided_at, content: Ticket { place, state }, .. } = after;
        if before.is_some_and(|before| before.content.place != *place) {
            findings.add(Wrong::Other, format!("change {at} moves ticket {id} to another place"));
        }
        let mut other = |what: &str| findings.add(Wrong::Other, format!("change {at} {what} ticket {id}"));
        match (before.map(|row| &row.content.state), state) {
            (Some(State::Booked { by }), state) if state.owner() != Some(*by) => {
                findings.sold_twice(id, format!("change {at} takes the sold ticket {id} from {by}"));
            }
            (Some(State::Booked { .. }), _) => other("changes the sold"),
            (_, State::Odd(state)) => other(&format!("makes {state}")),
            (None | Some(State::Odd(_)), State::Available) => {}
            (None | Some(State::Odd(_)), _) => other("begins with a taken"),
            (Some(State::Available), State::Booked { .. }) => other("sells, without holding it, the"),
            (Some(State::Held { by, .. }), State::Booked { by: to }) if by != to => {
                findings.sold_twice(id, format!("change {at} sells ticket {id} to {to}, and {by} holds it"));
            }
            (Some(State::Held { until, .. }), State::Booked { .. }) if until <= decided_at => {
                other("sells, after the deadline, the");
            }
            (Some(State::Held { .. }), State::Booked { .. }) => {}
            (Some(State::Held { by, .. }), State::Held { by: to, .. }) if by == to => other("extends the hold of"),
            (Some(State::Held { by, until }), state) if decided_at < until => {
                let to = state.owner();
                self.given_up.push(GivenUp { ticket: id, from: *by, to, decided_at: *decided_at });
            }
            (Some(State::Held { .. } | State::Available), _) => {}
        }
        if let State::Held { by, until } = state {
            self.held_by.entry(*by).or_default().push((id, *until));
        }
    }

    /// Before its deadline a hold ends only by being given back.
    pub(super) fn check_given_up(&self, reservations: &Reservations, findings: &mut Findings) {
        for GivenUp { ticket, from, to, decided_at } in &self.given_up {
            if reservations.is_released(*from, *decided_at) {
                continue;
            }
            match to {
                Some(to) => {
                    let line = format!("ticket {ticket} went from {from} to {to} before its deadline");
                    findings.sold_twice(ticket, line);
                }
                None => {
                    let line = format!("ticket {ticket} was taken from {from} before its deadline");
                    findings.add(Wrong::Other, line);
                }
            }
        }
    }

    /// All or nothing, also for holds that are long over: a reservation has held each of its tickets, and no other.
    pub(super) fn check_all_or_nothing(
        &self,
        reservations: &HashMap<&Uuid, &Row<Reservation>>,
        history: &Reservations,
        findings: &mut Findings,
    ) {
        let mut ids: Vec<&Uuid> = reservations.keys().copied().chain(self.held_by.keys()).collect();
        ids.sort_unstable();
        ids.dedup();
        for id in ids {
            let held = self.held_by.get(id).map(Vec::as_slice).unwrap_or_default();
            let named = reservations.get(id).map(|row| row.content.lines.tickets.as_slice()).unwrap_or_default();
            for ticket in named.iter().filter(|ticket| held.iter().all(|(held, _)| held != ticket)) {
                findings.add(Wrong::Other, format!("reservation {id} never held its ticket {ticket}"));
            }
            for (ticket, _) in held.iter().filter(|(held, _)| named.iter().all(|ticket| ticket != held)) {
                findings.add(Wrong::Other, format!("reservation {id} held ticket {ticket}, which is not its own"));
            }
            let until = history.held_until(*id);
            for (ticket, _) in held.iter().filter(|(_, kept)| until.is_some_and(|until| *kept != until)) {
                findings.add(Wrong::Other, format!("reservation {id} held ticket {ticket} until another time"));
            }
        }
    }
}
