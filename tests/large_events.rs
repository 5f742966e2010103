//! An event may have more pools than a page has rows: all of them are listed, shown and sold.

mod common;

use std::sync::Arc;

use common::runtime::TestRuntime;
use ticket_reservation::adapters::memory::MemoryRepository;
use ticket_reservation::booking::{BookingService, SeatMap};
use ticket_reservation::domain::{CreateEvent, CustomerId, EventId, Hold, Lines, PoolId};
use ticket_reservation::ports::{PoolQuery, Repository};

const POOLS: usize = 25_000;

/// In the order of their ids.
fn pool(number: usize) -> PoolId {
    PoolId::new(format!("pool-{number:05}")).unwrap()
}

async fn sells_all_pools(store: Arc<dyn Repository>) {
    let service = BookingService::builder(Arc::clone(&store), TestRuntime::current()).build().unwrap();
    let event = EventId::new("festival").unwrap();
    let _ = service.create_event(&event, service.new_operation_id(), CreateEvent::default()).await.unwrap();
    let pools = (0..POOLS).map(|number| (pool(number), 3)).collect();
    assert_eq!(service.import(&event, Vec::new(), pools).await.unwrap() as usize, POOLS);

    // Of the first one, the last one, and one that no page of ten thousand has.
    let sold = [0, 24_000, POOLS - 1];
    let lines = Lines::merge([], sold.map(|number| (pool(number), 2))).unwrap();
    let (ann, reservation) = (CustomerId::new("ann").unwrap(), service.new_reservation_id());
    let hold = Hold::new(reservation, ann.clone(), lines);
    service.hold(&event, service.new_operation_id(), hold).await.unwrap();
    service.confirm(&event, service.new_operation_id(), reservation, ann).await.unwrap();
    let booked = |number: usize| if sold.contains(&number) { 2 } else { 0 };

    let mut listed = Vec::new();
    let mut query = PoolQuery { event: event.clone(), after: None, limit: 7_000 };
    loop {
        let page = store.pools(&query).await.unwrap();
        let Some((last, ..)) = page.last() else { break };
        query.after = Some(last.clone());
        listed.extend(page);
    }
    assert_eq!(listed.len(), POOLS);
    let free = store.availability(&event).await.unwrap().pools;
    assert_eq!(free.len(), POOLS);
    let map = SeatMap::read(&*store, &event).await.unwrap();
    assert_eq!(map.pools().count(), POOLS);
    for (number, (((id, _, listed), free), (shown_id, shown))) in listed.iter().zip(&free).zip(map.pools()).enumerate()
    {
        assert_eq!([id, &free.pool, shown_id], [&pool(number); 3]);
        assert_eq!((listed.booked, free.booked, shown.booked), (booked(number), booked(number), booked(number)));
        assert_eq!(free.available, 3 - booked(number));
    }
}

#[tokio::test]
async fn twenty_five_thousand_pools_are_listed_shown_and_sold_in_memory() {
    sells_all_pools(Arc::new(MemoryRepository::new())).await;
}

#[cfg(feature = "sqlite")]
#[tokio::test]
async fn twenty_five_thousand_pools_are_listed_shown_and_sold_on_sqlite() {
    use ticket_reservation::adapters::sqlite::SqliteRepository;
    let folder = tempfile::tempdir().unwrap();
    sells_all_pools(Arc::new(SqliteRepository::builder(folder.path().join("sale.db")).open().unwrap())).await;
}
