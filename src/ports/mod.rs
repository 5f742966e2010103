//! What the core needs from the world, as traits that adapters implement.
//!
//! All of them are dyn-safe and small. Words in capitals (MUST, SHOULD, MAY) have the meaning of RFC 2119; the
//! [`conformance`](crate) suites check them.

pub mod lock;
pub mod observer;
pub mod repository;
pub mod runtime;

pub use lock::{Attempt, Extended, Lease, Lock, LockError, LockKey, LockToken, Released};
pub use observer::{NoObserver, Observation, Observer};
pub use repository::{
    Change, ChangesError, Group, GroupOutcome, LAPSED_MAX, LoadRequest, PAGE_MAX, Purged, Repository, ReservationQuery,
    Sequence, StoreError, StoreErrorKind, TicketQuery, Write,
};
pub use runtime::{BoxFuture, Clock, Runtime, RuntimeExt};
