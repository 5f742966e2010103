//! Hidden lines that the documentation's examples share: what they stand on, and how they end.

/// A service, an event on sale with tickets `A-1` to `A-4` in row 1 and 200 places in the pool `standing`, and Alice.
macro_rules! doc_on_sale {
    () => {
        r#"# use std::{sync::Arc, time::Duration};
# use ticket_reservation::adapters::memory::MemoryRepository;
# use ticket_reservation::booking::*;
# use ticket_reservation::domain::*;
# use ticket_reservation::ports::*;
# #[cfg(feature = "tokio")]
# #[tokio::main(flavor = "current_thread")]
# async fn main() -> Result<(), Box<dyn std::error::Error>> {
# let runtime = Arc::new(ticket_reservation::adapters::tokio::TokioRuntime::current()?);
# let service = BookingService::builder(Arc::new(MemoryRepository::new()), runtime.clone()).build()?;
# let (event, alice, bob) = (EventId::new("gala")?, CustomerId::new("alice")?, CustomerId::new("bob")?);
# let (stalls, standing) = (AreaId::new("stalls")?, PoolId::new("standing")?);
# let place = |number| Place { area: stalls.clone(), row: 1, number };
# let ticket = |number: u32| TicketId::new(format!("A-{number}"));
# let tickets = [1, 2, 3, 4].map(|number| Ok::<_, InvalidId>((ticket(number)?, place(number))));
# let tickets = tickets.into_iter().collect::<Result<Vec<_>, _>>()?;
# let _ = service.create_event(&event, service.new_operation_id(), CreateEvent::default()).await?;
# let _ = service.import(&event, tickets, vec![(standing.clone(), 200)]).await?;"#
    };
}

/// As `doc_on_sale`, and Alice's `reservation` of two standing places.
macro_rules! doc_held {
    () => {
        r#"# let reservation = service.new_reservation_id();
# let hold = Hold::new(reservation, alice.clone(), Lines::merge([], [(standing.clone(), 2)])?);
# let _ = service.hold(&event, service.new_operation_id(), hold.clone()).await?;"#
    };
}

/// The end of both.
macro_rules! doc_end {
    () => {
        r#"# Ok(())
# }
# #[cfg(not(feature = "tokio"))]
# fn main() {}"#
    };
}
