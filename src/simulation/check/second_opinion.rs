//! A second opinion on each seat, which knows nothing of the order of the commits: is there any order of what was asked and answered in
//! which every answer is true? That is linearizability as Wing and Gong (1993) look for it, done by another library's checker. Where
//! it finds none, the checks beside this file must have found something too.

use std::collections::BTreeMap;
use std::time::Duration;

use todc_utils::linearizability::WGLChecker;
use todc_utils::linearizability::history::{Action as Entry, History};
use todc_utils::specifications::Specification;

use super::Evidence;
use crate::domain::{
    Action, LatePayment, OperationId, Receipt, Rejection, ReservationId, ReservationState, TicketId, Timestamp,
};
use crate::simulation::clock::time_of_day;
use crate::simulation::hall;
use crate::simulation::history::{Call, Reply};

/// What a seat is. A hold whose deadline is unknown may have ended at any time.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Seat {
    Free,
    Held(ReservationId, Option<Timestamp>),
    Booked(ReservationId),
    Blocked,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Deed {
    Hold(ReservationId, Option<Timestamp>),
    Extend(ReservationId, Option<Timestamp>),
    Book(ReservationId),
    /// Paid too late, and booked again if it is still free.
    BookLate(ReservationId),
    GiveBack(ReservationId),
    Block,
    Unblock,
    /// Somebody was told that it is taken.
    FindTaken,
}

/// What was done to a seat, or may have been, and between which moments.
#[derive(Debug, Clone)]
struct Done {
    deed: Deed,
    asked: Duration,
    told: Duration,
    /// Else it may never have happened.
    is_certain: bool,
    /// Deadlines can be told by the moments of the world.
    is_timed: bool,
}

impl Done {
    /// Whether a hold may have ended by the time that the answer came.
    fn may_have_ended(&self, until: Option<Timestamp>) -> bool {
        !self.is_timed || until.is_none_or(|until| until <= time_of_day(self.told))
    }

    fn may_have_lived(&self, until: Option<Timestamp>) -> bool {
        !self.is_timed || until.is_none_or(|until| until > time_of_day(self.asked))
    }

    /// What the seat is afterwards, if it can be done.
    fn after(&self, seat: &Seat) -> Option<Seat> {
        let is_free = match seat {
            Seat::Free => true,
            Seat::Held(_, until) => self.may_have_ended(*until),
            Seat::Booked(_) | Seat::Blocked => false,
        };
        match (&self.deed, seat) {
            (Deed::Hold(by, until), _) if is_free => Some(Seat::Held(*by, *until)),
            (Deed::Extend(by, until), Seat::Held(of, _)) if by == of => Some(Seat::Held(*by, *until)),
            (Deed::Book(by) | Deed::BookLate(by), Seat::Held(of, _)) if by == of => Some(Seat::Booked(*by)),
            (Deed::BookLate(by), _) if is_free => Some(Seat::Booked(*by)),
            (Deed::GiveBack(by), Seat::Held(of, _) | Seat::Booked(of)) if by == of => Some(Seat::Free),
            (Deed::Block, _) if is_free => Some(Seat::Blocked),
            (Deed::Unblock, Seat::Blocked) => Some(Seat::Free),
            (Deed::FindTaken, Seat::Held(_, until)) if self.may_have_lived(*until) => Some(seat.clone()),
            (Deed::FindTaken, Seat::Booked(_) | Seat::Blocked) => Some(seat.clone()),
            _ => None,
        }
    }
}

struct SeatRules;

impl Specification for SeatRules {
    type State = Seat;
    type Operation = Done;

    fn init() -> Seat {
        Seat::Free
    }

    fn apply(done: &Done, seat: &Seat) -> (bool, Seat) {
        match done.after(seat) {
            Some(after) => (true, after),
            None => (!done.is_certain, seat.clone()),
        }
    }
}

fn is_linearizable(deeds: &[Done]) -> bool {
    let mut entries: Vec<(Duration, bool, usize)> = Vec::new();
    for (number, done) in deeds.iter().enumerate() {
        entries.push((done.asked, false, number));
        entries.push((done.told, true, number));
    }
    // Of one moment, everything is asked before anything is told.
    entries.sort_unstable();
    let entries = entries.into_iter().map(|(_, is_told, number)| {
        let done = deeds[number].clone();
        (number, if is_told { Entry::Response(done) } else { Entry::Call(done) })
    });
    WGLChecker::<SeatRules>::is_linearizable(History::from_actions(entries.collect()))
}

