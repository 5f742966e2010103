use std::collections::HashSet;

use super::lock_plan::Guard;
use super::request::{Answer, Request};
use crate::domain::{
    Action, ChangeSet, Command, LapsedOf, Policies, RecordKey, Rejection, ReservationId, Snapshot, TicketId, View,
    decide, expire, void,
};
use crate::ports::LockKey;

/// One decision of a batch, made on top of those before it.
#[derive(Debug)]
pub(super) struct Decision {
    /// Whose it is: the index in the batch; `None` for expiring what stood in a request's way.
    pub(super) request: Option<usize>,
    /// Every record that it depends on.
    pub(super) touched: Vec<RecordKey>,
    /// Those of them that it changes.
    pub(super) written: Vec<RecordKey>,
    pub(super) verdict: Verdict,
}

#[derive(Debug)]
pub(super) enum Verdict {
    /// The answer, true once everything it depends on is committed.
    Answer(Box<Answer>),
    /// Nothing is decided yet: decide it again, after what was found out is seen to.
    Again(Again),
}

#[derive(Debug)]
pub(super) enum Again {
    /// It needs these locks first, and these tickets, which were picked for it.
    Locks(Vec<LockKey>, Vec<TicketId>),
    /// Expired holds stood in its way, of which the store has more.
    MoreLapsed,
    /// Other tickets: one that was picked for it before has been taken since.
    Picks,
}

/// The decisions of a batch in arrival order, or the records that the snapshot lacks to make them.
pub(super) fn decide_all(
    snapshot: &mut Snapshot,
    requests: &[Request],
    policies: &Policies,
    guard: &Guard<'_>,
) -> Result<Vec<Decision>, Vec<RecordKey>> {
    let mut decisions = Vec::with_capacity(requests.len());
    let mut missing = Vec::new();
    // Counters that a request waits for, while their expired holds are reclaimed. Who comes later does not overtake it.
    let mut reserved: HashSet<RecordKey> = HashSet::new();
    // Tickets were picked for a request that waits for their locks: who comes later picks others.
    let mut set_aside = false;
    for (index, request) in requests.iter().enumerate() {
        if !request.begin() {
            continue;
        }
        let mut view = View::new(snapshot).with_picked(&request.picked);
        let decided = decide(&mut view, &request.command, policies);
        if !view.missing().is_empty() {
            missing.extend_from_slice(view.missing());
            continue;
        }
        let waits = view.touched().iter().any(|key| reserved.contains(key));
        let (changes, mut decision) = match decided {
            _ if waits => again(Again::MoreLapsed),
            Err(rejection) if view.has_more_lapsed() && is_about_counts(&rejection) => {
                let counters = view.more_lapsed().to_vec();
                reserved.extend(counters.iter().map(LapsedOf::record_key));
                match expire_known(snapshot, &counters, guard) {
                    Ok(expired) => {
                        decisions.extend(expired);
                        again(Again::MoreLapsed)
                    }
                    Err(Lacking::Records(keys)) => {
                        missing.extend(keys);
                        continue;
                    }
                    Err(Lacking::Locks(keys)) => again(Again::Locks(keys, Vec::new())),
                }
            }
            // Sold out only if those who wait for locks get what was picked for them.
            Err(Rejection::NoNeighbours { .. }) if set_aside => again(Again::MoreLapsed),
            Err(rejection) => refuse(view, request, rejection),
            Ok(changes) => accept(view, &request.command, changes, guard, snapshot),
        };
        decision.request = Some(index);
        if let Verdict::Again(Again::Locks(_, picked)) = &decision.verdict {
            set_aside |= snapshot.set_aside(picked);
        }
        if let Some(changes) = changes {
            snapshot.apply(&changes);
        }
        decisions.push(decision);
    }
    if missing.is_empty() {
        return Ok(decisions);
    }
    requests.iter().for_each(Request::wait_again);
    Err(missing)
}

type Decided = (Option<ChangeSet>, Decision);

