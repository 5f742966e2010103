//! What the repositories do by themselves: a load, and commits of 1, 10, 100 and 1,000 holds, all of one pool in one group or
//! each of a seat of its own in a group of its own.
//!
//! `cargo bench --features sqlite,postgres --bench repository`: those that are compiled in. PostgreSQL is a private server that
//! writes to the disk what it acknowledges, as SQLite does; beside it, the same rows by `SELECT … FOR UPDATE` in a transaction for
//! each hold. SQL Server is the one that TICKET_RESERVATION_MSSQL_URL names, with a schema of its own that stays.

#[cfg(feature = "postgres")]
mod for_update;
#[cfg(feature = "mssql")]
#[path = "../common/mssql_server.rs"]
mod mssql_server;
#[cfg(feature = "postgres")]
#[path = "../../examples/flash_sale/postgres_server/mod.rs"]
mod postgres_server;
#[path = "../../examples/flash_sale/runtime.rs"]
mod runtime;

use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use runtime::TokioRuntime;
use ticket_reservation::adapters::memory::MemoryRepository;
use ticket_reservation::domain::{
    ActionKind, AreaId, CustomerId, Event, EventId, EventState, Fingerprint, Lines, OperationRecord, Place, Pool,
    PoolId, Record, RecordKey, Recorded, Reservation, ReservationId, ReservationState, SalesWindow, Ticket, TicketId,
    TicketState, Timestamp,
};
use ticket_reservation::ports::{Clock, Group, GroupOutcome, LoadRequest, Repository, RuntimeExt, Write};
use tokio::runtime::{Handle, Runtime};

const SIZES: [u64; 4] = [1, 10, 100, 1_000];
/// As many seats as the largest commit takes.
const SEATS: u64 = 1_000;
const DEADLINE: Timestamp = Timestamp::from_micros(4_000_000_000_000_000);

fn event() -> EventId {
    EventId::new("gala").expect("an id")
}

fn pool() -> PoolId {
    PoolId::new("standing").expect("an id")
}

fn seat(number: u64) -> TicketId {
    TicketId::new(format!("seat-{number:04}")).expect("an id")
}

fn place(number: u64) -> Place {
    Place { area: AreaId::new("stalls").expect("an id"), row: 1, number: number as u32 }
}

/// A store with an event, and the versions of what was written to it.
struct Sale {
    repository: Arc<dyn Repository>,
    runtime: Arc<TokioRuntime>,
    pool_version: u64,
    seat_version: Vec<u64>,
}

impl Sale {
    async fn open(repository: Arc<dyn Repository>) -> Self {
        let runtime = Arc::new(TokioRuntime::new(Handle::current()));
        let mut sale = Self { repository, runtime, pool_version: 0, seat_version: vec![0; SEATS as usize] };
        let event = Event { state: EventState::OnSale, window: SalesWindow::default(), limit_per_customer: None };
        let mut group = sale.group([(RecordKey::Event, 0, Record::Event(event))]);
        let empty = Pool::with_capacity(u32::MAX);
        group.writes.push(sale.write(RecordKey::Pool(pool()), 0, Record::Pool(empty)));
        sale.commit(vec![group]).await;
        let seats = (0..SEATS).map(|n| (RecordKey::Ticket(seat(n)), 0, Record::Ticket(Ticket::available(place(n)))));
        let group = sale.group(seats);
        sale.commit(vec![group]).await;
        sale.pool_version = 1;
        sale.seat_version.fill(1);
        sale
    }

    fn write(&self, key: RecordKey, version: u64, record: Record) -> Write {
        Write { key, version, decided_at: self.runtime.unix_time(), record }
    }

    fn group(&self, writes: impl IntoIterator<Item = (RecordKey, u64, Record)>) -> Group {
        let mut writes: Vec<Write> =
            writes.into_iter().map(|(key, version, record)| self.write(key, version, record)).collect();
        writes.sort_by(|left, right| left.key.cmp(&right.key));
        Group { reads: Vec::new(), writes, ..Group::default() }
    }

    /// A hold's reservation and operation.
    fn hold(&self, lines: Lines) -> (ReservationId, [(RecordKey, u64, Record); 2]) {
        let (id, operation) = (self.runtime.reservation_id(), self.runtime.operation_id());
        let customer = CustomerId::new(format!("customer-{}", id.as_uuid())).expect("an id");
        let state = ReservationState::Held { until: DEADLINE };
        let held_at = self.runtime.unix_time();
        let reservation = Reservation { id, event: event(), customer: customer.clone(), lines, state, held_at };
        let recorded = Recorded::Applied {
            kind: ActionKind::Hold,
            reservation: Some(id),
            customer: Some(customer),
            until: Some(DEADLINE),
            changed: 0,
        };
        let record = OperationRecord { event: event(), fingerprint: Fingerprint::from_bytes([7; 16]), recorded };
        let writes = [
            (RecordKey::Reservation(id), 0, Record::Reservation(reservation)),
            (RecordKey::Operation(operation), 0, Record::Operation(record)),
        ];
        (id, writes)
    }

    /// Holds of one pool: one group.
    fn hot(&mut self, holds: u64) -> Vec<Group> {
        let lines = Lines::merge([], [(pool(), 1)]).expect("one place");
        let held = Pool { capacity: u32::MAX, held: self.pool_version as u32, booked: 0 };
        let mut writes = vec![(RecordKey::Pool(pool()), self.pool_version, Record::Pool(held))];
        (0..holds).for_each(|_| writes.extend(self.hold(lines.clone()).1));
        self.pool_version += 1;
        vec![self.group(writes)]
    }

