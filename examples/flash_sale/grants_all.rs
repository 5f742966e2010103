//! A lock that lies: it grants everything to everybody. With it the sale may be slower, never wrong.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use ticket_reservation::ports::{Attempt, Extended, Lease, Lock, LockError, LockKey, LockToken, Released};

/// Says yes.
#[derive(Debug, Default)]
pub(crate) struct GrantsAll {
    granted: AtomicU64,
}

impl GrantsAll {
    fn grant(&self, key: &LockKey, ttl: Duration) -> Lease {
        let mut token = [0; 16];
        token[..8].copy_from_slice(&self.granted.fetch_add(1, Ordering::Relaxed).to_be_bytes());
        Lease::new(key.clone(), LockToken::from_bytes(token), Instant::now() + ttl)
    }
}

#[async_trait]
impl Lock for GrantsAll {
    async fn acquire_all(&self, keys: &[LockKey], ttl: Duration) -> Result<Attempt<Vec<Lease>>, LockError> {
        Ok(Attempt::Granted(keys.iter().map(|key| self.grant(key, ttl)).collect()))
    }

    async fn acquire_each(&self, keys: &[LockKey], ttl: Duration) -> Result<Vec<Attempt<Lease>>, LockError> {
        Ok(keys.iter().map(|key| Attempt::Granted(self.grant(key, ttl))).collect())
    }

    async fn extend(&self, leases: &mut [Lease], ttl: Duration) -> Result<Vec<Extended>, LockError> {
        for lease in leases.iter_mut() {
            lease.set_deadline(Instant::now() + ttl);
        }
        Ok(vec![Extended::Extended; leases.len()])
    }

    async fn release(&self, leases: Vec<Lease>) -> Result<Vec<Released>, LockError> {
        Ok(vec![Released::Released; leases.len()])
    }
}
