//! How a host tests its own code: what does it tell a customer when the database goes away in the middle of a commit?
//!
//! `cargo run --features mocks,tokio --example mocked_store`

use std::sync::Arc;
use std::time::Duration;

use ticket_reservation::adapters::memory::MemoryRepository;
use ticket_reservation::adapters::tokio::TokioRuntime;
use ticket_reservation::booking::{BookingError, BookingService, Contention};
use ticket_reservation::domain::{CreateEvent, CustomerId, EventId, Hold, Lines, PoolId};
use ticket_reservation::mocks::MockRepository;
use ticket_reservation::ports::{Repository, StoreError};

/// The host's own code: what a customer is told.
async fn sell(service: &BookingService, event: &EventId, floor: &PoolId) -> &'static str {
    let lines = Lines::merge([], [(floor.clone(), 2)]).expect("two places are valid lines");
    let hold = Hold::new(service.new_reservation_id(), CustomerId::new("alice").expect("an id"), lines);
    match service.hold(event, service.new_operation_id(), hold).await {
        Ok(_) => "Your places are kept for ten minutes.",
        Err(BookingError::Rejected(_)) => "Sorry, sold out.",
        Err(BookingError::OutcomeUnknown(_)) => "One moment, we are looking whether that worked.",
        Err(_) => "Please try again in a minute.",
    }
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (event, floor) = (EventId::new("gala-2027")?, PoolId::new("floor")?);
    let runtime = Arc::new(TokioRuntime::current()?);
    let contention = Contention::Wait(Duration::from_secs(5));

    // A real store, so that there is something to sell.
    let store = MemoryRepository::new();
    let office = BookingService::builder(Arc::new(store.clone()), runtime.clone()).build()?;
    let _created = office.create_event(&event, office.new_operation_id(), CreateEvent::default()).await?;
    office.import(&event, vec![], vec![(floor.clone(), 2)]).await?;

    // In front of it a mock: it reads from the real store, and loses the answer of every commit.
    let mut mock = MockRepository::new();
    mock.expect_load().returning({
        let store = store.clone();
        move |request| futures_util::FutureExt::now_or_never(store.load(request)).expect("memory does not wait")
    });
    mock.expect_commit().returning(|_, _| Err(StoreError::unknown("the connection was cut")));
    let service = BookingService::builder(Arc::new(mock), runtime.clone()).contention(contention).build()?;
    assert_eq!(sell(&service, &event, &floor).await, "One moment, we are looking whether that worked.");

    // And one whose database cannot be reached at all.
    let mut mock = MockRepository::new();
    mock.expect_load().returning(|_| Err(StoreError::permanent("no such host")));
    let service = BookingService::builder(Arc::new(mock), runtime).build()?;
    assert_eq!(sell(&service, &event, &floor).await, "Please try again in a minute.");

    assert_eq!(sell(&office, &event, &floor).await, "Your places are kept for ten minutes.");
    assert_eq!(sell(&office, &event, &floor).await, "Sorry, sold out.");
    println!("every customer was told the truth");
    Ok(())
}
