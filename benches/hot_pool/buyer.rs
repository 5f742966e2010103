//! Who buys: through the service, or on a connection of their own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Instant;

use ticket_reservation::booking::{BookingError, BookingService};
use ticket_reservation::domain::{CustomerId, Hold, Lines, ReservationId};
use uuid::Uuid;

use crate::for_update;
use crate::meter::Meter;
use crate::orders::{Demand, event, pool};

/// A buyer, who is a new customer each time.
#[derive(Clone)]
pub(crate) enum Buyer {
    Service(BookingService),
    ByHand(Arc<for_update::Buyer>),
}

impl Buyer {
    /// Buys until it is over. What goes wrong is not tried again: nothing is expected to.
    pub(crate) async fn buy(
        self,
        demand: Demand,
        meter: Arc<Meter>,
        over: Arc<AtomicBool>,
    ) -> Result<(), BookingError> {
        while !over.load(Relaxed) {
            let asked = Instant::now();
            let reservation = self.hold().await?;
            meter.held(asked.elapsed());
            if demand == Demand::Book {
                let asked = Instant::now();
                self.confirm(reservation).await?;
                meter.booked(asked.elapsed());
            }
        }
        Ok(())
    }

    async fn hold(&self) -> Result<Uuid, BookingError> {
        match self {
            Self::Service(service) => {
                let reservation = service.new_reservation_id();
                let lines = Lines::merge([], [(pool(), 1)]).expect("one place");
                let hold = Hold::new(reservation, customer(*reservation.as_uuid()), lines);
                service.hold(&event(), service.new_operation_id(), hold).await?;
                Ok(*reservation.as_uuid())
            }
            Self::ByHand(buyer) => Ok(buyer.hold().await),
        }
    }

    async fn confirm(&self, reservation: Uuid) -> Result<(), BookingError> {
        match self {
            Self::Service(service) => {
                let (operation, customer) = (service.new_operation_id(), customer(reservation));
                service.confirm(&event(), operation, ReservationId::from(reservation), customer).await?;
            }
            Self::ByHand(buyer) => buyer.confirm(reservation).await,
        }
        Ok(())
    }
}

/// Named after the reservation, as by hand.
fn customer(reservation: Uuid) -> CustomerId {
    CustomerId::new(reservation.to_string()).expect("an id")
}
