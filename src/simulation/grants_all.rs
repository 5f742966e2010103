use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::fault::{Fault, Trouble};
use crate::ports::{Attempt, Extended, Lease, Lock, LockError, LockKey, LockToken, Released, Runtime};

/// A lock that grants everybody everything.
#[derive(Debug)]
pub(super) struct GrantsAll {
    runtime: Arc<dyn Runtime>,
    trouble: Arc<Trouble>,
}

impl GrantsAll {
    pub(super) fn new(runtime: Arc<dyn Runtime>, trouble: Arc<Trouble>) -> Self {
        Self { runtime, trouble }
    }

    fn lease(&self, key: &LockKey, ttl: Duration) -> Lease {
        self.trouble.fire(Fault::LockGrantsAll);
        let mut token = [0; 16];
        token[..8].copy_from_slice(&self.runtime.random().to_be_bytes());
        Lease::new(key.clone(), LockToken::from_bytes(token), self.runtime.now() + ttl)
    }
}

#[async_trait]
impl Lock for GrantsAll {
    async fn acquire_all(&self, keys: &[LockKey], ttl: Duration) -> Result<Attempt<Vec<Lease>>, LockError> {
        Ok(Attempt::Granted(keys.iter().map(|key| self.lease(key, ttl)).collect()))
    }

    async fn acquire_each(&self, keys: &[LockKey], ttl: Duration) -> Result<Vec<Attempt<Lease>>, LockError> {
        Ok(keys.iter().map(|key| Attempt::Granted(self.lease(key, ttl))).collect())
    }

    async fn extend(&self, leases: &mut [Lease], ttl: Duration) -> Result<Vec<Extended>, LockError> {
        for lease in leases.iter_mut() {
            lease.set_deadline(self.runtime.now() + ttl);
        }
        Ok(vec![Extended::Extended; leases.len()])
    }

    async fn release(&self, leases: Vec<Lease>) -> Result<Vec<Released>, LockError> {
        Ok(vec![Released::Released; leases.len()])
    }
}
