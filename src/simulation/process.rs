use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::clock::MachineClock;
use super::dice::Dice;
use super::executor::{Executor, ProcessId, locked};
use crate::domain::Timestamp;
use crate::ports::{BoxFuture, Clock, Runtime};

/// The runtime of one life of a process: its clock, its timers, its tasks and its randomness.
#[derive(Debug)]
pub(super) struct ProcessRuntime {
    executor: Executor,
    process: ProcessId,
    life: u64,
    clock: MachineClock,
    dice: Mutex<Dice>,
}

impl ProcessRuntime {
    pub(super) fn new(executor: &Executor, process: ProcessId, clock: MachineClock, dice: Dice) -> Arc<Self> {
        let (executor, life) = (executor.clone(), executor.life(process));
        Arc::new(Self { executor, process, life, clock, dice: Mutex::new(dice) })
    }
}

impl Clock for ProcessRuntime {
    fn now(&self) -> Instant {
        self.clock.now()
    }

    fn unix_time(&self) -> Timestamp {
        self.clock.unix_time()
    }
}

impl Runtime for ProcessRuntime {
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(self.executor.sleep(self.clock.really(duration)))
    }

    fn spawn(&self, task: BoxFuture<'static, ()>) {
        self.executor.spawn(self.process, self.life, task);
    }

    fn random(&self) -> u64 {
        locked(&self.dice).next()
    }
}
