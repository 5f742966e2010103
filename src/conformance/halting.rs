//! A store that stands still at a step of its work until its caller has gone.

use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use async_trait::async_trait;
use futures_channel::oneshot;
use futures_util::future::{Either, select};

use crate::domain::{EventId, Pool, PoolId, Reservation, ReservationId, Snapshot, Ticket, TicketId};
use crate::ports::{
    Availability, Change, ChangesError, Group, GroupOutcome, LoadRequest, PoolQuery, Purged, Repository,
    ReservationQuery, Sequence, StoreError, TicketQuery,
};

/// Goes between a service and its store. A step is a moment before a poll of what the store does, or between its end and
/// the answer.
pub(super) struct Halting {
    inner: Arc<dyn Repository>,
    halt: Mutex<Option<Halt>>,
}

/// Where the store stands still, whom it tells, and what it waits for.
struct Halt {
    steps_before: u32,
    reached: oneshot::Sender<()>,
    go_on: oneshot::Receiver<()>,
}

impl Halting {
    pub(super) fn new(inner: Arc<dyn Repository>) -> Arc<Self> {
        Arc::new(Self { inner, halt: Mutex::default() })
    }

    /// What comes of a call that is dropped when the store has come to that step on its way, counted from 0; `None` if it
    /// was dropped. Then the store goes on, with nobody waiting.
    pub(super) async fn dropped_at<T>(&self, step: u32, call: impl Future<Output = T> + Send) -> Option<T> {
        let ((reached, is_reached), (go, go_on)) = (oneshot::channel(), oneshot::channel());
        self.set(Some(Halt { steps_before: step, reached, go_on }));
        let answer = match select(Box::pin(call), is_reached).await {
            Either::Left((answer, _)) => Some(answer),
            Either::Right((_, call)) => {
                drop(call);
                None
            }
        };
        self.set(None);
        drop(go);
        answer
    }

    fn set(&self, halt: Option<Halt>) {
        *self.halt.lock().unwrap_or_else(PoisonError::into_inner) = halt;
    }

    async fn step(&self) {
        let halt = {
            let mut halt = self.halt.lock().unwrap_or_else(PoisonError::into_inner);
            match &mut *halt {
                Some(Halt { steps_before: 0, .. }) => halt.take(),
                Some(halt) => {
                    halt.steps_before -= 1;
                    None
                }
                None => None,
            }
        };
        if let Some(Halt { reached, go_on, .. }) = halt
            && reached.send(()).is_ok()
        {
            // Nothing is sent: the other end goes when the caller has gone.
            let _ = go_on.await;
        }
    }

    async fn stepped<T>(&self, work: impl Future<Output = T> + Send) -> T {
        let mut work = pin!(work);
        loop {
            self.step().await;
            let mut is_polled = false;
            let done = poll_fn(|context| {
                // It asks to be polled again, which is a step of its own.
                if is_polled {
                    return Poll::Ready(None);
                }
                is_polled = true;
                work.as_mut().poll(context).map(Some)
            });
            if let Some(done) = done.await {
                self.step().await;
                return done;
            }
        }
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
