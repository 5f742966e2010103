//! What everything was, from moment to moment.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Evidence;
use crate::domain::{
    Action, CustomerId, LatePayment, OperationId, Place, PoolId, Record, RecordKey, Recorded, Reservation,
    ReservationId, SalesWindow, TicketId, TicketState, Timestamp,
};
use crate::ports::Change;
use crate::simulation::store_log::Written;

/// What something was, from each moment on at which that changed.
pub(super) type Course<T> = Vec<(Duration, T)>;

/// The course of everything that answers speak of.
#[derive(Debug, Default)]
pub(super) struct Courses {
    /// Since when there is the event.
    pub(super) event_since: Duration,
    /// When its places may be held.
    pub(super) window: SalesWindow,
    pub(super) tickets: BTreeMap<TicketId, Course<TicketState>>,
    /// How many places are neither held nor booked. A commit is several decisions at one moment: what some of them take counts first,
    /// and then what others give back.
    pub(super) pools: BTreeMap<PoolId, Course<u64>>,
    pub(super) reservations: BTreeMap<ReservationId, Course<(Reservation, Timestamp)>>,
    /// How many operations were done to a reservation at one moment.
    pub(super) deeds: BTreeMap<(ReservationId, Timestamp), usize>,
    /// When each operation was done, by the clock of the world.
    pub(super) done_at: BTreeMap<OperationId, Duration>,
    /// How many operations were done to a ticket by the commits of one moment.
    ticket_deeds: BTreeMap<(TicketId, Duration), usize>,
    /// The hall, row by row.
    pub(super) places: BTreeMap<Place, TicketId>,
    /// How many places a customer has. What several decisions of one moment take counts first.
    pub(super) customers: BTreeMap<CustomerId, Course<u64>>,
}

impl Courses {
    pub(super) fn of(evidence: &Evidence) -> Self {
        let places = evidence.tickets.iter().map(|(id, (_, ticket))| (ticket.place.clone(), id.clone())).collect();
        let event_since = evidence.log.commits.first().map_or(Duration::MAX, |(_, at)| *at);
        let mut courses = Self { event_since, places, window: evidence.window, ..Self::default() };
        let actions: BTreeMap<_, _> =
            evidence.calls.iter().map(|call| (call.command.operation, &call.command.action)).collect();
        for Written { id: operation, decided_at, when, record } in &evidence.log.operations {
            let Recorded::Applied { reservation, .. } = record.recorded else { continue };
            courses.done_at.insert(*operation, *when);
            let tickets = match (reservation, actions.get(operation)) {
                (Some(id), _) => {
                    *courses.deeds.entry((id, *decided_at)).or_default() += 1;
                    evidence.reservations.get(&id).map_or(&[][..], |(_, it)| it.lines.tickets())
                }
                (None, Some(Action::Block { tickets, .. } | Action::Unblock { tickets })) => tickets,
                (None, _) => &[],
            };
            for ticket in tickets {
                *courses.ticket_deeds.entry((ticket.clone(), *when)).or_default() += 1;
            }
        }
        let mut rest = evidence.log.changes.as_slice();
        for (sequence, at) in &evidence.log.commits {
            let commit;
            (commit, rest) = rest.split_at(rest.partition_point(|change| change.sequence <= *sequence));
            courses.add(*at, commit, evidence.late_payment);
        }
        courses
    }

    /// Whether a ticket was so at some moment of a call. Where one of its commits did several things to it, of which the feed has the
    /// last, it may have been anything.
    pub(super) fn ticket_was(
        &self,
        ticket: &TicketId,
        (began, ended): (Duration, Duration),
        is_so: impl Fn(&TicketState) -> bool,
    ) -> bool {
        let course = self.tickets.get(ticket).map_or(&[][..], Vec::as_slice);
        let are_several = |at| self.ticket_deeds.get(&(ticket.clone(), at)).is_some_and(|deeds| *deeds > 1);
        since(course, began, ended).any(|(at, state)| is_so(state) || at >= began && are_several(at))
    }

