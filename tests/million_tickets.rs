//! An event of a million tickets, in memory, on SQLite and on PostgreSQL: imported, counted, listed and sold.
//!
//! `cargo test --release --features sqlite --test million_tickets -- --nocapture` says how long each step takes.

mod common;
#[cfg(feature = "postgres")]
#[path = "../examples/flash_sale/postgres_server/mod.rs"]
mod postgres_server;

use std::sync::Arc;
#[cfg(feature = "postgres")]
use std::time::Duration;
use std::time::Instant;

use common::runtime::TestRuntime;
use ticket_reservation::adapters::memory::MemoryRepository;
use ticket_reservation::booking::BookingService;
#[cfg(feature = "postgres")]
use ticket_reservation::domain::PoolId;
use ticket_reservation::domain::{AreaId, CreateEvent, CustomerId, EventId, Hold, Lines, Place, Rejection, TicketId};
use ticket_reservation::ports::{AreaAvailability, PAGE_MAX, Repository, TicketQuery};
use tokio::sync::Mutex;

const TICKETS: usize = 1_000_000;
const AREAS: usize = 10;
const OF_AREA: usize = TICKETS / AREAS;
/// Of the whole process, for each ticket in memory.
const BYTES_MAX: usize = 1_000;

/// The size of the process is one store's.
static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

fn event() -> EventId {
    EventId::new("stadium").unwrap()
}

/// In the order of their ids.
fn ticket(number: usize) -> TicketId {
    TicketId::new(format!("seat-{number:06}")).unwrap()
}

fn area(of: usize) -> AreaId {
    AreaId::new(format!("area-{of}")).unwrap()
}

fn inventory() -> Vec<(TicketId, Place)> {
    let place = |number: usize| {
        let (row, number_in_row) = (number % OF_AREA / 100, number % 100);
        Place { area: area(number / OF_AREA), row: row as u32, number: number_in_row as u32 }
    };
    (0..TICKETS).map(|number| (ticket(number), place(number))).collect()
}

/// An event of a million tickets, of which these are taken.
struct Stadium {
    store: Arc<dyn Repository>,
    service: BookingService,
    held: Vec<usize>,
    booked: Vec<usize>,
}

impl Stadium {
    async fn open(store: Arc<dyn Repository>) -> Self {
        let service = BookingService::builder(Arc::clone(&store), TestRuntime::current()).build().unwrap();
        let _ = service.create_event(&event(), service.new_operation_id(), CreateEvent::default()).await.unwrap();
        let inventory = inventory();
        let started = Instant::now();
        assert_eq!(service.import(&event(), inventory, Vec::new()).await.unwrap() as usize, TICKETS);
        println!("imported in {:.1} s", started.elapsed().as_secs_f64());
        Self { store, service, held: Vec::new(), booked: Vec::new() }
    }

    async fn sell(&mut self, held: &[usize], booked: &[usize]) {
        let started = Instant::now();
        for (numbers, name) in [(held, "ann"), (booked, "bob")] {
            let (customer, reservation) = (CustomerId::new(name).unwrap(), self.service.new_reservation_id());
            let lines = Lines::merge(numbers.iter().copied().map(ticket), []).unwrap();
            let hold = Hold::new(reservation, customer.clone(), lines);
            self.service.hold(&event(), self.service.new_operation_id(), hold).await.unwrap();
            if name == "bob" {
                let operation = self.service.new_operation_id();
                self.service.confirm(&event(), operation, reservation, customer).await.unwrap();
            }
        }
        self.held.extend_from_slice(held);
        self.booked.extend_from_slice(booked);
        println!("two holds and a confirmation in {:?}", started.elapsed());
    }

