//! What the core needs from the world, as traits that adapters implement.
//!
//! All of them are dyn-safe and small. Words in capitals (MUST, SHOULD, MAY) have the meaning of RFC 2119; the
#![cfg_attr(feature = "conformance", doc = "[`conformance`](crate::conformance)")]
#![cfg_attr(not(feature = "conformance"), doc = "`conformance`")]
//! suites check them.

mod group;
mod lock;
mod observer;
mod queries;
mod repository;
mod runtime;
mod store_error;
mod yield_once;

pub use group::{Group, GroupOutcome, PoolShift, Write};
pub use lock::{Attempt, Extended, InvalidLockKey, Lease, Lock, LockError, LockKey, LockToken, Released};
pub use observer::{NoObserver, Observation, Observer, Reply};
pub use queries::{
    AreaAvailability, Availability, Change, PAGE_MAX, PoolAvailability, PoolQuery, ReservationFilter, ReservationQuery,
    Sequence, TicketQuery, TotalAvailability,
};
pub use repository::{LAPSED_MAX, LoadRequest, Purged, Repository};
pub use runtime::{BoxFuture, Clock, Runtime, RuntimeExt};
pub use store_error::{ChangesError, StoreError, StoreErrorKind};
pub(crate) use yield_once::yield_once;
