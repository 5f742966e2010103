use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::arguments::{Arguments, commit_sql, may_be_early};
use super::check::{self, Finding};
use super::config::PostgresRepositoryBuilder;
use super::error::{Fault, PostgresError};
use super::load::{Keys, LAPSED_ASKED, LOAD, snapshot};
use super::pool::{self, Pool};
use super::queries;
use super::schema::Schema;
use crate::domain::{EventId, Pool as PoolRecord, PoolId, Reservation, ReservationId, Snapshot, Ticket, TicketId};
use crate::ports::{
    Availability, Change, ChangesError, Group, GroupOutcome, LoadRequest, PAGE_MAX, PoolQuery, Purged, Repository,
    ReservationQuery, Runtime, Sequence, StoreError, TicketQuery,
};

/// At how many events' change feeds one purge step looks, at most. The next step goes on after them, and begins anew after the
/// last event.
pub const PURGE_EVENTS_MAX: usize = 256;

/// How often a commit is tried again that has lost the race for a new record: by then it sees the other one.
const RACES_MAX: usize = 5;

/// The repository in a PostgreSQL database.
///
/// It has a pool of connections. Dropping it closes them; calls that are under way end first.
#[derive(Clone)]
pub struct PostgresRepository {
    pool: Pool,
    schema: Schema,
    runtime: Arc<dyn Runtime>,
    commit: Arc<str>,
    /// The last event, in order of the ids, that a purge step is done with. Empty before the first one.
    purged_last: Arc<Mutex<String>>,
}

impl PostgresRepository {
    /// Starts with the connection string, as libpq has it (<https://www.postgresql.org/docs/current/libpq-connect.html>), and the
    /// runtime, which must be tokio's, with I/O and time enabled.
    pub fn builder(url: impl Into<String>, runtime: Arc<dyn Runtime>) -> PostgresRepositoryBuilder {
        PostgresRepositoryBuilder::new(url.into(), runtime)
    }

    pub(super) fn over(pool: Pool, schema: Schema, runtime: Arc<dyn Runtime>) -> Self {
        let commit = Arc::from(commit_sql());
        Self { pool, schema, runtime, commit, purged_last: Arc::default() }
    }

    /// Makes the schema and its tables, if there are none. Many instances may do this at once.
    ///
    /// # Errors
    ///
    /// [`PostgresError`] when the database cannot be reached, when this user may not make tables, and when a newer version of
    /// this crate has made them that this one must not use.
    ///
    /// # Cancellation
    ///
    /// The tables are there or not.
    pub async fn migrate(&self) -> Result<(), PostgresError> {
        self.schema.install(&self.pool).await
    }

    /// Looks whether the tables are there and may be used, for hosts that apply [`schema_sql`](Self::schema_sql) themselves.
    ///
    /// # Errors
    ///
    /// As [`migrate`](Self::migrate), and when there are no tables.
    ///
    /// # Cancellation
    ///
    /// Harmless.
    pub async fn open(&self) -> Result<(), PostgresError> {
        self.schema.check(&self.pool).await
    }

    /// Looks for what would break a promise, for the start of a host and for its health probes: settings with which the server may
    /// lose what it has acknowledged, a server that takes no writes, standbys that are not waited for, permissions that this
    /// user lacks, a clock that is far from the host's.
    ///
    /// # Errors
    ///
    /// [`PostgresError`] when the server cannot be reached.
    ///
    /// # Cancellation
    ///
    /// Harmless.
    pub async fn check(&self) -> Result<Vec<Finding>, PostgresError> {
        check::check(&self.pool, &self.schema, || self.runtime.unix_time()).await
    }

    /// The SQL that makes the schema and everything in it, with an explanation of each table.
    #[must_use]
    pub fn schema_sql(&self) -> String {
        self.schema.sql()
    }

