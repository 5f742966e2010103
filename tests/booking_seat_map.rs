//! A host follows the change feed, with a seat map or row by row, whatever happens while it reads.

mod common;

use std::collections::BTreeMap;

use common::audit::all_tickets;
use common::sim::simulate;
use common::stage::Stage;
use common::world::{Hall, event, millis, pool, record, reserved, seconds, ticket};
use futures_util::{FutureExt, StreamExt};
use ticket_reservation::booking::{Applied, SeatMap};
use ticket_reservation::domain::{Pool, RecordKey, Ticket, TicketId};
use ticket_reservation::ports::{Change, ChangesError, Repository};

fn assert_is_up_to_date(map: &SeatMap, hall: &Hall) {
    let shown: Vec<(TicketId, Ticket)> = map.tickets().map(|(id, ticket)| (id.clone(), ticket.clone())).collect();
    let stored: BTreeMap<TicketId, Ticket> = all_tickets(&hall.store).into_iter().collect();
    assert_eq!(shown, stored.into_iter().collect::<Vec<_>>());
    let shown: Vec<Pool> = map.pools().map(|(_, pool)| pool.clone()).collect();
    assert_eq!(shown, [hall.pool_row("floor")]);
}

#[test]
fn a_map_shows_what_is_sold_and_only_what_has_changed_since() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[("floor", 5)]).await;
        let service = hall.service();
        let hold = hall.hold("ann", &["A1", "A2"], &[("floor", 2)]);
        reserved(service.submit(hold.clone()).await);
        let mut map = SeatMap::read(&hall.store, &event()).await.unwrap();
        assert_is_up_to_date(&map, &hall);
        assert!(map.update(&hall.store).await.unwrap().is_empty());

        reserved(service.submit(hall.confirm(&hold)).await);
        service.submit(hall.block(&["B7"])).await.unwrap();
        let mut changed = map.update(&hall.store).await.unwrap();
        changed.sort();
        changed.dedup();
        let pool = RecordKey::Pool(pool("floor"));
        assert_eq!(changed, [record("A1"), record("A2"), record("B7"), pool]);
        assert_is_up_to_date(&map, &hall);
        assert_eq!(map.ticket(&ticket("A1")), Some(&all_tickets(&hall.store)[&ticket("A1")]));
    });
}

#[test]
fn a_map_is_read_from_a_long_feed_without_reading_it_all() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[("floor", 5)]).await;
        let service = hall.service();
        for _ in 0..150 {
            let hold = hall.hold("ann", &["A1"], &[("floor", 1)]);
            reserved(service.submit(hold.clone()).await);
            reserved(service.submit(hall.release(&hold)).await);
        }
        let map = SeatMap::read(&hall.store, &event()).await.unwrap();
        // An event, 20 tickets and a pool were imported; each hold and each release changed three records.
        assert_eq!(map.through(), 23 + 300 * 3);
        assert_is_up_to_date(&map, &hall);
    });
}

#[test]
fn a_map_is_kept_up_to_date_by_rows_that_somebody_else_has_read() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[("floor", 5)]).await;
        let service = hall.service();
        let mut map = SeatMap::read(&hall.store, &event()).await.unwrap();
        let mut late = map.clone();
        let start = map.through();
        let hold = hall.hold("ann", &["A1"], &[("floor", 2)]);
        reserved(service.submit(hold.clone()).await);
        reserved(service.submit(hall.confirm(&hold)).await);
        let rows = hall.store.changes(&event(), 0, 1_000).await.unwrap();
        let (known, news) = rows.split_at(usize::try_from(start).unwrap());

        // What happened before the map was read is old, and so is what it has been told.
        assert!(known.iter().all(|row| map.apply(row) == Applied::Old));
        let told: Vec<Applied> = news.iter().map(|row| map.apply(row)).collect();
        let is_drawn = |row: &Change| matches!(row.key, RecordKey::Ticket(_) | RecordKey::Pool(_));
        let expected = news.iter().map(|row| if is_drawn(row) { Applied::Changed } else { Applied::Unchanged });
        assert_eq!(told, expected.collect::<Vec<_>>());
        assert!(news.iter().all(|row| map.apply(row) == Applied::Old));
        assert_eq!(map.through(), start + news.len() as u64);
        assert_is_up_to_date(&map, &hall);

        // A row that does not come next changes nothing; what is missing is read from the store.
        let before = late.clone();
        assert!(news[1..].iter().all(|row| late.apply(row) == Applied::Gap));
        assert_eq!(late, before);
        while !late.update(&hall.store).await.unwrap().is_empty() {}
        assert_eq!(late, map);
    });
}

