//! An adapter of one's own, and the thirty lines that hold it to the contract: the conformance suite.
//!
//! Every case runs but the few that need several processes: this store lives in one. They are skipped, and the last line says
//! how many.
//!
//! `cargo run --release --features conformance,tokio --example custom_adapter`
//!
//! The store is the plainest that can be right: one sorted map under a mutex. A real one keeps the same promises with a
//! database in its place; what a database calls a unique key, a version in the condition of an update and a transaction is
//! here one look into the map under the lock.

use std::collections::BTreeMap;
use std::process::{Command, ExitCode};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use ticket_reservation::adapters::SystemClock;
use ticket_reservation::adapters::tokio::TokioRuntime;
use ticket_reservation::conformance::{HarnessError, RepositoryCapability, RepositoryHarness, Runner, Store};
use ticket_reservation::domain::{
    EventId, Lapsed, LapsedOf, OperationId, Pool, PoolId, Record, RecordKey, Reservation, ReservationId,
    ReservationState, Snapshot, Ticket, TicketId, TicketState, Timestamp, Versioned,
};
use ticket_reservation::ports::{
    AreaAvailability, Availability, Change, ChangesError, Clock, Group, GroupOutcome, LAPSED_MAX, LoadRequest,
    PAGE_MAX, PoolAvailability, PoolQuery, Purged, Repository, ReservationFilter, ReservationQuery, Runtime, Sequence,
    StoreError, TicketQuery, Write,
};

// ---- the adapter

/// A store in one map. Clones are handles on the same one.
#[derive(Debug, Clone, Default)]
struct Notebook(Arc<Mutex<Pages>>);

#[derive(Debug, Default)]
struct Pages {
    /// Reservations and operations are named across events; of the others each event has its own.
    records: BTreeMap<(Option<EventId>, RecordKey), Versioned>,
    feeds: BTreeMap<EventId, Feed>,
    operations_purged_before: Option<Timestamp>,
}

#[derive(Debug, Default)]
struct Feed {
    rows: Vec<Change>,
    purged_through: Sequence,
}

fn place_of(event: &EventId, key: &RecordKey) -> (Option<EventId>, RecordKey) {
    let is_shared = matches!(key, RecordKey::Reservation(_) | RecordKey::Operation(_));
    ((!is_shared).then(|| event.clone()), key.clone())
}

impl Notebook {
    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pages {
    fn get(&self, event: &EventId, key: &RecordKey) -> Versioned {
        self.records.get(&place_of(event, key)).cloned().unwrap_or_default()
    }

    fn tickets<'p>(&'p self, event: &EventId) -> impl Iterator<Item = (&'p TicketId, &'p Versioned, &'p Ticket)> {
        let of_event = Some(event.clone());
        let from = (of_event.clone(), RecordKey::Event);
        self.records.range(from..).take_while(move |((event, _), _)| *event == of_event).filter_map(
            |((_, key), row)| match (key, &row.record) {
                (RecordKey::Ticket(id), Some(Record::Ticket(ticket))) => Some((id, row, ticket)),
                _ => None,
            },
        )
    }

