use std::sync::Arc;
use std::time::Duration;

use ::rslock::LockManager;
use async_trait::async_trait;
use futures_channel::oneshot;
use futures_util::future::join_all;

use super::config::RslockLockBuilder;
use super::error::Fault;
use super::manager::{Manager, deadline};
use crate::ports::{Attempt, Extended, Lease, Lock, LockError, LockKey, Released, Runtime};

/// How many keys of one call are on their way at once.
pub const KEYS_AT_ONCE_MAX: usize = 32;

/// A lock made of rslock's.
///
/// Dropping it releases nothing: leases end with their TTL.
///
/// # Clone
///
/// A clone is another handle on the same lock, with the same connections. A lease can be given back by any lock over the
/// same servers with the same prefix; only the clones of the one that granted it know its value without asking.
#[derive(Debug, Clone)]
pub struct RslockLock {
    manager: Arc<Manager>,
    extensions: bool,
}

impl RslockLock {
    /// Starts with rslock's manager, and the runtime, which must be tokio's, with I/O enabled.
    pub fn builder(manager: LockManager, runtime: Arc<dyn Runtime>) -> RslockLockBuilder {
        RslockLockBuilder::new(manager, runtime)
    }

    pub(super) fn new(manager: Manager, extensions: bool) -> Self {
        Self { manager: Arc::new(manager), extensions }
    }

    /// Does the work in a task of the runtime, to its end, also when the caller goes away.
    async fn in_task<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> Result<T, LockError> {
        let (answer, answered) = oneshot::channel();
        self.manager.runtime.spawn(Box::pin(async move {
            // Whatever has to be undone when nobody listens is undone by dropping it.
            let _ = answer.send(work.await);
        }));
        answered.await.map_err(|_| Fault::GivenUp.into())
    }
}

/// Leases on their way to the caller, and nothing for each key that was refused. If the caller has gone, or the call
/// fails, they are given back.
struct Granted {
    leases: Vec<Option<Lease>>,
    manager: Option<Arc<Manager>>,
}

impl Granted {
    fn new(leases: Vec<Option<Lease>>, manager: &Arc<Manager>) -> Self {
        Self { leases, manager: Some(Arc::clone(manager)) }
    }

    fn into_leases(mut self) -> Vec<Option<Lease>> {
        self.manager = None;
        std::mem::take(&mut self.leases)
    }
}

impl Drop for Granted {
    fn drop(&mut self) {
        let Some(manager) = self.manager.take() else { return };
        let leases: Vec<Lease> = std::mem::take(&mut self.leases).into_iter().flatten().collect();
        if !leases.is_empty() {
            let runtime = Arc::clone(&manager.runtime);
            runtime.spawn(Box::pin(async move { drop(release(&manager, &leases).await) }));
        }
    }
}

/// One key after another, in their own order: of several who want some of the same, one gets on. `None` when one was
/// refused.
async fn take_all(manager: Arc<Manager>, keys: Vec<LockKey>, ttl: Duration) -> Result<Option<Granted>, Fault> {
    let deadline = deadline(manager.runtime.now(), ttl)?;
    let mut granted = Granted::new(vec![None; keys.len()], &manager);
    let mut order: Vec<usize> = (0..keys.len()).collect();
    order.sort_unstable_by_key(|at| &keys[*at]);
    for at in order {
        granted.leases[at] = manager.take(&keys[at], ttl, deadline).await?;
        if granted.leases[at].is_none() {
            let leases: Vec<Lease> = granted.into_leases().into_iter().flatten().collect();
            release(&manager, &leases).await;
            manager.confirm_quorum().await?;
            return Ok(None);
        }
    }
    Ok(Some(granted))
}

async fn take_each(manager: Arc<Manager>, keys: Vec<LockKey>, ttl: Duration) -> Result<Granted, Fault> {
    let deadline = deadline(manager.runtime.now(), ttl)?;
    let mut granted = Granted::new(Vec::with_capacity(keys.len()), &manager);
    for some in keys.chunks(KEYS_AT_ONCE_MAX) {
        let taken = join_all(some.iter().map(|key| manager.take(key, ttl, deadline))).await;
        let mut failed = None;
        let mut refused = false;
        for taken in taken {
            match taken {
                Ok(lease) => {
                    refused |= lease.is_none();
                    granted.leases.push(lease);
                }
                Err(fault) => failed = Some(fault),
            }
        }
        if let Some(fault) = failed {
            return Err(fault);
        }
        if refused {
            manager.confirm_quorum().await?;
        }
    }
    Ok(granted)
}

async fn release(manager: &Manager, leases: &[Lease]) -> Vec<Released> {
    let mut released = Vec::with_capacity(leases.len());
    for some in leases.chunks(KEYS_AT_ONCE_MAX) {
        released.extend(join_all(some.iter().map(|lease| manager.release(lease))).await);
    }
    released
}

async fn extend(
    manager: Arc<Manager>,
    mut leases: Vec<Lease>,
    ttl: Duration,
) -> Result<(Vec<Lease>, Vec<Extended>), Fault> {
    let deadline = deadline(manager.runtime.now(), ttl)?;
    let mut extended = Vec::with_capacity(leases.len());
    for some in leases.chunks_mut(KEYS_AT_ONCE_MAX) {
        extended.extend(join_all(some.iter_mut().map(|lease| manager.extend(lease, ttl, deadline))).await);
    }
    Ok((leases, extended))
}

#[async_trait]
impl Lock for RslockLock {
    async fn acquire_all(&self, keys: &[LockKey], ttl: Duration) -> Result<Attempt<Vec<Lease>>, LockError> {
        let taken = self.in_task(take_all(Arc::clone(&self.manager), keys.to_vec(), ttl)).await??;
        Ok(match taken {
            Some(granted) => Attempt::Granted(granted.into_leases().into_iter().flatten().collect()),
            None => Attempt::Contended { retry_after: ttl },
        })
    }

    async fn acquire_each(&self, keys: &[LockKey], ttl: Duration) -> Result<Vec<Attempt<Lease>>, LockError> {
        let granted = self.in_task(take_each(Arc::clone(&self.manager), keys.to_vec(), ttl)).await??;
        let attempt = |lease: Option<Lease>| lease.map_or(Attempt::Contended { retry_after: ttl }, Attempt::Granted);
        Ok(granted.into_leases().into_iter().map(attempt).collect())
    }

    async fn extend(&self, leases: &mut [Lease], ttl: Duration) -> Result<Vec<Extended>, LockError> {
        if !self.extensions {
            deadline(self.manager.runtime.now(), ttl)?;
            return Ok(vec![Extended::Unknown; leases.len()]);
        }
        let (now, extended) = self.in_task(extend(Arc::clone(&self.manager), leases.to_vec(), ttl)).await??;
        leases.clone_from_slice(&now);
        Ok(extended)
    }

    async fn release(&self, leases: Vec<Lease>) -> Result<Vec<Released>, LockError> {
        let manager = Arc::clone(&self.manager);
        self.in_task(async move { release(&manager, &leases).await }).await
    }
}
