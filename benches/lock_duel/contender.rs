//! The locks that compete, and how a waiter gets each.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use ticket_reservation::adapters::redlock::{Quarantine, Redlock};
use ticket_reservation::adapters::rslock::RslockLock;
use ticket_reservation::adapters::rslock::rslock::{LockGuard as RawGuard, LockManager};
use ticket_reservation::locking::{LockGuard, LockQueue};
use ticket_reservation::ports::{LockKey, Runtime};

use crate::args::{Fault, LockName};
use crate::orders::Orders;

/// One lock, as one process uses it.
#[derive(Clone)]
pub(crate) enum Contender {
    Queue { queue: LockQueue, redlock: Option<Redlock> },
    Raw { manager: LockManager, ttl: Duration },
}

/// What a holder has.
pub(crate) enum Held {
    Queue(LockGuard),
    Raw(RawGuard),
}

/// A key, as each lock wants it.
#[derive(Clone)]
pub(crate) struct Key(LockKey);

impl Key {
    pub(crate) fn new(number: u32) -> Result<Self, Box<dyn Error>> {
        Ok(Self(LockKey::new(format!("duel-{number}"))?))
    }
}

impl Contender {
    pub(crate) fn new(orders: &Orders, runtime: &Arc<dyn Runtime>) -> Result<Self, Box<dyn Error>> {
        match orders.lock {
            LockName::Redlock => {
                let builder = Redlock::builder(Arc::clone(runtime)).nodes(orders.urls.clone());
                // A server that has forgotten its locks must not let others in.
                let builder = match orders.fault {
                    Fault::Restart => builder.quarantine(Quarantine::For(orders.ttl)),
                    _ => builder,
                };
                let lock = builder.build()?;
                let queue = LockQueue::builder(Arc::new(lock.clone()), Arc::clone(runtime)).ttl(orders.ttl).build();
                Ok(Self::Queue { queue, redlock: Some(lock) })
            }
            LockName::Rslock => {
                let manager = LockManager::new(orders.urls.clone());
                let lock = RslockLock::builder(manager, Arc::clone(runtime)).build();
                let queue = LockQueue::builder(Arc::new(lock), Arc::clone(runtime)).ttl(orders.ttl).build();
                Ok(Self::Queue { queue, redlock: None })
            }
            LockName::RslockRaw => Ok(Self::Raw { manager: LockManager::new(orders.urls.clone()), ttl: orders.ttl }),
        }
    }

    /// Waits for the key, at most so long. `None` when it could not be had.
    pub(crate) async fn acquire(&self, key: &Key, at_most: Duration) -> Option<Held> {
        match self {
            Self::Queue { queue, .. } => queue.acquire(&key.0, at_most).await.ok().map(Held::Queue),
            Self::Raw { manager, ttl } => {
                let acquired = tokio::time::timeout(at_most, manager.acquire(key.0.as_str(), *ttl)).await;
                acquired.ok()?.ok().map(Held::Raw)
            }
        }
    }

    /// Ends what goes on in the background.
    pub(crate) async fn close(self, at_most: Duration) {
        if let Self::Queue { queue, redlock } = self {
            queue.shutdown(at_most).await;
            if let Some(redlock) = redlock {
                redlock.shutdown(at_most).await;
            }
        }
    }
}

impl Held {
    pub(crate) async fn release(self) {
        match self {
            Self::Queue(guard) => {
                // What became of it is not the question here.
                let _ = guard.release().await;
            }
            Self::Raw(guard) => guard.release().await,
        }
    }
}