    /// Holds of a seat each: a group each.
    fn spread(&mut self, holds: u64) -> Vec<Group> {
        let group = |n: u64| {
            let (reservation, writes) = self.hold(Lines::merge([seat(n)], []).expect("one seat"));
            let state = TicketState::Held { reservation, until: DEADLINE };
            let ticket = Record::Ticket(Ticket { place: place(n), state });
            let version = self.seat_version[n as usize];
            self.group(writes.into_iter().chain([(RecordKey::Ticket(seat(n)), version, ticket)]))
        };
        let groups = (0..holds).map(group).collect();
        self.seat_version[..holds as usize].iter_mut().for_each(|version| *version += 1);
        groups
    }

    async fn commit(&self, groups: Vec<Group>) -> Duration {
        let (event, started) = (event(), Instant::now());
        let outcomes = self.repository.commit(&event, &groups).await.expect("it is written");
        let took = started.elapsed();
        assert!(outcomes.iter().all(|outcome| *outcome == GroupOutcome::Committed), "{outcomes:?}");
        took
    }
}

fn repositories(
    tokio: &Runtime,
    #[cfg_attr(not(feature = "postgres"), expect(unused_variables, reason = "no store has one"))] postgres_url: &str,
) -> Vec<(&'static str, Arc<dyn Repository>)> {
    let _inside = tokio.enter();
    let repositories: Vec<(&'static str, Arc<dyn Repository>)> = vec![
        ("memory", Arc::new(MemoryRepository::new())),
        #[cfg(feature = "sqlite")]
        ("sqlite", sqlite()),
        #[cfg(feature = "postgres")]
        ("postgres", tokio.block_on(postgres(postgres_url))),
    ];
    #[cfg(feature = "mssql")]
    let repositories = repositories.into_iter().chain(tokio.block_on(mssql())).collect();
    repositories
}

#[cfg(feature = "sqlite")]
fn sqlite() -> Arc<dyn Repository> {
    use ticket_reservation::adapters::sqlite::SqliteRepository;
    // Until the process ends.
    let folder = tempfile::tempdir().expect("a folder").keep();
    Arc::new(SqliteRepository::builder(folder.join("sale.db")).open().expect("a store"))
}

#[cfg(feature = "postgres")]
async fn postgres(url: &str) -> Arc<dyn Repository> {
    use ticket_reservation::adapters::postgres::PostgresRepository;
    let runtime = Arc::new(TokioRuntime::new(Handle::current()));
    let store = PostgresRepository::builder(url, runtime).plain_on_loopback().build().expect("an address");
    store.migrate().await.expect("tables");
    Arc::new(store)
}

#[cfg(feature = "mssql")]
async fn mssql() -> Option<(&'static str, Arc<dyn Repository>)> {
    let connection_string = mssql_server::connection_string()?;
    let runtime = Arc::new(TokioRuntime::new(Handle::current()));
    let schema = format!("bench {:016x}", rand::random::<u64>());
    let store = mssql_server::builder(&connection_string, &schema, runtime);
    let store = store.call_timeout(Duration::from_secs(120)).build().expect("a connection string");
    store.migrate().await.expect("tables");
    Some(("mssql", Arc::new(store)))
}

fn repository(criterion: &mut Criterion) {
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let mut group = criterion.benchmark_group("repository");
    group.sample_size(10).measurement_time(Duration::from_secs(2)).warm_up_time(Duration::from_millis(500));
    #[cfg(feature = "postgres")]
    let server = postgres_server::PostgresServer::start(postgres_server::Durability::Durable).expect("a server");
    #[cfg(feature = "postgres")]
    let postgres_url = server.url();
    #[cfg(not(feature = "postgres"))]
    let postgres_url = String::new();
    for (name, repository) in repositories(&tokio, &postgres_url) {
        let mut sale = tokio.block_on(Sale::open(repository));
        let records = vec![RecordKey::Event, RecordKey::Pool(pool()), RecordKey::Ticket(seat(7))];
        let request = LoadRequest { event: event(), records, free_in: Vec::new() };
        group.throughput(Throughput::Elements(1));
        group.bench_function(BenchmarkId::new("load", name), |bencher| {
            bencher.iter(|| tokio.block_on(sale.repository.load(&request)).expect("a snapshot"));
        });
        for (demand, is_hot) in [("hot", true), ("spread", false)] {
            for holds in SIZES {
                group.throughput(Throughput::Elements(holds));
                group.bench_function(BenchmarkId::new(format!("commit {holds} {demand}"), name), |bencher| {
                    bencher.iter_custom(|times| {
                        let time = |_| {
                            let groups = if is_hot { sale.hot(holds) } else { sale.spread(holds) };
                            tokio.block_on(sale.commit(groups))
                        };
                        (0..times).map(time).sum()
                    });
                });
            }
        }
    }
    #[cfg(feature = "postgres")]
    {
        let buyers = tokio.block_on(for_update::buyers(&postgres_url));
        group.throughput(Throughput::Elements(for_update::CONNECTIONS));
        group.bench_function(
            BenchmarkId::new("1 hold for each of 16 connections, FOR UPDATE", "postgres"),
            |bencher| {
                bencher.iter_custom(|times| tokio.block_on(for_update::holds(&buyers, times)));
            },
        );
    }
    group.finish();
}

criterion_group!(benches, repository);
criterion_main!(benches);
