use thiserror::Error;

use crate::domain::{OperationId, Rejection};
use crate::ports::{Reply, StoreError};

/// Why a request was not carried out, or is not known to have been.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum BookingError {
    /// A business "no". This request changed nothing, and will not. Of an earlier one under the same operation id whose
    /// outcome was unknown it says nothing: [`resolve`](super::BookingService::resolve) does.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// The store failed. Nothing was changed; asking again under the same operation id is safe.
    #[error("the store failed; nothing was changed")]
    Failed(#[source] StoreError),
    /// Whether it was carried out is not known, and it may still be.
    /// [`resolve`](super::BookingService::resolve) finds out; under its operation id it happens at most once.
    #[error(transparent)]
    OutcomeUnknown(#[from] OutcomeUnknown),
}

impl BookingError {
    /// The refusal, if it is one.
    ///
    /// ```
    /// use ticket_reservation::booking::BookingError;
    /// use ticket_reservation::domain::Rejection;
    ///
    /// let error = BookingError::from(Rejection::HoldExpired);
    /// assert_eq!(error.rejection(), Some(&Rejection::HoldExpired));
    /// ```
    #[must_use]
    pub fn rejection(&self) -> Option<&Rejection> {
        match self {
            Self::Rejected(rejection) => Some(rejection),
            _ => None,
        }
    }

    /// What it says, for observers.
    pub(super) fn reply(&self) -> Reply<'_> {
        match self {
            Self::Rejected(rejection) => Reply::Rejected(rejection),
            Self::Failed(error) => Reply::Failed(error),
            Self::OutcomeUnknown(_) => Reply::OutcomeUnknown,
        }
    }
}

/// The deadline came while a commit was under way, or while the store stayed out of reach after one.
#[derive(Debug, Clone, Error)]
#[error("it is not known whether operation {operation} was carried out; resolve it under the same id")]
pub struct OutcomeUnknown {
    operation: OperationId,
    #[source]
    source: Option<StoreError>,
}

impl OutcomeUnknown {
    pub(super) fn new(operation: OperationId, source: Option<StoreError>) -> Self {
        Self { operation, source }
    }

    /// The operation to resolve.
    ///
    /// ```
    #[doc = doc_on_sale!()]
    #[doc = doc_held!()]
    /// let operation = service.new_operation_id();
    /// let answer = service.confirm(&event, operation, reservation, alice).await;
    /// if let Err(BookingError::OutcomeUnknown(unknown)) = &answer {
    ///     eprintln!("to be resolved: {}", unknown.operation());
    /// }
    /// # assert!(answer.is_ok());
    #[doc = doc_end!()]
    /// ```
    #[must_use]
    pub fn operation(&self) -> OperationId {
        self.operation
    }
}
