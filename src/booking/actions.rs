//! One method for each action, on top of [`BookingService::submit`].

use std::time::Duration;

use super::error::BookingError;
use super::service::BookingService;
use crate::domain::{
    Action, BlockReason, Command, CreateEvent, CustomerId, EventId, Hold, OperationId, Outcome, Receipt, Rejection,
    Reservation, ReservationId, TicketId, Transfer,
};

impl BookingService {
    async fn act(&self, event: &EventId, operation: OperationId, action: Action) -> Result<Receipt, BookingError> {
        self.submit(Command { event: event.clone(), operation, action }).await
    }

    async fn reserve(
        &self,
        event: &EventId,
        operation: OperationId,
        action: Action,
    ) -> Result<Reservation, BookingError> {
        match self.act(event, operation, action).await?.outcome {
            Outcome::Reservation(reservation) => Ok(reservation),
            Outcome::Inventory { .. } => Err(Rejection::OperationReused.into()),
        }
    }

    /// Creates an event. Fill it with [`import`](Self::import).
    ///
    /// # Errors
    ///
    /// As [`submit`](Self::submit); [`Rejection::EventExists`] when there is one.
    ///
    /// # Cancellation
    ///
    /// As [`submit`](Self::submit).
    pub async fn create_event(
        &self,
        event: &EventId,
        operation: OperationId,
        terms: CreateEvent,
    ) -> Result<Receipt, BookingError> {
        self.act(event, operation, Action::CreateEvent(terms)).await
    }

    /// Keeps places for a customer until a deadline, all or none of them.
    ///
    /// # Errors
    ///
    /// As [`submit`](Self::submit).
    ///
    /// # Cancellation
    ///
    /// As [`submit`](Self::submit).
    pub async fn hold(&self, event: &EventId, operation: OperationId, hold: Hold) -> Result<Reservation, BookingError> {
        self.reserve(event, operation, Action::Hold(hold)).await
    }

    /// Moves a live hold's deadline to `ttl` from now (`None`: the policy's hold TTL), within the policy's maximum.
    ///
    /// # Errors
    ///
    /// As [`submit`](Self::submit).
    ///
    /// # Cancellation
    ///
    /// As [`submit`](Self::submit).
    pub async fn extend(
        &self,
        event: &EventId,
        operation: OperationId,
        reservation: ReservationId,
        customer: CustomerId,
        ttl: Option<Duration>,
    ) -> Result<Reservation, BookingError> {
        self.reserve(event, operation, Action::Extend { reservation, customer, ttl }).await
    }

    /// Books what is held.
    ///
    /// # Errors
    ///
    /// As [`submit`](Self::submit); [`Rejection::HoldExpired`] when the deadline has passed.
    ///
    /// # Cancellation
    ///
    /// As [`submit`](Self::submit).
    pub async fn confirm(
        &self,
        event: &EventId,
        operation: OperationId,
        reservation: ReservationId,
        customer: CustomerId,
    ) -> Result<Reservation, BookingError> {
        self.reserve(event, operation, Action::Confirm { reservation, customer }).await
    }

    /// Gives a live hold back.
    ///
    /// # Errors
    ///
    /// As [`submit`](Self::submit); [`Rejection::HoldExpired`] when the deadline has passed.
    ///
    /// # Cancellation
    ///
    /// As [`submit`](Self::submit).
    pub async fn release(
        &self,
        event: &EventId,
        operation: OperationId,
        reservation: ReservationId,
        customer: CustomerId,
    ) -> Result<Reservation, BookingError> {
        self.reserve(event, operation, Action::Release { reservation, customer }).await
    }

    /// Gives a booking back.
    ///
    /// # Errors
    ///
    /// As [`submit`](Self::submit).
    ///
    /// # Cancellation
    ///
    /// As [`submit`](Self::submit).
    pub async fn cancel(
        &self,
        event: &EventId,
        operation: OperationId,
        reservation: ReservationId,
        customer: CustomerId,
    ) -> Result<Reservation, BookingError> {
        self.reserve(event, operation, Action::Cancel { reservation, customer }).await
    }

    /// Hands a live hold or a booking to another customer.
    ///
    /// # Errors
    ///
    /// As [`submit`](Self::submit).
    ///
    /// # Cancellation
    ///
    /// As [`submit`](Self::submit).
    pub async fn transfer(
        &self,
        event: &EventId,
        operation: OperationId,
        transfer: Transfer,
    ) -> Result<Reservation, BookingError> {
        self.reserve(event, operation, Action::Transfer(transfer)).await
    }

    /// Takes available tickets off sale, all or none of them.
    ///
    /// # Errors
    ///
    /// As [`submit`](Self::submit).
    ///
    /// # Cancellation
    ///
    /// As [`submit`](Self::submit).
    pub async fn block(
        &self,
        event: &EventId,
        operation: OperationId,
        tickets: Vec<TicketId>,
        reason: BlockReason,
    ) -> Result<Receipt, BookingError> {
        self.act(event, operation, Action::Block { tickets, reason }).await
    }

    /// Puts blocked tickets on sale again, all or none of them.
    ///
    /// # Errors
    ///
    /// As [`submit`](Self::submit).
    ///
    /// # Cancellation
    ///
    /// As [`submit`](Self::submit).
    pub async fn unblock(
        &self,
        event: &EventId,
        operation: OperationId,
        tickets: Vec<TicketId>,
    ) -> Result<Receipt, BookingError> {
        self.act(event, operation, Action::Unblock { tickets }).await
    }
}
