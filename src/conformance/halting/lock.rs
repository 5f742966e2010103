use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use super::gate::Gate;
use super::store::Halting;
use crate::ports::{Attempt, Extended, Lease, Lock, LockError, LockKey, LockToken, Released, Runtime};

/// A lock of the kit's own, which stands still together with a store. It ends no lease by itself: what is not given back
/// stays, and is seen.
pub(in crate::conformance) struct HaltingLock {
    gate: Arc<Gate>,
    runtime: Arc<dyn Runtime>,
    holders: Mutex<BTreeMap<LockKey, LockToken>>,
    stood_still: AtomicU32,
}

impl HaltingLock {
    /// Its steps and those of the store are counted together.
    pub(in crate::conformance) fn beside(store: &Halting, runtime: &Arc<dyn Runtime>) -> Arc<Self> {
        let (gate, runtime) = (Arc::clone(&store.gate), Arc::clone(runtime));
        Arc::new(Self { gate, runtime, holders: Mutex::default(), stood_still: AtomicU32::new(0) })
    }

    /// What was granted and not given back.
    pub(in crate::conformance) fn held(&self) -> Vec<LockKey> {
        self.holders().keys().cloned().collect()
    }

    /// How many of its calls have stood still.
    pub(in crate::conformance) fn stood_still(&self) -> u32 {
        self.stood_still.load(Ordering::Acquire)
    }

    fn holders(&self) -> MutexGuard<'_, BTreeMap<LockKey, LockToken>> {
        self.holders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn grant(&self, holders: &mut BTreeMap<LockKey, LockToken>, key: &LockKey, ttl: Duration) -> Lease {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.runtime.random().to_be_bytes());
        bytes[8..].copy_from_slice(&self.runtime.random().to_be_bytes());
        let token = LockToken::from_bytes(bytes);
        holders.insert(key.clone(), token);
        Lease::new(key.clone(), token, self.runtime.now() + ttl)
    }

    async fn stepped<T>(&self, work: impl FnOnce() -> T + Send) -> T {
        let (done, stood_still) = self.gate.stepped(async { work() }).await;
        self.stood_still.fetch_add(u32::from(stood_still), Ordering::AcqRel);
        done
    }
}

impl fmt::Debug for HaltingLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HaltingLock")
    }
}

#[async_trait]
impl Lock for HaltingLock {
    async fn acquire_all(&self, keys: &[LockKey], ttl: Duration) -> Result<Attempt<Vec<Lease>>, LockError> {
        let acquire = || {
            let mut holders = self.holders();
            if keys.iter().any(|key| holders.contains_key(key)) {
                return Attempt::Contended { retry_after: ttl };
            }
            Attempt::Granted(keys.iter().map(|key| self.grant(&mut holders, key, ttl)).collect())
        };
        Ok(self.stepped(acquire).await)
    }

    async fn acquire_each(&self, keys: &[LockKey], ttl: Duration) -> Result<Vec<Attempt<Lease>>, LockError> {
        let acquire = || {
            let mut holders = self.holders();
            let attempt = |key| match holders.get(key) {
                Some(_) => Attempt::Contended { retry_after: ttl },
                None => Attempt::Granted(self.grant(&mut holders, key, ttl)),
            };
            keys.iter().map(attempt).collect()
        };
        Ok(self.stepped(acquire).await)
    }

    async fn extend(&self, leases: &mut [Lease], ttl: Duration) -> Result<Vec<Extended>, LockError> {
        let extend = || {
            let holders = self.holders();
            let extend = |lease: &mut Lease| {
                if holders.get(lease.key()) != Some(lease.token()) {
                    return Extended::Lost;
                }
                lease.set_deadline(lease.deadline().max(self.runtime.now() + ttl));
                Extended::Extended
            };
            leases.iter_mut().map(extend).collect()
        };
        Ok(self.stepped(extend).await)
    }

    async fn release(&self, leases: Vec<Lease>) -> Result<Vec<Released>, LockError> {
        let release = || {
            let mut holders = self.holders();
            let release = |lease: Lease| match holders.get(lease.key()) {
                Some(token) if token == lease.token() => {
                    holders.remove(lease.key());
                    Released::Released
                }
                Some(_) => Released::NotOwner,
                None => Released::Expired,
            };
            leases.into_iter().map(release).collect()
        };
        Ok(self.stepped(release).await)
    }
}
