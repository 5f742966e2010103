//! What a repository case works with: a fresh store, handles on it, and short ways to read and write records.

use std::ops::Deref;
use std::process::Command;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::capability::{Nowhere, RepositoryCapability, another_process};
use super::check::{Checked, Failure, ensure};
use super::common::Common;
use super::handles::Handles;
use super::harness::{RepositoryHarness, Store};
use super::suite;
use crate::domain::{
    Event, EventId, EventState, Pool, Record, RecordKey, SalesWindow, Snapshot, Ticket, Timestamp, Versioned,
};
use crate::ports::{BoxFuture, Group, GroupOutcome, Repository, Runtime};

pub(super) use super::fixtures::*;
pub(super) use super::side_by_side::side_by_side;
pub(super) use super::tx::*;

/// How often a condition is looked at while it is waited for, and for how long at most.
const POLL: Duration = Duration::from_millis(10);
const POLL_MAX: Duration = Duration::from_secs(20);

/// How many handles open each fresh store at the same time.
const FIRST_HANDLES: usize = 3;

/// The order of the fields is the order in which they go: handles before the store.
pub(super) struct RepositoryBench {
    pub(super) repository: First,
    pub(super) handles: Arc<Handles>,
    pub(super) runtime: Arc<dyn Runtime>,
    pub(super) common: Common,
    harness: Arc<dyn RepositoryHarness>,
}

/// The handle that a case works with, once there is one.
pub(super) struct First(OnceLock<Arc<dyn Repository>>);

impl First {
    pub(super) fn is_open(&self) -> bool {
        self.0.get().is_some()
    }
}

impl Deref for First {
    type Target = Arc<dyn Repository>;

    fn deref(&self) -> &Self::Target {
        self.0.get().expect("the case has opened its store")
    }
}

impl suite::Bench for RepositoryBench {
    fn close(self) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            let Self { repository, handles, common, .. } = self;
            drop(repository);
            if !handles.are_dropped().await {
                common.note("handles were still open when the store was dropped");
            }
            if handles.retries() > 0 {
                common.note(format!("{} calls repeated, because the store was busy", handles.retries()));
            }
        })
    }
}

impl RepositoryBench {
    /// Opens a few handles at once, as processes do that start together, and keeps the first. A case that `opens` an empty
    /// store itself is left that to do.
    pub(super) async fn new(
        store: Box<dyn Store>,
        harness: Arc<dyn RepositoryHarness>,
        common: Common,
        opens: bool,
    ) -> Result<Self, Failure> {
        let runtime = Arc::clone(&common.runtime);
        let handles = Arc::new(Handles::new(store, Arc::clone(&runtime)));
        let bench = Self { repository: First(OnceLock::new()), handles, runtime, common, harness };
        if !opens {
            bench.open_at_once(FIRST_HANDLES).await?;
        }
        Ok(bench)
    }

    /// Opens so many handles at once. The first handle of all is the one that the case works with.
    pub(super) async fn open_at_once(&self, count: usize) -> Result<Vec<Arc<dyn Repository>>, Failure> {
        let mut tasks: Vec<BoxFuture<'static, _>> = Vec::new();
        for _ in 0..count {
            let handles = Arc::clone(&self.handles);
            tasks.push(Box::pin(async move { handles.open().await }));
        }
        let opened = side_by_side(&self.runtime, tasks).await?;
        self.repository.0.get_or_init(|| Arc::clone(&opened[0]));
        Ok(opened)
    }

    pub(super) fn note(&self, note: impl Into<String>) {
        self.common.note(note);
    }

    /// Another handle on the store.
    pub(super) async fn open(&self) -> Result<Arc<dyn Repository>, Failure> {
        self.handles.open().await
    }

    /// Whether the stores are said to count on in pools.
    pub(super) fn counts_on(&self) -> bool {
        self.harness.counts_on()
    }

    /// How to start another process on the store. Skips the case where there is none by declaration.
    pub(super) async fn worker(&self) -> Result<Command, Failure> {
        let capability = RepositoryCapability::OtherProcesses;
        let (nowhere, is_declared) = (Nowhere::new(self.runtime.random()), self.harness.lacks().contains(&capability));
        another_process(self.handles.worker(), capability, is_declared, self.harness.join(nowhere.address())).await
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

    /// The same from another handle.
    pub(super) async fn put_elsewhere(&self, event: &EventId, records: Vec<(RecordKey, Record)>) -> Checked {
        put(&*self.open().await?, event, records).await
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
}

/// How long things last that a case wants to see before and after their deadline. On a slow machine the first ones are
/// over before they are looked at; then the next one is tried.
pub(super) const SOON: [Duration; 3] =
    [Duration::from_millis(200), Duration::from_millis(1_000), Duration::from_millis(5_000)];

/// None of [`SOON`] was long enough.
pub(super) fn too_slow() -> Failure {
    Failure::new("the store is so slow that nothing can be read before a deadline")
}
