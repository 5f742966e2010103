use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::domain::{EventId, Snapshot};
use crate::ports::{Group, GroupOutcome, LoadRequest, Repository, StoreError};

/// A repository whose next loads or commits fail in passing, as a busy store's do. Nothing is changed by them.
///
/// # Clone
///
/// A clone shares the failures that are still to come.
///
/// # Example
///
/// ```
#[doc = doc_on_sale!()]
/// use ticket_reservation::conformance::faults::FailsInPassing;
///
/// let store = FailsInPassing::new(Arc::new(MemoryRepository::new()));
/// let service = BookingService::builder(Arc::new(store.clone()), runtime).build()?;
/// store.fail_loads(1);
/// store.fail_commits(2);
/// // The service tries again by itself.
/// service.create_event(&event, service.new_operation_id(), CreateEvent::default()).await?;
#[doc = doc_end!()]
/// ```
#[derive(Debug, Clone)]
pub struct FailsInPassing {
    inner: Arc<dyn Repository>,
    loads: Arc<AtomicUsize>,
    commits: Arc<AtomicUsize>,
}

impl FailsInPassing {
    /// Wraps a repository. Nothing fails until it is told to.
    pub fn new(inner: Arc<dyn Repository>) -> Self {
        Self { inner, loads: Arc::default(), commits: Arc::default() }
    }

    /// So many of the next loads fail.
    pub fn fail_loads(&self, count: usize) {
        self.loads.store(count, Ordering::Release);
    }

    /// So many of the next commits fail.
    pub fn fail_commits(&self, count: usize) {
        self.commits.store(count, Ordering::Release);
    }
}

fn take_one(count: &AtomicUsize) -> Result<(), StoreError> {
    match count.fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| left.checked_sub(1)) {
        Ok(_) => Err(StoreError::transient("busy")),
        Err(_) => Ok(()),
    }
}

super::wrapper! {
    FailsInPassing {
        async fn load(&self, request: &LoadRequest) -> Result<Snapshot, StoreError> {
            take_one(&self.loads)?;
            self.inner.load(request).await
        }

        async fn commit(&self, event: &EventId, groups: &[Group]) -> Result<Vec<GroupOutcome>, StoreError> {
            take_one(&self.commits)?;
            self.inner.commit(event, groups).await
        }
    }
}
