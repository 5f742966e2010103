//! Callers on many threads that wait, lose patience and are dropped while leases are on their way to them.
#![cfg(feature = "tokio")]

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::{Either, select};
use ticket_reservation::adapters::memory::MemoryLock;
use ticket_reservation::adapters::tokio::TokioRuntime;
use ticket_reservation::locking::{AcquireError, LockQueue};
use ticket_reservation::ports::{Attempt, Lock, LockKey, Runtime};

const TASKS: u64 = 32;
const ROUNDS: u64 = 3_000;

/// Yields so many times.
async fn yields(times: u64) {
    for _ in 0..times {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_holder_at_a_time_and_nothing_left_whoever_goes_when() {
    let runtime = Arc::new(TokioRuntime::current().unwrap());
    let lock = MemoryLock::new(runtime.clone());
    let queue = LockQueue::builder(Arc::new(lock.clone()), runtime.clone()).build();
    let key = LockKey::new("gala").unwrap();
    let (holders, turns) = (Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default());
    let caller = |_| {
        let (runtime, queue, key) = (runtime.clone(), queue.clone(), key.clone());
        let (holders, turns) = (holders.clone(), turns.clone());
        tokio::spawn(async move {
            for _ in 0..ROUNDS {
                let dice = runtime.random();
                let wait = Duration::from_micros(if dice % 4 == 0 { dice % 300 } else { 10_000_000 });
                let acquire = pin!(queue.acquire(&key, wait));
                let patience = pin!(yields(dice >> 8 & 63));
                match select(acquire, patience).await {
                    Either::Left((Ok(guard), _)) => {
                        assert_eq!(holders.fetch_add(1, Ordering::SeqCst), 0, "two hold it");
                        turns.fetch_add(1, Ordering::Relaxed);
                        yields(dice >> 16 & 1).await;
                        holders.fetch_sub(1, Ordering::SeqCst);
                        if dice >> 24 & 1 == 0 {
                            drop(guard);
                        } else {
                            let _ = guard.release().await;
                        }
                    }
                    Either::Left((Err(AcquireError::TimedOut { .. }), _)) | Either::Right(_) => {}
                    Either::Left((Err(error), _)) => panic!("{error}"),
                }
            }
        })
    };
    for task in (0..TASKS).map(caller).collect::<Vec<_>>() {
        task.await.unwrap();
    }
    assert_eq!(queue.shutdown(Duration::from_secs(10)).await, 0);
    assert!(turns.load(Ordering::Relaxed) > TASKS * ROUNDS / 100, "{turns:?} turns");
    let attempt = lock.acquire_all(&[key], Duration::from_secs(1)).await.unwrap();
    assert!(matches!(attempt, Attempt::Granted(_)), "somebody still holds it");
}
