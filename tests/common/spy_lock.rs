//! One process's handle on a lock shared by processes, which remembers what it was asked and can go wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures_util::FutureExt;
use ticket_reservation::adapters::memory::MemoryLock;
use ticket_reservation::ports::{Attempt, Clock, Extended, Lease, Lock, LockError, LockKey, Released, Runtime};

use super::sim::Sim;

/// How extending leases goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Extending {
    #[default]
    Works,
    /// Every lease is answered to be lost.
    Loses,
    /// The lock's store fails.
    Fails,
    /// The lock's store never answers.
    Hangs,
}

pub(crate) struct SpyLock {
    shared: MemoryLock,
    sim: Sim,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    held: BTreeMap<LockKey, Instant>,
    asked: Vec<Vec<String>>,
    extended: usize,
    released: Vec<String>,
    acquiring_fails: bool,
    acquiring_hangs: bool,
    extending: Extending,
    release_takes: Duration,
}

impl SpyLock {
    /// A handle on a lock that nobody else has.
    pub(crate) fn new(sim: &Sim) -> Arc<Self> {
        Self::on(MemoryLock::new(Arc::new(sim.clone())), sim)
    }

    /// A handle on a shared lock.
    pub(crate) fn on(shared: MemoryLock, sim: &Sim) -> Arc<Self> {
        Arc::new(Self { shared, sim: sim.clone(), state: Mutex::default() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Another process takes these keys.
    pub(crate) fn taken_by_another(&self, keys: &[&str], ttl: Duration) -> Vec<Lease> {
        let keys: Vec<LockKey> = keys.iter().map(|key| LockKey::new(key).unwrap()).collect();
        match self.shared.acquire_all(&keys, ttl).now_or_never().unwrap().unwrap() {
            Attempt::Granted(leases) => leases,
            other => panic!("{other:?}"),
        }
    }

    /// Whether another process could take this key now.
    pub(crate) fn is_free(&self, key: &str) -> bool {
        let key = LockKey::new(key).unwrap();
        match self.shared.acquire_all(&[key], Duration::from_secs(1)).now_or_never().unwrap().unwrap() {
            Attempt::Granted(leases) => {
                self.give_back(leases);
                true
            }
            _ => false,
        }
    }

    /// Another process gives its leases back.
    pub(crate) fn give_back(&self, leases: Vec<Lease>) {
        let _ = self.shared.release(leases).now_or_never().unwrap().unwrap();
    }

    /// The keys granted here, not given back, and not past their deadline.
    pub(crate) fn held(&self) -> BTreeSet<String> {
        let now = self.sim.now();
        let state = self.state();
        state.held.iter().filter(|(_, deadline)| **deadline > now).map(|(key, _)| key.to_string()).collect()
    }

    /// Every call to acquire, with its keys.
    pub(crate) fn asked(&self) -> Vec<Vec<String>> {
        self.state().asked.clone()
    }

    /// How often leases were to be extended.
    pub(crate) fn extended(&self) -> usize {
        self.state().extended
    }

    /// Every key given back, in order.
    pub(crate) fn released(&self) -> Vec<String> {
        self.state().released.clone()
    }

    pub(crate) fn acquiring_fails(&self, fails: bool) {
        self.state().acquiring_fails = fails;
    }

    pub(crate) fn acquiring_hangs(&self, hangs: bool) {
        self.state().acquiring_hangs = hangs;
    }

    pub(crate) fn extending(&self, extending: Extending) {
        self.state().extending = extending;
    }

    pub(crate) fn release_takes(&self, duration: Duration) {
        self.state().release_takes = duration;
    }
}

#[async_trait]
impl Lock for SpyLock {
    async fn acquire_all(&self, _: &[LockKey], _: Duration) -> Result<Attempt<Vec<Lease>>, LockError> {
        panic!("the pipeline asks for an answer per key");
    }

    async fn acquire_each(&self, keys: &[LockKey], ttl: Duration) -> Result<Vec<Attempt<Lease>>, LockError> {
        let (fails, hangs) = {
            let mut state = self.state();
            state.asked.push(keys.iter().map(ToString::to_string).collect());
            (state.acquiring_fails, state.acquiring_hangs)
        };
        if hangs {
            return std::future::pending().await;
        }
        if fails {
            return Err(LockError::new("out of order"));
        }
        let attempts = self.shared.acquire_each(keys, ttl).await?;
        for attempt in &attempts {
            if let Attempt::Granted(lease) = attempt {
                self.state().held.insert(lease.key().clone(), lease.deadline());
            }
        }
        Ok(attempts)
    }

    async fn extend(&self, leases: &mut [Lease], ttl: Duration) -> Result<Vec<Extended>, LockError> {
        let extending = {
            let mut state = self.state();
            state.extended += 1;
            state.extending
        };
        match extending {
            Extending::Works => {
                let answers = self.shared.extend(leases, ttl).await?;
                let mut state = self.state();
                for lease in leases.iter() {
                    state.held.insert(lease.key().clone(), lease.deadline());
                }
                Ok(answers)
            }
            Extending::Loses => {
                self.state().held.clear();
                Ok(vec![Extended::Lost; leases.len()])
            }
            Extending::Fails => Err(LockError::new("out of order")),
            Extending::Hangs => std::future::pending().await,
        }
    }

    async fn release(&self, leases: Vec<Lease>) -> Result<Vec<Released>, LockError> {
        let takes = {
            let mut state = self.state();
            for lease in &leases {
                state.held.remove(lease.key());
                state.released.push(lease.key().to_string());
            }
            state.release_takes
        };
        if !takes.is_zero() {
            self.sim.sleep(takes).await;
        }
        self.shared.release(leases).await
    }
}

impl fmt::Debug for SpyLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SpyLock")
    }
}
