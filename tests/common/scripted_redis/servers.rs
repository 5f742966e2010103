//! Several servers, and a lock over them.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ticket_reservation::adapters::redlock::{Redlock, RedlockBuilder};
use ticket_reservation::ports::{Lease, Lock, LockKey, Observation, Observer, Released};

use super::super::sim::Sim;
use super::Redis;

/// What an engine says about its nodes.
#[derive(Debug, Default)]
pub(crate) struct NodesSeen(Mutex<Vec<String>>);

impl NodesSeen {
    /// `name down` and `name up`, in order.
    pub(crate) fn all(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Observer for NodesSeen {
    fn observe(&self, observation: &Observation<'_>) {
        let seen = match observation {
            Observation::LockNodeDown { node, .. } => format!("{node} down"),
            Observation::LockNodeUp { node } => format!("{node} up"),
            other => panic!("{other:?}"),
        };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(seen);
    }
}

/// Independent servers, named `a`, `b` and so on.
#[derive(Debug, Clone)]
pub(crate) struct Servers {
    pub(crate) sim: Sim,
    pub(crate) all: Vec<Redis>,
    pub(crate) seen: Arc<NodesSeen>,
}

impl Servers {
    pub(crate) fn new(sim: &Sim, count: usize) -> Self {
        let all = ('a'..).take(count).map(|name| Redis::new(sim, name)).collect();
        Self { sim: sim.clone(), all, seen: Arc::default() }
    }

    /// One process's lock over all of them.
    pub(crate) fn redlock(&self) -> Redlock {
        self.redlock_with(|builder| builder)
    }

    pub(crate) fn redlock_with(&self, options: impl FnOnce(RedlockBuilder) -> RedlockBuilder) -> Redlock {
        let builder = Redlock::builder(Arc::new(self.sim.clone())).key_prefix("").observer(self.seen.clone());
        let servers = self.all.iter().cloned();
        options(servers.fold(builder, |builder, redis| builder.server(Arc::new(redis)))).build().unwrap()
    }

    /// How long a request to each is on its way.
    pub(crate) fn delays_ms<const N: usize>(&self, delays: [u64; N]) {
        assert_eq!(N, self.all.len());
        self.all.iter().zip(delays).for_each(|(redis, ms)| {
            redis.delay_ms(ms);
        });
    }

    /// How many keys each has.
    pub(crate) fn keys(&self) -> Vec<usize> {
        self.all.iter().map(|redis| redis.keys().len()).collect()
    }

    /// Waits for everything in the background, and makes sure that nothing stays locked.
    pub(crate) async fn assert_nothing_left(&self, lock: &Redlock) {
        assert!(lock.shutdown(Duration::from_secs(60)).await, "something goes on for ever");
        self.assert_no_key();
    }

    pub(crate) fn assert_no_key(&self) {
        let left: Vec<Vec<String>> = self.all.iter().map(Redis::keys).collect();
        assert!(left.iter().all(Vec::is_empty), "keys are left: {left:?}");
        assert_eq!(self.sim.panics(), 0);
    }
}

pub(crate) fn keys(names: &[&str]) -> Vec<LockKey> {
    names.iter().map(|name| LockKey::new(name).unwrap()).collect()
}

/// Gives leases back that are still held.
pub(crate) async fn give_back(lock: &Redlock, leases: Vec<Lease>) {
    let count = leases.len();
    assert_eq!(lock.release(leases).await.unwrap(), vec![Released::Released; count]);
}
