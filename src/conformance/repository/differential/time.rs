use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use crate::conformance::faults::wrapper;
use crate::domain::{EventId, Snapshot, Timestamp};
use crate::ports::{Group, GroupOutcome, LoadRequest, Repository, StoreError};

/// When decisions are made. It stands still until it is set. A clone is the same time.
#[derive(Debug, Clone, Default)]
pub(super) struct Time(Arc<AtomicI64>);

impl Time {
    pub(super) fn set(&self, time: Timestamp) {
        self.0.store(time.as_micros(), Ordering::Release);
    }

    fn get(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::Acquire))
    }
}

/// A repository on which decisions are made at that time. What a load brings along is chosen by the store's own clock.
#[derive(Debug)]
pub(super) struct Timed {
    inner: Arc<dyn Repository>,
    time: Time,
}

impl Timed {
    pub(super) fn new(inner: Arc<dyn Repository>, time: &Time) -> Self {
        Self { inner, time: time.clone() }
    }
}

wrapper! {
    Timed {
        async fn load(&self, request: &LoadRequest) -> Result<Snapshot, StoreError> {
            let mut snapshot = self.inner.load(request).await?;
            snapshot.set_clock(self.time.get());
            Ok(snapshot)
        }

        async fn commit(&self, event: &EventId, groups: &[Group]) -> Result<Vec<GroupOutcome>, StoreError> {
            self.inner.commit(event, groups).await
        }
    }
}
