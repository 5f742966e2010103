//! The one place with the rules.

mod draft;
mod hold;
mod inventory;
mod reservation;

use std::time::Duration;

use super::action_kind::ActionKind;
use super::change_set::ChangeSet;
use super::command::{Action, Command};
use super::fingerprint::Fingerprint;
use super::ids::ReservationId;
use super::operation::{OperationRecord, Recorded};
use super::policies::Policies;
use super::receipt::{Outcome, Receipt};
use super::record::Record;
use super::record_key::RecordKey;
use super::rejection::Rejection;
use super::reservation::ReservationState;
use super::time::Timestamp;
use super::view::View;
use draft::Draft;

/// How far in the future an operation id may have been made: the most that clocks may differ.
pub const OPERATION_CLOCK_SKEW_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// Decides a command on what the view shows.
///
/// The decision counts only if it lacked nothing: when [`View::missing`] names records, load them and decide again;
/// when it is a refusal and [`View::has_more_lapsed`], [`expire`] those that are known, and decide again on the next
/// ones. A change set counts only once every record of [`View::touched`] is committed against the version it was read
/// with.
///
/// # Errors
///
/// [`Rejection`] when the rules say no. Nothing changes then.
///
/// # Example
///
/// ```
/// use ticket_reservation::domain::*;
///
/// let now = Timestamp::from_micros(1_800_000_000_000_000);
/// let (event, standing) = (EventId::new("gala")?, PoolId::new("standing")?);
/// let (reservation, operation) = (ReservationId::from_parts(now, [1; 10]), OperationId::from_parts(now, [2; 10]));
/// let lines = Lines::merge([], [(standing.clone(), 2)])?;
/// let hold = Hold::new(reservation, CustomerId::new("alice")?, lines);
/// let command = Command { event: event.clone(), operation, action: Action::Hold(hold) };
///
/// // What a store would read: the event, its pool, and that neither the reservation nor the operation is there yet.
/// let mut snapshot = Snapshot::new(event, now);
/// let terms = Event { state: EventState::OnSale, window: SalesWindow::default(), limit_per_customer: None };
/// snapshot.insert(RecordKey::Event, Versioned::new(2, now, Record::Event(terms)));
/// let pool = Record::Pool(Pool::with_capacity(200));
/// snapshot.insert(RecordKey::Pool(standing.clone()), Versioned::new(1, now, pool));
/// snapshot.insert_lapsed(LapsedOf::Pool(standing.clone()), Lapsed::default());
/// snapshot.insert(RecordKey::Reservation(reservation), Versioned::ABSENT);
/// snapshot.insert(RecordKey::Operation(operation), Versioned::ABSENT);
///
/// let mut view = View::new(&snapshot);
/// let changes = decide(&mut view, &command, &Policies::default())?;
/// assert!(view.missing().is_empty());
/// assert!(view.touched().contains(&RecordKey::Pool(standing.clone())));
///
/// // The next command of the batch is decided after it.
/// snapshot.apply(&changes);
/// assert_eq!(View::new(&snapshot).pool(&standing).map(Pool::free), Some(198));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn decide(view: &mut View<'_>, command: &Command, policies: &Policies) -> Result<ChangeSet, Rejection> {
    command.check()?;
    if let Some((operation, at)) = view.operation(command.operation) {
        return repeat(view, command, operation, at);
    }
    check_age(view, command, policies)?;
    let (outcome, at, mut writes) = loop {
        let assumed = view.now();
        let mut draft = Draft::new(view);
        let outcome = act(&mut draft, command, policies);
        // What was looked at may have been decided later than the store's clock says: then that is the time of the
        // decision, and what was decided for an earlier one does not count. Ordinary decisions pass once.
        if draft.now() == assumed {
            break (outcome?, assumed, draft.into_writes());
        }
    };
    let record = OperationRecord {
        event: command.event.clone(),
        fingerprint: Fingerprint::of(command),
        recorded: recorded(command.kind(), &outcome),
    };
    writes.push((RecordKey::Operation(command.operation), Record::Operation(record)));
    let receipt = Receipt { operation: command.operation, kind: command.kind(), at, outcome, repeated: false };
    Ok(ChangeSet { at, writes, receipt: Some(receipt) })
}