fn refuse(mut view: View<'_>, request: &Request, rejection: Rejection) -> Decided {
    let command = &request.command;
    if !request.picked.is_empty() && matches!(rejection, Rejection::Unavailable { .. }) {
        return again(Again::Picks);
    }
    // Whether an operation of that age was carried out is known to nobody any more, so nothing is written down.
    if request.is_uncertain() && rejection == Rejection::OperationTooOld {
        let verdict = Verdict::Answer(Box::new(request.undecided(rejection)));
        return (None, Decision { request: None, touched: view.into_touched(), written: Vec::new(), verdict });
    }
    // A lost commit may still arrive: only a tombstone under its id makes a "no" final.
    let tombstone = (request.is_uncertain() && rejection != Rejection::OperationReused)
        .then(|| void(&mut view, command))
        .filter(|changes| !changes.writes.is_empty());
    let written = tombstone.as_ref().map(written).unwrap_or_default();
    let touched = grounds(&rejection).unwrap_or_else(|| view.into_touched());
    let verdict = Verdict::Answer(Box::new(Err(rejection.into())));
    (tombstone, Decision { request: None, touched, written, verdict })
}

/// The records that a refusal rests on, where they are fewer than those looked at: one taken ticket is enough, whatever
/// becomes of the others. It keeps groups small where many want the same places.
fn grounds(rejection: &Rejection) -> Option<Vec<RecordKey>> {
    match rejection {
        Rejection::Unavailable { tickets } => Some(tickets.iter().cloned().map(RecordKey::Ticket).collect()),
        _ => None,
    }
}

fn accept(view: View<'_>, command: &Command, changes: ChangeSet, guard: &Guard<'_>, snapshot: &Snapshot) -> Decided {
    let touched = view.into_touched();
    let written = written(&changes);
    if !written.is_empty() {
        let lacking = guard.lacking(&touched, &written, snapshot);
        if !lacking.is_empty() {
            return again(Again::Locks(lacking, picked(command, &changes)));
        }
    }
    // Only expiry and voiding have no receipt, and neither is a command.
    let Some(receipt) = changes.receipt.clone() else { return again(Again::Picks) };
    let verdict = Verdict::Answer(Box::new(Ok(receipt)));
    (Some(changes), Decision { request: None, touched, written, verdict })
}

/// Nothing is decided, so it depends on nothing.
fn again(again: Again) -> Decided {
    (None, Decision { request: None, touched: Vec::new(), written: Vec::new(), verdict: Verdict::Again(again) })
}

fn written(changes: &ChangeSet) -> Vec<RecordKey> {
    changes.writes.iter().map(|(key, _)| key.clone()).collect()
}

/// The tickets of the decided hold that its command did not name.
fn picked(command: &Command, changes: &ChangeSet) -> Vec<TicketId> {
    let (Action::Hold(hold), Some(receipt)) = (&command.action, &changes.receipt) else { return Vec::new() };
    if hold.best_available.is_none() {
        return Vec::new();
    }
    let lines = receipt.outcome.reservation().map(|reservation| reservation.lines.tickets()).unwrap_or_default();
    lines.iter().filter(|id| hold.lines.tickets().binary_search(id).is_err()).cloned().collect()
}

/// Whether reclaiming expired holds could turn the refusal into a success.
fn is_about_counts(rejection: &Rejection) -> bool {
    matches!(rejection, Rejection::Insufficient { .. } | Rejection::LimitReached { .. })
}

/// What expiring holds needs before it can be done.
enum Lacking {
    Records(Vec<RecordKey>),
    Locks(Vec<LockKey>),
}

/// Expires those holds of some counters that the snapshot knows to have lapsed, to make room for those it does not know.
fn expire_known(
    snapshot: &mut Snapshot,
    counters: &[LapsedOf],
    guard: &Guard<'_>,
) -> Result<Option<Decision>, Lacking> {
    let lapsed: Vec<ReservationId> = counters
        .iter()
        .filter_map(|of| snapshot.lapsed(of))
        .flat_map(|lapsed| lapsed.reservations.iter().copied())
        .collect();
    let mut view = View::new(snapshot);
    let changes = expire(&mut view, &lapsed);
    if !view.missing().is_empty() {
        return Err(Lacking::Records(view.missing().to_vec()));
    }
    if changes.writes.is_empty() {
        return Ok(None);
    }
    let (touched, written) = (view.into_touched(), written(&changes));
    let locks = guard.lacking(&touched, &written, snapshot);
    if !locks.is_empty() {
        return Err(Lacking::Locks(locks));
    }
    snapshot.apply(&changes);
    Ok(Some(Decision { request: None, touched, written, verdict: Verdict::Again(Again::MoreLapsed) }))
}
