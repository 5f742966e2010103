//! Who waits in line for a lock: callers of a process's queue, who hold on to their guards, also for longer than a lease lasts
//! that nobody extends, and go away whenever they like.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::{Either, select};

use super::super::dice::Dice;
use super::super::invariant::Invariant;
use super::super::process::ProcessRuntime;
use super::{KEYS, World, key};
use crate::locking::{LockGuard, LockQueue};
use crate::ports::{Attempt, Clock, Lock, Runtime};

/// How a process's queue is made.
#[derive(Debug, Clone, Copy)]
pub(super) struct Manner {
    ttl: Duration,
    keep_alive: bool,
    keep_alive_max: Duration,
    poll_max: Duration,
    tenure_max: Duration,
}

impl Manner {
    pub(super) fn of(ttl: Duration, dice: &mut Dice) -> Self {
        let (keep_alive, keep_alive_max) = (dice.per_mille(800), dice.one_of(&[2, 60, 60]));
        let (poll_max, tenure_max) = (dice.one_of(&[50, 200]), dice.one_of(&[1, 50, 3_000]));
        let keep_alive_max = Duration::from_secs(*keep_alive_max);
        let (poll_max, tenure_max) = (Duration::from_millis(*poll_max), Duration::from_millis(*tenure_max));
        Self { ttl, keep_alive, keep_alive_max, poll_max, tenure_max }
    }

    pub(super) fn queue(&self, lock: Arc<dyn Lock>, runtime: Arc<ProcessRuntime>) -> LockQueue {
        LockQueue::builder(lock, runtime)
            .ttl(self.ttl)
            .keep_alive(self.keep_alive)
            .keep_alive_max(self.keep_alive_max)
            .poll_max(self.poll_max)
            .tenure_max(self.tenure_max)
            .build()
    }
}

pub(super) struct InLine {
    pub(super) world: Arc<World>,
    pub(super) process: usize,
    pub(super) runtime: Arc<ProcessRuntime>,
    pub(super) manner: Manner,
    pub(super) queue: LockQueue,
    pub(super) dice: Dice,
}

impl InLine {
    pub(super) async fn work(mut self) {
        while !self.world.is_closing.load(Ordering::Relaxed) {
            let pause = self.dice.millis(0, 1_500);
            self.runtime.sleep(pause).await;
            self.world.ledger().called();
            let Some(guard) = self.take().await else { continue };
            self.hold(&guard).await;
            if self.dice.per_mille(500) {
                drop(guard);
            } else if self.dice.per_mille(200) {
                // Who gives it back goes away, too.
                let goes_away = self.runtime.sleep(self.dice.millis(0, 3));
                select(pin!(guard.release()), goes_away).await;
            } else {
                guard.release().await;
            }
        }
    }

    /// Some look whether it is free, some wait, and some of those go away while they do.
    async fn take(&mut self) -> Option<LockGuard> {
        let key = key(self.dice.below(KEYS));
        if self.dice.per_mille(150) {
            return match self.queue.try_acquire(&key).await {
                Ok(Attempt::Granted(guard)) => Some(guard),
                Ok(Attempt::Contended { .. }) | Err(_) => None,
            };
        }
        let wait = self.dice.millis(0, 6_000);
        let takes = pin!(self.queue.acquire(&key, wait));
        let goes_away = self.dice.per_mille(200).then(|| self.dice.millis(0, 500));
        match goes_away {
            None => takes.await.ok(),
            Some(after) => match select(takes, self.runtime.sleep(after)).await {
                Either::Left((taken, _)) => taken.ok(),
                Either::Right(_) => None,
            },
        }
    }

    /// Relies on what the guard says, and looks at it again and again.
    async fn hold(&mut self, guard: &LockGuard) {
        let holder = self.world.ledger().new_guard();
        let longest = *self.dice.one_of(&[20, 500, 8_000]);
        let (since, begun) = (self.runtime.now(), self.world.executor.elapsed());
        let holds = self.dice.millis(0, longest);
        let look_every = u64::try_from(self.manner.ttl.as_millis()).unwrap_or(u64::MAX).min(1_000);
        loop {
            let held = self.runtime.now().saturating_duration_since(since);
            if guard.is_lost() {
                let is_kept = self.manner.keep_alive && held < self.manner.keep_alive_max;
                if is_kept && self.world.is_quiet_since(begun) {
                    self.world.found(Invariant::LeasesKept, || {
                        format!("{}, kept alive and held since {begun:?}, is lost after {held:?}", guard.key())
                    });
                }
                break;
            }
            let left = guard.deadline().saturating_duration_since(self.runtime.now());
            self.world.took(self.process, guard.key(), holder, left);
            if held >= holds {
                break;
            }
            let looks = self.dice.millis(0, look_every).min(holds - held);
            // Some listen.
            select(pin!(guard.lost()), self.runtime.sleep(looks)).await;
        }
        self.world.ledger().gives_up(guard.key(), holder);
    }
}
