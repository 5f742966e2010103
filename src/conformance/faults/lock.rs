use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::ports::{Attempt, Extended, Lease, Lock, LockError, LockKey, LockToken, Released, Runtime};

/// A lock that lies: it grants everything to everyone. With it, sales must be slower at worst, never wrong.
///
/// ```
#[doc = doc_on_sale!()]
/// use ticket_reservation::conformance::faults::GrantsAll;
///
/// let lock = GrantsAll::new(runtime);
/// for _ in 0..2 {
///     let attempt = lock.acquire_all(&[LockKey::new("gala")?], Duration::from_secs(2)).await?;
///     assert!(matches!(attempt, Attempt::Granted(_)));
/// }
#[doc = doc_end!()]
/// ```
#[derive(Debug, Clone)]
pub struct GrantsAll {
    runtime: Arc<dyn Runtime>,
}

impl GrantsAll {
    /// Takes the clock from `runtime`.
    pub fn new(runtime: Arc<dyn Runtime>) -> Self {
        Self { runtime }
    }

    fn lease(&self, key: &LockKey, ttl: Duration) -> Lease {
        Lease::new(key.clone(), LockToken::from_bytes([0; 16]), self.runtime.now() + ttl)
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
        let deadline = self.runtime.now() + ttl;
        leases.iter_mut().for_each(|lease| lease.set_deadline(deadline));
        Ok(vec![Extended::Extended; leases.len()])
    }

    async fn release(&self, leases: Vec<Lease>) -> Result<Vec<Released>, LockError> {
        Ok(vec![Released::Released; leases.len()])
    }
}
