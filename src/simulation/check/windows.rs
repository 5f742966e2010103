//! Each answer, and what was so between its question and itself.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::{Evidence, Findings, grounds};
use crate::domain::{
    Action, CustomerId, LatePayment, OperationId, Place, PoolId, Receipt, Record, RecordKey, Recorded, Rejection,
    Reservation, ReservationId, ReservationState, TicketId, TicketState, Timestamp,
};
use crate::ports::Change;
use crate::simulation::clock::time_of_day;
use crate::simulation::history::{Call, Reply};
use crate::simulation::invariant::Invariant;
use crate::simulation::store_log::Written;

/// What something was, from each moment on at which that changed.
pub(super) type Course<T> = Vec<(Duration, T)>;

/// The course of everything that answers speak of.
#[derive(Debug, Default)]
pub(super) struct Courses {
    /// Since when there is the event.
    pub(super) event_since: Duration,
    pub(super) tickets: BTreeMap<TicketId, Course<TicketState>>,
    /// How many places are neither held nor booked. A commit is several decisions at one moment: what some of them take counts first,
    /// and then what others give back.
    pub(super) pools: BTreeMap<PoolId, Course<u64>>,
    pub(super) reservations: BTreeMap<ReservationId, Course<(Reservation, Timestamp)>>,
    /// How many operations were done to a reservation at one moment.
    pub(super) deeds: BTreeMap<(ReservationId, Timestamp), usize>,
    /// When each operation was done, by the clock of the world.
    done_at: BTreeMap<OperationId, Duration>,
    /// How many operations were done to a ticket by the commits of one moment.
    ticket_deeds: BTreeMap<(TicketId, Duration), usize>,
    /// The hall, row by row.
    places: BTreeMap<Place, TicketId>,
    /// How many places a customer has. What several decisions of one moment take counts first.
    customers: BTreeMap<CustomerId, Course<u64>>,
}

