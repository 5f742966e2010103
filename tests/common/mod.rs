//! What the tests of the booking service and of the lock queue share.
#![allow(dead_code)]

pub(crate) mod audit;
pub(crate) mod chain;
pub(crate) mod crowd;
pub(crate) mod doubles;
pub(crate) mod far_lock;
pub(crate) mod other_clock;
pub(crate) mod rules;
pub(crate) mod runtime;
#[cfg(feature = "redlock")]
pub(crate) mod scripted_redis;
pub(crate) mod sim;
pub(crate) mod spy_lock;
pub(crate) mod stage;
pub(crate) mod world;
