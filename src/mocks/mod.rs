//! Mocks of the ports, made with [mockall](https://docs.rs/mockall), for hosts' own tests: what a host does when the store fails, when a lock is
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

mod made;

pub use made::{MockClock, MockLock, MockObserver, MockRepository, MockRuntime};

/// The mocking library, in the version that the mocks are made with.
pub use mockall;
