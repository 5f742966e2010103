//! A commit for which the file has no room, at every page that it needs: SQLite fails at another row each time.
//!
//! The limit is the connection's own (`PRAGMA max_page_count`), so it is set on the repository's thread.

use std::collections::BTreeMap;
use std::error::Error as _;

use rusqlite::types::Value;
use rusqlite::{Connection, ErrorCode};
use tempfile::TempDir;

use super::SqliteRepository;
use super::error::Fault;
use super::store::testing::{self, NOW};
use crate::domain::{
    ActionKind, AreaId, CustomerId, Event, EventId, EventState, Fingerprint, Lines, OperationId, OperationRecord,
    Place, Pool, PoolId, Record, RecordKey, Recorded, Reservation, ReservationId, ReservationState, SalesWindow,
    Ticket, TicketId, TicketState, Timestamp, Versioned,
};
use crate::ports::{
    Change, Group, GroupOutcome, LoadRequest, PAGE_MAX, PoolQuery, Repository as _, ReservationQuery, StoreErrorKind,
    TicketQuery, Write,
};

/// Each sells in a pool of its own, and a ticket.
const GROUPS: u8 = 5;
const HOLDS_OF_GROUP: u8 = 30;
/// More than the commit can need.
const PAGES_MAX: u32 = 200;
/// SQLite's own limit.
const NO_LIMIT: u32 = 0xFFFF_FFFE;

fn event() -> EventId {
    EventId::new("gala").unwrap()
}

fn pool(group: u8) -> PoolId {
    PoolId::new(format!("pool {group}")).unwrap()
}

fn ticket(group: u8) -> TicketId {
    TicketId::new(format!("seat {group}")).unwrap()
}

fn customer() -> CustomerId {
    CustomerId::new("ann").unwrap()
}

fn until() -> Timestamp {
    Timestamp::from_micros(NOW.as_micros() + 1)
}

fn random(group: u8, hold: u8) -> [u8; 10] {
    // Scattered, as ids are.
    [hold.wrapping_mul(97), group, hold, 0, 0, 0, 0, 0, 0, 0]
}

fn reservation(group: u8, hold: u8) -> ReservationId {
    ReservationId::from_parts(NOW, random(group, hold))
}

fn operation(group: u8, hold: u8) -> OperationId {
    OperationId::from_parts(NOW, random(group, hold))
}

/// The first hold of a group has its ticket, each has a place of its pool.
fn lines(group: u8, hold: u8) -> Lines {
    let tickets = (hold == 0).then(|| ticket(group));
    Lines::merge(tickets, [(pool(group), 1)]).unwrap()
}

fn ticket_record(group: u8, state: TicketState) -> Record {
    let place = Place { area: AreaId::new("stalls").unwrap(), row: 1, number: group.into() };
    Record::Ticket(Ticket { place, state })
}

fn pool_record(held: u32) -> Record {
    Record::Pool(Pool { capacity: 40, held, booked: 0 })
}

fn write(key: RecordKey, version: u64, record: Record) -> Write {
    Write { key, version, decided_at: NOW, record }
}

fn group_of(mut writes: Vec<Write>) -> Group {
    writes.sort_by(|left, right| left.key.cmp(&right.key));
    Group { writes, ..Group::default() }
}

/// Everything that is for sale.
fn on_sale() -> Group {
    let on_sale = Event { state: EventState::OnSale, window: SalesWindow::default(), limit_per_customer: None };
    let mut writes = vec![write(RecordKey::Event, 0, Record::Event(on_sale))];
    for group in 0..GROUPS {
        writes.push(write(RecordKey::Pool(pool(group)), 0, pool_record(0)));
        writes.push(write(RecordKey::Ticket(ticket(group)), 0, ticket_record(group, TicketState::Available)));
    }
    group_of(writes)
}

