//! The booking service on a store under test, and commands for it.

use std::sync::Arc;
use std::time::Duration;

use super::bench::{RepositoryBench, customer_id};
use super::check::Failure;
use crate::booking::{BookingError, BookingService, Contention};
use crate::domain::{Action, Command, EventId, Hold, Lines, Policies, Receipt, ReservationId};
use crate::ports::{NoObserver, Observer, Repository, Runtime, RuntimeExt};

/// How long a request may wait for others.
pub(super) const WAIT_MAX: Duration = Duration::from_secs(30);

/// A service without a lock.
pub(super) fn on(bench: &RepositoryBench, repository: Arc<dyn Repository>) -> Result<BookingService, Failure> {
    observed(&bench.runtime, repository, Policies::default(), Arc::new(NoObserver))
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
