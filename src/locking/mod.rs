//! What makes any [`Lock`](crate::ports::Lock) fast to share and safe to hold, for those who use one directly.
//!
//! The lock port tries once and never waits. A [`LockQueue`] on top of it waits in order, passes a lease from one holder to
//! the next inside the process, keeps it alive, and tells its holder when it was lost:
//!
//! ```
#![doc = doc_on_sale!()]
//! use ticket_reservation::adapters::memory::MemoryLock;
//! use ticket_reservation::locking::LockQueue;
//! use ticket_reservation::ports::LockKey;
//!
//! let queue = LockQueue::builder(Arc::new(MemoryLock::new(Arc::clone(&runtime))), runtime).build();
//! let guard = queue.acquire(&LockKey::new("gala/stalls")?, Duration::from_secs(5)).await?;
//! // Work, as long as the lease is not lost.
//! assert!(!guard.is_lost());
//! guard.release().await;
#![doc = doc_end!()]
//! ```
//!
//! # How long others wait
//!
//! While many wait for one key in this process, its lease goes from hand to hand without a word to the lock's store. So
//! that other processes, and clients of other makes, get their turn, a tenure ends after
//! [`tenure_max`](LockQueueBuilder::tenure_max) or [`handoffs_max`](LockQueueBuilder::handoffs_max): the lease is released,
//! and this process rests before it competes again, at least [`REST_MIN`] and usually longer than the others' next look
//! when there are others. A client that looks every `p` sees a gap of `r` after each tenure of `t`: if `p <= r`, it waits at
//! most `t + r`; else each of its looks finds the gap with a chance of `r / (t + r)`, and it waits for about
//! `p * (t + r) / r`.
//!
//! # What is not guaranteed
//!
//! - A lock is no proof: its lease may end while its holder stands still. What must hold in any case is decided by the
//!   store, as in [`booking`](crate::booking), or by checking [`LockGuard::is_lost`] and a condition in the write.
//! - Order among processes. Inside one it is the order of asking.

mod keep_alive;
mod lease_set;
mod queue;

pub(crate) use keep_alive::keep_alive;
pub(crate) use lease_set::LeaseSet;
pub use queue::{AcquireError, LockGuard, LockQueue, LockQueueBuilder, POLL_MAX, REST_MAX, REST_MIN};
