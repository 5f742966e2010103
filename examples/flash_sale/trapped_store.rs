//! The store of a worker that may be killed in the middle of a call.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use async_trait::async_trait;
use ticket_reservation::domain::{EventId, Pool, PoolId, Reservation, ReservationId, Snapshot, Ticket, TicketId};
use ticket_reservation::ports::{
    Availability, Change, ChangesError, Group, GroupOutcome, LoadRequest, PoolQuery, Purged, Repository,
    ReservationQuery, Sequence, StoreError, TicketQuery,
};

use crate::args::KillPoint;
use crate::trap::Trap;

/// So many turns the other tasks have after a call has begun to wait: by then the driver has written it to its server,
/// or its thread has it.
const TURNS: u32 = 2;

/// So many commits a worker has made before one counts: the first on a connection begin with preparing their statement, and
/// are not sent yet while they wait for that.
const FIRST_COMMITS: u32 = 3;

/// Passes every call on.
#[derive(Debug)]
pub(crate) struct TrappedStore {
    inner: Arc<dyn Repository>,
    trap: Arc<Trap>,
    commits: AtomicU32,
}

impl TrappedStore {
    pub(crate) fn new(inner: Arc<dyn Repository>, trap: Arc<Trap>) -> Self {
        Self { inner, trap, commits: AtomicU32::new(0) }
    }

    /// Waits for the answer, unless the worker is to stand still while the call is under way: as soon as it is, and the store's
    /// thread may be anywhere in it. A call that is answered before that goes on; the next one may be slower.
    async fn answer<T>(&self, point: KillPoint, call: impl Future<Output = T> + Send) -> T {
        if !self.trap.is_set_at(point) {
            return call.await;
        }
        let mut call = pin!(call);
        let mut turns = 0;
        poll_fn(|context| {
            let answer = call.as_mut().poll(context);
            if answer.is_pending() {
                if turns == TURNS {
                    self.trap.reached(point);
                }
                turns += 1;
                context.waker().wake_by_ref();
            }
            answer
        })
        .await
    }
}

#[async_trait]
impl Repository for TrappedStore {
    async fn load(&self, request: &LoadRequest) -> Result<Snapshot, StoreError> {
        self.answer(KillPoint::MidLoad, self.inner.load(request)).await
    }
    async fn commit(&self, event: &EventId, groups: &[Group]) -> Result<Vec<GroupOutcome>, StoreError> {
        let commit = self.inner.commit(event, groups);
        if self.commits.fetch_add(1, Relaxed) < FIRST_COMMITS {
            return commit.await;
        }
        if self.trap.is_late() {
            let answer = commit.await;
            if matches!(&answer, Ok(outcomes) if outcomes.contains(&GroupOutcome::Committed)) {
                self.trap.reached(KillPoint::CommitSent);
            }
            return answer;
        }
        self.answer(KillPoint::CommitSent, commit).await
    }
    async fn tickets(&self, query: &TicketQuery) -> Result<Vec<(TicketId, u64, Ticket)>, StoreError> {
        self.inner.tickets(query).await
    }
    async fn pools(&self, query: &PoolQuery) -> Result<Vec<(PoolId, u64, Pool)>, StoreError> {
        self.inner.pools(query).await
    }
    async fn availability(&self, event: &EventId) -> Result<Availability, StoreError> {
        self.inner.availability(event).await
    }
    async fn reservations(&self, query: &ReservationQuery) -> Result<Vec<(u64, Reservation)>, StoreError> {
        self.inner.reservations(query).await
    }
    async fn changes(&self, event: &EventId, after: Sequence, limit: usize) -> Result<Vec<Change>, ChangesError> {
        self.inner.changes(event, after, limit).await
    }
    async fn lapsed(&self, limit: usize) -> Result<Vec<(EventId, ReservationId)>, StoreError> {
        self.inner.lapsed(limit).await
    }
    async fn purge(&self, retention: Duration, limit: usize) -> Result<Purged, StoreError> {
        self.inner.purge(retention, limit).await
    }
}
