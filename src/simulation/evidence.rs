//! What is there when a world has ended, as the store's tables have it.

use std::collections::BTreeSet;

use futures_util::FutureExt;

use super::check::Evidence;
use super::hall;
use super::shop::Shop;
use super::store_log::{StoreLog, Written};
use crate::adapters::memory::MemoryRepository;
use crate::domain::{EventId, OperationId, Pool, PoolId, RecordKey, Recorded, Reservation, Ticket, TicketId};
use crate::ports::{
    Change, ChangesError, LoadRequest, PAGE_MAX, PoolQuery, Repository, ReservationQuery, Sequence, TicketQuery,
};

/// The tables are in memory, and nobody waits for them.
fn at_once<T>(call: impl Future<Output = T>) -> T {
    call.now_or_never().expect("memory makes nobody wait")
}

/// Every ticket of the sale.
pub(super) fn all_tickets(tables: &MemoryRepository) -> Vec<(TicketId, u64, Ticket)> {
    let query = TicketQuery { event: hall::event(), area: None, only_available: false, after: None, limit: PAGE_MAX };
    at_once(tables.tickets(&query)).expect("memory does not fail")
}

/// Every pool of the sale.
pub(super) fn all_pools(tables: &MemoryRepository) -> Vec<(PoolId, u64, Pool)> {
    let query = PoolQuery { event: hall::event(), after: None, limit: PAGE_MAX };
    at_once(tables.pools(&query)).expect("memory does not fail")
}

/// Every reservation of the sale.
pub(super) fn all_reservations(shop: &Shop) -> Vec<(u64, Reservation)> {
    let mut all = Vec::new();
    let mut query =
        ReservationQuery { event: Some(hall::event()), customer: None, state: None, after: None, limit: PAGE_MAX };
    loop {
        let page = at_once(shop.store.tables().reservations(&query)).expect("memory does not fail");
        let Some((_, last)) = page.last() else { return all };
        query.after = Some(last.id);
        all.extend(page);
    }
}

/// What is left of the change feed, and up to where it is gone.
fn all_changes(tables: &MemoryRepository, event: &EventId) -> (Sequence, Vec<Change>) {
    let (mut all, mut after, mut gone) = (Vec::new(), 0, 0);
    loop {
        match at_once(tables.changes(event, after, PAGE_MAX)) {
            Ok(page) if page.is_empty() => return (gone, all),
            Ok(page) => {
                after = page.last().map_or(after, |change| change.sequence);
                all.extend(page);
            }
            Err(ChangesError::Truncated { purged_through }) => (after, gone) = (purged_through, purged_through),
            Err(ChangesError::Store(_)) => return (gone, all),
        }
    }
}

/// The operations that are remembered.
fn operations_left(tables: &MemoryRepository, log: &StoreLog) -> BTreeSet<OperationId> {
    let mut records: Vec<RecordKey> = log.operations.iter().map(|it| RecordKey::Operation(it.id)).collect();
    records.sort();
    records.dedup();
    let request = LoadRequest { event: hall::event(), records: records.clone(), free_in: Vec::new() };
    let snapshot = at_once(tables.load(&request)).expect("memory does not fail");
    let left = records.into_iter().filter(|key| snapshot.get(key).is_some_and(|read| read.record.is_some()));
    left.filter_map(|key| if let RecordKey::Operation(id) = key { Some(id) } else { None }).collect()
}

/// All of it, with what was asked and answered.
pub(super) fn gather(shop: &Shop) -> Evidence {
    let tables = shop.store.tables();
    let calls = shop.history.calls();
    let log = shop.store.log();
    // What was done, before what was only refused.
    let is_done = |written: &&Written| matches!(written.record.recorded, Recorded::Applied { .. });
    let (done, refused): (Vec<&Written>, Vec<&Written>) = log.operations.iter().rev().partition(is_done);
    let all = refused.into_iter().chain(done);
    let operations = all.map(|it| (it.id, (it.decided_at, it.record.clone()))).collect();
    Evidence {
        calls,
        reused: shop.history.reused(),
        operations_left: operations_left(tables, &log),
        changes_left: all_changes(tables, &hall::event()),
        log,
        tickets: all_tickets(tables).into_iter().map(|(id, version, ticket)| (id, (version, ticket))).collect(),
        pools: all_pools(tables).into_iter().map(|(id, version, pool)| (id, (version, pool))).collect(),
        reservations: all_reservations(shop).into_iter().map(|(version, it)| (it.id, (version, it))).collect(),
        operations,
        window: shop.settings.window(),
        hold_ttl: shop.settings.hold_ttl,
        limit_per_customer: shop.settings.limit_per_customer,
        late_payment: shop.settings.late_payment,
        store_time: shop.store_clock.times_told(),
        retention: shop.settings.retention,
    }
}
