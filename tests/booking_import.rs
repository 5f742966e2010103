//! Importing an inventory: in chunks, again, and with a report of what the event has already, and differently.

mod common;

use common::sim::simulate;
use common::world::{Hall, area, event, places, pool, refusal, reserved, ticket};
use ticket_reservation::booking::{ImportReport, InventoryConflict, RefusedInventory};
use ticket_reservation::domain::{
    CreateEvent, EventState, IMPORT_CHUNK_MAX, Place, Record, RecordKey, Rejection, TicketId,
};
use ticket_reservation::ports::{LoadRequest, PAGE_MAX, Repository, TicketQuery};

fn many(count: usize) -> Vec<(TicketId, Place)> {
    (0..count).map(|n| (ticket(&format!("seat-{n}")), Place { area: area("A"), row: 1, number: n as u32 })).collect()
}

async fn state(hall: &Hall) -> EventState {
    let request = LoadRequest { event: event(), records: vec![RecordKey::Event], free_in: Vec::new() };
    match &hall.store.load(&request).await.unwrap().get(&RecordKey::Event).unwrap().record {
        Some(Record::Event(found)) => found.state,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_large_inventory_goes_in_chunks_and_is_on_sale_with_the_last_one() {
    simulate(async |sim| {
        let hall = Hall::empty(&sim);
        let service = hall.service();
        let _ = service.create_event(&event(), service.new_operation_id(), CreateEvent::default()).await.unwrap();
        let (store, sizes) = (hall.store.clone(), std::sync::Arc::new(std::sync::Mutex::new(Vec::new())));
        let noted = sizes.clone();
        hall.stage.before_commit(move |groups| {
            let is_ticket = |key: &RecordKey| matches!(key, RecordKey::Ticket(_));
            let tickets = groups.iter().flat_map(|group| &group.writes).filter(|write| is_ticket(&write.key)).count();
            noted.lock().unwrap().push(tickets);
        });
        let added = service.import(&event(), many(2 * IMPORT_CHUNK_MAX + 5), vec![(pool("floor"), 9)]).await.unwrap();
        assert_eq!(added as usize, 2 * IMPORT_CHUNK_MAX + 6);
        assert_eq!(*sizes.lock().unwrap(), [IMPORT_CHUNK_MAX, IMPORT_CHUNK_MAX, 5, 0]);
        assert_eq!(state(&hall).await, EventState::OnSale);
        let query = TicketQuery { event: event(), area: None, only_available: true, after: None, limit: PAGE_MAX };
        assert_eq!(store.tickets(&query).await.unwrap().len(), PAGE_MAX);
    });
}

#[test]
fn an_import_that_differs_is_refused_and_one_with_a_report_goes_on() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[("floor", 5)]).await;
        let service = hall.service();
        let hold = hall.hold("ann", &["A1"], &[("floor", 2)]);
        reserved(service.submit(hold.clone()).await);
        let elsewhere = Place { area: area("Z"), row: 9, number: 9 };
        let mut inventory = places();
        let there = inventory[0].1.clone();
        inventory[0].1 = elsewhere.clone();
        inventory.push((ticket("new"), Place { area: area("A"), row: 3, number: 1 }));
        let pools = vec![(pool("floor"), 6), (pool("roof"), 7)];
        let refused = service.import(&event(), inventory.clone(), pools.clone()).await.unwrap_err();
        assert!(matches!(refused.rejection(), Some(Rejection::InventoryMismatch { .. })), "{refused:?}");

        let report = service.import_with_report(&event(), inventory.clone(), pools.clone()).await.unwrap();
        let expected = [
            RefusedInventory::Ticket {
                ticket: ticket("A1"),
                place: elsewhere,
                why: InventoryConflict::AlreadyAt(there),
            },
            RefusedInventory::Pool { pool: pool("floor"), capacity: 6, why: InventoryConflict::HasCapacity(5) },
        ];
        assert_eq!((report.added, report.refused), (2, expected.to_vec()), "the new ticket and the new pool");
        // What was there keeps its state: ann has her seat.
        assert!(matches!(refusal(service.submit(hall.hold("bob", &["A1"], &[])).await), Rejection::Unavailable { .. }));
        assert_eq!(hall.pool_row("floor").capacity, 5);

        let again = service.import_with_report(&event(), inventory, pools).await.unwrap();
        assert_eq!((again.added, again.refused.len()), (0, 2));
        hall.audit();
    });
}

/// Both words about a ticket and about a pool are left out, whether they come in one chunk or in two.
#[test]
fn what_an_inventory_names_twice_is_left_out_wherever_in_it() {
    for between in [1, IMPORT_CHUNK_MAX] {
        simulate(async |sim| {
            let hall = Hall::empty(&sim);
            let service = hall.service();
            let _ = service.create_event(&event(), service.new_operation_id(), CreateEvent::default()).await.unwrap();
            let at = |number| Place { area: area("A"), row: 2, number };
            let mut inventory = vec![(ticket("A1"), at(1))];
            inventory.extend(many(between));
            // A plain repetition is no contradiction.
            inventory.extend([(ticket("A1"), at(3)), (ticket("A2"), at(2)), (ticket("A2"), at(2))]);
            let pools = vec![(pool("floor"), 5), (pool("roof"), 7), (pool("floor"), 6)];

            let refused = service.import(&event(), inventory.clone(), pools.clone()).await.unwrap_err();
            let named_twice = Rejection::InventoryMismatch { tickets: vec![ticket("A1")], pools: vec![pool("floor")] };
            assert_eq!(refused.rejection(), Some(&named_twice));
            let query = TicketQuery { event: event(), area: None, only_available: false, after: None, limit: 1 };
            assert!(hall.store.tickets(&query).await.unwrap().is_empty(), "nothing was imported");

            let report = service.import_with_report(&event(), inventory, pools).await.unwrap();
            let why = InventoryConflict::NamedTwice;
            let word = |place| RefusedInventory::Ticket { ticket: ticket("A1"), place, why: why.clone() };
            let pool_word = |capacity| RefusedInventory::Pool { pool: pool("floor"), capacity, why: why.clone() };
            assert_eq!(report.refused, [word(at(1)), word(at(3)), pool_word(5), pool_word(6)]);
            assert_eq!(report.added as usize, between + 2, "seat-0 and so on, A2, and the roof");
            assert_eq!(state(&hall).await, EventState::OnSale);
        });
    }
}

#[test]
fn an_event_that_does_not_exist_has_no_inventory() {
    simulate(async |sim| {
        let hall = Hall::empty(&sim);
        let failed: Result<ImportReport, _> = hall.service().import_with_report(&event(), places(), Vec::new()).await;
        assert_eq!(failed.unwrap_err().rejection(), Some(&Rejection::UnknownEvent));
    });
}
