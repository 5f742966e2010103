use super::action_kind::ActionKind;
use super::fingerprint::Fingerprint;
use super::ids::{CustomerId, EventId, ReservationId};
use super::time::Timestamp;

/// What is written down about an operation, in the transaction that carries out its effect, so that a repetition
/// repeats the answer and never the effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperationRecord {
    /// The event it concerned.
    pub event: EventId,
    /// A digest of what was asked for; a repetition that asks for something else is refused.
    pub fingerprint: Fingerprint,
    /// What came of it.
    pub recorded: Recorded,
}

/// What came of an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Recorded {
    /// It took effect. What its answer needs beyond the reservation's unchanging lines stands here.
    Applied {
        /// What it was.
        kind: ActionKind,
        /// The reservation that it made or changed.
        reservation: Option<ReservationId>,
        /// The reservation's customer, as it was then.
        customer: Option<CustomerId>,
        /// The hold's deadline, as it was then.
        until: Option<Timestamp>,
        /// How many tickets and pools an import, block or unblock changed.
        changed: u32,
    },
    /// It was refused for good after its outcome had been unknown: it never took effect and never will.
    Voided,
}
