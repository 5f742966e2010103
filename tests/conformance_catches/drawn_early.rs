//! A store that draws the positions of its change feed before the order of its commits is known: a commit that ends late is seen
//! after others whose rows come later.

use std::collections::{BTreeSet, HashMap};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ticket_reservation::adapters::memory::MemoryRepository;
use ticket_reservation::conformance::{self, HarnessError, RepositoryCapability, RepositoryHarness, Settings, Store};
use ticket_reservation::domain::{EventId, Pool, PoolId, Reservation, ReservationId, Snapshot, Ticket, TicketId};
use ticket_reservation::ports::{
    Availability, Change, ChangesError, Group, GroupOutcome, LoadRequest, PAGE_MAX, PoolQuery, Purged, Repository,
    ReservationQuery, Runtime, Sequence, StoreError, TicketQuery,
};
use tokio::sync::{Mutex, Notify};

use crate::runtime::TestRuntime;

/// One commit of so many ends late.
const LATE_EVERY: usize = 3;

/// A late commit ends when somebody has read past it, or after this time, when nobody reads.
const LATE_AT_MOST: Duration = Duration::from_millis(20);

#[derive(Debug, Default)]
struct Feeds {
    /// The last position of each event.
    drawn: HashMap<EventId, Sequence>,
    /// Rows of commits that have not ended.
    unseen: BTreeSet<(EventId, Sequence)>,
    commits: usize,
}

#[derive(Debug, Clone, Default)]
struct DrawsEarly {
    inner: MemoryRepository,
    feeds: Arc<Mutex<Feeds>>,
    /// Somebody has read past rows that are not seen yet.
    passed: Arc<Notify>,
}

impl DrawsEarly {
    /// The positions of the rows that the last commit of the event has added.
    async fn draw(&self, feeds: &mut Feeds, event: &EventId) -> Result<Vec<(EventId, Sequence)>, ChangesError> {
        let last = feeds.drawn.entry(event.clone()).or_default();
        let mut positions = Vec::new();
        loop {
            let page = self.inner.changes(event, *last, PAGE_MAX).await?;
            let Some(change) = page.last() else { return Ok(positions) };
            *last = change.sequence;
            positions.extend(page.iter().map(|change| (event.clone(), change.sequence)));
        }
    }
}

#[async_trait]
impl Repository for DrawsEarly {
    async fn load(&self, request: &LoadRequest) -> Result<Snapshot, StoreError> {
        self.inner.load(request).await
    }

    async fn commit(&self, event: &EventId, groups: &[Group]) -> Result<Vec<GroupOutcome>, StoreError> {
        let mut feeds = self.feeds.lock().await;
        let outcomes = self.inner.commit(event, groups).await?;
        let drawn = self.draw(&mut feeds, event).await.expect("nothing is purged here");
        feeds.commits += 1;
        if feeds.commits.is_multiple_of(LATE_EVERY) {
            feeds.unseen.extend(drawn.iter().cloned());
            let passed = self.passed.notified();
            drop(feeds);
            // Late it ends in any case.
            let _ = tokio::time::timeout(LATE_AT_MOST, passed).await;
            self.feeds.lock().await.unseen.retain(|position| !drawn.contains(position));
        }
        Ok(outcomes)
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
        let feeds = self.feeds.lock().await;
        let mut page = self.inner.changes(event, after, limit).await?;
        let is_seen = |change: &Change| !feeds.unseen.contains(&(event.clone(), change.sequence));
        let first_unseen = page.iter().position(|change| !is_seen(change));
        if first_unseen.is_some_and(|first| page[first..].iter().any(is_seen)) {
            self.passed.notify_waiters();
        }
        page.retain(is_seen);
        Ok(page)
    }

    async fn lapsed(&self, limit: usize) -> Result<Vec<(EventId, ReservationId)>, StoreError> {
        self.inner.lapsed(limit).await
    }

    async fn purge(&self, retention: Duration, limit: usize) -> Result<Purged, StoreError> {
        self.inner.purge(retention, limit).await
    }
}

#[async_trait]
impl Store for DrawsEarly {
    async fn open(&self) -> Result<Arc<dyn Repository>, HarnessError> {
        Ok(Arc::new(self.clone()))
    }

    fn worker(&self) -> Option<Command> {
        None
    }
}

struct Harness;

#[async_trait]
impl RepositoryHarness for Harness {
    async fn fresh(&self) -> Result<Box<dyn Store>, HarnessError> {
        Ok(Box::<DrawsEarly>::default())
    }

    fn runtime(&self) -> Arc<dyn Runtime> {
        TestRuntime::current()
    }

    fn lacks(&self) -> &[RepositoryCapability] {
        &[RepositoryCapability::OtherProcesses]
    }
}

/// Who has committed sees the own rows, in order. Only a reader beside several writers can notice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_draws_positions_before_the_order_of_commits_is_known() {
    let settings = Settings::new().only(|name| name.starts_with("feed::"));
    let report = conformance::repository_with(Harness, &settings).await;
    let failed: Vec<&str> = report.failed().map(|case| case.name()).collect();
    assert_eq!(failed, ["feed::the_order_of_sequences_is_the_order_of_commits"], "{report}");
    assert!(report.to_string().contains("the next sequence for who follows the feed"), "{report}");
}