    fn pools<'p>(&'p self, event: &EventId) -> impl Iterator<Item = (&'p PoolId, &'p Versioned, &'p Pool)> {
        let of_event = Some(event.clone());
        let from = (of_event.clone(), RecordKey::Event);
        self.records.range(from..).take_while(move |((event, _), _)| *event == of_event).filter_map(
            |((_, key), row)| match (key, &row.record) {
                (RecordKey::Pool(id), Some(Record::Pool(pool))) => Some((id, row, pool)),
                _ => None,
            },
        )
    }

    /// In the order of their ids.
    fn reservations(&self) -> impl Iterator<Item = (&Versioned, &Reservation)> {
        self.records.iter().take_while(|((event, _), _)| event.is_none()).filter_map(|(_, row)| match &row.record {
            Some(Record::Reservation(reservation)) => Some((row, reservation)),
            _ => None,
        })
    }

    /// Holds whose deadline has come, the oldest first.
    fn lapsed(&self, clock: Timestamp) -> Vec<(Timestamp, &Reservation)> {
        let mut lapsed: Vec<_> = self
            .reservations()
            .filter_map(|(_, found)| match found.state {
                ReservationState::Held { until } if until <= clock => Some((until, found)),
                _ => None,
            })
            .collect();
        lapsed.sort_by_key(|(until, found)| (*until, found.id));
        lapsed
    }

    /// Whether a write is right by itself: the last defence, like a check constraint.
    fn is_right(event: &EventId, write: &Write) -> bool {
        match (&write.key, &write.record) {
            (RecordKey::Event, Record::Event(_))
            | (RecordKey::Ticket(_), Record::Ticket(_))
            | (RecordKey::Allowance(_), Record::Allowance(_)) => true,
            (RecordKey::Pool(_), Record::Pool(pool)) => {
                u64::from(pool.held) + u64::from(pool.booked) <= u64::from(pool.capacity)
            }
            (RecordKey::Reservation(id), Record::Reservation(found)) => found.id == *id && found.event == *event,
            (RecordKey::Operation(_), Record::Operation(found)) => found.event == *event,
            _ => false,
        }
    }

    fn commit(&mut self, event: &EventId, group: &Group) -> GroupOutcome {
        let writes = group.writes.iter().map(|write| (&write.key, write.version));
        let read = group.reads.iter().map(|(key, version)| (key, *version));
        let purged_before = self.operations_purged_before.unwrap_or(Timestamp::from_micros(i64::MIN));
        let purged: Vec<&RecordKey> = group.purged(purged_before).collect();
        let stale =
            |(key, version): &(&RecordKey, u64)| self.get(event, key).version != *version || purged.contains(key);
        let stale: Vec<RecordKey> = read.chain(writes).filter(stale).map(|(key, _)| key.clone()).collect();
        if !stale.is_empty() {
            return GroupOutcome::Conflict { stale };
        }
        for Write { key, version, decided_at, record } in &group.writes {
            let (version, decided_at) = (version + 1, *decided_at);
            let row = Versioned::new(version, decided_at, record.clone());
            self.records.insert(place_of(event, key), row);
            if !matches!(key, RecordKey::Operation(_)) {
                let feed = self.feeds.entry(event.clone()).or_default();
                let sequence = feed.purged_through + feed.rows.len() as u64 + 1;
                let (key, record) = (key.clone(), record.clone());
                feed.rows.push(Change { sequence, decided_at, version, key, record });
            }
        }
        GroupOutcome::Committed
    }
}

#[async_trait]
impl Repository for Notebook {
    async fn load(&self, request: &LoadRequest) -> Result<Snapshot, StoreError> {
        let (pages, event) = (self.pages(), &request.event);
        let clock = SystemClock.unix_time();
        let mut snapshot = Snapshot::new(event.clone(), clock);
        if let Some(before) = pages.operations_purged_before {
            snapshot.set_operations_purged_before(before);
        }
        let lapsed = pages.lapsed(clock);
        for key in &request.records {
            snapshot.insert(key.clone(), pages.get(event, key));
            let of = match key {
                RecordKey::Pool(id) => LapsedOf::Pool(id.clone()),
                RecordKey::Allowance(id) => LapsedOf::Customer(id.clone()),
                _ => continue,
            };
            let counts = |found: &Reservation| match &of {
                LapsedOf::Pool(id) => found.lines.pools().iter().any(|(pool, _)| pool == id),
                LapsedOf::Customer(id) => found.customer == *id,
                _ => false,
            };
            let all: Vec<ReservationId> = lapsed
                .iter()
                .filter(|(_, found)| found.event == *event && counts(found))
                .map(|(_, found)| found.id)
                .collect();
            let more = all.len() > LAPSED_MAX;
            let reservations: Vec<ReservationId> = all.into_iter().take(LAPSED_MAX).collect();
            for id in &reservations {
                let key = RecordKey::Reservation(*id);
                snapshot.insert(key.clone(), pages.get(event, &key));
            }
            snapshot.insert_lapsed(of, Lapsed { reservations, more });
        }
        for area in &request.free_in {
            let is_free = |ticket: &Ticket| ticket.place.area == *area && ticket.is_available(clock);
            let free: Vec<_> = pages.tickets(event).filter(|(_, _, ticket)| is_free(ticket)).collect();
            snapshot.insert_free(area.clone(), free.iter().map(|(id, _, it)| ((*id).clone(), it.place.clone())));
            for (id, row, _) in free {
                snapshot.insert(RecordKey::Ticket(id.clone()), row.clone());
            }
        }
        Ok(snapshot)
    }

