//! What is known when the store fails.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use thiserror::Error;

use super::queries::Sequence;

/// What is known after the store failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// Nothing was changed, and the same call may succeed soon: busy, deadlock victim, connection refused.
    Transient,
    /// Nothing was changed, and repeating the call will not help: permission, schema, a broken invariant.
    Permanent,
    /// The commit may have been applied, or *may still be*: the answer was lost on the way.
    Unknown,
}

/// A technical failure of the store. It says what is known; the adapter's own error is its source.
///
/// ```
/// use std::error::Error;
/// use ticket_reservation::ports::{StoreError, StoreErrorKind};
///
/// let error = StoreError::transient("deadlock victim");
/// assert_eq!(error.kind(), StoreErrorKind::Transient);
/// assert_eq!(error.source().map(ToString::to_string), Some("deadlock victim".to_owned()));
/// assert_eq!(StoreError::permanent("no such table").kind(), StoreErrorKind::Permanent);
/// assert_eq!(StoreError::unknown("connection reset").kind(), StoreErrorKind::Unknown);
/// ```
#[derive(Debug, Clone)]
pub struct StoreError {
    kind: StoreErrorKind,
    source: Arc<dyn StdError + Send + Sync>,
}

impl StoreError {
    /// Nothing was changed, and the same call may succeed soon.
    pub fn transient(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { kind: StoreErrorKind::Transient, source: Arc::from(source.into()) }
    }

    /// Nothing was changed, and repeating the call will not help.
    pub fn permanent(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { kind: StoreErrorKind::Permanent, source: Arc::from(source.into()) }
    }

    /// The commit may have been applied, or may still be.
    pub fn unknown(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { kind: StoreErrorKind::Unknown, source: Arc::from(source.into()) }
    }

    /// What is known.
    #[must_use]
    pub fn kind(&self) -> StoreErrorKind {
        self.kind
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = match self.kind {
            StoreErrorKind::Transient => "nothing was changed, try again",
            StoreErrorKind::Permanent => "nothing was changed",
            StoreErrorKind::Unknown => "the outcome is unknown",
        };
        write!(f, "the store failed ({known})")
    }
}

impl StdError for StoreError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&*self.source)
    }
}

/// Why a page of the change feed could not be read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ChangesError {
    /// Rows after the asked position are purged already: start again from the tables, and go on after
    /// `purged_through` at the earliest.
    #[error("the change feed is purged up to {purged_through}")]
    Truncated {
        /// The last purged position.
        purged_through: Sequence,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