fn holds_of(group: u8) -> Group {
    let held = TicketState::Held { reservation: reservation(group, 0), until: until() };
    let mut writes = vec![
        write(RecordKey::Pool(pool(group)), 1, pool_record(HOLDS_OF_GROUP.into())),
        write(RecordKey::Ticket(ticket(group)), 1, ticket_record(group, held)),
    ];
    for hold in 0..HOLDS_OF_GROUP {
        let id = reservation(group, hold);
        let made = Reservation {
            id,
            event: event(),
            customer: customer(),
            lines: lines(group, hold),
            state: ReservationState::Held { until: until() },
            held_at: NOW,
        };
        let recorded = Recorded::Applied {
            kind: ActionKind::Hold,
            reservation: Some(id),
            customer: Some(customer()),
            until: Some(until()),
            changed: made.lines.places(),
        };
        let applied = OperationRecord { event: event(), fingerprint: Fingerprint::from_bytes([7; 16]), recorded };
        writes.push(write(RecordKey::Reservation(id), 0, Record::Reservation(made)));
        writes.push(write(RecordKey::Operation(operation(group, hold)), 0, Record::Operation(applied)));
    }
    group_of(writes)
}

fn holds() -> Vec<Group> {
    (0..GROUPS).map(holds_of).collect()
}

/// A repository that sells, and has sold nothing.
struct Sale {
    folder: TempDir,
    repository: SqliteRepository,
}

impl Sale {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let repository = SqliteRepository::start(testing::session(&folder)).unwrap();
        assert_eq!(repository.commit(&event(), &[on_sale()]).await.unwrap(), [GroupOutcome::Committed]);
        Self { folder, repository }
    }

    /// From now on the file may have so many pages.
    async fn limit(&self, pages: u32) {
        let set = self.repository.bookings.call(move |store| {
            Ok(store.connection.pragma_update_and_check(None, "max_page_count", pages, |row| row.get::<_, u32>(0))?)
        });
        assert_eq!(set.await.unwrap(), pages);
    }

    async fn pragma(&self, name: &'static str) -> u32 {
        let value = self
            .repository
            .bookings
            .call(move |store| Ok(store.connection.pragma_query_value(None, name, |row| row.get::<_, u32>(0))?));
        value.await.unwrap()
    }

    /// A connection of another program.
    fn outside(&self) -> Connection {
        Connection::open(self.folder.path().join("sale.db")).unwrap()
    }

    /// Every row of every table, as another program sees them.
    fn rows(&self) -> BTreeMap<String, Vec<Vec<Value>>> {
        let outside = self.outside();
        let mut tables = outside.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").unwrap();
        let tables = tables.query_map([], |row| row.get(0)).unwrap().collect::<Result<Vec<String>, _>>().unwrap();
        let rows_of = |table: String| {
            let mut rows = outside.prepare(&format!("SELECT * FROM {table}")).unwrap();
            let columns = 0..rows.column_count();
            let rows = rows.query_map([], |row| columns.clone().map(|column| row.get(column)).collect());
            let rows = rows.unwrap().collect::<Result<Vec<Vec<Value>>, _>>().unwrap();
            (table, rows)
        };
        tables.into_iter().map(rows_of).collect()
    }

    /// Everything that the commit writes, as the repository answers.
    async fn records(&self) -> BTreeMap<RecordKey, Versioned> {
        let records: Vec<RecordKey> = holds().into_iter().flat_map(|it| it.writes).map(|it| it.key).collect();
        let request = LoadRequest { event: event(), records: records.clone(), free_in: Vec::new() };
        let snapshot = self.repository.load(&request).await.unwrap();
        records.into_iter().map(|key| (key.clone(), snapshot.get(&key).unwrap().clone())).collect()
    }

    async fn changes(&self) -> Vec<Change> {
        self.repository.changes(&event(), 0, PAGE_MAX).await.unwrap()
    }

    /// The feed, complete and in order, tells what the lists do; whoever is owner of a ticket names it; pools count
    /// what is held in them.
    async fn audit(&self) {
        let mut rebuilt: BTreeMap<RecordKey, (u64, Record)> = BTreeMap::new();
        for (change, sequence) in self.changes().await.into_iter().zip(1..) {
            assert_eq!(change.sequence, sequence);
            let before = rebuilt.insert(change.key, (change.version, change.record));
            assert_eq!(change.version, before.map_or(0, |(version, _)| version) + 1);
        }
        rebuilt.remove(&RecordKey::Event).unwrap();
        let store = &self.repository;
        let query = TicketQuery { event: event(), area: None, only_available: false, after: None, limit: PAGE_MAX };
        let tickets = store.tickets(&query).await.unwrap();
        let query = PoolQuery { event: event(), after: None, limit: PAGE_MAX };
        let pools = store.pools(&query).await.unwrap();
        let query =
            ReservationQuery { event: Some(event()), customer: None, state: None, after: None, limit: PAGE_MAX };
        let reservations = store.reservations(&query).await.unwrap();
        let mut held: BTreeMap<&PoolId, u32> = BTreeMap::new();
        for (pool, quantity) in reservations.iter().flat_map(|(_, it)| it.lines.pools()) {
            *held.entry(pool).or_default() += quantity;
        }
        for (id, _, pool) in &pools {
            assert_eq!(held.get(id).copied().unwrap_or_default(), pool.held, "{id}");
        }
        for (id, _, ticket) in &tickets {
            let names_it = |it: &&Reservation| it.lines.tickets().contains(id);
            let owner = reservations.iter().map(|(_, it)| it).find(names_it).map(|it| it.id);
            assert_eq!(ticket.owner(), owner, "{id}");
        }
        let tickets = tickets.into_iter();
        let tickets = tickets.map(|(id, version, it)| (RecordKey::Ticket(id), (version, Record::Ticket(it))));
        let pools = pools.into_iter().map(|(id, version, it)| (RecordKey::Pool(id), (version, Record::Pool(it))));
        let reservations = reservations.into_iter();
        let reservations =
            reservations.map(|(version, it)| (RecordKey::Reservation(it.id), (version, Record::Reservation(it))));
        let listed: BTreeMap<RecordKey, (u64, Record)> = tickets.chain(pools).chain(reservations).collect();
        assert_eq!(listed, rebuilt);
    }
}

