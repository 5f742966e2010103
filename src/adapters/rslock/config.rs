use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ::rslock::LockManager;

use super::lock::RslockLock;
use super::manager::Manager;
use crate::ports::Runtime;

/// What stands before each key in Redis unless the builder says otherwise. With it, `gala` is the key `redlock:gala`, as
/// RedLock.net writes it.
pub const KEY_PREFIX_DEFAULT: &str = "redlock:";

/// rslock would try again by itself, and panics when it is to wait for no time before.
const ATTEMPTS: u32 = 1;
const RETRY_DELAY: Duration = Duration::from_millis(1);

/// Options of a [`RslockLock`].
///
/// Its setters, in use:
///
/// ```
#[doc = doc_on_sale!()]
/// use ticket_reservation::adapters::rslock::{RslockLock, rslock::LockManager};
///
/// let manager = LockManager::new(vec!["redis://127.0.0.1:1"]);
/// let lock = RslockLock::builder(manager, runtime).key_prefix("box-office:").extensions(false).build();
/// # let _ = lock;
#[doc = doc_end!()]
/// ```
#[must_use]
pub struct RslockLockBuilder {
    manager: LockManager,
    key_prefix: String,
    extensions: bool,
    runtime: Arc<dyn Runtime>,
}

impl RslockLockBuilder {
    pub(super) fn new(manager: LockManager, runtime: Arc<dyn Runtime>) -> Self {
        Self { manager, key_prefix: KEY_PREFIX_DEFAULT.to_owned(), extensions: false, runtime }
    }

    /// What stands before each key in Redis; may be empty. Whoever is to exclude each other must use the same. Default:
    /// [`KEY_PREFIX_DEFAULT`].
    pub fn key_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.key_prefix = prefix.into();
        self
    }

    /// Whether leases are extended. When no majority confirms an extension, rslock releases the lock on every server: whoever does
    /// not wait for the answer, as a [`LockQueue`](crate::locking::LockQueue) does not for ever, would believe in a lease that
    /// another one may have. So it is only for hosts that call [`extend`](crate::ports::Lock::extend) themselves and take every
    /// answer but `Extended`, and none, for a loss. Default: no, and every extension is answered as
    /// [`Unknown`](crate::ports::Extended::Unknown).
    pub fn extensions(mut self, extensions: bool) -> Self {
        self.extensions = extensions;
        self
    }

    /// The lock. Nothing is sent yet: rslock connects when it is asked for something.
    #[must_use]
    pub fn build(mut self) -> RslockLock {
        self.manager.set_retry(ATTEMPTS, RETRY_DELAY);
        RslockLock::new(Manager::new(self.manager, self.key_prefix, self.runtime), self.extensions)
    }
}

impl fmt::Debug for RslockLockBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RslockLockBuilder").field("key_prefix", &self.key_prefix).finish_non_exhaustive()
    }
}
