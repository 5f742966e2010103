//! Hold two places and book them: memory adapters, nothing to set up.
//!
//! `cargo run --features tokio --example quickstart`

use std::{error::Error, sync::Arc};

use ticket_reservation::adapters::{memory::MemoryRepository, tokio::TokioRuntime};
use ticket_reservation::booking::BookingService;
use ticket_reservation::domain::{AreaId, CreateEvent, CustomerId, EventId, Hold, Lines, Place, PoolId, TicketId};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let service =
        BookingService::builder(Arc::new(MemoryRepository::new()), Arc::new(TokioRuntime::current()?)).build()?;

    let event = EventId::new("gala-2027")?;
    let _created = service.create_event(&event, service.new_operation_id(), CreateEvent::default()).await?;
    let seat = (TicketId::new("A-1")?, Place { area: AreaId::new("A")?, row: 1, number: 1 });
    service.import(&event, vec![seat], vec![(PoolId::new("standing")?, 200)]).await?;

    let (alice, reservation) = (CustomerId::new("alice")?, service.new_reservation_id());
    let lines = Lines::merge([TicketId::new("A-1")?], [(PoolId::new("standing")?, 1)])?;
    service.hold(&event, service.new_operation_id(), Hold::new(reservation, alice.clone(), lines)).await?;
    // The host takes the money here, outside of any lock and transaction.
    let booked = service.confirm(&event, service.new_operation_id(), reservation, alice).await?;
    println!("{} has booked {} places", booked.customer, booked.lines.places());
    Ok(())
}
