use super::ids::{AreaId, BlockReason, ReservationId};
use super::time::Timestamp;

/// Where a ticket's place is. Two places are neighbours when area and row are equal and their numbers differ by one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The part of the hall.
    pub area: AreaId,
    /// The row's rank in its area, the best first.
    pub row: u32,
    /// The place in the row.
    pub number: u32,
}

/// Who owns a place.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TicketState {
    /// Anyone may hold it.
    Available,
    /// Kept for a reservation until a deadline. From the deadline on it is available, whatever this says.
    Held {
        /// The reservation that holds it.
        reservation: ReservationId,
        /// The first moment at which the hold is over.
        until: Timestamp,
    },
    /// Sold.
    Booked {
        /// The reservation that booked it.
        reservation: ReservationId,
    },
    /// Taken off sale by the organiser.
    Blocked {
        /// Why.
        reason: BlockReason,
    },
}

/// One numbered place of an event.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Ticket {
    /// Where it is.
    pub place: Place,
    /// Who owns it.
    pub state: TicketState,
}

impl Ticket {
    /// A ticket that anyone may hold.
    ///
    /// ```
    /// use ticket_reservation::domain::{AreaId, Place, Ticket, Timestamp};
    ///
    /// let ticket = Ticket::available(Place { area: AreaId::new("stalls")?, row: 1, number: 12 });
    /// assert!(ticket.is_available(Timestamp::EPOCH));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn available(place: Place) -> Self {
        Self { place, state: TicketState::Available }
    }

    /// Whether anyone may hold it at `now`. A hold ends at its deadline: `until` itself is already free.
    ///
    /// ```
    /// use ticket_reservation::domain::*;
    ///
    /// let until = Timestamp::from_micros(1_000);
    /// let state = TicketState::Held { reservation: ReservationId::from_parts(Timestamp::EPOCH, [7; 10]), until };
    /// let ticket = Ticket { place: Place { area: AreaId::new("stalls")?, row: 1, number: 12 }, state };
    /// assert!(!ticket.is_available(Timestamp::from_micros(999)));
    /// assert!(ticket.is_available(until));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_available(&self, now: Timestamp) -> bool {
        match &self.state {
            TicketState::Available => true,
            TicketState::Held { until, .. } => *until <= now,
            TicketState::Booked { .. } | TicketState::Blocked { .. } => false,
        }
    }

    /// The reservation named in its state, expired or not.
    ///
    /// ```
    /// use ticket_reservation::domain::{AreaId, Place, ReservationId, Ticket, TicketState, Timestamp};
    ///
    /// let reservation = ReservationId::from_parts(Timestamp::EPOCH, [7; 10]);
    /// let place = Place { area: AreaId::new("stalls")?, row: 1, number: 12 };
    /// let sold = Ticket { place, state: TicketState::Booked { reservation } };
    /// assert_eq!(sold.owner(), Some(reservation));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn owner(&self) -> Option<ReservationId> {
        match &self.state {
            TicketState::Held { reservation, .. } | TicketState::Booked { reservation } => Some(*reservation),
            TicketState::Available | TicketState::Blocked { .. } => None,
        }
    }
}
