//! The same service on a runtime that is not tokio: the host hands in its own clock, timers, tasks and randomness.
//!
//! `cargo run --example host_runtime`

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ticket_reservation::adapters::SystemClock;
use ticket_reservation::adapters::memory::MemoryRepository;
use ticket_reservation::booking::{BookingError, BookingService};
use ticket_reservation::domain::{CreateEvent, CustomerId, EventId, Hold, Lines, PoolId, Timestamp};
use ticket_reservation::ports::{BoxFuture, Clock, Runtime};

type Failure = Box<dyn Error + Send + Sync>;

/// The port on [smol](https://docs.rs/smol). Four short methods are all that a runtime has to have.
#[derive(Debug)]
struct Smol;

impl Clock for Smol {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn unix_time(&self) -> Timestamp {
        SystemClock.unix_time()
    }
}

impl Runtime for Smol {
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            smol::Timer::after(duration).await;
        })
    }

    fn spawn(&self, task: BoxFuture<'static, ()>) {
        smol::spawn(task).detach();
    }

    fn random(&self) -> u64 {
        rand::random()
    }
}

fn main() -> Result<(), Failure> {
    smol::block_on(sell())
}

async fn sell() -> Result<(), Failure> {
    let service = BookingService::builder(Arc::new(MemoryRepository::new()), Arc::new(Smol)).build()?;
    let (event, floor) = (EventId::new("gala-2027")?, PoolId::new("floor")?);
    let _created = service.create_event(&event, service.new_operation_id(), CreateEvent::default()).await?;
    service.import(&event, vec![], vec![(floor.clone(), 100)]).await?;

    let buyers = (0..250).map(|number| {
        let (service, event, floor) = (service.clone(), event.clone(), floor.clone());
        smol::spawn(async move { buy(&service, &event, floor, number).await })
    });
    let mut sold = 0;
    for buyer in buyers.collect::<Vec<_>>() {
        sold += u32::from(buyer.await?);
    }
    println!("{sold} of 250 buyers got one of 100 places");
    service.shutdown(Duration::from_secs(5)).await;
    Ok(())
}

/// Whether there was a place left.
async fn buy(service: &BookingService, event: &EventId, floor: PoolId, number: u32) -> Result<bool, Failure> {
    let (customer, reservation) = (CustomerId::new(format!("buyer-{number}"))?, service.new_reservation_id());
    let hold = Hold::new(reservation, customer.clone(), Lines::merge([], [(floor, 1)])?);
    match service.hold(event, service.new_operation_id(), hold).await {
        Ok(_) => {}
        Err(BookingError::Rejected(_)) => return Ok(false),
        Err(error) => return Err(error.into()),
    }
    service.confirm(event, service.new_operation_id(), reservation, customer).await?;
    Ok(true)
}
