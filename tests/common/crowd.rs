//! Processes whose callers all want the same key, all the time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use ticket_reservation::adapters::memory::MemoryLock;
use ticket_reservation::locking::{LockQueue, LockQueueBuilder};
use ticket_reservation::ports::Runtime;

use super::far_lock::{FarLock, key};
use super::sim::{Sim, Started};
use super::world::{millis, seconds};

/// A process, with its handle on the lock.
pub(crate) struct Process {
    pub(crate) lock: Arc<FarLock>,
    pub(crate) queue: LockQueue,
    turns: Arc<AtomicU64>,
    goes_on: Arc<AtomicBool>,
    callers: Vec<Started<()>>,
}

impl Process {
    /// `callers` that take the key again as soon as they have given it back, after holding it for `hold`.
    pub(crate) fn start(
        sim: &Sim,
        shared: &MemoryLock,
        callers: usize,
        hold: Duration,
        configure: impl FnOnce(LockQueueBuilder) -> LockQueueBuilder,
    ) -> Self {
        let lock = FarLock::on(shared, sim);
        lock.way(Duration::from_micros(100));
        let queue = configure(lock.queue()).build();
        let (turns, goes_on) = (Arc::<AtomicU64>::default(), Arc::new(AtomicBool::new(true)));
        let caller = || {
            let (sim, queue, turns, goes_on) = (sim.clone(), queue.clone(), turns.clone(), goes_on.clone());
            async move {
                while goes_on.load(Ordering::Relaxed) {
                    let guard = queue.acquire(&key("gala"), seconds(3_600)).await.unwrap();
                    turns.fetch_add(1, Ordering::Relaxed);
                    sim.sleep(hold).await;
                    assert!(!guard.is_lost());
                    let _ = guard.release().await;
                }
            }
        };
        let callers = (0..callers).map(|_| sim.start(caller())).collect();
        Self { lock, queue, turns, goes_on, callers }
    }

    /// How often its callers had their turn.
    pub(crate) fn turns(&self) -> u64 {
        self.turns.load(Ordering::Relaxed)
    }

    pub(crate) async fn stop(self) {
        self.goes_on.store(false, Ordering::Relaxed);
        for caller in self.callers {
            caller.answer().await;
        }
        assert_eq!(self.queue.shutdown(seconds(1)).await, 0);
    }
}

/// A client that knows nothing of queues, and asks every `interval` until it has the key. How long it waited.
pub(crate) async fn foreign_turn(sim: &Sim, lock: &FarLock, interval: Duration) -> Duration {
    let begun = sim.elapsed();
    loop {
        if let Some(leases) = lock.take_as_foreigner(&key("gala"), seconds(10)) {
            let waited = sim.elapsed() - begun;
            sim.sleep(millis(1)).await;
            lock.give_back(leases);
            return waited;
        }
        sim.sleep(interval).await;
    }
}