impl Courses {
    fn of(evidence: &Evidence) -> Self {
        let places = evidence.tickets.iter().map(|(id, (_, ticket))| (ticket.place.clone(), id.clone())).collect();
        let event_since = evidence.log.commits.first().map_or(Duration::MAX, |(_, at)| *at);
        let mut courses = Self { event_since, places, ..Self::default() };
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
pub(super) fn since<T>(course: &[(Duration, T)], from: Duration, to: Duration) -> impl Iterator<Item = (Duration, &T)> {
    // What it was when the call began, before the commits of that very moment.
    let first = course.partition_point(|(at, _)| *at < from).saturating_sub(1);
    let last = course.partition_point(|(at, _)| *at <= to);
    course[first..last].iter().map(|(at, it)| (*at, it))
}

pub(super) fn check(evidence: &Evidence, findings: &mut Findings) {
    let courses = Courses::of(evidence);
    let mut first_asked: BTreeMap<OperationId, Duration> = BTreeMap::new();
    for call in &evidence.calls {
        let first = first_asked.entry(call.command.operation).or_insert(call.began);
        *first = call.began.min(*first);
    }
    for call in &evidence.calls {
        match &call.ended {
            Some((ended, Reply::Done(receipt))) => {
                // What is only told again was done at an earlier call, but not before anybody asked.
                let earliest = if receipt.repeated { first_asked[&call.command.operation] } else { call.began };
                done(call, earliest..=*ended, receipt, &courses, findings);
            }
            Some((ended, Reply::Refused(rejection))) => {
                let is_true = evidence.store_time.are_true();
                refused(call, *ended, rejection, &courses, is_true, findings);
                grounds::check(call, *ended, rejection, &courses, &evidence.store_time, findings);
            }
            _ => {}
        }
    }
}

fn done(
    call: &Call,
    meanwhile: RangeInclusive<Duration>,
    receipt: &Receipt,
    courses: &Courses,
    findings: &mut Findings,
) {
    let Some(reservation) = receipt.outcome.reservation() else {
        return inventory_changed(call, meanwhile, receipt, courses, findings);
    };
    let course = courses.reservations.get(&reservation.id).map_or(&[][..], Vec::as_slice);
    let mut commits = course.iter().filter(|(_, (_, at))| *at == receipt.at).map(|(at, _)| *at).peekable();
    if commits.peek().is_none() {
        findings.add(Invariant::AcknowledgedKept, || {
            format!("{receipt:?} was answered, and the change feed has nothing of it")
        });
        return;
    }
    // Of several decisions of one moment the feed has the last.
    let mut rows = course.iter().filter(|(_, (_, at))| *at == receipt.at).map(|(_, (row, _))| row);
    let is_one_of_several = courses.deeds.get(&(reservation.id, receipt.at)).is_some_and(|deeds| *deeds > 1);
    let is_told = is_one_of_several || rows.any(|row| row == reservation);
    findings.check(is_told, Invariant::AsAsked, || format!("{receipt:?} was answered, and is not what was done"));
    findings.check(commits.any(|at| meanwhile.contains(&at)), Invariant::Linearizable, || {
        format!("{receipt:?} was asked for at {:?}, and not done in {meanwhile:?}", call.began)
    });
}

fn inventory_changed(
    call: &Call,
    meanwhile: RangeInclusive<Duration>,
    receipt: &Receipt,
    courses: &Courses,
    findings: &mut Findings,
) {
    let Some(when) = courses.done_at.get(&receipt.operation) else {
        return findings.add(Invariant::AcknowledgedKept, || format!("{receipt:?} was answered, and nothing was done"));
    };
    findings.check(meanwhile.contains(when), Invariant::Linearizable, || {
        let began = call.began;
        format!("{receipt:?} was asked for at {began:?}, and done at {when:?}, which is not in {meanwhile:?}")
    });
}

fn refused(
    call: &Call,
    ended: Duration,
    rejection: &Rejection,
    courses: &Courses,
    clock_is_true: bool,
    findings: &mut Findings,
) {
    let began = call.began;
    let what = || format!("{:?} was asked for at {began:?} and refused at {ended:?}: {rejection}", call.command.action);
    match rejection {
        Rejection::Unavailable { tickets } => {
            let asked = time_of_day(began);
            for ticket in tickets {
                if !courses.tickets.contains_key(ticket) {
                    continue;
                }
                let was_taken = courses.ticket_was(ticket, (began, ended), |state| match state {
                    TicketState::Available => false,
                    TicketState::Held { until, .. } => !clock_is_true || *until > asked,
                    _ => true,
                });
                findings.check(was_taken, Invariant::Linearizable, || format!("{ticket} was free: {}", what()));
            }
        }
        Rejection::Insufficient { pool, wanted, .. } => {
            let Some(course) = courses.pools.get(pool) else { return };
            let lacked = within(course, began, ended).any(|free| *free < u64::from(*wanted));
            findings.check(lacked, Invariant::Linearizable, || format!("{pool} had enough: {}", what()));
        }
        Rejection::NoNeighbours { wanted, .. } => {
            let free_all_along = |id: &TicketId| {
                courses.tickets.contains_key(id)
                    && !courses.ticket_was(id, (began, ended), |state| *state != TicketState::Available)
            };
            let mut run = 0;
            let mut last: Option<&Place> = None;
            let mut longest = 0;
            for (place, id) in &courses.places {
                let follows = last.is_some_and(|last| last.row == place.row && last.number + 1 == place.number);
                run = if !free_all_along(id) {
                    0
                } else if follows {
                    run + 1
                } else {
                    1
                };
                longest = longest.max(run);
                last = Some(place);
            }
            findings.check(longest < *wanted, Invariant::Linearizable, || {
                format!("{longest} neighbours were free all along: {}", what())
            });
        }
        Rejection::LimitReached { limit, wanted, .. } => {
            let customer = match &call.command.action {
                Action::Hold(hold) => &hold.customer,
                Action::Transfer(transfer) => &transfer.to,
                Action::Confirm { customer, .. } => customer,
                _ => return,
            };
            let course = courses.customers.get(customer).map_or(&[][..], Vec::as_slice);
            let most = within(course, began, ended).copied().max().unwrap_or_default();
            findings.check(most + u64::from(*wanted) > u64::from(*limit), Invariant::Linearizable, || {
                format!("{customer} never had more than {most}: {}", what())
            });
        }
        Rejection::HoldExpired if clock_is_true => {
            let reservation = match &call.command.action {
                Action::Confirm { reservation, .. }
                | Action::Release { reservation, .. }
                | Action::Extend { reservation, .. } => reservation,
                Action::Transfer(transfer) => &transfer.reservation,
                _ => return,
            };
            let answered = time_of_day(ended);
            let Some(course) = courses.reservations.get(reservation) else { return };
            let lived = |(it, _): &(Reservation, Timestamp)| matches!(it.state, ReservationState::Held { until } if until > answered);
            let mut states = within(course, began, ended).peekable();
            let lived_all_along = states.peek().is_some() && states.all(lived);
            findings.check(!lived_all_along, Invariant::DeadlineKept, what);
        }
        _ => {}
    }
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
