//! The lock over a host's own `rslock`.

use std::ffi::OsStr;
use std::process::Command;
use std::sync::Arc;

use async_trait::async_trait;
use ticket_reservation::adapters::rslock::{RslockLock, rslock::LockManager};
use ticket_reservation::conformance::{HarnessError, LockCapability, LockHarness, LockSpace, this_program};
use ticket_reservation::ports::{Lock, Runtime};

use crate::redis::{Address, Redis};

pub(super) struct Rslock(pub(super) Redis);

struct Keys(Address, Arc<dyn Runtime>);

/// What rslock cannot do, and the cases about it.
const LACKS: &[LockCapability] =
    &[LockCapability::RemainingTime, LockCapability::KeysAtOnce, LockCapability::Extension];
pub(super) const SKIPPED: &[&str] = &[
    "leases::extending_prolongs",
    "deadlines::an_extensions_time_begins_before_the_lock_is_asked",
    "contention::who_is_refused_learns_how_long_the_holder_may_keep_the_key",
    "contention::who_does_not_get_all_keys_keeps_others_from_none",
];

fn open(address: Address, runtime: &Arc<dyn Runtime>) -> Arc<dyn Lock> {
    let manager = LockManager::new(address.urls);
    Arc::new(RslockLock::builder(manager, Arc::clone(runtime)).key_prefix(address.key_prefix).build())
}

#[async_trait]
impl LockHarness for Rslock {
    async fn fresh(&self) -> Result<Box<dyn LockSpace>, HarnessError> {
        Ok(Box::new(Keys(self.0.fresh()?, self.runtime())))
    }

    fn runtime(&self) -> Arc<dyn Runtime> {
        Arc::clone(&self.0.runtime)
    }

    async fn join(&self, address: &OsStr) -> Result<Arc<dyn Lock>, HarnessError> {
        Ok(open(Address::of_line(address)?, &self.0.runtime))
    }

    fn lacks(&self) -> &[LockCapability] {
        LACKS
    }
}

#[async_trait]
impl LockSpace for Keys {
    async fn open(&self) -> Result<Arc<dyn Lock>, HarnessError> {
        Ok(open(self.0.clone(), &self.1))
    }

    fn worker(&self) -> Option<Command> {
        Some(this_program(self.0.to_line()))
    }
}
