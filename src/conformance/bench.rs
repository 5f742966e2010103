//! What a repository case works with: a fresh store, handles on it, and short ways to read and write records.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_channel::oneshot;

use super::check::{Checked, Failure, ensure};
use super::harness::Store;
use super::suite;
use crate::domain::{
    Event, EventId, EventState, Pool, Record, RecordKey, Reservation, SalesWindow, Snapshot, Ticket, TicketId,
    Timestamp, Versioned,
};
use crate::ports::{
    BoxFuture, Change, Group, GroupOutcome, PAGE_MAX, Repository, ReservationQuery, Runtime, TicketQuery,
};

pub(super) use super::fixtures::*;
pub(super) use super::tx::*;

/// How often a condition is looked at while it is waited for, and for how long at most.
const POLL: Duration = Duration::from_millis(10);
const POLL_MAX: Duration = Duration::from_secs(20);

/// How many handles open each fresh store at the same time.
const FIRST_HANDLES: usize = 3;

pub(super) struct RepositoryBench {
    pub(super) store: Arc<dyn Store>,
    pub(super) repository: Arc<dyn Repository>,
    pub(super) runtime: Arc<dyn Runtime>,
    notes: Mutex<Vec<String>>,
}

impl suite::Bench for RepositoryBench {
    fn notes(&self) -> Vec<String> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl RepositoryBench {
    /// Opens a few handles at once, as processes do that start together, and keeps the first.
    pub(super) async fn new(store: Box<dyn Store>, runtime: Arc<dyn Runtime>) -> Result<Self, Failure> {
        let store: Arc<dyn Store> = Arc::from(store);
        let mut tasks: Vec<BoxFuture<'static, _>> = Vec::new();
        for _ in 0..FIRST_HANDLES {
            let store = Arc::clone(&store);
            tasks.push(Box::pin(async move { Ok(store.open().await) }));
        }
        let mut handles = side_by_side(&runtime, tasks).await.map_err(|failure| failure.at("opening the store"))?;
        let repository = handles.swap_remove(0);
        Ok(Self { store, repository, runtime, notes: Mutex::default() })
    }

    pub(super) fn note(&self, note: impl Into<String>) {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).push(note.into());
    }

    pub(super) async fn load(&self, event: &EventId, keys: &[RecordKey]) -> Result<Snapshot, Failure> {
        load(&*self.repository, event, keys).await
    }

    pub(super) async fn begin(&self, event: &EventId, keys: &[RecordKey]) -> Result<Tx, Failure> {
        Tx::begin(&*self.repository, event, keys).await
    }

    pub(super) async fn commit(&self, event: &EventId, group: Group) -> Result<GroupOutcome, Failure> {
        commit(&*self.repository, event, group).await
    }

    /// Writes records that do not exist yet, or whatever they are now.
    pub(super) async fn put(&self, event: &EventId, records: Vec<(RecordKey, Record)>) -> Checked {
        put(&*self.repository, event, records).await
    }

    /// What a record is now.
    pub(super) async fn get(&self, event: &EventId, key: &RecordKey) -> Result<Versioned, Failure> {
        let snapshot = self.load(event, std::slice::from_ref(key)).await?;
        Ok(snapshot.get(key).cloned().unwrap_or_default())
    }

    pub(super) async fn clock(&self) -> Result<Timestamp, Failure> {
        Ok(self.load(&event_id("clock"), &[]).await?.clock())
    }

    /// An event on sale with tickets `0..tickets` of area `A`, and pools.
    pub(super) async fn stage(
        &self,
        event: &EventId,
        tickets: u32,
        pools: &[(&str, u32)],
        limit_per_customer: Option<u32>,
    ) -> Checked {
        let terms = Event { state: EventState::OnSale, window: SalesWindow::default(), limit_per_customer };
        let mut records = vec![(RecordKey::Event, Record::Event(terms))];
        records.extend((0..tickets).map(|n| (ticket_key(n), Record::Ticket(Ticket::available(place(n))))));
        records.extend(
            pools
                .iter()
                .map(|(id, capacity)| (RecordKey::Pool(pool_id(id)), Record::Pool(Pool::with_capacity(*capacity)))),
        );
        self.put(event, records).await
    }

    /// Waits until `look` says `Some`, for a bounded time.
    pub(super) async fn wait_for<T, F>(&self, what: &str, mut look: impl FnMut() -> F) -> Result<T, Failure>
    where
        F: Future<Output = Result<Option<T>, Failure>>,
    {
        let deadline = self.runtime.now() + POLL_MAX;
        loop {
            if let Some(found) = look().await? {
                return Ok(found);
            }
            ensure!(self.runtime.now() < deadline, "waited {} s in vain until {what}", POLL_MAX.as_secs());
            self.runtime.sleep(POLL).await;
        }
    }

    /// Waits until the store's own clock says `time`.
    pub(super) async fn wait_until(&self, time: Timestamp) -> Checked {
        let due = || async { Ok((self.clock().await? >= time).then_some(())) };
        self.wait_for("the store's clock has passed a deadline", due).await
    }

    pub(super) async fn tickets(&self, event: &EventId) -> Result<Vec<(TicketId, u64, Ticket)>, Failure> {
        let mut all: Vec<(TicketId, u64, Ticket)> = Vec::new();
        loop {
            let after = all.last().map(|(id, ..)| id.clone());
            let query = TicketQuery { event: event.clone(), area: None, after, limit: PAGE_MAX };
            let page = self.repository.tickets(&query).await?;
            if page.is_empty() {
                return Ok(all);
            }
            all.extend(page);
        }
    }

    pub(super) async fn reservations(&self, event: &EventId) -> Result<Vec<(u64, Reservation)>, Failure> {
        let mut all: Vec<(u64, Reservation)> = Vec::new();
        loop {
            let after = all.last().map(|(_, reservation)| reservation.id);
            let query = ReservationQuery { event: event.clone(), customer: None, after, limit: PAGE_MAX };
            let page = self.repository.reservations(&query).await?;
            if page.is_empty() {
                return Ok(all);
            }
            all.extend(page);
        }
    }

    pub(super) async fn changes(&self, event: &EventId) -> Result<Vec<Change>, Failure> {
        let mut all: Vec<Change> = Vec::new();
        loop {
            let after = all.last().map_or(0, |change| change.sequence);
            let page = self.repository.changes(event, after, PAGE_MAX).await?;
            if page.is_empty() {
                return Ok(all);
            }
            ensure!(page[0].sequence > after, "a page of changes after {after} starts with {}", page[0].sequence);
            all.extend(page);
        }
    }
}

/// Runs tasks side by side on the runtime and collects what they return.
pub(super) async fn side_by_side<T: Send + 'static>(
    runtime: &Arc<dyn Runtime>,
    tasks: Vec<BoxFuture<'static, Result<T, Failure>>>,
) -> Result<Vec<T>, Failure> {
    let mut answers = Vec::with_capacity(tasks.len());
    for task in tasks {
        let (sender, receiver) = oneshot::channel();
        runtime.spawn(Box::pin(async move {
            // Nobody listens any more when the case has failed already.
            let _ = sender.send(task.await);
        }));
        answers.push(receiver);
    }
    let mut results = Vec::with_capacity(answers.len());
    for answer in answers {
        results.push(answer.await.map_err(|_| Failure::new("a task that ran beside others panicked"))??);
    }
    Ok(results)
}
