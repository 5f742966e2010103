use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tiberius::ToSql;

use super::batch::{Batch, COMMIT};
use super::check::{self, Finding};
use super::config::MssqlRepositoryBuilder;
use super::error::{Fault, MssqlError};
use super::load::{Keys, LAPSED_ASKED, LOAD, is_of_one_moment, snapshot};
use super::pool::{self, Answer, Pool};
use super::queries;
use super::rows::Columns;
use super::schema::Schema;
use crate::domain::{EventId, Pool as PoolRecord, PoolId, Reservation, ReservationId, Snapshot, Ticket, TicketId};
use crate::ports::{
    Availability, Change, ChangesError, Group, GroupOutcome, LoadRequest, PAGE_MAX, PoolQuery, Purged, Repository,
    ReservationQuery, Runtime, Sequence, StoreError, TicketQuery,
};

/// At how many events' change feeds one purge step looks, at most. The next step goes on after them, and begins anew after the
/// last event.
pub const PURGE_EVENTS_MAX: usize = 256;

/// How many operations, and how many rows of change feeds, one purge step removes at most, so that their locks do not become one of
/// the whole table.
pub const PURGE_ROWS_MAX: usize = 2_000;

/// How often a commit is tried again that has lost the race for a new record: by then it sees the other one.
const RACES_MAX: usize = 5;

/// How often something is read that was not true at one moment, commits being kept away from the second time on. A third one is
/// needed where the event itself was created meanwhile.
const READS_MAX: usize = 3;

/// The repository in a SQL Server database.
///
/// It has a pool of connections. Dropping it closes them; calls that are under way end first.
#[derive(Clone)]
pub struct MssqlRepository {
    pool: Pool,
    schema: Schema,
    runtime: Arc<dyn Runtime>,
    /// The last event, in order of the ids, that a purge step is done with. Empty before the first one.
    purged_last: Arc<Mutex<String>>,
}

impl MssqlRepository {
    /// Starts with the connection string, as ADO.NET has it
    /// (<https://learn.microsoft.com/dotnet/api/microsoft.data.sqlclient.sqlconnection.connectionstring>), and the runtime,
    /// which must be tokio's, with I/O and time enabled.
    pub fn builder(connection_string: impl Into<String>, runtime: Arc<dyn Runtime>) -> MssqlRepositoryBuilder {
        MssqlRepositoryBuilder::new(connection_string.into(), runtime)
    }

    pub(super) fn over(pool: Pool, schema: Schema, runtime: Arc<dyn Runtime>) -> Self {
        Self { pool, schema, runtime, purged_last: Arc::default() }
    }

