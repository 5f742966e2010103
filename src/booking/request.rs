use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Instant;

use futures_channel::oneshot;

use super::error::{BookingError, OutcomeUnknown};
use crate::domain::{Command, Receipt, RecordKey, TicketId};
use crate::ports::{LockKey, StoreError};

pub(super) type Answer = Result<Receipt, BookingError>;

/// What may be said of a request whose caller does not wait any longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum State {
    /// Nothing has been sent to the store: it can be taken back.
    Waiting,
    /// It is being decided or committed: it may happen.
    InFlight,
    /// A commit with it had an unknown outcome: it may have happened, or may still.
    Uncertain,
    /// The caller took it back.
    Abandoned,
}

/// Shared by a request and its caller: who of them was first.
#[derive(Debug, Clone)]
pub(super) struct Phase(Arc<AtomicU8>);

impl Phase {
    fn new(state: State) -> Self {
        Self(Arc::new(AtomicU8::new(state as u8)))
    }

    fn swap_if(&self, from: State, to: State) -> bool {
        self.0.compare_exchange(from as u8, to as u8, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    fn is(&self, state: State) -> bool {
        self.0.load(Ordering::Acquire) == state as u8
    }

    /// Takes the request back. `false` when it is too late: it may happen.
    pub(super) fn abandon(&self) -> bool {
        self.swap_if(State::Waiting, State::Abandoned)
    }

    /// Whether it may have happened, or may still.
    pub(super) fn may_happen(&self) -> bool {
        self.is(State::InFlight) || self.is(State::Uncertain)
    }
}

/// A request in an event's queue or batch.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) command: Command,
    pub(super) deadline: Instant,
    /// Its place in the event's arrival order, given by the queue. What is decided again keeps it.
    pub(super) arrival: u64,
    /// Whether it is refused instead of waiting when others get in its way.
    pub(super) rejects_contention: bool,
    pub(super) conflicts: u32,
    pub(super) store_failures: u32,
    /// The locks it was found to need when it last had to wait for some.
    pub(super) lock_keys: Vec<LockKey>,
    /// The tickets that were chosen for its best available when it was last decided, while it waits for their locks.
    pub(super) picked: Vec<TicketId>,
    /// Whether it waits for a lock that another process holds.
    pub(super) is_parked: bool,
    /// How the store failed when its outcome became unknown.
    unknown: Option<StoreError>,
    phase: Phase,
    answer: oneshot::Sender<Answer>,
}

impl Request {
    pub(super) fn new(
        command: Command,
        deadline: Instant,
        rejects_contention: bool,
        is_uncertain: bool,
    ) -> (Self, Phase, oneshot::Receiver<Answer>) {
        let (answer, receiver) = oneshot::channel();
        let phase = Phase::new(if is_uncertain { State::Uncertain } else { State::Waiting });
        let request = Self {
            command,
            deadline,
            arrival: 0,
            rejects_contention,
            conflicts: 0,
            store_failures: 0,
            lock_keys: Vec::new(),
            picked: Vec::new(),
            is_parked: false,
            unknown: None,
            phase: phase.clone(),
            answer,
        };
        (request, phase, receiver)
    }

    /// Whether nobody waits for it and it can be dropped without a trace.
    pub(super) fn is_abandoned(&self) -> bool {
        self.answer.is_canceled() && !self.phase.is(State::InFlight)
    }

    /// The records that deciding it starts from.
    pub(super) fn records(&self) -> impl Iterator<Item = RecordKey> {
        self.command.records().into_iter().chain(self.picked.iter().cloned().map(RecordKey::Ticket))
    }

    /// From here on it may happen. `false` when the caller took it back first.
    pub(super) fn begin(&self) -> bool {
        self.phase.is(State::Uncertain) || self.phase.swap_if(State::Waiting, State::InFlight)
    }

    /// It did not happen, and waits again.
    pub(super) fn wait_again(&self) {
        self.phase.swap_if(State::InFlight, State::Waiting);
    }

    /// Whether it happened is unknown, until its record or a tombstone tells.
    pub(super) fn become_uncertain(&mut self, error: StoreError) {
        self.unknown = Some(error);
        self.phase.swap_if(State::InFlight, State::Uncertain);
    }

    pub(super) fn is_uncertain(&self) -> bool {
        self.phase.is(State::Uncertain)
    }

    /// The answer when it could not be decided: `otherwise`, unless a commit with it may have happened, or may still.
    pub(super) fn undecided(&self, otherwise: impl Into<BookingError>) -> Answer {
        if self.is_uncertain() {
            Err(OutcomeUnknown::new(self.command.operation, self.unknown.clone()).into())
        } else {
            Err(otherwise.into())
        }
    }

    pub(super) fn answer(self, answer: Answer) {
        // A caller that went away does not need the answer.
        let _ = self.answer.send(answer);
    }
}
