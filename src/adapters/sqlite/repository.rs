use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;

use super::config::SqliteRepositoryBuilder;
use super::error::{Fault, SqliteError};
use super::schema;
use super::store::StoreSession;
use super::thread::{Closed, Thread};
use crate::domain::{EventId, Pool, PoolId, Reservation, ReservationId, Snapshot, Ticket, TicketId};
use crate::ports::{
    Availability, Change, ChangesError, Group, GroupOutcome, LoadRequest, PoolQuery, Purged, Repository,
    ReservationQuery, Sequence, StoreError, TicketQuery,
};

/// The repository in an SQLite file.
///
/// It owns two threads, which have the file open: one for bookings, one for queries. Dropping the repository ends them
/// once they have done what waits; [`close`](Self::close) does the same and waits for it.
///
/// ```
/// use ticket_reservation::adapters::sqlite::SqliteRepository;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("sale.db");
/// let repository = SqliteRepository::builder(&path).open()?;
/// # let _ = repository;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct SqliteRepository {
    pub(super) bookings: Thread<StoreSession>,
    /// A connection of their own, so that a long one keeps no booking waiting.
    queries: Thread<StoreSession>,
    closed: [Closed; 2],
}

impl SqliteRepository {
    /// Starts with the file's path and the defaults of every option.
    pub fn builder(path: impl Into<PathBuf>) -> SqliteRepositoryBuilder {
        SqliteRepositoryBuilder::new(path.into())
    }

    /// The SQL that makes the tables of an empty file, with an explanation of each.
    /// [`open`](SqliteRepositoryBuilder::open) runs it by itself.
    ///
    /// ```
    /// use ticket_reservation::adapters::sqlite::SqliteRepository;
    ///
    /// assert!(SqliteRepository::schema_sql().contains("CREATE TABLE"));
    /// ```
    #[must_use]
    pub fn schema_sql() -> &'static str {
        schema::STORE.sql
    }

    pub(super) fn start(session: StoreSession) -> Result<Self, SqliteError> {
        let for_queries = session.for_queries();
        let (bookings, bookings_closed) = Thread::start("ticket-sqlite", session)?;
        let (queries, queries_closed) = Thread::start("ticket-queries", for_queries)?;
        Ok(Self { bookings, queries, closed: [bookings_closed, queries_closed] })
    }

    /// Waits until calls made before are done and the file is closed.
    ///
    /// # Cancellation
    ///
    /// Dropping the future closes the file all the same.
    ///
    /// # Example
    ///
    /// ```
    #[doc = doc_on_sale!()]
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("sale.db");
    /// use ticket_reservation::adapters::sqlite::SqliteRepository;
    ///
    /// let repository = SqliteRepository::builder(&path).open()?;
    /// repository.close().await;
    /// std::fs::remove_file(path)?; // No log beside it is left behind.
    #[doc = doc_end!()]
    /// ```
    pub async fn close(self) {
        drop((self.bookings, self.queries));
        for closed in self.closed {
            closed.wait().await;
        }
    }
}

#[async_trait]
impl Repository for SqliteRepository {
    async fn load(&self, request: &LoadRequest) -> Result<Snapshot, StoreError> {
        let request = request.clone();
        self.bookings.call(move |store| store.load(&request)).await.map_err(Fault::of_read)
    }

    async fn commit(&self, event: &EventId, groups: &[Group]) -> Result<Vec<GroupOutcome>, StoreError> {
        let (event, groups) = (event.clone(), groups.to_vec());
        self.bookings.call(move |store| store.commit(&event, &groups)).await.map_err(Fault::of_write)
    }

    async fn tickets(&self, query: &TicketQuery) -> Result<Vec<(TicketId, u64, Ticket)>, StoreError> {
        let query = query.clone();
        self.queries.call(move |store| store.tickets(&query)).await.map_err(Fault::of_read)
    }

    async fn pools(&self, query: &PoolQuery) -> Result<Vec<(PoolId, u64, Pool)>, StoreError> {
        let query = query.clone();
        self.queries.call(move |store| store.pools(&query)).await.map_err(Fault::of_read)
    }

    async fn availability(&self, event: &EventId) -> Result<Availability, StoreError> {
        let event = event.clone();
        self.queries.call(move |store| store.availability(&event)).await.map_err(Fault::of_read)
    }

    async fn reservations(&self, query: &ReservationQuery) -> Result<Vec<(u64, Reservation)>, StoreError> {
        let query = query.clone();
        self.queries.call(move |store| store.reservations(&query)).await.map_err(Fault::of_read)
    }

    async fn changes(&self, event: &EventId, after: Sequence, limit: usize) -> Result<Vec<Change>, ChangesError> {
        let event = event.clone();
        let page = self.queries.call(move |store| store.changes(&event, after, limit)).await;
        page.map_err(Fault::of_read)?.map_err(|purged_through| ChangesError::Truncated { purged_through })
    }

    async fn lapsed(&self, limit: usize) -> Result<Vec<(EventId, ReservationId)>, StoreError> {
        self.queries.call(move |store| store.lapsed(limit)).await.map_err(Fault::of_read)
    }

    async fn purge(&self, retention: Duration, limit: usize) -> Result<Purged, StoreError> {
        self.bookings.call(move |store| store.purge(retention, limit)).await.map_err(Fault::of_write)
    }
}
