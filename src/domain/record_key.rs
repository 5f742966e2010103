use super::ids::{CustomerId, OperationId, PoolId, ReservationId, TicketId};

/// Names one record of an event.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum RecordKey {
    /// The event itself.
    Event,
    /// A numbered place.
    Ticket(TicketId),
    /// A counted area.
    Pool(PoolId),
    /// What one customer has taken of the event.
    Allowance(CustomerId),
    /// A reservation. Its id names it in all events: the record found may belong to another one.
    Reservation(ReservationId),
    /// A recorded operation. Its id names it in all events: the record found may belong to another one.
    Operation(OperationId),
}

impl RecordKey {
    /// Whether it is something that is sold: a ticket or a pool.
    ///
    /// ```
    /// use ticket_reservation::domain::{PoolId, RecordKey};
    ///
    /// assert!(RecordKey::Pool(PoolId::new("standing")?).is_inventory());
    /// assert!(!RecordKey::Event.is_inventory());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_inventory(&self) -> bool {
        matches!(self, Self::Ticket(_) | Self::Pool(_))
    }
}
