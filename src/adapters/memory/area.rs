//! The index of one area's tickets.

use std::collections::{BTreeSet, HashSet};

use crate::domain::{TicketId, TicketState, Timestamp};

/// The tickets of an area, which of them are, or by themselves become, available, and how many are not.
#[derive(Default)]
pub(super) struct AreaIndex {
    pub(super) tickets: BTreeSet<TicketId>,
    pub(super) available: HashSet<TicketId>,
    pub(super) held: BTreeSet<(Timestamp, TicketId)>,
    pub(super) booked: u64,
    pub(super) blocked: u64,
}

impl AreaIndex {
    pub(super) fn add(&mut self, id: &TicketId, state: &TicketState) {
        self.tickets.insert(id.clone());
        self.list(id, state);
    }

    pub(super) fn remove(&mut self, id: &TicketId, state: &TicketState) {
        self.tickets.remove(id);
        self.unlist(id, state);
    }

    pub(super) fn change(&mut self, id: &TicketId, before: &TicketState, after: &TicketState) {
        self.unlist(id, before);
        self.list(id, after);
    }

    fn list(&mut self, id: &TicketId, state: &TicketState) {
        match state {
            TicketState::Available => {
                self.available.insert(id.clone());
            }
            TicketState::Held { until, .. } => {
                self.held.insert((*until, id.clone()));
            }
            TicketState::Booked { .. } => self.booked += 1,
            TicketState::Blocked { .. } => self.blocked += 1,
        }
    }

    fn unlist(&mut self, id: &TicketId, state: &TicketState) {
        match state {
            TicketState::Available => {
                self.available.remove(id);
            }
            TicketState::Held { until, .. } => {
                self.held.remove(&(*until, id.clone()));
            }
            TicketState::Booked { .. } => self.booked -= 1,
            TicketState::Blocked { .. } => self.blocked -= 1,
        }
    }

    /// How many of the tickets that are held are available at `now`.
    pub(super) fn lapsed(&self, now: Timestamp) -> usize {
        self.held.iter().take_while(|(until, _)| *until <= now).count()
    }

    /// The tickets that are available at `now`, in the order of their ids.
    pub(super) fn free(&self, now: Timestamp) -> Vec<TicketId> {
        let lapsed = self.held.iter().take_while(|(until, _)| *until <= now).map(|(_, id)| id);
        let mut free: Vec<TicketId> = self.available.iter().chain(lapsed).cloned().collect();
        free.sort_unstable();
        free
    }
}