#[test]
fn a_map_that_knows_a_later_version_is_moved_on_and_not_back() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[("floor", 5)]).await;
        let service = hall.service();
        let mut map = SeatMap::read(&hall.store, &event()).await.unwrap();
        reserved(service.submit(hall.hold("ann", &["A1"], &[])).await);
        let rows = hall.store.changes(&event(), map.through(), 1_000).await.unwrap();
        let row = rows.iter().find(|row| row.key == record("A1")).unwrap();
        let next = |version| Change { sequence: map.through() + 1, version, ..row.clone() };
        let (later, earlier) = (next(row.version + 1), next(row.version));
        assert_eq!(map.apply(&later), Applied::Changed);
        let earlier = Change { sequence: map.through() + 1, ..earlier };
        assert_eq!(map.apply(&earlier), Applied::Unchanged);
        assert_eq!(map.through(), earlier.sequence);
    });
}

#[test]
fn a_map_that_fell_behind_the_purge_is_told_and_a_new_one_can_be_read() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[("floor", 5)]).await;
        let service = hall.service();
        let mut map = SeatMap::read(&hall.store, &event()).await.unwrap();
        reserved(service.submit(hall.hold("ann", &["A1"], &[])).await);
        sim.sleep_for(seconds(8 * 24 * 3_600)).await;
        reserved(service.submit(hall.hold("bob", &["A2"], &[])).await);
        while service.sweep(1_000).await.unwrap().purged.changes > 0 {}
        assert!(matches!(map.update(&hall.store).await, Err(ChangesError::Truncated { .. })));
        let map = SeatMap::read(&hall.store, &event()).await.unwrap();
        assert_is_up_to_date(&map, &hall);
    });
}

/// Whichever of its reads of the feed a purge comes before.
#[test]
fn a_map_that_a_purge_overtakes_while_it_is_read_is_read_anew() {
    for purged_before in 1..=24 {
        simulate(async |sim| {
            let hall = Hall::open(&sim, &[("floor", 5)]).await;
            let service = hall.service();
            reserved(service.submit(hall.hold("ann", &["A1"], &[("floor", 2)])).await);
            sim.sleep_for(seconds(60)).await;
            let stage = Stage::new(hall.store.clone());
            let (store, mut reads) = (hall.store.clone(), 0);
            stage.before_changes(move || {
                reads += 1;
                if reads == purged_before {
                    store.purge(seconds(1), 1_000).now_or_never().unwrap().unwrap();
                }
            });
            let map = SeatMap::read(&*stage, &event()).await.unwrap();
            assert_is_up_to_date(&map, &hall);
            assert_eq!(map.through(), 26);
        });
    }
}

#[test]
fn a_stream_of_changes_goes_on_with_those_that_come() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[("floor", 5)]).await;
        let service = hall.service();
        let stored = hall.store.changes(&event(), 0, 1_000).await.unwrap();
        let mut stream = service.follow(&event(), 3, millis(10));
        let mut seen: Vec<Change> = Vec::new();
        while let Some(next) = stream.next().now_or_never() {
            seen.push(next.expect("it has no end").unwrap());
        }
        assert_eq!(seen, stored[3..]);
        let waiting = sim.start(async move { (stream.next().await.unwrap().unwrap(), stream) });
        sim.sleep_for(millis(25)).await;
        reserved(service.submit(hall.hold("ann", &["A1"], &[])).await);
        let (change, _stream) = waiting.answer().await;
        assert_eq!(change.sequence, stored.len() as u64 + 1);
        assert_eq!(sim.elapsed(), millis(30), "asked again every 10 ms");
    });
}

#[test]
fn a_stream_that_fell_behind_the_purge_says_so_and_ends() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[("floor", 5)]).await;
        let service = hall.service();
        sim.sleep_for(seconds(8 * 24 * 3_600)).await;
        reserved(service.submit(hall.hold("bob", &["A2"], &[])).await);
        while service.sweep(1_000).await.unwrap().purged.changes > 0 {}
        let mut stream = service.follow(&event(), 0, millis(10));
        assert!(matches!(stream.next().await, Some(Err(ChangesError::Truncated { .. }))));
        assert!(stream.next().await.is_none());
    });
}
