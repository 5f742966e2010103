//! The lock over a majority of servers.

use std::ffi::OsStr;
use std::process::Command;
use std::sync::Arc;

use async_trait::async_trait;
use ticket_reservation::adapters::redlock::Redlock;
use ticket_reservation::conformance::{HarnessError, LockHarness, LockSpace, this_program};
use ticket_reservation::ports::{Lock, Runtime};

use crate::redis::{Address, Redis};

pub(super) struct Nodes(pub(super) Redis);

struct Keys(Address, Arc<dyn Runtime>);

fn open(address: Address, runtime: &Arc<dyn Runtime>) -> Result<Arc<dyn Lock>, HarnessError> {
    let builder = Redlock::builder(Arc::clone(runtime)).nodes(address.urls).key_prefix(address.key_prefix);
    Ok(Arc::new(builder.build()?))
}

#[async_trait]
impl LockHarness for Nodes {
    async fn fresh(&self) -> Result<Box<dyn LockSpace>, HarnessError> {
        Ok(Box::new(Keys(self.0.fresh()?, self.runtime())))
    }

    fn runtime(&self) -> Arc<dyn Runtime> {
        Arc::clone(&self.0.runtime)
    }

    async fn join(&self, address: &OsStr) -> Result<Arc<dyn Lock>, HarnessError> {
        open(Address::of_line(address)?, &self.0.runtime)
    }
}

#[async_trait]
impl LockSpace for Keys {
    async fn open(&self) -> Result<Arc<dyn Lock>, HarnessError> {
        open(self.0.clone(), &self.1)
    }

    fn worker(&self) -> Option<Command> {
        Some(this_program(self.0.to_line()))
    }
}
