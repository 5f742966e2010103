use super::fingerprint::Fingerprint;
use super::ids::{CustomerId, EventId, ReservationId};
use super::time::Timestamp;

/// What kind of action an operation was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ActionKind {
    /// An event was created.
    CreateEvent,
    /// Inventory was added.
    Import,
    /// Places were held.
    Hold,
    /// A hold was extended.
    Extend,
    /// A hold was booked.
    Confirm,
    /// A hold was given back.
    Release,
    /// A booking was given back.
    Cancel,
    /// A reservation changed hands.
    Transfer,
    /// Tickets were taken off sale.
    Block,
    /// Tickets were put on sale again.
    Unblock,
}

impl ActionKind {
    /// Every kind.
    pub const ALL: [ActionKind; 10] = [
        Self::CreateEvent,
        Self::Import,
        Self::Hold,
        Self::Extend,
        Self::Confirm,
        Self::Release,
        Self::Cancel,
        Self::Transfer,
        Self::Block,
        Self::Unblock,
    ];

    /// The name that stores write down. Never changes.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::CreateEvent => "create_event",
            Self::Import => "import",
            Self::Hold => "hold",
            Self::Extend => "extend",
            Self::Confirm => "confirm",
            Self::Release => "release",
            Self::Cancel => "cancel",
            Self::Transfer => "transfer",
            Self::Block => "block",
            Self::Unblock => "unblock",
        }
    }

    /// The kind with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

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
