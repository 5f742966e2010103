//! Waiters that want the same keys at the same moment.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use ticket_reservation::locking::{LockGuard, LockQueue, Returned};
use ticket_reservation::ports::{Attempt, Lease, Lock, LockKey, Released, Runtime};
use tokio::sync::{Barrier, Notify};
use tokio::task::yield_now;

const TTL: Duration = Duration::from_secs(10);
/// The longest that a refused waiter waits before it asks again.
const ASK_AGAIN: Duration = Duration::from_millis(1);
/// Nobody waits longer, unless the lock does not work.
const WAIT_MAX: Duration = Duration::from_secs(60);

pub(crate) fn key(of: &str, number: usize) -> LockKey {
    LockKey::new(format!("{of}/{number}")).expect("a key")
}

/// How a waiter comes to its key.
#[derive(Clone)]
pub(crate) enum Way {
    /// The lock port, asked again and again.
    Asking { lock: Arc<dyn Lock>, runtime: Arc<dyn Runtime> },
    /// The queue in front of it.
    Queue(LockQueue),
}

/// A key that is held.
pub(crate) enum Held<'w> {
    Lease(&'w dyn Lock, &'w dyn Runtime, Lease),
    Guard(LockGuard),
}

impl Way {
    pub(crate) async fn acquire(&self, key: &LockKey) -> Held<'_> {
        match self {
            Self::Asking { lock, runtime } => Held::Lease(&**lock, &**runtime, ask(&**lock, &**runtime, key).await),
            Self::Queue(queue) => Held::Guard(queue.acquire(key, WAIT_MAX).await.expect("everybody has a turn")),
        }
    }
}

/// Asks until the key is granted.
async fn ask(lock: &dyn Lock, runtime: &dyn Runtime, key: &LockKey) -> Lease {
    let asked = Instant::now();
    while asked.elapsed() < WAIT_MAX {
        // A lock that has too many calls to answer at once says so.
        let answers = lock.acquire_each(std::slice::from_ref(key), TTL).await;
        match answers.ok().and_then(|mut answers| answers.pop()) {
            Some(Attempt::Granted(lease)) => return lease,
            Some(Attempt::Contended { retry_after }) => runtime.sleep(retry_after.min(ASK_AGAIN)).await,
            _ => runtime.sleep(ASK_AGAIN).await,
        }
    }
    panic!("nothing was granted for {WAIT_MAX:?}")
}

impl Held<'_> {
    pub(crate) async fn release(self) {
        match self {
            Self::Lease(lock, runtime, lease) => {
                let asked = Instant::now();
                while lock.release(vec![lease.clone()]).await.is_err() {
                    assert!(asked.elapsed() < WAIT_MAX, "a lease cannot be released");
                    runtime.sleep(ASK_AGAIN).await;
                }
            }
            Self::Guard(guard) => {
                let returned = guard.release().await;
                let is_ours = !matches!(returned, Returned::Released(Released::Expired | Released::NotOwner));
                assert!(is_ours, "a lease ended while it was held");
            }
        }
    }
}

/// So many waiters, evenly spread over so many keys.
pub(crate) struct Crowd {
    way: Way,
    keys: Vec<LockKey>,
    waiters: usize,
}

/// What the waiters of some rounds share.
struct Shared {
    start: Barrier,
    /// How many wait for the start.
    arrived: AtomicUsize,
    /// How many have not had their key in this round.
    left: AtomicUsize,
    done: Notify,
    keys: Vec<Watched>,
    /// The most that a holder has seen with it at its key.
    most: AtomicUsize,
}

#[derive(Default)]
struct Watched {
    /// How many hold it or want it.
    at_it: AtomicUsize,
    is_held: AtomicBool,
}

impl Crowd {
    pub(crate) fn new(way: &Way, name: &str, waiters: usize, keys: usize) -> Self {
        let keys = (0..keys).map(|number| key(name, number)).collect();
        Self { way: way.clone(), keys, waiters }
    }

    /// The time of so many rounds, from the start of each to its last release. A single key is held until all want it.
    pub(crate) async fn rounds(&self, rounds: u64) -> Duration {
        let shared = Arc::new(Shared {
            start: Barrier::new(self.waiters + 1),
            arrived: AtomicUsize::new(0),
            left: AtomicUsize::new(0),
            done: Notify::new(),
            keys: self.keys.iter().map(|_| Watched::default()).collect(),
            most: AtomicUsize::new(0),
        });
        let tasks: Vec<_> = (0..self.waiters)
            .map(|waiter| {
                let number = waiter % self.keys.len();
                let (way, key, shared) = (self.way.clone(), self.keys[number].clone(), Arc::clone(&shared));
                tokio::spawn(async move {
                    for _ in 0..rounds {
                        shared.arrived.fetch_add(1, Ordering::SeqCst);
                        shared.start.wait().await;
                        shared.pass(&way, &key, number).await;
                    }
                })
            })
            .collect();
        let mut took = Duration::ZERO;
        for _ in 0..rounds {
            // Their start waits for this task alone.
            while shared.arrived.load(Ordering::SeqCst) < self.waiters {
                yield_now().await;
            }
            shared.arrived.store(0, Ordering::SeqCst);
            shared.left.store(self.waiters, Ordering::SeqCst);
            let opening = match &self.keys[..] {
                [key] => Some(self.way.acquire(key).await),
                _ => None,
            };
            let mut started = Instant::now();
            shared.start.wait().await;
            if let Some(opening) = opening {
                // A short round would be over for the first before the last one is awake.
                while shared.keys[0].at_it.load(Ordering::SeqCst) < self.waiters {
                    yield_now().await;
                }
                started = Instant::now();
                opening.release().await;
            }
            let done = tokio::time::timeout(WAIT_MAX, shared.done.notified()).await;
            done.expect("a round ends");
            took += started.elapsed();
        }
        for task in tasks {
            task.await.expect("no waiter panics");
        }
        if self.keys.len() == 1 {
            let most = shared.most.load(Ordering::SeqCst);
            assert_eq!(most, self.waiters, "they did not all want it at once");
        }
        took
    }
}

impl Shared {
    async fn pass(&self, way: &Way, key: &LockKey, number: usize) {
        let watched = &self.keys[number];
        watched.at_it.fetch_add(1, Ordering::SeqCst);
        let held = way.acquire(key).await;
        assert!(!watched.is_held.swap(true, Ordering::SeqCst), "{key} is held twice at once");
        yield_now().await;
        self.most.fetch_max(watched.at_it.load(Ordering::SeqCst), Ordering::SeqCst);
        watched.is_held.store(false, Ordering::SeqCst);
        held.release().await;
        watched.at_it.fetch_sub(1, Ordering::SeqCst);
        if self.left.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.done.notify_one();
        }
    }
}