/// Which seats a reservation has, as far as anybody was told.
fn seats(evidence: &Evidence) -> BTreeMap<ReservationId, Vec<TicketId>> {
    let mut seats = BTreeMap::new();
    for call in &evidence.calls {
        if let Action::Hold(hold) = &call.command.action
            && hold.best_available.is_none()
        {
            seats.insert(hold.reservation, hold.lines.tickets().to_vec());
        }
        if let Some((_, Reply::Done(receipt))) = &call.ended
            && let Some(reservation) = receipt.outcome.reservation()
        {
            seats.insert(reservation.id, reservation.lines.tickets().to_vec());
        }
    }
    seats
}

/// What a command does to the seats of a reservation, or of itself.
fn deed(action: &Action, receipt: Option<&Receipt>, late: LatePayment) -> Option<Deed> {
    let until = receipt.and_then(|receipt| match receipt.outcome.reservation()?.state {
        ReservationState::Held { until } => Some(until),
        _ => None,
    });
    Some(match action {
        Action::Hold(hold) => Deed::Hold(hold.reservation, until),
        Action::Extend { reservation, .. } => Deed::Extend(*reservation, until),
        Action::Confirm { reservation, .. } if late == LatePayment::RebookIfFree => Deed::BookLate(*reservation),
        Action::Confirm { reservation, .. } => Deed::Book(*reservation),
        Action::Release { reservation, .. } | Action::Cancel { reservation, .. } => Deed::GiveBack(*reservation),
        Action::Block { .. } => Deed::Block,
        Action::Unblock { .. } => Deed::Unblock,
        _ => return None,
    })
}

/// From when on until when an operation was done; an end that never came where it may have been done, and `None` where it was not.
fn interval(calls: &[&Call]) -> Option<(Duration, Option<Duration>)> {
    let asked = calls.iter().map(|call| call.began).min()?;
    let told = calls.iter().filter_map(|call| match &call.ended {
        Some((ended, Reply::Done(_))) => Some(*ended),
        _ => None,
    });
    if let Some(told) = told.min() {
        return Some((asked, Some(told)));
    }
    let is_open = |call: &&&Call| matches!(call.ended, None | Some((_, Reply::Unknown)));
    Some((calls.iter().filter(is_open).map(|call| call.began).min()?, None))
}

/// Seats with more that may or may not have been done are left out, and those with more deeds: it takes too long to look through
/// the orders of them.
const OPEN_MAX: usize = 8;
const DEEDS_MAX: usize = 400;

/// Everything that was done to each seat, as those tell who asked for it.
fn deeds(evidence: &Evidence) -> BTreeMap<TicketId, Vec<Done>> {
    let is_timed = evidence.store_time.are_true();
    let seats = seats(evidence);
    let mut deeds: BTreeMap<TicketId, Vec<Done>> =
        evidence.tickets.keys().map(|ticket| (ticket.clone(), Vec::new())).collect();
    let mut by_operation: BTreeMap<OperationId, Vec<&Call>> = BTreeMap::new();
    for call in evidence.calls.iter().filter(|call| call.command.event == hall::event()) {
        by_operation.entry(call.command.operation).or_default().push(call);
        if let Some((told, Reply::Refused(Rejection::Unavailable { tickets }))) = &call.ended {
            let found = Done { deed: Deed::FindTaken, asked: call.began, told: *told, is_certain: true, is_timed };
            tickets.iter().for_each(|ticket| deeds.entry(ticket.clone()).or_default().push(found.clone()));
        }
    }
    for calls in by_operation.values() {
        let Some((asked, told)) = interval(calls) else { continue };
        let receipt = calls.iter().find_map(|call| match &call.ended {
            Some((_, Reply::Done(receipt))) => Some(receipt),
            _ => None,
        });
        let action = &calls[0].command.action;
        let Some(deed) = deed(action, receipt, evidence.late_payment) else { continue };
        let all = || evidence.tickets.keys().cloned().collect();
        let of = match (&deed, action) {
            (_, Action::Block { tickets, .. } | Action::Unblock { tickets }) => tickets.clone(),
            (Deed::Hold(id, _) | Deed::Extend(id, _) | Deed::Book(id) | Deed::BookLate(id) | Deed::GiveBack(id), _) => {
                seats.get(id).cloned().unwrap_or_else(all)
            }
            _ => continue,
        };
        let (told, is_certain) = (told.unwrap_or(Duration::MAX), told.is_some());
        let done = Done { deed, asked, told, is_certain, is_timed };
        of.into_iter().for_each(|ticket| deeds.entry(ticket).or_default().push(done.clone()));
    }
    let is_short = |deeds: &Vec<Done>| deeds.iter().filter(|done| !done.is_certain).count() <= OPEN_MAX;
    deeds.retain(|_, deeds| !deeds.is_empty() && is_short(deeds) && deeds.len() <= DEEDS_MAX);
    deeds
}

