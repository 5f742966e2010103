//! What the service does about many records, or on its own.

use std::sync::Arc;
use std::time::Duration;

use super::{CALL_STEPS, LONG_STEPS, dropped_at, is_through};
use crate::booking::{BookingService, InventoryConflict, RefusedInventory};
use crate::conformance::audit;
use crate::conformance::bench::{
    RepositoryBench, blocked, event_id, lines, literal, nth_ticket, place, pool, pool_id, pool_key, reservation,
    ticket_key,
};
use crate::conformance::check::{Checked, ensure, ensure_eq};
use crate::conformance::halting::Halting;
use crate::conformance::service;
use crate::domain::{
    BlockReason, CreateEvent, Event, EventId, EventState, Pool, Record, RecordKey, ReservationState, SalesWindow,
    Ticket, TicketState,
};
use crate::ports::RuntimeExt;

/// What the service does about many records or on its own goes on where it was dropped, and nothing happens twice.
pub(in crate::conformance::repository) async fn work_on_many_records_dropped_at_any_moment_goes_on(
    bench: &RepositoryBench,
) -> Checked {
    let store = Halting::new(bench.open().await?);
    let service = service::on(bench, Arc::clone(&store) as _)?;
    imports(bench, &store, &service).await?;
    imports_with_report(bench, &store, &service).await?;
    blocks(bench, &store, &service).await?;
    sweeps(bench, &store, &service).await
}

async fn imports(bench: &RepositoryBench, store: &Halting, service: &BookingService) -> Checked {
    for step in 0..CALL_STEPS.max {
        let event = event_id(&format!("import {step}"));
        let _ = service.create_event(&event, service.new_operation_id(), CreateEvent::default()).await?;
        let tickets: Vec<_> = (0..3).map(|n| (nth_ticket(n), place(n))).collect();
        let pools = vec![(pool_id("floor"), 9)];
        let answer = dropped_at(store, step, service.import(&event, tickets.clone(), pools.clone())).await;
        let added = service.import(&event, tickets, pools).await?;
        ensure!(added <= 4, "4 were imported, and {added} of them were new");
        let found: Vec<_> = bench.tickets(&event).await?.into_iter().map(|(id, version, _)| (id, version)).collect();
        ensure_eq!(
            found,
            (0..3).map(|n| (nth_ticket(n), 1)).collect::<Vec<_>>(),
            "the tickets, dropped at step {step}"
        );
        let pools = bench.pools(&event).await?;
        ensure_eq!(pools, vec![(pool_id("floor"), 1, Pool::with_capacity(9))], "the pools, dropped at step {step}");
        is_on_sale(bench, &event).await?;
        if is_through(bench, "import", CALL_STEPS, step, answer.transpose()?.is_some())? {
            break;
        }
    }
    Ok(())
}

/// Some of it is refused, which the service finds out on its way.
async fn imports_with_report(bench: &RepositoryBench, store: &Halting, service: &BookingService) -> Checked {
    let other_place = place(9);
    for step in 0..LONG_STEPS.max {
        let event = event_id(&format!("report {step}"));
        let _ = service.create_event(&event, service.new_operation_id(), CreateEvent::default()).await?;
        let there = Record::Ticket(Ticket::available(other_place.clone()));
        bench.put(&event, vec![(ticket_key(0), there), (pool_key("floor"), pool(5, 0, 0))]).await?;
        let tickets: Vec<_> = [(0, 0), (1, 1), (2, 2), (3, 3), (3, 4)].map(|(n, at)| (nth_ticket(n), place(at))).into();
        let pools = vec![(pool_id("balcony"), 4), (pool_id("floor"), 9)];
        let import = || service.import_with_report(&event, tickets.clone(), pools.clone());
        let answer = dropped_at(store, step, import()).await.transpose()?;
        let report = import().await?;

        let refused = |n, at, why| RefusedInventory::Ticket { ticket: nth_ticket(n), place: place(at), why };
        let why = InventoryConflict::HasCapacity(5);
        let expected = [
            refused(3, 3, InventoryConflict::NamedTwice),
            refused(3, 4, InventoryConflict::NamedTwice),
            refused(0, 0, InventoryConflict::AlreadyAt(other_place.clone())),
            RefusedInventory::Pool { pool: pool_id("floor"), capacity: 9, why },
        ];
        for report in answer.iter().chain([&report]) {
            ensure_eq!(report.refused, expected, "what was refused, dropped at step {step}");
        }
        let added = answer.as_ref().map_or(report.added, |answer| answer.added);
        ensure!(added <= 3, "3 were imported, and {added} of them were new");
        let found = bench.tickets(&event).await?.into_iter().map(|(id, version, it)| (id, version, it.place));
        let expected = [(0, 9), (1, 1), (2, 2)].map(|(n, at)| (nth_ticket(n), 1, place(at)));
        ensure_eq!(found.collect::<Vec<_>>(), expected, "the tickets, dropped at step {step}");
        let expected = [("balcony", 4), ("floor", 5)].map(|(id, places)| (pool_id(id), 1, Pool::with_capacity(places)));
        ensure_eq!(bench.pools(&event).await?, expected, "the pools, dropped at step {step}");
        is_on_sale(bench, &event).await?;
        if is_through(bench, "import_with_report", LONG_STEPS, step, answer.is_some())? {
            ensure_eq!((added, report.added), (3, 0), "what was new, and what was new the second time");
            break;
        }
    }
    Ok(())
}

