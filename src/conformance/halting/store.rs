use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::gate::Gate;
use crate::domain::{EventId, Pool, PoolId, Reservation, ReservationId, Snapshot, Ticket, TicketId};
use crate::ports::{
    Availability, Change, ChangesError, Group, GroupOutcome, LoadRequest, PoolQuery, Purged, Repository,
    ReservationQuery, Sequence, StoreError, TicketQuery,
};

/// Goes between a service and its store.
pub(in crate::conformance) struct Halting {
    inner: Arc<dyn Repository>,
    pub(super) gate: Arc<Gate>,
}

impl Halting {
    pub(in crate::conformance) fn new(inner: Arc<dyn Repository>) -> Arc<Self> {
        Arc::new(Self { inner, gate: Arc::default() })
    }

    /// As [`Gate::dropped_at`]: at a step of this store, or of the lock beside it.
    pub(in crate::conformance) async fn dropped_at<T>(
        &self,
        step: u32,
        call: impl Future<Output = T> + Send,
    ) -> Option<T> {
        self.gate.dropped_at(step, call).await
    }

    async fn stepped<T>(&self, work: impl Future<Output = T> + Send) -> T {
        self.gate.stepped(work).await.0
    }
}

impl fmt::Debug for Halting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

#[async_trait]
impl Repository for Halting {
    async fn load(&self, request: &LoadRequest) -> Result<Snapshot, StoreError> {
        self.stepped(self.inner.load(request)).await
    }

    async fn commit(&self, event: &EventId, groups: &[Group]) -> Result<Vec<GroupOutcome>, StoreError> {
        self.stepped(self.inner.commit(event, groups)).await
    }

    async fn tickets(&self, query: &TicketQuery) -> Result<Vec<(TicketId, u64, Ticket)>, StoreError> {
        self.stepped(self.inner.tickets(query)).await
    }

    async fn pools(&self, query: &PoolQuery) -> Result<Vec<(PoolId, u64, Pool)>, StoreError> {
        self.stepped(self.inner.pools(query)).await
    }

    async fn availability(&self, event: &EventId) -> Result<Availability, StoreError> {
        self.stepped(self.inner.availability(event)).await
    }

    async fn reservations(&self, query: &ReservationQuery) -> Result<Vec<(u64, Reservation)>, StoreError> {
        self.stepped(self.inner.reservations(query)).await
    }

    async fn changes(&self, event: &EventId, after: Sequence, limit: usize) -> Result<Vec<Change>, ChangesError> {
        self.stepped(self.inner.changes(event, after, limit)).await
    }

    async fn lapsed(&self, limit: usize) -> Result<Vec<(EventId, ReservationId)>, StoreError> {
        self.stepped(self.inner.lapsed(limit)).await
    }

    async fn purge(&self, retention: Duration, limit: usize) -> Result<Purged, StoreError> {
        self.stepped(self.inner.purge(retention, limit)).await
    }
}
