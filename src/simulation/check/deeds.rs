//! Everything that changed, beside who asked for it: a small model of what each command does to what it names.

use std::collections::{BTreeMap, BTreeSet};

use super::{Evidence, Findings};
use crate::domain::{
    Action, Command, CustomerId, Hold, OperationId, Record, RecordKey, Recorded, Reservation, ReservationId,
    ReservationState, TicketId, TicketState, Timestamp,
};
use crate::ports::Change;
use crate::simulation::invariant::Invariant;
use crate::simulation::shop::HOLD_MAX;

/// What was decided, by when and about what.
#[derive(Debug, Default)]
struct Deeds<'e> {
    on_reservations: BTreeMap<(ReservationId, Timestamp), Vec<(OperationId, &'e Command)>>,
    on_tickets: BTreeMap<&'e TicketId, Vec<(Timestamp, &'e Action)>>,
}

impl<'e> Deeds<'e> {
    fn of(evidence: &'e Evidence) -> Self {
        let mut deeds = Self::default();
        let commands: BTreeMap<OperationId, &Command> =
            evidence.calls.iter().map(|call| (call.command.operation, &call.command)).collect();
        for (id, (at, record)) in &evidence.operations {
            let (Recorded::Applied { reservation, .. }, Some(command)) = (&record.recorded, commands.get(id)) else {
                continue;
            };
            if let Some(reservation) = reservation {
                deeds.on_reservations.entry((*reservation, *at)).or_default().push((*id, command));
            }
            if let Action::Block { tickets, .. } | Action::Unblock { tickets } = &command.action {
                for ticket in tickets {
                    deeds.on_tickets.entry(ticket).or_default().push((*at, &command.action));
                }
            }
        }
        deeds
    }
}

pub(super) fn check(evidence: &Evidence, findings: &mut Findings) {
    let deeds = Deeds::of(evidence);
    let mut changed: BTreeSet<(ReservationId, Timestamp)> = BTreeSet::new();
    let mut reservations: BTreeMap<ReservationId, &Reservation> = BTreeMap::new();
    let mut tickets: BTreeMap<&TicketId, (Timestamp, &TicketState)> = BTreeMap::new();
    for change in &evidence.log.changes {
        match (&change.key, &change.record) {
            (RecordKey::Reservation(id), Record::Reservation(after)) => {
                let before = reservations.insert(*id, after);
                let when = (*id, change.decided_at);
                changed.insert(when);
                let asked = deeds.on_reservations.get(&when).map_or(&[][..], Vec::as_slice);
                of_reservation(change, before, after, asked, evidence, findings);
            }
            (RecordKey::Ticket(id), Record::Ticket(after)) => {
                let before = tickets.insert(id, (change.decided_at, &after.state));
                let asked = deeds.on_tickets.get(id).map_or(&[][..], Vec::as_slice);
                of_ticket(change, before, &after.state, asked, findings);
            }
            _ => {}
        }
    }
    for ((reservation, at), asked) in &deeds.on_reservations {
        // Where the store's clock has stepped back, decisions of one commit may be of several moments; the row has the last.
        let mut later = changed.range((*reservation, *at)..);
        let is_there = match later.next() {
            Some(row) if evidence.store_time.are_true() => *row == (*reservation, *at),
            Some((of, _)) => of == reservation,
            None => false,
        };
        findings.check(is_there, Invariant::AcknowledgedKept, || {
            format!("{asked:?} is recorded as done at {at}, and {reservation} did not change then")
        });
    }
}