    async fn commit(&self, event: &EventId, groups: &[Group]) -> Result<Vec<GroupOutcome>, StoreError> {
        if !groups.iter().flat_map(|group| &group.writes).all(|write| Pages::is_right(event, write)) {
            return Err(StoreError::permanent("a record that cannot be right"));
        }
        let mut pages = self.pages();
        Ok(groups.iter().map(|group| pages.commit(event, group)).collect())
    }

    async fn tickets(&self, query: &TicketQuery) -> Result<Vec<(TicketId, u64, Ticket)>, StoreError> {
        let (pages, clock) = (self.pages(), SystemClock.unix_time());
        let is_wanted = |id: &TicketId, ticket: &Ticket| {
            query.after.as_ref().is_none_or(|after| id > after)
                && query.area.as_ref().is_none_or(|area| ticket.place.area == *area)
                && (!query.only_available || ticket.is_available(clock))
        };
        let found = pages.tickets(&query.event).filter(|(id, _, ticket)| is_wanted(id, ticket));
        let rows = found.map(|(id, row, ticket)| (id.clone(), row.version, ticket.clone()));
        Ok(rows.take(query.limit.min(PAGE_MAX)).collect())
    }

    async fn pools(&self, query: &PoolQuery) -> Result<Vec<(PoolId, u64, Pool)>, StoreError> {
        let pages = self.pages();
        let is_wanted = |id: &PoolId| query.after.as_ref().is_none_or(|after| id > after);
        let found = pages.pools(&query.event).filter(|(id, ..)| is_wanted(id));
        let rows = found.map(|(id, row, pool)| (id.clone(), row.version, pool.clone()));
        Ok(rows.take(query.limit.min(PAGE_MAX)).collect())
    }

    async fn availability(&self, event: &EventId) -> Result<Availability, StoreError> {
        let (pages, at) = (self.pages(), SystemClock.unix_time());
        let mut areas: BTreeMap<_, [u64; 4]> = BTreeMap::new();
        for (_, _, ticket) in pages.tickets(event) {
            let part = match ticket.state {
                _ if ticket.is_available(at) => 0,
                TicketState::Booked { .. } => 2,
                TicketState::Blocked { .. } => 3,
                _ => 1,
            };
            areas.entry(ticket.place.area.clone()).or_default()[part] += 1;
        }
        let areas = areas.into_iter().map(|(area, [available, held, booked, blocked])| {
            let tickets = available + held + booked + blocked;
            AreaAvailability { area, tickets, available, held, booked, blocked }
        });
        let lapsed = pages.lapsed(at);
        let pools = pages.pools(event).map(|(id, _, pool)| {
            let of_event = lapsed.iter().filter(|(_, found)| found.event == *event);
            let lines = of_event.flat_map(|(_, found)| found.lines.pools()).filter(|(of, _)| of == id);
            let held = pool.held - lines.map(|(_, quantity)| quantity).sum::<u32>();
            let (pool, capacity, booked) = (id.clone(), pool.capacity, pool.booked);
            PoolAvailability { pool, capacity, available: capacity - held - booked, held, booked }
        });
        Ok(Availability { at, areas: areas.collect(), pools: pools.collect() })
    }

