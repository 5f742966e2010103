//! Who uses the lock itself: takes it, extends it, and gives it back.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::super::dice::Dice;
use super::super::process::ProcessRuntime;
use super::ledger::Holder;
use super::noted_lock::NotedLock;
use super::{KEYS, key};
use crate::ports::{Attempt, Clock, Extended, Lease, Lock, LockKey, Runtime};

pub(super) struct Alone {
    pub(super) process: usize,
    pub(super) runtime: Arc<ProcessRuntime>,
    pub(super) lock: NotedLock,
    pub(super) dice: Dice,
}

impl Alone {
    pub(super) async fn work(mut self) {
        let world = Arc::clone(&self.lock.world);
        while !world.is_closing.load(Ordering::Relaxed) {
            self.pause(1_500).await;
            let ttl = world.any_ttl(&mut self.dice);
            let keys: Vec<LockKey> =
                if self.dice.per_mille(200) { (0..KEYS).map(key).collect() } else { vec![key(self.dice.below(KEYS))] };
            world.ledger().called();
            let Ok(Attempt::Granted(mut leases)) = self.lock.acquire_all(&keys, ttl).await else { continue };
            self.took(&leases);
            self.use_it(ttl).await;
            while self.dice.per_mille(400) {
                world.ledger().called();
                let ttl = world.any_ttl(&mut self.dice);
                let Ok(extended) = self.lock.extend(&mut leases, ttl).await else { break };
                if extended.iter().any(|it| *it != Extended::Extended) {
                    break;
                }
                self.took(&leases);
                self.use_it(ttl).await;
            }
            leases.iter().for_each(|lease| world.ledger().gives_up(lease.key(), Holder::of(lease)));
            world.ledger().called();
            let _ = self.lock.release(leases).await;
        }
    }

    /// Whoever is granted a lock may use it at once, if it has not ended meanwhile.
    fn took(&self, leases: &[Lease]) {
        let now = self.runtime.now();
        for lease in leases.iter().filter(|lease| lease.deadline() > now) {
            let left = lease.deadline().saturating_duration_since(now);
            self.lock.world.took(self.process, lease.key(), Holder::of(lease), left);
        }
    }

    /// Until it ends, at most.
    async fn use_it(&mut self, ttl: Duration) {
        self.pause(u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX).min(super::SHORT_TTL_MAX_MS)).await;
    }

    async fn pause(&mut self, longest_ms: u64) {
        let pause = self.dice.millis(0, longest_ms);
        self.runtime.sleep(pause).await;
    }
}
