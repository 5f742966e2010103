use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use crate::domain::{EventId, Snapshot, Timestamp};
use crate::ports::{Group, GroupOutcome, LoadRequest, Repository, StoreError};

/// By how much a clock goes wrong. A clone moves the same clock.
#[derive(Debug, Clone, Default)]
pub struct ClockOffset(Arc<AtomicI64>);

impl ClockOffset {
    /// The clock is right.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The clock is ahead by so many microseconds, or behind if they are negative.
    pub fn set_micros(&self, micros: i64) {
        self.0.store(micros, Ordering::Release);
    }

    fn shift(&self, time: Timestamp) -> Timestamp {
        Timestamp::from_micros(time.as_micros().saturating_add(self.0.load(Ordering::Acquire)))
    }
}

/// A repository whose store's clock can be set. What a load brings along is chosen by the right clock all the same.
///
/// ```
#[doc = doc_on_sale!()]
/// use ticket_reservation::conformance::faults::{ClockOffset, SkewedClock};
///
/// let offset = ClockOffset::new();
/// let wrong = SkewedClock::new(Arc::clone(service.repository()), offset.clone());
/// offset.set_micros(-3_600_000_000);
/// let request = LoadRequest { event, records: vec![], free_in: vec![] };
/// let right_time = service.repository().load(&request).await?.clock();
/// assert!(wrong.load(&request).await?.clock() < right_time);
#[doc = doc_end!()]
/// ```
#[derive(Debug, Clone)]
pub struct SkewedClock {
    inner: Arc<dyn Repository>,
    offset: ClockOffset,
}

impl SkewedClock {
    /// Wraps a repository.
    pub fn new(inner: Arc<dyn Repository>, offset: ClockOffset) -> Self {
        Self { inner, offset }
    }
}

super::wrapper! {
    SkewedClock {
        async fn load(&self, request: &LoadRequest) -> Result<Snapshot, StoreError> {
            let mut snapshot = self.inner.load(request).await?;
            snapshot.set_clock(self.offset.shift(snapshot.clock()));
            Ok(snapshot)
        }

        async fn commit(&self, event: &EventId, groups: &[Group]) -> Result<Vec<GroupOutcome>, StoreError> {
            self.inner.commit(event, groups).await
        }
    }
}
