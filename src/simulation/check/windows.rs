//! Each answer, and what was so between its question and itself.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::courses::{Courses, within};
use super::{Evidence, Findings, grounds};
use crate::domain::{
    Action, OperationId, Place, Receipt, Rejection, Reservation, ReservationState, TicketId, TicketState, Timestamp,
};
use crate::simulation::clock::time_of_day;
use crate::simulation::history::{Call, Reply};
use crate::simulation::invariant::Invariant;

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