    async fn reservations(&self, query: &ReservationQuery) -> Result<Vec<(u64, Reservation)>, StoreError> {
        let (pages, clock) = (self.pages(), SystemClock.unix_time());
        let is_wanted = |found: &Reservation| {
            query.event.as_ref().is_none_or(|event| found.event == *event)
                && query.after.is_none_or(|after| found.id > after)
                && query.customer.as_ref().is_none_or(|customer| found.customer == *customer)
                && query.state.is_none_or(|state| ReservationFilter::of(found, clock) == state)
        };
        let found = pages.reservations().filter(|(_, found)| is_wanted(found));
        Ok(found.map(|(row, found)| (row.version, found.clone())).take(query.limit.min(PAGE_MAX)).collect())
    }

    async fn changes(&self, event: &EventId, after: Sequence, limit: usize) -> Result<Vec<Change>, ChangesError> {
        let pages = self.pages();
        let Some(Feed { rows, purged_through }) = pages.feeds.get(event) else { return Ok(Vec::new()) };
        if after < *purged_through {
            return Err(ChangesError::Truncated { purged_through: *purged_through });
        }
        let rows = rows.iter().skip_while(|row| row.sequence <= after);
        Ok(rows.take(limit.min(PAGE_MAX)).cloned().collect())
    }

    async fn lapsed(&self, limit: usize) -> Result<Vec<(EventId, ReservationId)>, StoreError> {
        let pages = self.pages();
        let lapsed = pages.lapsed(SystemClock.unix_time());
        Ok(lapsed.into_iter().take(limit).map(|(_, found)| (found.event.clone(), found.id)).collect())
    }

    async fn purge(&self, retention: Duration, limit: usize) -> Result<Purged, StoreError> {
        let mut pages = self.pages();
        let before = SystemClock.unix_time().before(retention);
        pages.operations_purged_before = pages.operations_purged_before.max(Some(before));
        let is_old = |id: &OperationId| id.made_at() < before;
        let old: Vec<_> = pages
            .records
            .keys()
            .filter(|(_, key)| matches!(key, RecordKey::Operation(id) if is_old(id)))
            .take(limit)
            .cloned()
            .collect();
        old.iter().for_each(|key| drop(pages.records.remove(key)));
        let mut changes = 0;
        for Feed { rows, purged_through } in pages.feeds.values_mut() {
            let count = rows.iter().take(limit - changes).take_while(|row| row.decided_at < before).count();
            rows.drain(..count);
            *purged_through += count as u64;
            changes += count;
        }
        Ok(Purged { operations: old.len(), changes })
    }
}

// ---- the thirty lines

struct Harness(Arc<dyn Runtime>);

#[async_trait]
impl RepositoryHarness for Harness {
    async fn fresh(&self) -> Result<Box<dyn Store>, HarnessError> {
        Ok(Box::new(Notebook::default()))
    }

    fn runtime(&self) -> Arc<dyn Runtime> {
        Arc::clone(&self.0)
    }

    fn lacks(&self) -> &[RepositoryCapability] {
        &[RepositoryCapability::OtherProcesses] // this store lives in one process
    }
}

#[async_trait]
impl Store for Notebook {
    async fn open(&self) -> Result<Arc<dyn Repository>, HarnessError> {
        Ok(Arc::new(self.clone()))
    }

    fn worker(&self) -> Option<Command> {
        None
    }
}

fn main() -> ExitCode {
    let tokio = tokio::runtime::Builder::new_multi_thread().enable_time().build().expect("a tokio runtime starts");
    let runtime = Arc::new(TokioRuntime::new(tokio.handle().clone()));
    // Whatever else is skipped is a failure.
    let runner = Runner::new().repository("notebook", Harness(runtime)).skips_only(&[
        "processes::many_processes_sell_nothing_twice",
        "processes::a_killed_process_leaves_nothing_half_done",
        "processes::many_processes_open_one_fresh_store_at_once",
    ]);
    runner.run()
}