fn act(draft: &mut Draft<'_, '_>, command: &Command, policies: &Policies) -> Result<Outcome, Rejection> {
    match &command.action {
        Action::CreateEvent(terms) => inventory::create_event(draft, terms),
        Action::Import(import) => inventory::import(draft, import),
        Action::Block { tickets, reason } => inventory::block(draft, tickets, reason),
        Action::Unblock { tickets } => inventory::unblock(draft, tickets),
        Action::Hold(hold) => hold::hold(draft, hold, policies),
        Action::Extend { reservation, customer, ttl } => {
            reservation::extend(draft, *reservation, customer, *ttl, policies)
        }
        Action::Confirm { reservation, customer } => {
            reservation::confirm(draft, *reservation, customer, policies.late_payment)
        }
        Action::Release { reservation, customer } => reservation::release(draft, *reservation, customer),
        Action::Cancel { reservation, customer } => reservation::cancel(draft, *reservation, customer),
        Action::Transfer(transfer) => reservation::transfer(draft, transfer),
    }
}

/// Settles holds whose deadline has passed: gives back what they still count in pools and allowances, and frees the
/// tickets that they still own. Others are left alone. Correctness never waits for it.
///
/// ```
/// use std::time::Duration;
/// use ticket_reservation::domain::*;
///
/// let until = Timestamp::from_micros(1_800_000_000_000_000);
/// # let (event, standing) = (EventId::new("gala")?, PoolId::new("standing")?);
/// # let id = ReservationId::from_parts(until, [1; 10]);
/// # let hold = Reservation {
/// #     id,
/// #     event: event.clone(),
/// #     customer: CustomerId::new("alice")?,
/// #     lines: Lines::merge([], [(standing.clone(), 2)])?,
/// #     state: ReservationState::Held { until },
/// #     held_at: until.before(Duration::from_secs(600)),
/// # };
/// # let terms = Event { state: EventState::OnSale, window: SalesWindow::default(), limit_per_customer: None };
/// let mut snapshot = Snapshot::new(event, until.after(Duration::from_secs(1)));
/// # snapshot.insert(RecordKey::Event, Versioned::new(1, hold.held_at, Record::Event(terms)));
/// let pool = Pool { capacity: 200, held: 2, booked: 0 };
/// snapshot.insert(RecordKey::Pool(standing.clone()), Versioned::new(2, hold.held_at, Record::Pool(pool)));
/// snapshot.insert(RecordKey::Reservation(id), Versioned::new(1, hold.held_at, Record::Reservation(hold)));
///
/// let changes = expire(&mut View::new(&snapshot), &[id]);
/// snapshot.apply(&changes);
/// assert_eq!(View::new(&snapshot).pool(&standing).map(Pool::free), Some(200));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn expire(view: &mut View<'_>, reservations: &[ReservationId]) -> ChangeSet {
    let event = view.event_id();
    let lapsed: Vec<_> = reservations
        .iter()
        .filter_map(|id| view.reservation(*id))
        .filter(|reservation| reservation.event == *event)
        .collect();
    let mut draft = Draft::new(view);
    for reservation in lapsed {
        let tickets = draft.tickets(reservation.lines.tickets());
        let now = draft.now();
        if draft.reclaim(reservation.id, now) {
            draft.free_owned(reservation.id, tickets);
        }
    }
    ChangeSet { at: draft.now(), writes: draft.into_writes(), receipt: None }
}

