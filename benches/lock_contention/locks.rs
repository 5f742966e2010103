//! Every lock that is compiled in.

use std::ops::Deref;
use std::sync::Arc;

use tempfile::TempDir;
use ticket_reservation::adapters::memory::MemoryLock;
use ticket_reservation::ports::{Lock, Runtime};

/// Most waiters that ask again and again for a key, where each refusal is a transaction or a round trip.
#[cfg(any(feature = "sqlite", feature = "redlock", feature = "rslock"))]
const ASKING_MAX: usize = 100;

/// A lock.
pub(crate) struct Named {
    pub(crate) name: &'static str,
    pub(crate) lock: Arc<dyn Lock>,
    /// Most waiters that ask it again and again in sane time.
    pub(crate) asking_max: usize,
}

/// The locks, and what they need as long as they are measured.
pub(crate) struct Locks {
    locks: Vec<Named>,
    _folder: TempDir,
    #[cfg(any(feature = "redlock", feature = "rslock"))]
    _servers: crate::redis_servers::RedisServers,
}

impl Deref for Locks {
    type Target = [Named];

    fn deref(&self) -> &[Named] {
        &self.locks
    }
}

impl Locks {
    pub(crate) fn start(runtime: &Arc<dyn Runtime>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let memory = Arc::new(MemoryLock::new(Arc::clone(runtime)));
        #[cfg_attr(not(any(feature = "sqlite", feature = "redlock", feature = "rslock")), expect(unused_mut))]
        let mut locks = vec![Named { name: "memory", lock: memory, asking_max: usize::MAX }];
        #[cfg(feature = "sqlite")]
        {
            use ticket_reservation::adapters::sqlite::SqliteLock;
            let file = folder.path().join("leases.db");
            let lock = SqliteLock::builder(file, Arc::clone(runtime)).open().expect("a lock file");
            locks.push(Named { name: "sqlite", lock: Arc::new(lock), asking_max: ASKING_MAX });
        }
        #[cfg(any(feature = "redlock", feature = "rslock"))]
        let servers = crate::redis_servers::RedisServers::start(5).expect("private Redis servers");
        #[cfg(feature = "redlock")]
        for (name, nodes) in [("redlock, 1 node", 1), ("redlock, 3 nodes", 3), ("redlock, 5 nodes", 5)] {
            use ticket_reservation::adapters::redlock::Redlock;
            let urls = servers.urls().into_iter().take(nodes);
            let lock = Redlock::builder(Arc::clone(runtime)).nodes(urls).build().expect("valid nodes");
            locks.push(Named { name, lock: Arc::new(lock), asking_max: ASKING_MAX });
        }
        #[cfg(feature = "rslock")]
        {
            use ticket_reservation::adapters::rslock::{RslockLock, rslock::LockManager};
            let manager = LockManager::new(servers.urls()[..3].to_vec());
            let lock = RslockLock::builder(manager, Arc::clone(runtime)).build();
            locks.push(Named { name: "rslock, 3 nodes", lock: Arc::new(lock), asking_max: ASKING_MAX });
        }
        Self {
            locks,
            _folder: folder,
            #[cfg(any(feature = "redlock", feature = "rslock"))]
            _servers: servers,
        }
    }
}