    async fn query(&self, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, Fault> {
        pool::query(&self.pool, sql, parameters).await
    }

    async fn try_commit(&self, event: &EventId, groups: &[Group]) -> Result<Vec<GroupOutcome>, Fault> {
        let mut arguments = Arguments::of(event, groups, may_be_early(groups))?;
        let mut races = 0;
        let rows = loop {
            match self.query(&self.commit, &arguments.parameters()).await {
                Err(fault) if fault.is_lost_race() && races < RACES_MAX => races += 1,
                Err(fault) if fault.is_lost_race() => return Err(Fault::RaceLost),
                answer => break answer?,
            }
            arguments = Arguments::of(event, groups, false)?;
        };
        let odd = || Fault::Alarm { what: "a commit answered something else" };
        let stale: Vec<i64> = rows.first().ok_or_else(odd)?.try_get(0).map_err(|_| odd())?;
        let mut outcomes = vec![GroupOutcome::Committed; groups.len()];
        for number in stale {
            let (group, key) = arguments.checked(number).ok_or_else(odd)?;
            match &mut outcomes[group] {
                GroupOutcome::Conflict { stale } => stale.push(key.clone()),
                committed => *committed = GroupOutcome::Conflict { stale: vec![key.clone()] },
            }
        }
        Ok(outcomes)
    }

    async fn try_purge(&self, retention: Duration, limit: usize) -> Result<Purged, Fault> {
        let retention = i64::try_from(retention.as_micros()).unwrap_or(i64::MAX);
        let after = self.purged_last.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let events = PURGE_EVENTS_MAX as i64;
        let rows = self.query(queries::PURGE, &[&retention, &page(limit), &after, &events]).await?;
        let odd = || Fault::Alarm { what: "a purge step answered something else" };
        let row = rows.first().ok_or_else(odd)?;
        let count = |at| row.try_get::<_, i64>(at).ok().and_then(|count| usize::try_from(count).ok()).ok_or_else(odd);
        let purged = Purged { operations: count(0)?, changes: count(1)? };
        if let Some(done_with) = row.try_get::<_, Option<String>>(2).map_err(|_| odd())? {
            *self.purged_last.lock().unwrap_or_else(PoisonError::into_inner) = done_with;
        }
        Ok(purged)
    }

    async fn try_load(&self, request: &LoadRequest) -> Result<Snapshot, Fault> {
        let keys = Keys::of(request);
        let parameters: [&(dyn ToSql + Sync); 8] = [
            &request.event.as_str(),
            &LAPSED_ASKED,
            &keys.tickets,
            &keys.pools,
            &keys.customers,
            &keys.reservations,
            &keys.operations,
            &keys.free_in,
        ];
        snapshot(request, &self.query(LOAD, &parameters).await?)
    }
}

/// No page is longer than the port says.
fn page(limit: usize) -> i64 {
    limit.min(PAGE_MAX) as i64
}

#[async_trait]
impl Repository for PostgresRepository {
    async fn load(&self, request: &LoadRequest) -> Result<Snapshot, StoreError> {
        self.try_load(request).await.map_err(Fault::of_read)
    }

    async fn commit(&self, event: &EventId, groups: &[Group]) -> Result<Vec<GroupOutcome>, StoreError> {
        if groups.is_empty() {
            return Ok(Vec::new());
        }
        self.try_commit(event, groups).await.map_err(Fault::of_write)
    }

    async fn tickets(&self, query: &TicketQuery) -> Result<Vec<(TicketId, u64, Ticket)>, StoreError> {
        let after = query.after.as_ref().map_or("", TicketId::as_str);
        let area = query.area.as_ref().map(|area| area.as_str());
        let sql = queries::tickets_sql(area.is_some(), query.only_available);
        let (event, limit) = (query.event.as_str(), page(query.limit));
        let mut parameters: Vec<&(dyn ToSql + Sync)> = vec![&event, &after, &limit];
        if let Some(area) = &area {
            parameters.push(area);
        }
        self.query(&sql, &parameters).await.and_then(|rows| queries::tickets(&rows)).map_err(Fault::of_read)
    }

    async fn pools(&self, query: &PoolQuery) -> Result<Vec<(PoolId, u64, PoolRecord)>, StoreError> {
        let after = query.after.as_ref().map_or("", PoolId::as_str);
        let rows = self.query(&queries::pools_sql(), &[&query.event.as_str(), &after, &page(query.limit)]).await;
        rows.and_then(|rows| queries::pools(&rows)).map_err(Fault::of_read)
    }

    async fn availability(&self, event: &EventId) -> Result<Availability, StoreError> {
        let rows = self.query(queries::AVAILABILITY, &[&event.as_str()]).await;
        rows.and_then(|rows| queries::availability(&rows)).map_err(Fault::of_read)
    }

    async fn reservations(&self, query: &ReservationQuery) -> Result<Vec<(u64, Reservation)>, StoreError> {
        let sql = queries::reservations_sql(query);
        let after = query.after.map(|id| *id.as_uuid());
        let (event, customer) =
            (query.event.as_ref().map(EventId::as_str), query.customer.as_ref().map(|it| it.as_str()));
        let limit = page(query.limit);
        let mut parameters: Vec<&(dyn ToSql + Sync)> = vec![&limit];
        if let Some(after) = &after {
            parameters.push(after);
        }
        if let Some(event) = &event {
            parameters.push(event);
        }
        if let Some(customer) = &customer {
            parameters.push(customer);
        }
        self.query(&sql, &parameters).await.and_then(|rows| queries::reservations(&rows)).map_err(Fault::of_read)
    }

    async fn changes(&self, event: &EventId, after: Sequence, limit: usize) -> Result<Vec<Change>, ChangesError> {
        // No position is beyond the largest number of a column.
        let after = i64::try_from(after).unwrap_or(i64::MAX);
        let rows = self.query(&queries::changes_sql(), &[&event.as_str(), &after, &page(limit)]).await;
        rows.and_then(|rows| queries::changes(&rows, after))
            .map_err(Fault::of_read)?
            .map_err(|purged_through| ChangesError::Truncated { purged_through })
    }

    async fn lapsed(&self, limit: usize) -> Result<Vec<(EventId, ReservationId)>, StoreError> {
        let rows = self.query(queries::LAPSED, &[&page(limit)]).await;
        rows.and_then(|rows| queries::lapsed(&rows)).map_err(Fault::of_read)
    }

    async fn purge(&self, retention: Duration, limit: usize) -> Result<Purged, StoreError> {
        self.try_purge(retention, limit).await.map_err(Fault::of_write)
    }
}

impl fmt::Debug for PostgresRepository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresRepository").field("schema", &self.schema).finish_non_exhaustive()
    }
}
