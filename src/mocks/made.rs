//! The mocks, in a module of their own: the macro makes one more for each of them.

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

mock! {
    /// A mock of the [`Repository`] port.
    ///
    /// ```
    /// use ticket_reservation::domain::EventId;
    /// use ticket_reservation::mocks::MockRepository;
    /// use ticket_reservation::ports::{Repository, StoreError};
    ///
    /// # futures_util::future::FutureExt::now_or_never(async {
    /// let mut store = MockRepository::new();
    /// store.expect_commit().times(1).returning(|_, _| Err(StoreError::unknown("cut off")));
    /// assert!(store.commit(&EventId::new("gala").unwrap(), &[]).await.is_err());
    /// # }).unwrap();
    /// ```
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
    ///
    /// ```
    /// use std::time::Duration;
    /// use ticket_reservation::mocks::MockLock;
    /// use ticket_reservation::ports::{Attempt, Lock, LockKey};
    ///
    /// # futures_util::future::FutureExt::now_or_never(async {
    /// let mut lock = MockLock::new();
    /// lock.expect_acquire_all().returning(|_, ttl| Ok(Attempt::Contended { retry_after: ttl }));
    /// let key = LockKey::new("gala/stalls").unwrap();
    /// let attempt = lock.acquire_all(&[key], Duration::from_secs(2)).await.unwrap();
    /// assert!(matches!(attempt, Attempt::Contended { .. }));
    /// # }).unwrap();
    /// ```
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
    /// A mock of the [`Clock`] port.
    ///
    /// ```
    /// use ticket_reservation::domain::Timestamp;
    /// use ticket_reservation::mocks::MockClock;
    /// use ticket_reservation::ports::Clock;
    ///
    /// let mut clock = MockClock::new();
    /// clock.expect_unix_time().return_const(Timestamp::from_micros(1_800_000_000_000_000));
    /// assert_eq!(clock.unix_time().as_micros(), 1_800_000_000_000_000);
    /// ```
    #[derive(Debug)]
    pub Clock {}

    impl Clock for Clock {
        fn now(&self) -> Instant;
        fn unix_time(&self) -> Timestamp;
    }
}

mock! {
    /// A mock of the [`Runtime`] port.
    ///
    /// ```
    /// use ticket_reservation::mocks::MockRuntime;
    /// use ticket_reservation::ports::Runtime;
    ///
    /// let mut runtime = MockRuntime::new();
    /// runtime.expect_random().return_const(4_u64);
    /// assert_eq!(runtime.random(), 4);
    /// ```
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
    ///
    /// ```
    /// use ticket_reservation::domain::{ActionKind, EventId};
    /// use ticket_reservation::mocks::MockObserver;
    /// use ticket_reservation::ports::{Observation, Observer};
    ///
    /// let mut observer = MockObserver::new();
    /// observer.expect_observe().withf(|it| matches!(it, Observation::Queued { .. })).times(1).return_const(());
    /// let (event, kind) = (EventId::new("gala").unwrap(), ActionKind::Hold);
    /// observer.observe(&Observation::Queued { event: &event, kind, waiting: 1 });
    /// ```
    #[derive(Debug)]
    pub Observer {}

    impl Observer for Observer {
        fn observe<'a>(&self, observation: &Observation<'a>);
    }
}