fn of_reservation(
    change: &Change,
    before: Option<&Reservation>,
    after: &Reservation,
    asked: &[(OperationId, &Command)],
    evidence: &Evidence,
    findings: &mut Findings,
) {
    let row = change.sequence;
    let expires = before.is_some_and(|before| {
        matches!(before.state, ReservationState::Held { .. })
            && *after == Reservation { state: ReservationState::Expired, ..before.clone() }
    });
    let does = |(_, command): &(OperationId, &Command)| {
        outcome(before, &command.action, change.decided_at, after, evidence).as_ref() == Some(after)
    };
    if expires || asked.iter().any(does) {
        return;
    }
    match asked {
        [] => findings
            .add(Invariant::NothingUnasked, || format!("row {row}: nobody asked that {before:?} becomes {after:?}")),
        [(_, command)] => findings.add(Invariant::AsAsked, || {
            let expected = outcome(before, &command.action, change.decided_at, after, evidence);
            format!("row {row}: {:?} made {after:?} of {before:?}, and not {expected:?}", command.action)
        }),
        // Several in one commit: only what came of all of them is seen.
        _ => {}
    }
}

/// What a command makes of a reservation, if it may.
fn outcome(
    before: Option<&Reservation>,
    action: &Action,
    at: Timestamp,
    after: &Reservation,
    evidence: &Evidence,
) -> Option<Reservation> {
    if let Action::Hold(hold) = action {
        let until = at.after(hold.ttl.unwrap_or(evidence.hold_ttl));
        let lines = if are_chosen_well(hold, after, evidence) { after.lines.clone() } else { hold.lines.clone() };
        let state = ReservationState::Held { until };
        let (id, customer) = (hold.reservation, hold.customer.clone());
        let held = Reservation { id, event: after.event.clone(), customer, lines, state, held_at: at };
        return before.is_none().then_some(held);
    }
    let before = before?;
    let its = |customer: &CustomerId| (*customer == before.customer).then(|| before.clone());
    let becomes = |customer: &CustomerId, state| Some(Reservation { state, ..its(customer)? });
    match action {
        Action::Extend { customer, ttl, .. } => {
            let ReservationState::Held { until } = before.state else { return None };
            let latest = before.held_at.after(HOLD_MAX);
            let until = at.after(ttl.unwrap_or(evidence.hold_ttl)).min(latest).max(until);
            becomes(customer, ReservationState::Held { until })
        }
        Action::Confirm { customer, .. } => becomes(customer, ReservationState::Booked),
        Action::Release { customer, .. } => becomes(customer, ReservationState::Released),
        Action::Cancel { customer, .. } => becomes(customer, ReservationState::Cancelled),
        Action::Transfer(transfer) => Some(Reservation { customer: transfer.to.clone(), ..its(&transfer.from)? }),
        _ => None,
    }
}

/// Whether the best available that were picked are as many as were wanted, side by side.
fn are_chosen_well(hold: &Hold, after: &Reservation, evidence: &Evidence) -> bool {
    let Some(best) = &hold.best_available else { return false };
    let places = after.lines.tickets().iter().map(|id| evidence.tickets.get(id).map(|(_, ticket)| &ticket.place));
    let Some(mut places) = places.collect::<Option<Vec<_>>>() else { return false };
    places.sort_unstable();
    places.len() == best.quantity as usize
        && after.lines.pools() == hold.lines.pools()
        && places.iter().all(|place| place.area == best.area)
        && places.windows(2).all(|pair| pair[0].row == pair[1].row && pair[0].number + 1 == pair[1].number)
}

/// Blocking and unblocking; who owns a ticket is seen with its reservation.
fn of_ticket(
    change: &Change,
    before: Option<(Timestamp, &TicketState)>,
    after: &TicketState,
    asked: &[(Timestamp, &Action)],
    findings: &mut Findings,
) {
    let since = before.map_or(Timestamp::EPOCH, |(at, _)| at);
    let is_blocked = |state: &TicketState| matches!(state, TicketState::Blocked { .. });
    let (was, is) = (before.is_some_and(|(_, state)| is_blocked(state)), is_blocked(after));
    // Somebody may take it in the commit that unblocks it.
    let mut asked = asked.iter().filter(|(at, _)| since <= *at && *at <= change.decided_at);
    let is_asked_for = was == is || asked.any(|(_, action)| matches!(action, Action::Block { .. }) == is);
    findings.check(is_asked_for, Invariant::NothingUnasked, || {
        format!("row {}: nobody asked that {:?}, which was {before:?}, becomes {after:?}", change.sequence, change.key)
    });
}
