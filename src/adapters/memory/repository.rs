use std::fmt;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use super::availability::availability;
use super::load::load;
use super::tables::{EventTables, Tables};
use crate::adapters::SystemClock;
use crate::domain::{CustomerId, EventId, Pool, PoolId, Reservation, ReservationId, Snapshot, Ticket, TicketId};
use crate::ports::{
    Availability, Change, ChangesError, Clock, Group, GroupOutcome, LoadRequest, PAGE_MAX, PoolQuery, Purged,
    Repository, ReservationFilter, ReservationQuery, Sequence, StoreError, TicketQuery,
};

/// A repository in the memory of this process.
///
/// # Clone
///
/// A clone is another handle on the same store.
#[derive(Clone)]
pub struct MemoryRepository {
    tables: Arc<Mutex<Tables>>,
    clock: Arc<dyn Clock>,
}

impl MemoryRepository {
    /// An empty store on the operating system's clock.
    ///
    /// ```
    /// # futures_util::future::FutureExt::now_or_never(async {
    /// # use ticket_reservation::{adapters::memory::MemoryRepository, domain::EventId, ports::Repository};
    /// let repository = MemoryRepository::new();
    /// let nothing = repository.availability(&EventId::new("gala")?).await?;
    /// assert!(nothing.areas.is_empty() && nothing.pools.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap().unwrap();
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Self::with_clock(Arc::new(SystemClock))
    }

    /// An empty store on the given clock.
    ///
    /// ```
    /// # futures_util::future::FutureExt::now_or_never(async {
    /// use std::sync::Arc;
    /// use ticket_reservation::adapters::{SystemClock, memory::MemoryRepository};
    /// use ticket_reservation::ports::Repository;
    ///
    /// let repository = MemoryRepository::with_clock(Arc::new(SystemClock));
    /// assert!(repository.lapsed(1).await?.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap().unwrap();
    /// ```
    #[must_use]
    pub fn with_clock(clock: Arc<dyn Clock>) -> Self {
        Self { tables: Arc::new(Mutex::new(Tables::new())), clock }
    }

    /// No code panics while it holds the tables half-written, so a poisoned mutex still guards whole tables.
    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for MemoryRepository {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryRepository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryRepository").field("clock", &self.clock).finish_non_exhaustive()
    }
}

#[async_trait]
impl Repository for MemoryRepository {
    async fn load(&self, request: &LoadRequest) -> Result<Snapshot, StoreError> {
        let tables = self.tables();
        let clock = self.clock.unix_time();
        Ok(load(&tables, request, clock))
    }

    async fn commit(&self, event: &EventId, groups: &[Group]) -> Result<Vec<GroupOutcome>, StoreError> {
        for write in groups.iter().flat_map(|group| &group.writes) {
            Tables::check(event, write).map_err(StoreError::permanent)?;
        }
        let mut tables = self.tables();
        Ok(groups.iter().map(|group| tables.commit(event, group)).collect())
    }

    async fn availability(&self, event: &EventId) -> Result<Availability, StoreError> {
        Ok(availability(&self.tables(), event, self.clock.unix_time()))
    }

    async fn tickets(&self, query: &TicketQuery) -> Result<Vec<(TicketId, u64, Ticket)>, StoreError> {
        let tables = self.tables();
        let Some(event) = tables.events.get(&query.event) else { return Ok(Vec::new()) };
        let limit = query.limit.min(PAGE_MAX);
        let after = after(query.after.as_ref());
        let clock = self.clock.unix_time();
        let row = |id: &TicketId| {
            let row = event.tickets.get(id).filter(|row| !query.only_available || row.content.is_available(clock))?;
            Some((id.clone(), row.version, row.content.clone()))
        };
        Ok(match &query.area {
            Some(area) => match event.areas.get(area) {
                Some(index) => index.tickets.range::<TicketId, _>(after).filter_map(row).take(limit).collect(),
                None => Vec::new(),
            },
            None => event.ticket_ids.range::<TicketId, _>(after).filter_map(row).take(limit).collect(),
        })
    }

    async fn pools(&self, query: &PoolQuery) -> Result<Vec<(PoolId, u64, Pool)>, StoreError> {
        let tables = self.tables();
        let Some(event) = tables.events.get(&query.event) else { return Ok(Vec::new()) };
        let rows = event.pools.range::<PoolId, _>(after(query.after.as_ref())).take(query.limit.min(PAGE_MAX));
        Ok(rows.map(|(id, row)| (id.clone(), row.version, row.content.clone())).collect())
    }

    async fn reservations(&self, query: &ReservationQuery) -> Result<Vec<(u64, Reservation)>, StoreError> {
        let tables = self.tables();
        let limit = query.limit.min(PAGE_MAX);
        let clock = self.clock.unix_time();
        let is_wanted = |reservation: &Reservation| {
            query.state.is_none_or(|state| ReservationFilter::of(reservation, clock) == state)
        };
        let row = |id: &ReservationId| {
            let row = tables.reservations.get(id).filter(|row| is_wanted(&row.content))?;
            Some((row.version, row.content.clone()))
        };
        let of = |event| listed(event, query.customer.as_ref(), query.after).filter_map(row).take(limit);
        if let Some(event) = &query.event {
            return Ok(tables.events.get(event).map(of).into_iter().flatten().collect());
        }
        let mut found: Vec<(u64, Reservation)> = tables.events.values().flat_map(of).collect();
        found.sort_unstable_by_key(|(_, reservation)| reservation.id);
        found.truncate(limit);
        Ok(found)
    }

    async fn changes(&self, event: &EventId, after: Sequence, limit: usize) -> Result<Vec<Change>, ChangesError> {
        let tables = self.tables();
        let Some(event) = tables.events.get(event) else { return Ok(Vec::new()) };
        let Some(skip) = after.checked_sub(event.purged_through) else {
            return Err(ChangesError::Truncated { purged_through: event.purged_through });
        };
        let skip = usize::try_from(skip).unwrap_or(usize::MAX).min(event.changes.len());
        Ok(event.changes.range(skip..).take(limit.min(PAGE_MAX)).cloned().collect())
    }

    async fn lapsed(&self, limit: usize) -> Result<Vec<(EventId, ReservationId)>, StoreError> {
        let tables = self.tables();
        let clock = self.clock.unix_time();
        let due = tables.holds.iter().take_while(|(until, _)| *until <= clock).take(limit);
        Ok(due.filter_map(|(_, id)| tables.reservations.get(id).map(|row| (row.content.event.clone(), *id))).collect())
    }

    async fn purge(&self, retention: Duration, limit: usize) -> Result<Purged, StoreError> {
        let mut tables = self.tables();
        let before = self.clock.unix_time().before(retention);
        Ok(tables.purge(before, limit))
    }
}

fn after<T>(last: Option<&T>) -> (Bound<&T>, Bound<&T>) {
    (last.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded)
}

/// The reservations of an event, or of one of its customers, after this one, in the order of their ids.
fn listed<'t>(
    event: &'t EventTables,
    customer: Option<&'t CustomerId>,
    last: Option<ReservationId>,
) -> impl Iterator<Item = &'t ReservationId> {
    let of = match customer {
        Some(customer) => event.customers.get(customer).map(|of_customer| &of_customer.reservations),
        None => Some(&event.reservations),
    };
    of.into_iter().flat_map(move |ids| ids.range(after(last.as_ref())))
}