/// Since the import, and once.
async fn is_on_sale(bench: &RepositoryBench, event: &EventId) -> Checked {
    let on_sale = Event { state: EventState::OnSale, window: SalesWindow::default(), limit_per_customer: None };
    let terms = bench.get(event, &RecordKey::Event).await?;
    ensure_eq!((terms.version, terms.record), (2, Some(Record::Event(on_sale))), "the event");
    audit::feed(bench, event).await
}

pub(super) async fn blocks(bench: &RepositoryBench, store: &Halting, service: &BookingService) -> Checked {
    let event = event_id("blocks");
    bench.stage(&event, 4 * CALL_STEPS.max, &[], None).await?;
    let reason: BlockReason = literal(BlockReason::new("camera"));
    let mut pairs = (0..2 * CALL_STEPS.max).map(|n| [nth_ticket(2 * n), nth_ticket(2 * n + 1)].to_vec());
    for blocks in [true, false] {
        for (step, pair) in (0..CALL_STEPS.max).zip(pairs.by_ref()) {
            let (block, unblock) = (
                || service.block_many(&event, pair.clone(), reason.clone()),
                || service.unblock_many(&event, pair.clone()),
            );
            let (answer, report, versions) = if blocks {
                (dropped_at(store, step, block()).await, block().await?, 2)
            } else {
                let _ = block().await?;
                (dropped_at(store, step, unblock()).await, unblock().await?, 3)
            };
            ensure!(report.refused.is_empty(), "refused, after it was dropped at step {step}: {report:?}");
            for (id, version, ticket) in bench.tickets(&event).await?.iter().filter(|(id, ..)| pair.contains(id)) {
                let state = if blocks { blocked("camera") } else { TicketState::Available };
                ensure_eq!((&ticket.state, *version), (&state, versions), "ticket {id}, dropped at step {step}");
            }
            let name = if blocks { "block_many" } else { "unblock_many" };
            if is_through(bench, name, CALL_STEPS, step, answer.transpose()?.is_some())? {
                break;
            }
        }
    }
    audit::feed(bench, &event).await
}

async fn sweeps(bench: &RepositoryBench, store: &Halting, service: &BookingService) -> Checked {
    let event = event_id("sweep");
    bench.stage(&event, 0, &[("floor", 9)], None).await?;
    let past = bench.clock().await?.before(Duration::from_secs(3_600));
    for step in 0..CALL_STEPS.max {
        let id = bench.runtime.reservation_id();
        let key = RecordKey::Reservation(id);
        let held = ReservationState::Held { until: past };
        let record = reservation(id, &event, "ada", lines(&[], &[("floor", 1)]), held);
        bench.put(&event, vec![(key.clone(), record), (pool_key("floor"), pool(9, 1, 0))]).await?;
        let answer = dropped_at(store, step, service.sweep(10)).await;
        let _ = service.sweep(10).await?;
        let found = bench.get(&event, &key).await?;
        let expired = reservation(id, &event, "ada", lines(&[], &[("floor", 1)]), ReservationState::Expired);
        ensure_eq!((found.version, found.record), (2, Some(expired)), "a hold swept again after step {step}");
        ensure_eq!(bench.get(&event, &pool_key("floor")).await?.record, Some(pool(9, 0, 0)), "the pool");
        if is_through(bench, "sweep", CALL_STEPS, step, answer.transpose()?.is_some())? {
            break;
        }
    }
    audit::tables(bench, &event).await?;
    audit::feed(bench, &event).await
}
