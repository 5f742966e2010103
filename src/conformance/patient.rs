//! A store may be busy: `Transient` is a legal answer to every call.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;

use super::handles::Open;
use crate::domain::{EventId, Pool, PoolId, Reservation, ReservationId, Snapshot, Ticket, TicketId};
use crate::ports::{
    Availability, Change, ChangesError, Group, GroupOutcome, LoadRequest, PoolQuery, Purged, Repository,
    ReservationQuery, Runtime, Sequence, StoreError, StoreErrorKind, TicketQuery, yield_once,
};

/// How often a call is repeated, and how long after: at first at once nearly, then twice as long each time, up to the most.
const RETRIES_MAX: u32 = 40;
const RETRY_AFTER: Duration = Duration::from_millis(1);
const RETRY_AFTER_MAX: Duration = Duration::from_millis(50);

/// A repository that asks again, a bounded number of times, when nothing was changed and the same call may succeed soon.
pub(super) struct Patient {
    inner: Arc<dyn Repository>,
    runtime: Arc<dyn Runtime>,
    retries: Arc<AtomicU32>,
    /// The last field: it is dropped after the handle.
    _open: Open,
}

impl Patient {
    pub(super) fn new(
        inner: Arc<dyn Repository>,
        runtime: &Arc<dyn Runtime>,
        retries: &Arc<AtomicU32>,
        open: Open,
    ) -> Self {
        Self { inner, runtime: Arc::clone(runtime), retries: Arc::clone(retries), _open: open }
    }

    /// Whether a call that was tried so often is worth another try, after a while.
    async fn asks_again(&self, error: Option<&(impl Passing + Sync)>, tried: &mut u32) -> bool {
        if *tried == RETRIES_MAX || !error.is_some_and(Passing::passes) {
            return false;
        }
        self.retries.fetch_add(1, Ordering::Relaxed);
        self.runtime.sleep(RETRY_AFTER_MAX.min(RETRY_AFTER * 2_u32.saturating_pow(*tried))).await;
        *tried += 1;
        true
    }
}

macro_rules! patiently {
    ($self:ident, $call:expr) => {{
        let mut tried = 0;
        loop {
            let answer = $call.await;
            // An answer from memory is there at once; others get their turn all the same, as beside a store over a wire.
            yield_once().await;
            if !$self.asks_again(answer.as_ref().err(), &mut tried).await {
                return answer;
            }
        }
    }};
}

/// Whether an error is gone soon.
trait Passing {
    fn passes(&self) -> bool;
}

impl Passing for StoreError {
    fn passes(&self) -> bool {
        self.kind() == StoreErrorKind::Transient
    }
}

impl Passing for ChangesError {
    fn passes(&self) -> bool {
        matches!(self, Self::Store(error) if error.passes())
    }
}

impl fmt::Debug for Patient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

#[async_trait]
impl Repository for Patient {
    async fn load(&self, request: &LoadRequest) -> Result<Snapshot, StoreError> {
        patiently!(self, self.inner.load(request))
    }

    async fn commit(&self, event: &EventId, groups: &[Group]) -> Result<Vec<GroupOutcome>, StoreError> {
        patiently!(self, self.inner.commit(event, groups))
    }

    async fn tickets(&self, query: &TicketQuery) -> Result<Vec<(TicketId, u64, Ticket)>, StoreError> {
        patiently!(self, self.inner.tickets(query))
    }

    async fn pools(&self, query: &PoolQuery) -> Result<Vec<(PoolId, u64, Pool)>, StoreError> {
        patiently!(self, self.inner.pools(query))
    }

    async fn availability(&self, event: &EventId) -> Result<Availability, StoreError> {
        patiently!(self, self.inner.availability(event))
    }

    async fn reservations(&self, query: &ReservationQuery) -> Result<Vec<(u64, Reservation)>, StoreError> {
        patiently!(self, self.inner.reservations(query))
    }

    async fn changes(&self, event: &EventId, after: Sequence, limit: usize) -> Result<Vec<Change>, ChangesError> {
        patiently!(self, self.inner.changes(event, after, limit))
    }

    async fn lapsed(&self, limit: usize) -> Result<Vec<(EventId, ReservationId)>, StoreError> {
        patiently!(self, self.inner.lapsed(limit))
    }

    async fn purge(&self, retention: Duration, limit: usize) -> Result<Purged, StoreError> {
        patiently!(self, self.inner.purge(retention, limit))
    }
}