    /// What named seats do not need: pools, allowances, expired holds, best available, sweeping and forgetting.
    #[cfg(feature = "postgres")]
    async fn sells_otherwise(&mut self) {
        let service = &self.service;
        let (other, standing) = (EventId::new("matinee").unwrap(), PoolId::new("standing").unwrap());
        let limited = CreateEvent { limit_per_customer: Some(20), ..CreateEvent::default() };
        let _ = service.create_event(&other, service.new_operation_id(), limited).await.unwrap();
        service.import(&other, Vec::new(), vec![(standing.clone(), 1_000)]).await.unwrap();
        let ann = CustomerId::new("ann").unwrap();
        let hold = async |ttl| {
            let places = Lines::merge([], [(standing.clone(), 2)]).unwrap();
            let hold = Hold { ttl, ..Hold::new(service.new_reservation_id(), ann.clone(), places) };
            service.hold(&other, service.new_operation_id(), hold).await.unwrap().id
        };
        let (booked, released) = (hold(None).await, hold(None).await);
        service.confirm(&other, service.new_operation_id(), booked, ann.clone()).await.unwrap();
        service.release(&other, service.new_operation_id(), released, ann.clone()).await.unwrap();
        hold(Some(Duration::from_millis(1))).await;
        while self.store.lapsed(10).await.unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        hold(None).await;
        service.sweep(10).await.unwrap();
        let neighbours = Hold::new(service.new_reservation_id(), ann.clone(), Lines::default());
        let neighbours = neighbours.with_best_available(area(3), 2);
        let found = service.hold(&event(), service.new_operation_id(), neighbours).await.unwrap();
        let number = |id: &TicketId| id.as_str()["seat-".len()..].parse::<usize>().unwrap();
        self.held.extend(found.lines.tickets().iter().map(number));
        self.store.purge(Duration::from_secs(3_600), 100).await.unwrap();
    }

    async fn refuses(&self, number: usize) {
        let (carl, lines) = (CustomerId::new("carl").unwrap(), Lines::merge([ticket(number)], []).unwrap());
        let hold = Hold::new(self.service.new_reservation_id(), carl, lines);
        let refused = self.service.hold(&event(), self.service.new_operation_id(), hold).await.unwrap_err();
        assert!(matches!(refused.rejection(), Some(Rejection::Unavailable { .. })), "{refused:?}");
    }

    async fn is_counted(&self) {
        let taken = |taken: &[usize], of: usize| taken.iter().filter(|number| **number / OF_AREA == of).count() as u64;
        let count = |of: usize| {
            let (held, booked, tickets) = (taken(&self.held, of), taken(&self.booked, of), OF_AREA as u64);
            let available = tickets - held - booked;
            AreaAvailability { area: area(of), tickets, available, held, booked, blocked: 0 }
        };
        let started = Instant::now();
        let found = self.store.availability(&event()).await.unwrap();
        println!("counted in {:?}", started.elapsed());
        assert_eq!(found.areas, (0..AREAS).map(count).collect::<Vec<_>>());
    }

    /// Three pages of the available tickets after one of them, of an area or of all.
    async fn is_listed(&self, area: Option<AreaId>, after: usize) {
        let mut query =
            TicketQuery { event: event(), area, only_available: true, after: Some(ticket(after)), limit: PAGE_MAX };
        let is_free = |number: &usize| !self.held.contains(number) && !self.booked.contains(number);
        let mut expected = (after + 1..).filter(is_free);
        let started = Instant::now();
        for _ in 0..3 {
            let page = self.store.tickets(&query).await.unwrap();
            assert_eq!(page.len(), PAGE_MAX);
            for (id, version, _) in &page {
                assert_eq!((id, *version), (&ticket(expected.next().unwrap()), 1));
            }
            query.after = page.last().map(|(id, ..)| id.clone());
        }
        println!("three pages of {:?} in {:?}", query.area, started.elapsed());
    }

    async fn sells_and_counts(mut self) {
        self.is_counted().await;
        self.is_listed(None, 0).await;
        self.sell(&[5, 10_001, 777_777], &[1, 10_000, 700_001, TICKETS - 1]).await;
        self.is_counted().await;
        self.is_listed(None, 0).await;
        self.is_listed(Some(area(7)), 7 * OF_AREA).await;
        for taken in [5, TICKETS - 1] {
            self.refuses(taken).await;
        }
        self.sell(&[6], &[7]).await;
        self.is_counted().await;
    }
}

/// What the process has in memory, where the system says so.
fn resident() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?.trim().strip_suffix(" kB")?;
    Some(kib.parse::<usize>().ok()? * 1_024)
}