    /// Makes the schema, its tables and its procedures, if there are none. Many instances may do this at once.
    ///
    /// # Errors
    ///
    /// [`MssqlError`] when the database cannot be reached, when this user may not make tables, and when a newer version of
    /// this crate has made them that this one must not use.
    ///
    /// # Cancellation
    ///
    /// The tables are there or not.
    pub async fn migrate(&self) -> Result<(), MssqlError> {
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
    pub async fn open(&self) -> Result<(), MssqlError> {
        self.schema.check(&self.pool).await
    }

    /// Looks for what would break a promise, for the start of a host and for its health probes: durability that the database does not
    /// give, a database that takes no writes, replicas that are not waited for, ids that are not compared byte by byte, permissions
    /// that this user lacks, a clock that is far from the host's.
    ///
    /// # Errors
    ///
    /// [`MssqlError`] when the server cannot be reached.
    ///
    /// # Cancellation
    ///
    /// Harmless.
    pub async fn check(&self) -> Result<Vec<Finding>, MssqlError> {
        check::check(&self.pool, &self.schema, || self.runtime.unix_time()).await
    }

    /// The SQL that makes the schema and everything in it, with an explanation of each table. Lines with `GO` part its batches, as
    /// `sqlcmd` and others want them.
    #[must_use]
    pub fn schema_sql(&self) -> String {
        self.schema.sql()
    }

    async fn query(&self, sql: &str, parameters: &[&dyn ToSql]) -> Result<Answer, Fault> {
        pool::query(&self.pool, sql, parameters).await
    }

    /// Reads by a procedure until what it answers was true at one moment. Its second parameter keeps commits away.
    async fn at_one_moment(&self, sql: &str, event: &EventId, parameters: &[&dyn ToSql]) -> Result<Answer, Fault> {
        for read in 0..READS_MAX {
            let is_alone = read > 0;
            let first: [&dyn ToSql; 2] = [&event.as_str(), &is_alone];
            let parameters: Vec<&dyn ToSql> = first.into_iter().chain(parameters.iter().copied()).collect();
            let answer = self.query(sql, &parameters).await?;
            if is_of_one_moment(&answer)? {
                return Ok(answer);
            }
        }
        Err(Fault::Torn)
    }

    async fn try_commit(&self, event: &EventId, groups: &[Group]) -> Result<Vec<GroupOutcome>, Fault> {
        let batch = Batch::of(event, groups)?;
        let mut races = 0;
        let answer = loop {
            match self.query(COMMIT, &batch.parameters()).await {
                Err(fault) if fault.is_lost_race() && races < RACES_MAX => races += 1,
                Err(fault) if fault.is_lost_race() => return Err(Fault::RaceLost),
                answer => break answer?,
            }
        };
        let mut outcomes = vec![GroupOutcome::Committed; groups.len()];
        for row in answer.rows {
            let is_stale = Columns::of(&row).kind().is_ok_and(|kind| kind == "stale");
            let number = row.try_get::<i32, _>("no").ok().flatten().filter(|_| is_stale).ok_or(Fault::Odd)?;
            let (group, key) = batch.checked(number).ok_or(Fault::Odd)?;
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
        let (limit, events) = (limit.min(PURGE_ROWS_MAX) as i64, PURGE_EVENTS_MAX as i64);
        let answer = self.query(queries::PURGE, &[&retention, &limit, &after, &events]).await?;
        let row = Columns::of(&answer.end);
        let purged = Purged { operations: row.count("operations")? as usize, changes: row.count("changes")? as usize };
        if let Some(done_with) = row.optional::<&str>("done_with")? {
            *self.purged_last.lock().unwrap_or_else(PoisonError::into_inner) = done_with.to_owned();
        }
        Ok(purged)
    }

    async fn try_load(&self, request: &LoadRequest) -> Result<Snapshot, Fault> {
        let keys = Keys::of(request);
        let parameters: [&dyn ToSql; 7] = [
            &LAPSED_ASKED,
            &keys.tickets,
            &keys.pools,
            &keys.customers,
            &keys.reservations,
            &keys.operations,
            &keys.free_in,
        ];
        snapshot(request, &self.at_one_moment(LOAD, &request.event, &parameters).await?)
    }
}

/// No page is longer than the port says.
fn page(limit: usize) -> i64 {
    limit.min(PAGE_MAX) as i64
}

#[async_trait]
impl Repository for MssqlRepository {
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
        let mut parameters: Vec<&dyn ToSql> = vec![&event, &after, &limit];
        if let Some(area) = &area {
            parameters.push(area);
        }
        self.query(&sql, &parameters).await.and_then(|answer| queries::tickets(&answer.rows)).map_err(Fault::of_read)
    }

    async fn pools(&self, query: &PoolQuery) -> Result<Vec<(PoolId, u64, PoolRecord)>, StoreError> {
        let after = query.after.as_ref().map_or("", PoolId::as_str);
        let answer = self.query(queries::POOLS, &[&query.event.as_str(), &after, &page(query.limit)]).await;
        answer.and_then(|answer| queries::pools(&answer.rows)).map_err(Fault::of_read)
    }

    async fn availability(&self, event: &EventId) -> Result<Availability, StoreError> {
        let answer = self.at_one_moment(queries::AVAILABILITY, event, &[]).await;
        answer.and_then(|answer| queries::availability(&answer.rows)).map_err(Fault::of_read)
    }

    async fn reservations(&self, query: &ReservationQuery) -> Result<Vec<(u64, Reservation)>, StoreError> {
        let sql = queries::reservations_sql(query);
        let after = query.after.map(|id| id.as_uuid().as_bytes().to_vec());
        let (event, customer) =
            (query.event.as_ref().map(EventId::as_str), query.customer.as_ref().map(|it| it.as_str()));
        let limit = page(query.limit);
        let mut parameters: Vec<&dyn ToSql> = vec![&limit];
        if let Some(after) = &after {
            parameters.push(after);
        }
        if let Some(event) = &event {
            parameters.push(event);
        }
        if let Some(customer) = &customer {
            parameters.push(customer);
        }
        self.query(&sql, &parameters)
            .await
            .and_then(|answer| queries::reservations(&answer.rows))
            .map_err(Fault::of_read)
    }

    async fn changes(&self, event: &EventId, after: Sequence, limit: usize) -> Result<Vec<Change>, ChangesError> {
        // No position is beyond the largest number of a column.
        let after = i64::try_from(after).unwrap_or(i64::MAX);
        let answer = self.query(queries::CHANGES, &[&event.as_str(), &after, &page(limit)]).await;
        answer
            .and_then(|answer| queries::changes(&answer, after))
            .map_err(Fault::of_read)?
            .map_err(|purged_through| ChangesError::Truncated { purged_through })
    }

    async fn lapsed(&self, limit: usize) -> Result<Vec<(EventId, ReservationId)>, StoreError> {
        let answer = self.query(queries::LAPSED, &[&page(limit)]).await;
        answer.and_then(|answer| queries::lapsed(&answer.rows)).map_err(Fault::of_read)
    }

    async fn purge(&self, retention: Duration, limit: usize) -> Result<Purged, StoreError> {
        self.try_purge(retention, limit).await.map_err(Fault::of_write)
    }
}

impl fmt::Debug for MssqlRepository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MssqlRepository").field("schema", &self.schema).finish_non_exhaustive()
    }
}
