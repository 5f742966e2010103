//! How a case says what is wrong.

use std::any::Any;
use std::error::Error;

use super::harness::HarnessError;

/// What a case ends with.
pub(super) type Checked = Result<(), Failure>;

/// Why a case did not pass.
#[derive(Debug)]
pub(super) enum Failure {
    /// The adapter broke its contract.
    Failed(String),
    /// The adapter declares that it has not what the case is about.
    Skipped(String),
}

impl Failure {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self::Failed(message.into())
    }

    pub(super) fn skipped(reason: impl Into<String>) -> Self {
        Self::Skipped(reason.into())
    }

    /// What the harness could not do.
    pub(super) fn of_harness(what: &str, error: &HarnessError) -> Self {
        Self::Failed(format!("{what}: {}", with_causes(&**error)))
    }

    pub(super) fn of_panic(panic: &(dyn Any + Send)) -> Self {
        let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        Self::Failed(format!("panicked: {}", text.unwrap_or("without a message")))
    }

    /// Says where it happened.
    pub(super) fn at(self, place: &str) -> Self {
        match self {
            Self::Failed(message) => Self::Failed(format!("{place}: {message}")),
            skipped @ Self::Skipped(_) => skipped,
        }
    }
}

/// An error where the contract allows none, with everything that caused it.
impl<E: Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Failed(format!("unexpected error: {}", with_causes(&error)))
    }
}

fn with_causes(error: &dyn Error) -> String {
    let mut message = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        message = format!("{message}: {cause}");
        source = cause.source();
    }
    message
}

macro_rules! ensure {
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            return Err($crate::conformance::check::Failure::new(format!($($message)+)));
        }
    };
}

macro_rules! ensure_eq {
    ($found:expr, $expected:expr, $($message:tt)+) => {
        match (&$found, &$expected) {
            (found, expected) => {
                if *found != *expected {
                    let what = format!($($message)+);
                    return Err($crate::conformance::check::Failure::new(format!(
                        "{what}: expected {expected:?}, found {found:?}"
                    )));
                }
            }
        }
    };
}

pub(super) use {ensure, ensure_eq};
