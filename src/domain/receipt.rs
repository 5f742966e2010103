use super::action_kind::ActionKind;
use super::ids::OperationId;
use super::reservation::Reservation;
use super::time::Timestamp;

/// The answer to a command that took effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The operation it answers.
    pub operation: OperationId,
    /// What was done.
    pub kind: ActionKind,
    /// When it was decided, by the store's clock.
    pub at: Timestamp,
    /// What came of it.
    pub outcome: Outcome,
    /// Whether the effect was found to have happened already under this operation id: by an earlier request, or by
    /// this one when the store's first answer to it was lost.
    pub repeated: bool,
}

/// What came of a command that took effect.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// A reservation was made or changed; this is how it was then.
    Reservation(Reservation),
    /// So many tickets and pools were added, blocked or unblocked; creating an event changes none.
    Inventory {
        /// How many.
        changed: u32,
    },
}

impl Outcome {
    /// The reservation, if the command concerned one.
    ///
    /// ```
    /// use ticket_reservation::domain::Outcome;
    ///
    /// assert_eq!(Outcome::Inventory { changed: 2 }.reservation(), None);
    /// ```
    #[must_use]
    pub fn reservation(&self) -> Option<&Reservation> {
        match self {
            Self::Reservation(reservation) => Some(reservation),
            Self::Inventory { .. } => None,
        }
    }
}
