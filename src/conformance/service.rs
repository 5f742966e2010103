//! The booking service on a store under test, and commands for it.

use std::sync::Arc;
use std::time::Duration;

use super::bench::{RepositoryBench, customer_id};
use super::check::Failure;
use crate::booking::{BookingError, BookingService, Contention, Limits, LockPolicy, LockScope};
use crate::domain::{Action, Command, EventId, Hold, Lines, Policies, Receipt, ReservationId};
use crate::ports::{Lock, NoObserver, Observer, Repository, Runtime, RuntimeExt};

/// How long a request may wait for others.
pub(super) const WAIT_MAX: Duration = Duration::from_secs(30);

/// A service without a lock.
pub(super) fn on(bench: &RepositoryBench, repository: Arc<dyn Repository>) -> Result<BookingService, Failure> {
    observed(&bench.runtime, repository, Policies::default(), Arc::new(NoObserver))
}

/// A service that changes no ticket and no pool without its lock, and waits for its lock as long as for others.
pub(super) fn locked(
    bench: &RepositoryBench,
    repository: Arc<dyn Repository>,
    lock: Arc<dyn Lock>,
) -> Result<BookingService, Failure> {
    let builder =
        BookingService::builder(repository, Arc::clone(&bench.runtime)).contention(Contention::Wait(WAIT_MAX));
    // No lease ends while the service has it, and no answer of the lock is too late.
    let limits = Limits::default().lock_ttl(WAIT_MAX * 4).lock_timeout(WAIT_MAX);
    Ok(builder.lock(lock).lock_policy(LockPolicy::Always(LockScope::Ticket)).limits(limits).build()?)
}

pub(super) fn observed(
    runtime: &Arc<dyn Runtime>,
    repository: Arc<dyn Repository>,
    policies: Policies,
    observer: Arc<dyn Observer>,
) -> Result<BookingService, Failure> {
    let builder = BookingService::builder(repository, Arc::clone(runtime)).observer(observer);
    Ok(builder.policies(policies).contention(Contention::Wait(WAIT_MAX)).build()?)
}

pub(super) fn command(bench: &RepositoryBench, event: &EventId, action: Action) -> Command {
    Command { event: event.clone(), operation: bench.runtime.operation_id(), action }
}

/// A hold of a new reservation.
pub(super) fn hold(bench: &RepositoryBench, event: &EventId, customer: &str, lines: Lines) -> Command {
    let hold = Hold::new(bench.runtime.reservation_id(), customer_id(customer), lines);
    command(bench, event, Action::Hold(hold))
}

pub(super) fn confirm(bench: &RepositoryBench, event: &EventId, customer: &str, reservation: ReservationId) -> Command {
    command(bench, event, Action::Confirm { reservation, customer: customer_id(customer) })
}

pub(super) fn reservation_of(command: &Command) -> Result<ReservationId, Failure> {
    match &command.action {
        Action::Hold(hold) => Ok(hold.reservation),
        other => Err(Failure::new(format!("not a hold: {other:?}"))),
    }
}

/// The receipt, `None` for a refusal; anything else is a failure.
pub(super) fn settled(answer: Result<Receipt, BookingError>) -> Result<Option<Receipt>, Failure> {
    match answer {
        Ok(receipt) => Ok(Some(receipt)),
        Err(BookingError::Rejected(_)) => Ok(None),
        Err(other) => Err(other.into()),
    }
}
