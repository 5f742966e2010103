//! Each answer, and what was so between its question and itself.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Evidence, Findings};
use crate::domain::{
    Action, LatePayment, PoolId, Receipt, Record, RecordKey, Rejection, ReservationId, ReservationState, TicketId,
    TicketState, Timestamp,
};
use crate::ports::Change;
use crate::simulation::clock::time_of_day;
use crate::simulation::history::{Call, Reply};
use crate::simulation::invariant::Invariant;

/// What something was, from each moment on at which that changed.
type Course<T> = Vec<(Duration, T)>;

/// The course of everything that answers speak of.
#[derive(Debug, Default)]
struct Courses {
    tickets: BTreeMap<TicketId, Course<TicketState>>,
    /// How many places are neither held nor booked. A commit is several decisions at one moment: what some of them take counts first,
    /// and then what others give back.
    pools: BTreeMap<PoolId, Course<u64>>,
    reservations: BTreeMap<ReservationId, Course<(ReservationState, Timestamp)>>,
}

impl Courses {
    fn of(evidence: &Evidence) -> Self {
        let mut courses = Self::default();
        let mut rest = evidence.changes.as_slice();
        for (sequence, at) in &evidence.commits {
            let commit;
            (commit, rest) = rest.split_at(rest.partition_point(|change| change.sequence <= *sequence));
            courses.add(*at, commit, evidence.late_payment);
        }
        courses
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
            match (&change.key, &change.record) {
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
                    course.push((at, (reservation.state, change.decided_at)));
                }
                _ => {}
            }
        }
    }
}

/// What it was from the beginning to the end of a call, at one moment or another.
fn within<T>(course: &Course<T>, from: Duration, to: Duration) -> impl Iterator<Item = &T> {
    let first = course.partition_point(|(at, _)| *at <= from).saturating_sub(1);
    let last = course.partition_point(|(at, _)| *at <= to);
    // Several commits may have been at the moment at which the call began.
    let first = course[..first].iter().rposition(|(at, _)| *at < from).map_or(0, |at| at.min(first));
    course[first.min(last)..last].iter().map(|(_, it)| it)
}

pub(super) fn check(evidence: &Evidence, findings: &mut Findings) {
    let courses = Courses::of(evidence);
    for call in &evidence.calls {
        match &call.ended {
            Some((ended, Reply::Done(receipt))) => done(call, *ended, receipt, &courses, findings),
            Some((ended, Reply::Refused(rejection))) => {
                let is_true = evidence.store_clock_is_true;
                refused(call, *ended, rejection, &courses, is_true, findings);
            }
            _ => {}
        }
    }
}

fn done(call: &Call, ended: Duration, receipt: &Receipt, courses: &Courses, findings: &mut Findings) {
    let Some(reservation) = receipt.outcome.reservation() else { return };
    let course = courses.reservations.get(&reservation.id).map_or(&[][..], Vec::as_slice);
    let mut commits = course.iter().filter(|(_, (_, at))| *at == receipt.at).map(|(at, _)| *at).peekable();
    if commits.peek().is_none() {
        findings.add(Invariant::AcknowledgedKept, || {
            format!("{receipt:?} was answered, and the change feed has nothing of it")
        });
        return;
    }
    let from = if receipt.repeated { Duration::ZERO } else { call.began };
    findings.check(commits.any(|at| from <= at && at <= ended), Invariant::Linearizable, || {
        format!("{receipt:?} was asked for at {:?} and answered at {ended:?}, and was not done between", call.began)
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
                let Some(course) = courses.tickets.get(ticket) else { continue };
                let was_taken = within(course, began, ended).any(|state| match state {
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
        Rejection::HoldExpired if clock_is_true => {
            let (Action::Confirm { reservation, .. } | Action::Release { reservation, .. }) = &call.command.action
            else {
                return;
            };
            let answered = time_of_day(ended);
            let Some(course) = courses.reservations.get(reservation) else { return };
            let lived = |(state, _): &(ReservationState, Timestamp)| matches!(state, ReservationState::Held { until } if *until > answered);
            let mut states = within(course, began, ended).peekable();
            let lived_all_along = states.peek().is_some() && states.all(lived);
            findings.check(!lived_all_along, Invariant::DeadlineKept, what);
        }
        _ => {}
    }
}
