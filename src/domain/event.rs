use super::time::Timestamp;

/// When an event's places may be held. Confirming a live hold stays possible after the close.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct SalesWindow {
    /// The first moment of the sale; `None` is "at once".
    pub opens: Option<Timestamp>,
    /// The first moment after the sale; `None` is "never".
    pub closes: Option<Timestamp>,
}

impl SalesWindow {
    /// Whether `now` lies in the window: `opens <= now < closes`.
    ///
    /// ```
    /// use ticket_reservation::domain::{SalesWindow, Timestamp};
    ///
    /// let (opens, closes) = (Timestamp::from_micros(1_000), Timestamp::from_micros(2_000));
    /// let window = SalesWindow { opens: Some(opens), closes: Some(closes) };
    /// assert!(window.contains(opens));
    /// assert!(!window.contains(closes));
    /// ```
    #[must_use]
    pub fn contains(&self, now: Timestamp) -> bool {
        self.opens.is_none_or(|opens| opens <= now) && self.closes.is_none_or(|closes| now < closes)
    }
}

/// Whether an event's inventory is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EventState {
    /// The inventory is being imported; nothing is sold yet.
    Preparing,
    /// The last chunk of the inventory has arrived.
    OnSale,
}

/// One event and its terms of sale, fixed when it is created.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Event {
    /// Whether the inventory is complete.
    pub state: EventState,
    /// When places may be held.
    pub window: SalesWindow,
    /// How many places one customer may hold and book together; `None` is "any number".
    pub limit_per_customer: Option<u32>,
}
