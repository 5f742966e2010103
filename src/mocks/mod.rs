//! Mocks of the ports, made with [mockall], for hosts' own tests: what a host does when the store fails, when a lock is
//! lost, when an outcome is unknown.
//!
//! ```
//! use ticket_reservation::mocks::MockRepository;
//! use ticket_reservation::ports::{Repository, StoreError};
//!
//! # futures_util::future::FutureExt::now_or_never(async {
//! let mut store = MockRepository::new();
//! store.expect_lapsed().returning(|_| Err(StoreError::transient("the database is being restarted")));
//! assert!(store.lapsed(10).await.is_err());
//! # }).unwrap();
//! ```
//!
//! A mock of a store keeps no promise of its contract by itself: to test what is sold, take
//! [`MemoryRepository`](crate::adapters::memory::MemoryRepository). `examples/mocked_store.rs` shows both together.

#![allow(missing_docs, missing_debug_implementations, unreachable_pub, reason = "made by mockall")]

use std::time::{Duration, Instant};

use async_trait::async_trait;
use mockall::mock;

use crate::domain::{EventId, Pool, PoolId, Reservation, ReservationId, Snapshot, Ticket, TicketId, Timestamp};
use crate::ports::{
    Attempt, Availability, BoxFuture, Change, ChangesError, Clock, Extended, Group, GroupOutcome, Lease, LoadRequest,
    Lock, LockError, LockKey, Observation, Observer, PoolQuery, Purged, Released, Repository, ReservationQuery,
    Runtime, Sequence, StoreError, TicketQuery,
};

/// The mocking library, in the version that the mocks are made with.
pub use mockall;

mock! {
    /// A mock of the [`Repository`] port.
    #[derive(Debug)]
    pub Repository {}

    #[async_trait]
    impl Repository for Repository {
        async fn load(&self, request: &LoadRequest) -> Result<Snapshot, StoreError>;
        async fn commit(&self, event: &EventId, groups: &[Group]) -> Result<Vec<GroupOutcome>, StoreError>;
        async fn tickets(&self, query: &TicketQuery) -> Result<Vec<(TicketId, u64, Ticket)>, StoreError>;
        async fn pools(&self, query: &PoolQuery) -> Result<Vec<(PoolId, u64, Pool)>, StoreError>;
        async fn availability(&self, event: &EventId) -> Result<Availability, StoreError>;
        async fn reservations(&self, query: &ReservationQuery) -> Result<Vec<(u64, Reservation)>, StoreError>;
        async fn changes(
            &self, event: &EventId, after: Sequence, limit: usize,
        ) -> Result<Vec<Change>, ChangesError>;
        async fn lapsed(&self, limit: usize) -> Result<Vec<(EventId, ReservationId)>, StoreError>;
        async fn purge(&self, retention: Duration, limit: usize) -> Result<Purged, StoreError>;
    }
}

mock! {
    /// A mock of the [`Lock`] port.
    #[derive(Debug)]
    pub Lock {}

    #[async_trait]
    impl Lock for Lock {
        async fn acquire_all(&self, keys: &[LockKey], ttl: Duration) -> Result<Attempt<Vec<Lease>>, LockError>;
        async fn acquire_each(&self, keys: &[LockKey], ttl: Duration) -> Result<Vec<Attempt<Lease>>, LockError>;
        async fn extend(&self, leases: &mut [Lease], ttl: Duration) -> Result<Vec<Extended>, LockError>;
        async fn release(&self, leases: Vec<Lease>) -> Result<Vec<Released>, LockError>;
    }
}

mock! {
    /// A mock of the [`Runtime`] port.
    #[derive(Debug)]
    pub Runtime {}

    impl Clock for Runtime {
        fn now(&self) -> Instant;
        fn unix_time(&self) -> Timestamp;
    }

    impl Runtime for Runtime {
        fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()>;
        fn spawn(&self, task: BoxFuture<'static, ()>);
        fn random(&self) -> u64;
    }
}

mock! {
    /// A mock of the [`Observer`] port.
    #[derive(Debug)]
    pub Observer {}

    impl Observer for Observer {
        fn observe<'a>(&self, observation: &Observation<'a>);
    }
}
