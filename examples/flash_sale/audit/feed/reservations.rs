//! What may happen to a reservation: it is held, and before its deadline booked or given back, or else it expires.

use std::collections::HashMap;

use uuid::Uuid;

use super::super::books::{Reservation, ReservationState as State, Row};
use super::super::findings::{Findings, Wrong};

/// What must be known of reservations to judge what happened to tickets.
#[derive(Default)]
pub(super) struct Reservations {
    held_until: HashMap<Uuid, i64>,
    released_at: HashMap<Uuid, i64>,
}

impl Reservations {
    /// The deadline that it began with.
    pub(super) fn held_until(&self, id: Uuid) -> Option<i64> {
        self.held_until.get(&id).copied()
    }

    /// Whether it was given back at that time or before.
    pub(super) fn is_released(&self, id: Uuid, at: i64) -> bool {
        self.released_at.get(&id).is_some_and(|released| *released <= at)
    }

    pub(super) fn changed(
        &mut self,
        at: i64,
        id: Uuid,
        before: Option<&Row<Reservation>>,
        after: &Row<Reservation>,
        findings: &mut Findings,
    ) {
        match after.content.state {
            State::Held { until } => _ = self.held_until.entry(id).or_insert(until),
            State::Released => _ = self.released_at.entry(id).or_insert(after.decided_at),
            _ => {}
        }
        let decided_at = after.decided_at;
        let state = &after.content.state;
        let wrong = match (before.map(|row| &row.content.state), state) {
            (None, State::Held { until }) if decided_at < *until => None,
            (None, _) => Some("does not begin as a hold"),
            (Some(State::Held { until }), State::Booked | State::Released) if decided_at < *until => None,
            (Some(State::Held { until }), State::Expired) if *until <= decided_at => None,
            (Some(State::Held { .. }), State::Booked | State::Released) => Some("comes after its deadline"),
            (Some(State::Held { .. }), State::Expired) => Some("comes before its deadline"),
            (Some(State::Held { .. }), State::Held { .. }) => Some("extends it, and nobody asked for that"),
            (Some(State::Held { .. }), State::Odd(_)) => Some("is nothing that anybody asked for"),
            (Some(_), _) => Some("comes after its end"),
        };
        if let Some(wrong) = wrong {
            findings.add(Wrong::Other, format!("change {at} of reservation {id} to {} {wrong}", state.name()));
        }
        let stays = |before: &Reservation| {
            let Reservation { customer, held_at, lines, .. } = &after.content;
            before.customer == *customer && before.held_at == *held_at && before.lines == *lines
        };
        if before.is_some_and(|before| !stays(&before.content)) {
            findings.add(Wrong::Other, format!("change {at} makes another reservation of {id}"));
        }
    }
}
