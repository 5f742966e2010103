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
    /// Whose it is, by the index in the batch, and what becomes of that request; `None` for expiring what stood in a
    /// request's way.
    pub(super) request: Option<(usize, Verdict)>,
    /// Every record that it depends on.
    pub(super) touched: Vec<RecordKey>,
    /// Those of them that it changes, in order.
    pub(super) written: Vec<RecordKey>,
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
    /// Expired holds stand in its way, of which the store has more.
    MoreLapsed,
    /// Someone who came before it is to be decided again, and wants some of the same.
    Turn,
    /// Other tickets: one that was picked for it before has been taken since.
    Picks,
}

/// What requests of this batch wait for that are decided again, so that nobody who came later overtakes them.
#[derive(Default)]
struct Reserved {
    records: HashSet<RecordKey>,
    /// Places of some area are kept free for them: it is not sold out yet.
    places: bool,
}

impl Reserved {
    fn any_of<'k>(&self, records: impl IntoIterator<Item = &'k RecordKey>) -> bool {
        !self.records.is_empty() && records.into_iter().any(|key| self.records.contains(key))
    }
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
    let mut reserved = Reserved::default();
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
        let decided = match decided {
            Err(rejection) if view.has_more_lapsed() && is_about_counts(&rejection) => {
                let counters = view.more_lapsed().to_vec();
                if reserved.any_of(view.touched()) {
                    Decided::again(Again::Turn)
                } else {
                    reserved.records.extend(counters.iter().map(LapsedOf::record_key));
                    match expire_known(snapshot, &counters, guard) {
                        Ok(expired) => {
                            decisions.extend(expired);
                            Decided::again(Again::MoreLapsed)
                        }
                        Err(Lacking::Records(keys)) => {
                            missing.extend(keys);
                            continue;
                        }
                        Err(Lacking::Locks(keys)) => Decided::again(Again::Locks(keys, Vec::new())),
                    }
                }
            }
            Err(Rejection::NoNeighbours { .. }) if reserved.places => Decided::again(Again::Turn),
            Err(rejection) => refuse(view, request, rejection).unless_reserved(&reserved),
            Ok(_) if reserved.any_of(view.touched()) => Decided::again(Again::Turn),
            Ok(changes) => accept(view, request, changes, guard, snapshot),
        };
        if let Some(changes) = &decided.changes {
            snapshot.apply(changes);
        }
        reserved.places |= snapshot.set_aside(&decided.wants);
        reserved.records.extend(decided.wants);
        decisions.push(Decision {
            request: Some((index, decided.verdict)),
            touched: decided.touched,
            written: decided.written,
        });
    }
    if missing.is_empty() {
        return Ok(decisions);
    }
    requests.iter().for_each(Request::wait_again);
    Err(missing)
}

/// What was decided about one request.
struct Decided {
    verdict: Verdict,
    changes: Option<ChangeSet>,
    touched: Vec<RecordKey>,
    written: Vec<RecordKey>,
    /// Tickets and pools that it will change as soon as it has their locks.
    wants: Vec<RecordKey>,
}

impl Decided {
    /// Nothing is decided, so it depends on nothing.
    fn again(again: Again) -> Self {
        let verdict = Verdict::Again(again);
        Self { verdict, changes: None, touched: Vec::new(), written: Vec::new(), wants: Vec::new() }
    }

    /// A refusal stands only if what it rests on does not depend on those who are decided again.
    fn unless_reserved(self, reserved: &Reserved) -> Self {
        if reserved.any_of(&self.touched) { Self::again(Again::Turn) } else { self }
    }
}

fn refuse(mut view: View<'_>, request: &Request, rejection: Rejection) -> Decided {
    let command = &request.command;
    if !request.picked.is_empty() && matches!(rejection, Rejection::Unavailable { .. }) {
        return Decided::again(Again::Picks);
    }
    // Whether an operation of that age was carried out is known to nobody any more, so nothing is written down.
    if request.is_uncertain() && rejection == Rejection::OperationTooOld {
        let verdict = Verdict::Answer(Box::new(request.undecided(rejection)));
        return Decided { verdict, touched: view.into_touched(), ..Decided::again(Again::Turn) };
    }
    #[cfg(planted_bugs)]
    if crate::planted::is(crate::planted::Bug::AbsenceIsNo) {
        let verdict = Verdict::Answer(Box::new(Err(rejection.into())));
        return Decided { verdict, touched: view.into_touched(), ..Decided::again(Again::Turn) };
    }
    // A lost commit may still arrive: only a tombstone under its id makes a "no" final.
    let tombstone = (request.is_uncertain() && rejection != Rejection::OperationReused)
        .then(|| void(&mut view, command))
        .filter(|changes| !changes.writes.is_empty());
    let written = tombstone.as_ref().map(written).unwrap_or_default();
    let touched = grounds(&rejection).unwrap_or_else(|| view.into_touched());
    let verdict = Verdict::Answer(Box::new(Err(rejection.into())));
    Decided { verdict, changes: tombstone, touched, written, wants: Vec::new() }
}

/// The records that a refusal rests on, where they are fewer than those looked at: one taken ticket is enough, whatever
/// becomes of the others. It keeps groups small where many want the same places.
fn grounds(rejection: &Rejection) -> Option<Vec<RecordKey>> {
    match rejection {
        Rejection::Unavailable { tickets } => Some(tickets.iter().cloned().map(RecordKey::Ticket).collect()),
        _ => None,
    }
}

fn accept(view: View<'_>, request: &Request, changes: ChangeSet, guard: &Guard<'_>, snapshot: &Snapshot) -> Decided {
    let touched = view.into_touched();
    let written = written(&changes);
    if !written.is_empty() {
        let lacking = guard.lacking(&touched, &written, snapshot);
        if !lacking.is_empty() {
            // What it has asked for already is held elsewhere: meanwhile others go on.
            let is_news = lacking != request.lock_keys;
            let picked = picked(&request.command, &written);
            let wants = written.into_iter().filter(|key| is_news && key.is_inventory()).collect();
            return Decided { wants, ..Decided::again(Again::Locks(lacking, picked)) };
        }
    }
    // Only expiry and voiding have no receipt, and neither is a command.
    let Some(receipt) = changes.receipt.clone() else { return Decided::again(Again::Turn) };
    let verdict = Verdict::Answer(Box::new(Ok(receipt)));
    Decided { verdict, changes: Some(changes), touched, written, wants: Vec::new() }
}

/// The records that are changed, in order.
pub(super) fn written(changes: &ChangeSet) -> Vec<RecordKey> {
    let mut written: Vec<RecordKey> = changes.writes.iter().map(|(key, _)| key.clone()).collect();
    // They come sorted, but for the odd one.
    written.sort_unstable();
    written
}

/// The tickets that a hold takes and did not name.
fn picked(command: &Command, written: &[RecordKey]) -> Vec<TicketId> {
    let Action::Hold(hold) = &command.action else { return Vec::new() };
    if hold.best_available.is_none() {
        return Vec::new();
    }
    let tickets = written.iter().filter_map(|key| if let RecordKey::Ticket(id) = key { Some(id) } else { None });
    tickets.filter(|id| hold.lines.tickets().binary_search(id).is_err()).cloned().collect()
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

/// Expires those holds of some counters that the snapshot knows to have lapsed, to make room for those it does not
/// know.
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
    Ok(Some(Decision { request: None, touched, written }))
}