/// The seats of which the answers have no order in which all of them are true.
fn impossible(deeds: &BTreeMap<TicketId, Vec<Done>>) -> Vec<&TicketId> {
    deeds.iter().filter(|(_, deeds)| !is_linearizable(deeds)).map(|(ticket, _)| ticket).collect()
}

mod tests {
    use super::*;
    use crate::simulation::check::{Findings, check};
    use crate::simulation::dice::Dice;
    use crate::simulation::seed_of;
    use crate::simulation::world::evidence_of;

    fn evidence(worlds: u64) -> impl Iterator<Item = Evidence> {
        (0..worlds).filter_map(|number| evidence_of(seed_of(29, number)))
    }

    #[test]
    fn what_is_told_in_a_world_can_have_happened() {
        let (mut seats, mut all) = (0, 0);
        for evidence in evidence(20) {
            let deeds = deeds(&evidence);
            assert_eq!(impossible(&deeds), [] as [&TicketId; 0]);
            seats += deeds.len();
            all += evidence.tickets.len();
        }
        assert!(seats > 50 && seats * 4 > all * 3, "of {all} seats {seats} were looked at, and the others left out");
    }

    /// A call that was at another time than it was.
    #[test]
    fn where_no_order_can_be_found_the_checks_have_found_something() {
        let mut found = 0;
        let mut dice = Dice::new(1);
        for mut evidence in evidence(24) {
            for _ in 0..30 {
                let number = dice.below(evidence.calls.len());
                let call = evidence.calls[number].clone();
                let Some((ended, reply)) = call.ended.clone() else { continue };
                let last = evidence.calls.last().map_or(0, |last| last.began.as_millis() as u64);
                let at = dice.millis(0, last);
                evidence.calls[number].began = at;
                evidence.calls[number].ended = Some((at + (ended - call.began), reply));
                let deeds = deeds(&evidence);
                let seats = impossible(&deeds);
                if !seats.is_empty() {
                    let mut findings = Findings::default();
                    check(&evidence, &mut findings);
                    assert!(!findings.0.is_empty(), "{seats:?} cannot have been so, if {:?}", evidence.calls[number]);
                    found += 1;
                }
                evidence.calls[number] = call;
            }
        }
        assert!(found > 50, "{found} cases are few");
    }

    fn done(deed: Deed, asked: u64, told: u64) -> Done {
        let (asked, told) = (Duration::from_secs(asked), Duration::from_secs(told));
        Done { deed, asked, told, is_certain: told < Duration::from_secs(100), is_timed: true }
    }

    #[test]
    fn a_seat_is_not_sold_to_two() {
        let [ada, bob] = [1, 2].map(|n| ReservationId::from_parts(time_of_day(Duration::ZERO), [n; 10]));
        let until = |at| Some(time_of_day(Duration::from_secs(at)));
        let held = done(Deed::Hold(ada, until(10)), 1, 2);
        assert!(is_linearizable(&[held.clone(), done(Deed::Book(ada), 3, 4), done(Deed::FindTaken, 3, 4)]));
        // While it is held, and when that is over.
        assert!(!is_linearizable(&[held.clone(), done(Deed::Hold(bob, until(20)), 3, 4)]));
        assert!(is_linearizable(&[held.clone(), done(Deed::Hold(bob, until(20)), 11, 12)]));
        assert!(!is_linearizable(&[held.clone(), done(Deed::FindTaken, 11, 12)]));
        // When it is paid for; unless that is still under way, or nobody knows whether it was done.
        let paid = |told| done(Deed::Book(ada), 3, told);
        assert!(!is_linearizable(&[held.clone(), paid(4), done(Deed::Hold(bob, None), 11, 12)]));
        assert!(!is_linearizable(&[held.clone(), paid(13), done(Deed::Hold(bob, None), 11, 12)]));
        assert!(is_linearizable(&[held.clone(), paid(100), done(Deed::Hold(bob, None), 11, 12)]));
        assert!(!is_linearizable(&[
            held,
            paid(100),
            done(Deed::Hold(bob, None), 11, 12),
            done(Deed::GiveBack(ada), 14, 15)
        ]));
    }
}
