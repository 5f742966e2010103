//! An [`Observer`](crate::ports::Observer) that writes to [`tracing`].
//!
//! # Start it
//!
//! Hand a [`TracingObserver`] to the service's builder, and install a subscriber of your own.
//!
//! # Levels
//!
//! `TRACE` for every request and batch, `DEBUG` for conflicts and adaptation, `WARN` for lost leases and failures of
//! the store or the lock. The target is `ticket_reservation`. Customers, tokens and passwords are never written.

mod observer;

pub use ::tracing;
pub use observer::TracingObserver;