    fn add(&mut self, at: Duration, commit: &[Change], late: LatePayment) {
        let mut taken: BTreeMap<&PoolId, u64> = BTreeMap::new();
        for change in commit {
            if let Record::Reservation(reservation) = &change.record
                && (change.version == 1 || late == LatePayment::RebookIfFree)
            {
                for (pool, quantity) in reservation.lines.pools() {
                    *taken.entry(pool).or_default() += u64::from(*quantity);
                }
            }
        }
        for change in commit {
            if let Record::Reservation(reservation) = &change.record {
                let course = self.customers.entry(reservation.customer.clone()).or_default();
                let before = course.last().map_or(0, |(_, had)| *had);
                course.push((at, before + u64::from(reservation.lines.places())));
            }
        }
        for change in commit {
            match (&change.key, &change.record) {
                (RecordKey::Allowance(id), Record::Allowance(allowance)) => {
                    let course = self.customers.entry(id.clone()).or_default();
                    course.push((at, u64::from(allowance.held) + u64::from(allowance.booked)));
                }
                (RecordKey::Ticket(id), Record::Ticket(ticket)) => {
                    self.tickets.entry(id.clone()).or_default().push((at, ticket.state.clone()));
                }
                (RecordKey::Pool(id), Record::Pool(pool)) => {
                    let course = self.pools.entry(id.clone()).or_default();
                    let before = course.last().map(|(_, free)| *free);
                    let lowest = before.map(|free| free.saturating_sub(taken.get(id).copied().unwrap_or_default()));
                    course.extend(lowest.map(|free| (at, free)));
                    course.push((at, u64::from(pool.free())));
                }
                (RecordKey::Reservation(id), Record::Reservation(reservation)) => {
                    let course = self.reservations.entry(*id).or_default();
                    course.push((at, (reservation.clone(), change.decided_at)));
                }
                _ => {}
            }
        }
    }
}

/// What it was from the beginning to the end of a call, at one moment or another.
pub(super) fn within<T>(course: &[(Duration, T)], from: Duration, to: Duration) -> impl Iterator<Item = &T> {
    since(course, from, to).map(|(_, it)| it)
}

/// The same, with since when it was so.
fn since<T>(course: &[(Duration, T)], from: Duration, to: Duration) -> impl Iterator<Item = (Duration, &T)> {
    // What it was when the call began, before the commits of that very moment.
    let first = course.partition_point(|(at, _)| *at < from).saturating_sub(1);
    let last = course.partition_point(|(at, _)| *at <= to);
    course[first..last].iter().map(|(at, it)| (*at, it))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_call_sees_what_was_so_when_it_began_and_what_came_until_its_end() {
        let course = vec![(at(1), 'a'), (at(3), 'b'), (at(5), 'c'), (at(5), 'd'), (at(8), 'e')];
        let seen = |from, to| within(&course, at(from), at(to)).collect::<String>();
        assert_eq!(seen(0, 0), "");
        assert_eq!(seen(0, 2), "a");
        // Nothing of what was before that.
        assert_eq!(seen(4, 4), "b");
        assert_eq!(seen(6, 7), "d");
        // Commits of the very moment may have been before it or after it.
        assert_eq!(seen(5, 5), "bcd");
        assert_eq!(seen(4, 8), "bcde");
    }

    #[test]
    fn what_nobody_saw_of_a_ticket_excuses_only_who_asked_meanwhile() {
        let ticket = TicketId::new("1-1").expect("an id");
        let course = vec![(at(1), TicketState::Available), (at(3), TicketState::Available)];
        let courses = Courses {
            tickets: BTreeMap::from([(ticket.clone(), course)]),
            ticket_deeds: BTreeMap::from([((ticket.clone(), at(3)), 2)]),
            ..Courses::default()
        };
        let was_taken =
            |from, to| courses.ticket_was(&ticket, (at(from), at(to)), |state| *state != TicketState::Available);
        // It may have been taken and given back by one commit.
        assert!(was_taken(2, 4));
        assert!(!was_taken(4, 5));
        assert!(!was_taken(1, 2));
    }
}
