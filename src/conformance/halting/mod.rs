//! A store and a lock that stand still at a step of their work until their caller has gone.

mod gate;
mod lock;
mod store;

pub(super) use lock::HaltingLock;
pub(super) use store::Halting;
