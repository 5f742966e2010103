/// What kind of action an operation was.
///
/// ```
/// use ticket_reservation::domain::ActionKind;
///
/// assert_eq!(ActionKind::Hold.name(), "hold");
/// assert_eq!(ActionKind::from_name("hold"), Some(ActionKind::Hold));
/// ```
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