#[tokio::test]
async fn a_commit_for_which_the_file_has_no_room_leaves_nothing_and_succeeds_with_room() {
    let mut failed = 0;
    for more in 0..PAGES_MAX {
        let sale = Sale::new().await;
        let (rows, records, changes) = (sale.rows(), sale.records().await, sale.changes().await);
        let limit = sale.pragma("page_count").await + more;
        sale.limit(limit).await;
        let answer = sale.repository.commit(&event(), &holds()).await;
        if let Err(error) = &answer {
            failed += 1;
            assert_eq!(error.kind(), StoreErrorKind::Permanent, "{more}: {error:?}");
            let fault = error.source().and_then(|source| source.downcast_ref::<Fault>());
            let Some(Fault::Sqlite(cause)) = fault else { panic!("{more}: {error:?}") };
            assert_eq!(cause.sqlite_error_code(), Some(ErrorCode::DiskFull), "{more}");
            sale.outside().execute_batch("BEGIN IMMEDIATE; ROLLBACK").expect("the file is free for others");
            assert_eq!(sale.rows(), rows, "{more}");
            assert_eq!((sale.records().await, sale.changes().await), (records, changes), "{more}");
            sale.audit().await;
            // Still the same connection: another one would have no limit.
            assert_eq!(sale.pragma("max_page_count").await, limit);
            sale.limit(NO_LIMIT).await;
            let again = sale.repository.commit(&event(), &holds()).await.unwrap();
            assert_eq!(again, vec![GroupOutcome::Committed; GROUPS.into()], "{more}");
        }
        sale.audit().await;
        assert!(sale.records().await.values().all(|it| it.record.is_some()), "{more}");
        if let Ok(outcomes) = answer {
            assert_eq!(outcomes, vec![GroupOutcome::Committed; GROUPS.into()]);
            assert!(failed > 10, "it needed {failed} pages");
            return;
        }
    }
    panic!("{PAGES_MAX} pages are not enough");
}