/// Writes down that an operation was refused for good: its id, if nothing is recorded under it yet, can never take
/// effect any more. For a refusal after an outcome that was unknown: the lost commit may still arrive, and finds this.
///
/// ```
/// use ticket_reservation::domain::*;
///
/// # let now = Timestamp::from_micros(1_800_000_000_000_000);
/// # let (event, operation) = (EventId::new("gala")?, OperationId::from_parts(now, [2; 10]));
/// # let action = Action::CreateEvent(CreateEvent::default());
/// # let command = Command { event: event.clone(), operation, action };
/// # let mut snapshot = Snapshot::new(event, now);
/// snapshot.insert(RecordKey::Operation(operation), Versioned::ABSENT);
/// let changes = void(&mut View::new(&snapshot), &command);
/// snapshot.apply(&changes);
///
/// let late = decide(&mut View::new(&snapshot), &command, &Policies::default());
/// assert_eq!(late, Err(Rejection::OperationVoided));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn void(view: &mut View<'_>, command: &Command) -> ChangeSet {
    let recorded = view.operation(command.operation).is_some();
    let at = view.now();
    let record = OperationRecord {
        event: command.event.clone(),
        fingerprint: Fingerprint::of(command),
        recorded: Recorded::Voided,
    };
    let write = (RecordKey::Operation(command.operation), Record::Operation(record));
    ChangeSet { at, writes: if recorded { Vec::new() } else { vec![write] }, receipt: None }
}

/// The answer of an operation that was carried out before, as it was then.
fn repeat(
    view: &mut View<'_>,
    command: &Command,
    operation: &OperationRecord,
    at: Timestamp,
) -> Result<ChangeSet, Rejection> {
    let is_another = operation.event != command.event || operation.fingerprint != Fingerprint::of(command);
    #[cfg(planted_bugs)]
    let is_another = is_another && !crate::planted::is(crate::planted::Bug::ContentNotCompared);
    if is_another {
        return Err(Rejection::OperationReused);
    }
    let Recorded::Applied { kind, reservation, customer, until, changed } = &operation.recorded else {
        return Err(Rejection::OperationVoided);
    };
    let outcome = match reservation {
        None => Outcome::Inventory { changed: *changed },
        Some(id) => {
            let mut reservation = view.reservation(*id).ok_or(Rejection::UnknownReservation)?.clone();
            reservation.state = state_after(*kind, *until);
            if let Some(customer) = customer {
                reservation.customer = customer.clone();
            }
            Outcome::Reservation(reservation)
        }
    };
    let receipt = Receipt { operation: command.operation, kind: *kind, at, outcome, repeated: true };
    Ok(ChangeSet { at, writes: Vec::new(), receipt: Some(receipt) })
}

/// The state in which an action left its reservation. `until` was recorded exactly where that was a hold.
fn state_after(kind: ActionKind, until: Option<Timestamp>) -> ReservationState {
    match (kind, until) {
        (ActionKind::Release, _) => ReservationState::Released,
        (ActionKind::Cancel, _) => ReservationState::Cancelled,
        (_, Some(until)) => ReservationState::Held { until },
        (_, None) => ReservationState::Booked,
    }
}

fn recorded(kind: ActionKind, outcome: &Outcome) -> Recorded {
    match outcome {
        Outcome::Inventory { changed } => {
            Recorded::Applied { kind, reservation: None, customer: None, until: None, changed: *changed }
        }
        Outcome::Reservation(reservation) => Recorded::Applied {
            kind,
            reservation: Some(reservation.id),
            customer: Some(reservation.customer.clone()),
            until: match reservation.state {
                ReservationState::Held { until } => Some(until),
                _ => None,
            },
            changed: 0,
        },
    }
}

/// An operation whose record may be purged could be carried out twice; one from the far future would never be purged.
fn check_age(view: &View<'_>, command: &Command, policies: &Policies) -> Result<(), Rejection> {
    let made_at = command.operation.made_at();
    #[cfg(planted_bugs)]
    if crate::planted::is(crate::planted::Bug::OldIdsTaken) {
        return Ok(());
    }
    if made_at < view.operations_purged_before() || made_at < view.now().before(policies.retention) {
        return Err(Rejection::OperationTooOld);
    }
    if made_at > view.now().after(OPERATION_CLOCK_SKEW_MAX) {
        return Err(Rejection::OperationFromFuture);
    }
    Ok(())
}
