//! One process's handle on a lock far away: every call travels there and back, and what was dropped on its way back has
//! happened all the same. It counts its calls, and can go wrong.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;
use ticket_reservation::adapters::memory::MemoryLock;
use ticket_reservation::locking::{LockQueue, LockQueueBuilder};
use ticket_reservation::ports::{Attempt, Extended, Lease, Lock, LockError, LockKey, Released, Runtime};

use super::sim::Sim;

/// How calls of one kind go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Going {
    #[default]
    Well,
    /// The lock's store fails.
    Fails,
    /// The lock's store never answers.
    Hangs,
    /// The adapter has a bug.
    Panics,
    /// Every lease is answered to be lost. Of extensions only.
    Loses,
}

#[derive(Debug, Clone, Copy, Default)]
struct State {
    /// How long a call takes there, and again back.
    way: Duration,
    acquiring: Going,
    extending: Going,
    releasing: Going,
    acquired: usize,
    extended: usize,
    released: usize,
}

pub(crate) struct FarLock {
    shared: MemoryLock,
    sim: Sim,
    state: Mutex<State>,
}

pub(crate) fn key(text: &str) -> LockKey {
    LockKey::new(text).unwrap()
}

impl FarLock {
    /// A handle on a lock that nobody else has.
    pub(crate) fn new(sim: &Sim) -> Arc<Self> {
        Self::on(&MemoryLock::new(Arc::new(sim.clone())), sim)
    }

    /// A handle on a shared lock.
    pub(crate) fn on(shared: &MemoryLock, sim: &Sim) -> Arc<Self> {
        Arc::new(Self { shared: shared.clone(), sim: sim.clone(), state: Mutex::default() })
    }

    /// A queue of one process on it.
    pub(crate) fn queue(self: &Arc<Self>) -> LockQueueBuilder {
        LockQueue::builder(self.clone(), Arc::new(self.sim.clone()))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn way(&self, way: Duration) {
        self.state().way = way;
    }

    pub(crate) fn acquiring(&self, going: Going) {
        self.state().acquiring = going;
    }

    pub(crate) fn extending(&self, going: Going) {
        self.state().extending = going;
    }

    pub(crate) fn releasing(&self, going: Going) {
        self.state().releasing = going;
    }

    /// How many calls to acquire, extend and release there were.
    pub(crate) fn calls(&self) -> (usize, usize, usize) {
        let state = self.state();
        (state.acquired, state.extended, state.released)
    }

    /// A client of the same lock that knows nothing of queues takes the key, if it is free.
    pub(crate) fn take_as_foreigner(&self, key: &LockKey, ttl: Duration) -> Option<Vec<Lease>> {
        match self.shared.acquire_all(std::slice::from_ref(key), ttl).now_or_never().unwrap().unwrap() {
            Attempt::Granted(leases) => Some(leases),
            _ => None,
        }
    }

    pub(crate) fn give_back(&self, leases: Vec<Lease>) {
        let _ = self.shared.release(leases).now_or_never().unwrap().unwrap();
    }

    /// Whether anybody could take the key now.
    pub(crate) fn is_free(&self, key: &LockKey) -> bool {
        let taken = self.take_as_foreigner(key, Duration::from_secs(1));
        let free = taken.is_some();
        taken.into_iter().for_each(|leases| self.give_back(leases));
        free
    }

    async fn travel(&self) {
        let way = self.state().way;
        if !way.is_zero() {
            self.sim.sleep(way).await;
        }
    }

    async fn there(&self, going: Going) -> Result<(), LockError> {
        self.travel().await;
        match going {
            Going::Well | Going::Loses => Ok(()),
            Going::Fails => Err(LockError::new("out of order")),
            Going::Hangs => std::future::pending().await,
            Going::Panics => panic!("a bug in the adapter"),
        }
    }
}

#[async_trait]
impl Lock for FarLock {
    async fn acquire_all(&self, keys: &[LockKey], ttl: Duration) -> Result<Attempt<Vec<Lease>>, LockError> {
        let going = {
            let mut state = self.state();
            state.acquired += 1;
            state.acquiring
        };
        self.there(going).await?;
        let answer = self.shared.acquire_all(keys, ttl).await;
        self.travel().await;
        answer
    }

    async fn acquire_each(&self, _: &[LockKey], _: Duration) -> Result<Vec<Attempt<Lease>>, LockError> {
        panic!("the queue asks for one key at a time");
    }

    async fn extend(&self, leases: &mut [Lease], ttl: Duration) -> Result<Vec<Extended>, LockError> {
        let going = {
            let mut state = self.state();
            state.extended += 1;
            state.extending
        };
        self.there(going).await?;
        if going == Going::Loses {
            return Ok(vec![Extended::Lost; leases.len()]);
        }
        let answer = self.shared.extend(leases, ttl).await;
        self.travel().await;
        answer
    }

    async fn release(&self, leases: Vec<Lease>) -> Result<Vec<Released>, LockError> {
        let going = {
            let mut state = self.state();
            state.released += 1;
            state.releasing
        };
        self.there(going).await?;
        let answer = self.shared.release(leases).await;
        self.travel().await;
        answer
    }
}

impl fmt::Debug for FarLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FarLock")
    }
}
