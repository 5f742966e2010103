//! What makes any lock safe to hold while work is done: turns, hand-off, keep-alive, and learning that one was lost.
//!
//! A [`LockQueue`] stands in front of any [`Lock`](crate::ports::Lock). Callers of one process wait in line for a key, one
//! task asks the lock for all of them, and the lease that it gets goes from hand to hand without the lock's store being
//! asked again. The [booking service](crate::booking) does not need it; it is for hosts that hold a lock around work of
//! their own.
//!
//! ```
#![doc = doc_locked!()]
//! let guard = queue.acquire(&key, Duration::from_secs(3)).await?;
//! println!("{} is ours until {:?}, or longer", guard.key(), guard.deadline());
//! // ... work, while it is kept alive ...
//! if guard.is_lost() {
//!     return Err("somebody else may have it: undo, or let the store refuse".into());
//! }
//! let _ = guard.release().await;
#![doc = doc_end!()]
//! ```
//!
//! # How it goes
//!
//! - **In line.** Per key and queue, turns are taken in the order of arrival. Nobody overtakes, also not who comes while the
//!   lock's store is being asked. Different keys have nothing to do with each other.
//! - **Hand-off.** Giving a [guard](LockGuard) back hands its lease to the next in line, if enough of its validity is left: a
//!   third of the TTL, half of it without keep-alive.
//! - **Bounds.** After [`tenure_max`](LockQueueBuilder::tenure_max) or [`handoffs_max`](LockQueueBuilder::handoffs_max) it is
//!   really released, whoever waits here. Then the process rests before it asks again: longer than others pause
//!   between two attempts when it has met any lately, else for a millisecond, because who merely asks leaves no trace.
//! - **Losing.** Who finds the lock taken asks again after a pause that is random, at most what the holder has left, and
//!   grows to [`poll_max`](LockQueueBuilder::poll_max); one task per key and process does, however many wait.
//! - **Keep-alive.** One task extends all leases of a queue that are held for a third of their TTL or longer, in one call, for
//!   each holder at most for [`keep_alive_max`](LockQueueBuilder::keep_alive_max). A lease that ends all the same is
//!   [lost](LockGuard::lost): its holder is told, the next in line gets a new one at once.
//! - **Alone.** A caller that meets nobody costs the lock's two calls, and a task every third of the TTL.
//! - **Dropped.** Whatever future or guard is dropped, whenever: the lease goes to the next in line or back. Calls to the
//!   lock are never dropped half-way by a caller; a task ends them, for up to the TTL.
//!
//! # Who does not use it
//!
//! Other clients of the same lock (another library, another language) simply ask again and again. Between two tenures they
//! find it free only by luck. So a key that is wanted without a break for longer than a second is left free by all
//! processes, as far as their wall clocks agree, for 12 ms every second, and one that is wanted for longer than ten
//! seconds for 120 ms every ten: the [quiet windows](LockQueueBuilder::quiet_windows). Who asks at least every 10 ms or 100 ms
//! finds it free in the next one, if no holder takes longer than 2 ms or 20 ms. Measured in virtual time, all callers
//! of 20 per process coming back at once, each holding for 2 ms, by
//! `cargo test --all-features --test lock_queue_foreign -- --nocapture`:
//!
//! | processes | asks every | quiet windows | mean wait | 90 % | longest of 20 |
//! | --- | --- | --- | --- | --- | --- |
//! | 1 | 1 ms | on | 24 ms | 48 ms | 49 ms |
//! | 1 | 10 ms | on | 0.2 s | 0.3 s | 0.5 s |
//! | 1 | 100 ms | on | 1.5 s | 4.8 s | 5.2 s |
//! | 4 | 1 ms | on | 60 ms | 150 ms | 195 ms |
//! | 4 | 10 ms | on | 0.3 s | 0.6 s | 0.9 s |
//! | 4 | 100 ms | on | 0.9 s | 2.2 s | 3.9 s |
//! | 1 | 100 ms | off | 2.3 s | 5.1 s | 5.3 s |
//! | 4 | 100 ms | off | 4.6 s | 12.2 s | 12.2 s |
//!
//! The test holds the first three rows of each to 1.1 s, 1.1 s and 10.2 s.
//!
//! # What is not guaranteed
//!
//! - **That a lock excludes anyone.** A process can be stopped while it works and go on after its lease has ended; a clock, or the
//!   lock's store, can fail. What must not happen twice has to be refused by the store that it happens in, as the
//!   booking service does.
//! - **Order between processes.** Who asks when the lock is released gets it. Processes that use queues get about equal
//!   shares over many tenures, no more.
//! - **A turn for clients that ask more rarely than every 100 ms.** They get one by luck.
//! - **An answer from a lock that hangs.** Callers are answered at their deadline, and a call without an answer is given up
//!   after the TTL; until then nobody else here gets the key.
//! - **That a suspended machine knows.** On systems whose monotonic clock stands still meanwhile, a lease looks valid after
//!   waking up for as long as it did before.

mod asking;
mod attempt;
mod builder;
mod compete;
mod config;
mod core;
mod error;
mod guard;
mod held;
mod keep_alive;
mod keeper;
mod lane;
mod lease_set;
mod leave;
mod pace;
mod queue;
mod waiting;
mod within;

pub use builder::LockQueueBuilder;
pub use error::AcquireError;
pub use guard::{LockGuard, Returned};
pub(crate) use keep_alive::keep_alive;
pub(crate) use lease_set::LeaseSet;
pub use queue::LockQueue;
