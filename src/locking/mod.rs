//! What makes any lock safe to hold while work is done: turns, hand-off, keep-alive, and learning that one was lost.

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
