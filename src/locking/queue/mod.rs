//! ```text
//! acquire ─► the key's lane: first come, first served
//!              │ nobody has it: ask the lock (lane.rs)        contended: a task competes (compete.rs)
//!              ▼
//!            a guard ─► dropped: to the next in the lane, or back to the lock (hand_on.rs)
//!              └─ kept alive meanwhile by one task for all (keeper.rs); lost: its tenure says so (tenure.rs)
//! ```

mod compete;
mod config;
mod error;
mod guard;
mod hand_on;
mod keeper;
mod lanes;
mod lock_queue;
mod tenure;

pub use compete::{POLL_MAX, REST_MAX, REST_MIN};
pub use config::LockQueueBuilder;
pub use error::AcquireError;
pub use guard::LockGuard;
pub use lock_queue::LockQueue;
