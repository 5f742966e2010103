//! One method for each action, on top of [`BookingService::submit`].

use std::time::Duration;

use super::error::BookingError;
use super::service::{BookingService, Sent};
use crate::domain::{
    Action, BlockReason, Command, CreateEvent, CustomerId, EventId, Hold, OperationId, Outcome, Receipt, Rejection,
    Reservation, ReservationId, TicketId, Transfer,
};

fn reserved(receipt: Receipt) -> Result<Reservation, BookingError> {
    match receipt.outcome {
        Outcome::Reservation(reservation) => Ok(reservation),
        Outcome::Inventory { .. } => Err(Rejection::OperationReused.into()),
    }
}

impl BookingService {
    /// As [`submit`](Self::submit), up to waiting.
    fn act(&self, event: &EventId, operation: OperationId, action: Action) -> Result<Sent<'_>, BookingError> {
        self.send(Command { event: event.clone(), operation, action }, self.contention(), false)
    }

    /// Creates an event. Fill it with [`import`](Self::import).
    ///
    /// # Errors
    ///
    /// As [`submit`](Self::submit). Refused with [`EventExists`](Rejection::EventExists) when there is one.
    ///
    /// # Cancellation
    ///
    /// As [`submit`](Self::submit).
    ///
    /// # Example
    ///
    /// ```
    #[doc = doc_on_sale!()]
    /// let event = EventId::new("matinee")?;
    /// let terms = CreateEvent { limit_per_customer: Some(4), ..CreateEvent::default() };
    /// let receipt = service.create_event(&event, service.new_operation_id(), terms).await?;
    /// assert_eq!(receipt.kind, ActionKind::CreateEvent);
    #[doc = doc_end!()]
    /// ```
    pub async fn create_event(
        &self,
        event: &EventId,
        operation: OperationId,
        terms: CreateEvent,
    ) -> Result<Receipt, BookingError> {
        self.act(event, operation, Action::CreateEvent(terms))?.answer().await
    }

    /// Keeps places for a customer until a deadline, all or none of them.
    ///
    /// # Errors
    ///
    /// As [`submit`](Self::submit). Refused when places are taken ([`Unavailable`](Rejection::Unavailable),
    /// [`Insufficient`](Rejection::Insufficient), [`NoNeighbours`](Rejection::NoNeighbours)), the customer may have no more
    /// ([`LimitReached`](Rejection::LimitReached)), the sale is not open ([`NotOnSale`](Rejection::NotOnSale)), something does
    /// not exist ([`UnknownEvent`](Rejection::UnknownEvent), [`UnknownTickets`](Rejection::UnknownTickets),
    /// [`UnknownPool`](Rejection::UnknownPool)), or the hold itself is not possible
    /// ([`ReservationExists`](Rejection::ReservationExists), [`InvalidTtl`](Rejection::InvalidTtl),
    /// [`InvalidLines`](Rejection::InvalidLines)).
    ///
    /// # Cancellation
    ///
    /// As [`submit`](Self::submit).
    ///
    /// # Example
    ///
    /// ```
    #[doc = doc_on_sale!()]
    /// let hold = Hold::new(service.new_reservation_id(), alice, Lines::merge([ticket(1)?], [(standing, 2)])?);
    /// let held = service.hold(&event, service.new_operation_id(), hold).await?;
    /// assert_eq!(held.lines.places(), 3);
    #[doc = doc_end!()]
    /// ```
    pub async fn hold(&self, event: &EventId, operation: OperationId, hold: Hold) -> Result<Reservation, BookingError> {
        reserved(self.act(event, operation, Action::Hold(hold))?.answer().await?)
    }

    /// Moves a live hold's deadline to `ttl` from now (`None`: the policy's hold TTL), within the policy's maximum. It never
    /// becomes earlier than it is.
    ///
    /// # Errors
    ///
    /// As [`submit`](Self::submit). Refused when the hold is over ([`HoldExpired`](Rejection::HoldExpired)), is no hold any
    /// more ([`WrongState`](Rejection::WrongState)) or lasts as long as it may already
    /// ([`ExtensionLimit`](Rejection::ExtensionLimit)), when the TTL is out of bounds ([`InvalidTtl`](Rejection::InvalidTtl)),
    /// and with [`UnknownReservation`](Rejection::UnknownReservation) or [`NotOwner`](Rejection::NotOwner).
    ///
    /// # Cancellation
    ///
    /// As [`submit`](Self::submit).
    ///
    /// # Example
    ///
    /// ```
    #[doc = doc_on_sale!()]
    #[doc = doc_held!()]
    /// let ttl = Some(Duration::from_secs(15 * 60));
    /// let held = service.extend(&event, service.new_operation_id(), reservation, alice, ttl).await?;
    /// assert!(held.is_live_hold(held.held_at.after(Duration::from_secs(14 * 60))));
    #[doc = doc_end!()]
    /// ```
    pub async fn extend(
        &self,
        event: &EventId,
        operation: OperationId,
        reservation: ReservationId,
        customer: CustomerId,
        ttl: Option<Duration>,
    ) -> Result<Reservation, BookingError> {
        reserved(self.act(event, operation, Action::Extend { reservation, customer, ttl })?.answer().await?)
    }

    /// Books what is held.
    ///
    /// # Errors
    ///
    /// As [`submit`](Self::submit). Refused with [`WrongState`](Rejection::WrongState) when it is not held,
    /// [`UnknownReservation`](Rejection::UnknownReservation) or [`NotOwner`](Rejection::NotOwner). After the deadline
    /// [`LatePayment`](crate::domain::LatePayment) decides: by default it is refused with
    /// [`HoldExpired`](Rejection::HoldExpired); where the places are to be booked if they are free, with what a new
    /// [`hold`](Self::hold) of them would be refused with.
    ///
    /// # Cancellation
    ///
    /// As [`submit`](Self::submit).
    ///
    /// # Example
    ///
    /// ```
    #[doc = doc_on_sale!()]
    #[doc = doc_held!()]
    /// let booked = service.confirm(&event, service.new_operation_id(), reservation, alice).await?;
    /// assert_eq!(booked.state, ReservationState::Booked);
    #[doc = doc_end!()]
    /// ```
    pub async fn confirm(
        &self,
        event: &EventId,
        operation: OperationId,
        reservation: ReservationId,
        customer: CustomerId,
    ) -> Result<Reservation, BookingError> {
        reserved(self.act(event, operation, Action::Confirm { reservation, customer })?.answer().await?)
    }

    /// Gives a live hold back.
    ///
    /// # Errors
    ///
    /// As [`submit`](Self::submit). Refused when the deadline has passed ([`HoldExpired`](Rejection::HoldExpired)), when it
    /// is no hold any more ([`WrongState`](Rejection::WrongState)), and with
    /// [`UnknownReservation`](Rejection::UnknownReservation) or [`NotOwner`](Rejection::NotOwner).
    ///
    /// # Cancellation
    ///
    /// As [`submit`](Self::submit).
    ///
    /// # Example
    ///
    /// ```
    #[doc = doc_on_sale!()]
    #[doc = doc_held!()]
    /// let released = service.release(&event, service.new_operation_id(), reservation, alice).await?;
    /// assert_eq!(released.state, ReservationState::Released);
    #[doc = doc_end!()]
    /// ```
    pub async fn release(
        &self,
        event: &EventId,
        operation: OperationId,
        reservation: ReservationId,
        customer: CustomerId,
    ) -> Result<Reservation, BookingError> {
        reserved(self.act(event, operation, Action::Release { reservation, customer })?.answer().await?)
    }

    /// Gives a booking back.
    ///
    /// # Errors
    ///
    /// As [`submit`](Self::submit). Refused with [`WrongState`](Rejection::WrongState) when it is not booked,
    /// [`UnknownReservation`](Rejection::UnknownReservation) or [`NotOwner`](Rejection::NotOwner).
    ///
    /// # Cancellation
    ///
    /// As [`submit`](Self::submit).
    ///
    /// # Example
    ///
    /// ```
    #[doc = doc_on_sale!()]
    #[doc = doc_held!()]
    /// service.confirm(&event, service.new_operation_id(), reservation, alice.clone()).await?;
    /// let cancelled = service.cancel(&event, service.new_operation_id(), reservation, alice).await?;
    /// assert_eq!(cancelled.state, ReservationState::Cancelled);
    #[doc = doc_end!()]
    /// ```
    pub async fn cancel(
        &self,
        event: &EventId,
        operation: OperationId,
        reservation: ReservationId,
        customer: CustomerId,
    ) -> Result<Reservation, BookingError> {
        reserved(self.act(event, operation, Action::Cancel { reservation, customer })?.answer().await?)
    }

    /// Hands a live hold or a booking to another customer.
    ///
    /// # Errors
    ///
    /// As [`submit`](Self::submit). Refused when a hold is over ([`HoldExpired`](Rejection::HoldExpired)), when it is neither
    /// held nor booked ([`WrongState`](Rejection::WrongState)), when the other customer may have no more
    /// ([`LimitReached`](Rejection::LimitReached)), and with [`UnknownReservation`](Rejection::UnknownReservation) or
    /// [`NotOwner`](Rejection::NotOwner).
    ///
    /// # Cancellation
    ///
    /// As [`submit`](Self::submit).
    ///
    /// # Example
    ///
    /// ```
    #[doc = doc_on_sale!()]
    #[doc = doc_held!()]
    /// let transfer = Transfer { reservation, from: alice, to: bob.clone() };
    /// let now_bobs = service.transfer(&event, service.new_operation_id(), transfer).await?;
    /// assert_eq!(now_bobs.customer, bob);
    #[doc = doc_end!()]
    /// ```
    pub async fn transfer(
        &self,
        event: &EventId,
        operation: OperationId,
        transfer: Transfer,
    ) -> Result<Reservation, BookingError> {
        reserved(self.act(event, operation, Action::Transfer(transfer))?.answer().await?)
    }

    /// Takes available tickets off sale, all or none of them; at most [`LINES_MAX`](crate::domain::LINES_MAX).
    /// [`block_many`](Self::block_many) takes any number.
    ///
    /// # Errors
    ///
    /// As [`submit`](Self::submit). Refused with the tickets that are held, booked or blocked already
    /// ([`Unavailable`](Rejection::Unavailable)) or do not exist ([`UnknownTickets`](Rejection::UnknownTickets)), and with
    /// [`UnknownEvent`](Rejection::UnknownEvent) or [`InvalidLines`](Rejection::InvalidLines).
    ///
    /// # Cancellation
    ///
    /// As [`submit`](Self::submit).
    ///
    /// # Example
    ///
    /// ```
    #[doc = doc_on_sale!()]
    /// let (tickets, reason) = (vec![ticket(1)?, ticket(2)?], BlockReason::new("camera stand")?);
    /// let receipt = service.block(&event, service.new_operation_id(), tickets, reason).await?;
    /// assert_eq!(receipt.outcome, Outcome::Inventory { changed: 2 });
    #[doc = doc_end!()]
    /// ```
    pub async fn block(
        &self,
        event: &EventId,
        operation: OperationId,
        tickets: Vec<TicketId>,
        reason: BlockReason,
    ) -> Result<Receipt, BookingError> {
        self.act(event, operation, Action::Block { tickets, reason })?.answer().await
    }

    /// Puts blocked tickets on sale again, all or none of them; at most [`LINES_MAX`](crate::domain::LINES_MAX).
    /// [`unblock_many`](Self::unblock_many) takes any number.
    ///
    /// # Errors
    ///
    /// As [`submit`](Self::submit). Refused with the tickets that are not blocked ([`NotBlocked`](Rejection::NotBlocked)) or
    /// do not exist ([`UnknownTickets`](Rejection::UnknownTickets)), and with [`UnknownEvent`](Rejection::UnknownEvent) or
    /// [`InvalidLines`](Rejection::InvalidLines).
    ///
    /// # Cancellation
    ///
    /// As [`submit`](Self::submit).
    ///
    /// # Example
    ///
    /// ```
    #[doc = doc_on_sale!()]
    /// # let reason = BlockReason::new("camera stand")?;
    /// # let _ = service.block(&event, service.new_operation_id(), vec![ticket(1)?], reason).await?;
    /// let receipt = service.unblock(&event, service.new_operation_id(), vec![ticket(1)?]).await?;
    /// assert_eq!(receipt.outcome, Outcome::Inventory { changed: 1 });
    #[doc = doc_end!()]
    /// ```
    pub async fn unblock(
        &self,
        event: &EventId,
        operation: OperationId,
        tickets: Vec<TicketId>,
    ) -> Result<Receipt, BookingError> {
        self.act(event, operation, Action::Unblock { tickets })?.answer().await
    }
}
