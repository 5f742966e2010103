//! Not kept.
mod common;
use std::sync::Arc;
use std::time::Instant;
use common::runtime::TestRuntime;
use ticket_reservation::adapters::sqlite::{SqliteRepository, rusqlite};
use ticket_reservation::booking::BookingService;
use ticket_reservation::domain::*;
use ticket_reservation::ports::*;
#[tokio::test]
async fn measure() {
    for round in 0..6 {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sale.db");
        let store = Arc::new(SqliteRepository::builder(&path).open().unwrap());
        let with = round % 2 == 1;
        if !with {
            rusqlite::Connection::open(&path).unwrap().execute_batch("DROP INDEX ticket_by_area").unwrap();
        }
        let service = BookingService::builder(store.clone(), TestRuntime::current()).build().unwrap();
        let event = EventId::new("e").unwrap();
        let _ = service.create_event(&event, service.new_operation_id(), CreateEvent::default()).await.unwrap();
        let tickets = (0..100_000u32).map(|n| (TicketId::new(format!("seat-{n:06}")).unwrap(), Place { area: AreaId::new(format!("a{}", n / 10_000)).unwrap(), row: n % 10_000 / 100, number: n % 100 })).collect();
        let started = Instant::now();
        assert_eq!(service.import(&event, tickets, Vec::new()).await.unwrap(), 100_000);
        let import = started.elapsed();
        let mut pages = Vec::new();
        if with {
            for limit in [100, 100, 10_000] {
                let started = Instant::now();
                let query = TicketQuery { event: event.clone(), area: Some(AreaId::new("a5").unwrap()), only_available: false, after: None, limit };
                assert_eq!(store.tickets(&query).await.unwrap().len(), limit);
                pages.push(started.elapsed());
            }
        }
        println!("with index {with}: import {import:?} pages {pages:?}");
    }
}
