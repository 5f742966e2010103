//! Refusals that speak of what is there, whose it is and how it stands: each was true at some moment between question and answer.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::Findings;
use super::courses::{Course, Courses, within};
use crate::domain::{
    Action, CustomerId, Rejection, Reservation, ReservationId, ReservationState, SalesWindow, TicketState, Timestamp,
};
use crate::simulation::clock::TimesTold;
use crate::simulation::hall;
use crate::simulation::history::Call;
use crate::simulation::invariant::Invariant;

pub(super) fn check(
    call: &Call,
    ended: Duration,
    rejection: &Rejection,
    courses: &Courses,
    told: &TimesTold,
    findings: &mut Findings,
) {
    let (began, action) = (call.began, &call.command.action);
    let was_true = match rejection {
        Rejection::UnknownEvent => call.command.event != hall::event() || began <= courses.event_since,
        Rejection::UnknownReservation => {
            named(action).is_none_or(|(id, _)| was_absent(courses.reservations.get(&id), began))
        }
        Rejection::UnknownTickets { tickets } => tickets.iter().all(|id| was_absent(courses.tickets.get(id), began)),
        Rejection::UnknownPool { pool } => was_absent(courses.pools.get(pool), began),
        Rejection::NotOwner => {
            let Some((id, customer)) = named(action) else { return };
            was(courses, id, began, ended, |it| it.customer != *customer)
        }
        Rejection::WrongState { state } => {
            let Some((id, _)) = named(action) else { return };
            // A decision is never before the one that it follows, whatever the clock says since.
            let (_, latest) = told.within(Duration::ZERO, ended);
            was(courses, id, began, ended, |it| is_called(it.state, state, latest))
        }
        Rejection::ReservationExists => {
            let Action::Hold(hold) = action else { return };
            courses.reservations.get(&hold.reservation).is_some_and(|course| course.iter().any(|(at, _)| *at <= ended))
        }
        Rejection::NotOnSale { opens, closes } => {
            let said = SalesWindow { opens: *opens, closes: *closes };
            let (earliest, _) = told.within(began, ended);
            let (_, latest) = told.within(Duration::ZERO, ended);
            was_closed(said, courses, began, earliest..=latest)
        }
        Rejection::NotBlocked { tickets } => {
            let is_not_blocked = |state: &TicketState| !matches!(state, TicketState::Blocked { .. });
            tickets.iter().all(|id| courses.ticket_was(id, (began, ended), is_not_blocked))
        }
        _ => return,
    };
    findings.check(was_true, Invariant::Linearizable, || {
        format!(
            "{:?} was asked for at {began:?} and refused at {ended:?}, which was never true: {rejection}",
            call.command
        )
    });
}

/// The reservation that is spoken of, and whose it is said to be.
fn named(action: &Action) -> Option<(ReservationId, &CustomerId)> {
    match action {
        Action::Extend { reservation, customer, .. }
        | Action::Confirm { reservation, customer }
        | Action::Release { reservation, customer }
        | Action::Cancel { reservation, customer } => Some((*reservation, customer)),
        Action::Transfer(transfer) => Some((transfer.reservation, &transfer.from)),
        _ => None,
    }
}

/// Whether it was not there when somebody asked.
fn was_absent<T>(course: Option<&Course<T>>, began: Duration) -> bool {
    course.and_then(|course| course.first()).is_none_or(|(since, _)| began <= *since)
}

/// Whether the sale was not open at some time at which that may have been decided.
fn was_closed(said: SalesWindow, courses: &Courses, began: Duration, decided: RangeInclusive<Timestamp>) -> bool {
    let SalesWindow { opens, closes } = courses.window;
    let is_prepared = !courses.tickets.values().all(|course| was_absent(Some(course), began));
    let was_before = opens.is_some_and(|opens| *decided.start() < opens);
    let was_after = closes.is_some_and(|closes| closes <= *decided.end());
    // While the inventory is incomplete nobody knows when the sale opens.
    let is_unknown = !is_prepared && said == SalesWindow { opens: None, closes };
    is_unknown || said == courses.window && (was_before || was_after)
}

/// Whether a reservation was so at some moment. Of several decisions of one commit only what came of all of them is seen.
fn was(
    courses: &Courses,
    id: ReservationId,
    began: Duration,
    ended: Duration,
    is_so: impl Fn(&Reservation) -> bool,
) -> bool {
    let course = courses.reservations.get(&id).map_or(&[][..], Vec::as_slice);
    let is_one_of_several = |at: &Timestamp| courses.deeds.get(&(id, *at)).is_some_and(|deeds| *deeds > 1);
    within(course, began, ended).any(|(it, at)| is_so(it) || is_one_of_several(at))
}

/// Whether a refusal may call a reservation so.
fn is_called(is: ReservationState, said: &str, latest: Timestamp) -> bool {
    let is_lapsed = matches!(is, ReservationState::Held { until } if until <= latest);
    is.name() == said || is_lapsed && said == ReservationState::Expired.name()
}
