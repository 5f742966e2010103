//! The tokens of leases: whoever knows one can give the lock back.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use ticket_reservation::adapters::memory::{MemoryLock, MemoryRepository};
use ticket_reservation::adapters::sqlite::{SqliteLock, SqliteRepository};
use ticket_reservation::booking::{BookingService, LockPolicy, LockScope};
use ticket_reservation::domain::{CreateEvent, CustomerId, EventId, Hold, Lines, PoolId};
use ticket_reservation::locking::LockQueue;
use ticket_reservation::ports::{Attempt, Extended, Lease, Lock, LockError, LockKey, Released};

use super::collector::Collector;
use super::runtime::TestRuntime;
use super::secret::Secrets;
use super::soon;
use super::told::Told;

/// Long enough that it does not end during a test.
pub(crate) const LONG: Duration = Duration::from_secs(3_600);

pub(crate) fn key(text: &str) -> LockKey {
    LockKey::new(text).expect("a key")
}

/// From now on their tokens are secrets.
fn plant(said: &Collector, secrets: &mut Secrets, what: &str, leases: &[Lease]) {
    for lease in leases {
        secrets.plant(&format!("a token of {what}"), lease.token().as_bytes());
        said.debug(what, lease);
        said.debug(what, lease.token());
    }
}

/// Every call of a lock. Says whether it granted something.
pub(crate) async fn call_all(said: &Collector, secrets: &mut Secrets, what: &str, lock: &dyn Lock) -> bool {
    let mut granted = Vec::new();
    let each = soon(lock.acquire_each(&[key("one"), key("two")], LONG)).await;
    said.answer(what, &each);
    for attempt in each.into_iter().flatten() {
        if let Attempt::Granted(lease) = attempt {
            granted.push(lease);
        }
    }
    let all = soon(lock.acquire_all(&[key("three")], LONG)).await;
    said.answer(what, &all);
    if let Ok(Attempt::Granted(leases)) = all {
        granted.extend(leases);
    }
    plant(said, secrets, what, &granted);
    // What somebody has already.
    said.answer(what, &soon(lock.acquire_each(&[key("one")], LONG)).await);
    said.answer(what, &soon(lock.extend(&mut granted, LONG)).await);
    let has_some = !granted.is_empty();
    said.answer(what, &soon(lock.release(granted.clone())).await);
    said.answer(what, &soon(lock.release(granted)).await);
    said.debug(what, lock);
    has_some
}

/// Locks that need no server, the queue on top of a lock, and the service.
pub(crate) async fn say_everything(said: &'static Collector, secrets: &mut Secrets) {
    let runtime = TestRuntime::current();
    let memory = MemoryLock::new(runtime.clone());
    assert!(call_all(said, secrets, "the lock in memory", &memory).await);
    let folder = tempfile::tempdir().expect("a folder");
    let builder = SqliteLock::builder(folder.path().join("lock.db"), runtime.clone());
    said.debug("the builder of a lock in a file", &builder);
    let in_file = builder.open().expect("a file");
    assert!(call_all(said, secrets, "the lock in a file", &in_file).await);
    said.answer("no file", &SqliteLock::builder(folder.path(), runtime.clone()).open());
    said.answer("no file", &SqliteRepository::builder(folder.path()).open());

    let queue = LockQueue::builder(Arc::new(in_file), runtime.clone()).observer(Arc::new(Told(said)));
    said.debug("a queue's builder", &queue);
    let queue = queue.build();
    let guard = soon(queue.acquire(&key("guarded"), LONG)).await.expect("it is free");
    said.debug("a guard", &guard);
    said.answer("an attempt of a queue", &soon(queue.try_acquire(&key("guarded"))).await);
    said.answer("no time for a queue", &soon(queue.acquire(&key("guarded"), Duration::ZERO)).await);
    said.debug("a queue", &queue);
    said.debug("a guard given back", &guard.release().await);
    sell(said, secrets, memory).await;
}

/// A lock that writes down what it grants, for what nobody but the service sees.
async fn sell(said: &'static Collector, secrets: &mut Secrets, lock: MemoryLock) {
    let granting = Arc::new(Granting { lock, granted: Mutex::default() });
    let builder = BookingService::builder(Arc::new(MemoryRepository::new()), TestRuntime::current())
        .lock(granting.clone())
        .lock_policy(LockPolicy::Always(LockScope::Event))
        .observer(Arc::new(Told(said)));
    said.debug("a service's builder", &builder);
    let service = builder.build().expect("a service");
    let (event, floor) = (EventId::new("gig").unwrap(), PoolId::new("floor").unwrap());
    said.answer("an event", &service.create_event(&event, service.new_operation_id(), CreateEvent::default()).await);
    said.answer("an import", &service.import(&event, vec![], vec![(floor.clone(), 2)]).await);
    for _ in 0..2 {
        let lines = Lines::merge([], [(floor.clone(), 2)]).unwrap();
        let hold = Hold::new(service.new_reservation_id(), CustomerId::new("ann").unwrap(), lines);
        said.answer("a hold", &soon(service.hold(&event, service.new_operation_id(), hold)).await);
    }
    said.debug("a service", &service);
    said.debug("a service's end", &service.shutdown(super::AT_MOST).await);
    let granted = granting.granted.lock().expect("no panic").clone();
    assert!(!granted.is_empty(), "the service took no lock");
    plant(said, secrets, "a service's lease", &granted);
}

#[derive(Debug)]
struct Granting {
    lock: MemoryLock,
    granted: Mutex<Vec<Lease>>,
}

#[async_trait]
impl Lock for Granting {
    async fn acquire_all(&self, keys: &[LockKey], ttl: Duration) -> Result<Attempt<Vec<Lease>>, LockError> {
        self.lock.acquire_all(keys, ttl).await
    }
    async fn acquire_each(&self, keys: &[LockKey], ttl: Duration) -> Result<Vec<Attempt<Lease>>, LockError> {
        let attempts = self.lock.acquire_each(keys, ttl).await?;
        for attempt in &attempts {
            if let Attempt::Granted(lease) = attempt {
                self.granted.lock().expect("no panic").push(lease.clone());
            }
        }
        Ok(attempts)
    }
    async fn extend(&self, leases: &mut [Lease], ttl: Duration) -> Result<Vec<Extended>, LockError> {
        self.lock.extend(leases, ttl).await
    }
    async fn release(&self, leases: Vec<Lease>) -> Result<Vec<Released>, LockError> {
        self.lock.release(leases).await
    }
}
