//! What was asked, and what was answered.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use super::executor::{Executor, locked};
use crate::booking::BookingError;
use crate::domain::{Command, OperationId, Receipt, Rejection};

/// How a call ended.
#[derive(Debug, Clone)]
pub(super) enum Reply {
    Done(Receipt),
    /// Not done, and this call will not do it.
    Refused(Rejection),
    /// The store failed; not done, and this call will not do it.
    Failed,
    Unknown,
}

impl From<Result<Receipt, BookingError>> for Reply {
    fn from(answer: Result<Receipt, BookingError>) -> Self {
        match answer {
            Ok(receipt) => Self::Done(receipt),
            Err(BookingError::Rejected(rejection)) => Self::Refused(rejection),
            Err(BookingError::Failed(_)) => Self::Failed,
            Err(BookingError::OutcomeUnknown(_)) => Self::Unknown,
        }
    }
}

/// One call of one process.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) command: Command,
    /// It asks for a final answer.
    pub(super) resolves: bool,
    pub(super) began: Duration,
    /// `None` is for ever: the process crashed, or whoever asked went away.
    pub(super) ended: Option<(Duration, Reply)>,
}

/// Every call, in the order in which they began.
#[derive(Debug)]
pub(super) struct History {
    executor: Executor,
    calls: Mutex<Vec<Call>>,
}

impl History {
    pub(super) fn new(executor: &Executor) -> Self {
        Self { executor: executor.clone(), calls: Mutex::default() }
    }

    /// A call begins. Answers its number.
    pub(super) fn began(&self, command: Command, resolves: bool) -> usize {
        let began = self.executor.elapsed();
        let mut calls = locked(&self.calls);
        calls.push(Call { command, resolves, began, ended: None });
        calls.len() - 1
    }

    pub(super) fn ended(&self, number: usize, reply: Reply) {
        let at = self.executor.elapsed();
        locked(&self.calls)[number].ended = Some((at, reply));
    }

    /// How many calls there were.
    pub(super) fn len(&self) -> usize {
        locked(&self.calls).len()
    }

    /// All but those of an operation id that was used for something else before.
    pub(super) fn calls(&self) -> Vec<Call> {
        self.parted().0
    }

    /// Those of an operation id that was used for something else before.
    pub(super) fn reused(&self) -> Vec<Call> {
        self.parted().1
    }

    fn parted(&self) -> (Vec<Call>, Vec<Call>) {
        let calls = locked(&self.calls);
        let mut first: BTreeMap<OperationId, &Command> = BTreeMap::new();
        let (ours, reused): (Vec<&Call>, Vec<&Call>) = calls
            .iter()
            .partition(|call| **first.entry(call.command.operation).or_insert(&call.command) == call.command);
        (ours.into_iter().cloned().collect(), reused.into_iter().cloned().collect())
    }
}