#[tokio::test]
#[cfg_attr(debug_assertions, ignore = "takes 20 s unoptimised, 3 s with `cargo test --release --features sqlite`")]
async fn a_million_tickets_are_sold_in_memory() {
    let _one = ONE_AT_A_TIME.lock().await;
    let before = resident();
    let stadium = Stadium::open(Arc::new(MemoryRepository::new())).await;
    if let (Some(before), Some(after)) = (before, resident()) {
        let each = after.saturating_sub(before) / TICKETS;
        println!("{each} bytes for each ticket, with its row of the change feed and what the import needed");
        assert!(each < BYTES_MAX, "{each} bytes for each ticket");
    }
    stadium.sells_and_counts().await;
}

#[cfg(feature = "sqlite")]
#[tokio::test]
#[cfg_attr(debug_assertions, ignore = "takes 26 s unoptimised, 8 s with `cargo test --release --features sqlite`")]
async fn a_million_tickets_are_sold_on_sqlite() {
    use ticket_reservation::adapters::sqlite::SqliteRepository;
    let _one = ONE_AT_A_TIME.lock().await;
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteRepository::builder(folder.path().join("sale.db")).open().unwrap();
    Stadium::open(Arc::new(store)).await.sells_and_counts().await;
}

#[cfg(feature = "postgres")]
#[tokio::test]
#[cfg_attr(debug_assertions, ignore = "takes a minute with `cargo test --release --features postgres`")]
async fn a_million_tickets_are_sold_on_postgres() {
    use ticket_reservation::adapters::postgres::PostgresRepository;
    let _one = ONE_AT_A_TIME.lock().await;
    let server = postgres_server::PostgresServer::start(postgres_server::Durability::Durable).unwrap();
    let builder = PostgresRepository::builder(server.url(), TestRuntime::current());
    let store = builder.plain_on_loopback().build().unwrap();
    store.migrate().await.unwrap();
    let mut stadium = Stadium::open(Arc::new(store)).await;
    explains_what_new_connections_do(&server);
    stadium.sell(&[11], &[12, 500_013]).await;
    stadium.refuses(12).await;
    stadium.sells_otherwise().await;
    rows_are_found_by_indexes_alone(&server);
    stadium.sells_and_counts().await;
}

/// From here on the server writes down how it runs each statement of a function too, and no connection of before is there.
#[cfg(feature = "postgres")]
fn explains_what_new_connections_do(server: &postgres_server::PostgresServer) {
    for setting in [
        "session_preload_libraries = 'auto_explain'",
        "auto_explain.log_min_duration = 0",
        "auto_explain.log_nested_statements = on",
    ] {
        server.psql(&format!("ALTER DATABASE postgres SET {setting}")).unwrap();
    }
    let ours = "SELECT pid FROM pg_stat_activity WHERE application_name = 'ticket-reservation'";
    server.psql(&format!("SELECT count(pg_terminate_backend(pid, 10000)) FROM ({ours}) AS it")).unwrap();
}

/// Of the tables that grow none is gone through from its start, and none has so much as a bitmap.
#[cfg(feature = "postgres")]
fn rows_are_found_by_indexes_alone(server: &postgres_server::PostgresServer) {
    let said = server.said();
    let lines: Vec<&str> = said.lines().map(str::trim).collect();
    let plans: Vec<&str> = lines.iter().copied().filter(|line| line.contains("Scan")).collect();
    let by_first_column = ["reservation_pkey", "operation_pkey", "event_pkey", "hold_pkey", "hold_by_deadline"];
    let of_several =
        ["ticket_pkey", "ticket_by_area", "pool_pkey", "allowance_pkey", "hold_by_pool", "hold_by_customer"];
    for index in by_first_column.iter().chain(&of_several) {
        assert!(plans.iter().any(|plan| plan.contains(&format!("using {index} on"))), "{index} is not used: {plans:?}");
    }
    // By the event alone they would find all that the event has.
    for pair in lines.windows(2) {
        let is_of_several = of_several.iter().any(|index| pair[0].contains(&format!("using {index} on")));
        assert!(!is_of_several || (pair[1].starts_with("Index Cond:") && pair[1].contains(" AND ")), "{pair:?}");
    }
    for plan in plans {
        // One row, and no index could be better.
        let is_of_the_store = plan.contains("Seq Scan on store");
        assert!(is_of_the_store || !(plan.contains("Seq Scan") || plan.contains("Bitmap")), "{plan}");
    }
}
