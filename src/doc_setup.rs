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

/// A `queue` on a `lock` in memory, and a `key`.
macro_rules! doc_locked {
    () => {
        r#"# use std::{pin::pin, sync::Arc, time::Duration};
# use futures_util::future::{Either, select};
# use ticket_reservation::adapters::memory::MemoryLock;
# use ticket_reservation::locking::*;
# use ticket_reservation::ports::*;
# #[cfg(feature = "tokio")]
# #[tokio::main(flavor = "current_thread")]
# async fn main() -> Result<(), Box<dyn std::error::Error>> {
# let runtime = Arc::new(ticket_reservation::adapters::tokio::TokioRuntime::current()?);
# let lock = Arc::new(MemoryLock::new(runtime.clone()));
# let queue = LockQueue::builder(lock.clone(), runtime.clone()).build();
# let key = LockKey::new("gala/stalls")?;"#
    };
}

/// A snapshot of an event on sale: seat `A-12` in the stalls and 200 places in the pool `standing`, all free.
macro_rules! doc_snapshot {
    () => {
        r#"# use std::time::Duration;
# use ticket_reservation::domain::*;
# let (now, event) = (Timestamp::from_micros(1_800_000_000_000_000), EventId::new("gala")?);
# let (stalls, standing, alice) = (AreaId::new("stalls")?, PoolId::new("standing")?, CustomerId::new("alice")?);
# let (seat, place) = (TicketId::new("A-12")?, Place { area: stalls.clone(), row: 1, number: 12 });
# let (reservation, operation) = (ReservationId::from_parts(now, [1; 10]), OperationId::from_parts(now, [2; 10]));
# let mut snapshot = Snapshot::new(event.clone(), now);
# let terms = Event { state: EventState::OnSale, window: SalesWindow::default(), limit_per_customer: None };
# let pool = Record::Pool(Pool::with_capacity(200));
# let ticket = Record::Ticket(Ticket::available(place.clone()));
# snapshot.insert(RecordKey::Event, Versioned::new(2, now, Record::Event(terms)));
# snapshot.insert(RecordKey::Pool(standing.clone()), Versioned::new(1, now, pool));
# snapshot.insert_lapsed(LapsedOf::Pool(standing.clone()), Lapsed::default());
# snapshot.insert(RecordKey::Ticket(seat.clone()), Versioned::new(1, now, ticket));
# snapshot.insert_free(stalls.clone(), [(seat.clone(), place)]);
# for absent in [RecordKey::Reservation(reservation), RecordKey::Operation(operation)] {
#     snapshot.insert(absent, Versioned::ABSENT);
# }
# let hold = Hold::new(reservation, alice.clone(), Lines::default()).with_best_available(stalls.clone(), 1);
# let command = Command { event, operation, action: Action::Hold(hold) };"#
    };
}

/// After `doc_on_sale`: the harness of locks and stores that live in one process.
#[cfg(feature = "conformance")]
macro_rules! doc_harness {
    () => {
        r#"# use ticket_reservation::adapters::memory::MemoryLock;
# use ticket_reservation::conformance::{self, *};
# struct Harness(Arc<dyn Runtime>);
# struct Locks(MemoryLock);
# #[async_trait::async_trait]
# impl LockHarness for Harness {
#     async fn fresh(&self) -> Result<Box<dyn LockSpace>, HarnessError> {
#         Ok(Box::new(Locks(MemoryLock::new(Arc::clone(&self.0)))))
#     }
#     fn runtime(&self) -> Arc<dyn Runtime> {
#         Arc::clone(&self.0)
#     }
#     fn lacks(&self) -> &[LockCapability] {
#         &[LockCapability::OtherProcesses]
#     }
# }
# #[async_trait::async_trait]
# impl LockSpace for Locks {
#     async fn open(&self) -> Result<Arc<dyn Lock>, HarnessError> {
#         Ok(Arc::new(self.0.clone()))
#     }
#     fn worker(&self) -> Option<std::process::Command> {
#         None
#     }
# }
# struct InMemory(MemoryRepository);
# #[async_trait::async_trait]
# impl RepositoryHarness for Harness {
#     async fn fresh(&self) -> Result<Box<dyn Store>, HarnessError> {
#         Ok(Box::new(InMemory(MemoryRepository::new())))
#     }
#     fn runtime(&self) -> Arc<dyn Runtime> {
#         Arc::clone(&self.0)
#     }
#     fn lacks(&self) -> &[RepositoryCapability] {
#         &[RepositoryCapability::OtherProcesses]
#     }
# }
# #[async_trait::async_trait]
# impl Store for InMemory {
#     async fn open(&self) -> Result<Arc<dyn Repository>, HarnessError> {
#         Ok(Arc::new(self.0.clone()))
#     }
#     fn worker(&self) -> Option<std::process::Command> {
#         None
#     }
# }"#
    };
}
