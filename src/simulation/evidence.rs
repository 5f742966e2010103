//! What is there when a world has ended, as the store's tables have it.

use futures_util::FutureExt;

use super::check::Evidence;
use super::fault::Fault;
use super::hall;
use super::shop::Shop;
use crate::adapters::memory::MemoryRepository;
use crate::domain::{EventId, Pool, PoolId, Record, RecordKey, Reservation, Ticket, TicketId};
use crate::ports::{Change, ChangesError, LoadRequest, PAGE_MAX, PoolQuery, Repository, ReservationQuery, TicketQuery};

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

fn all_changes(tables: &MemoryRepository, event: &EventId) -> Vec<Change> {
    let (mut all, mut after) = (Vec::new(), 0);
    loop {
        match at_once(tables.changes(event, after, PAGE_MAX)) {
            Ok(page) if page.is_empty() => return all,
            Ok(page) => {
                after = page.last().map_or(after, |change| change.sequence);
                all.extend(page);
            }
            // What is gone is missed by the check.
            Err(ChangesError::Truncated { purged_through }) => after = purged_through,
            Err(ChangesError::Store(_)) => return all,
        }
    }
}

/// All of it, with what was asked and answered.
pub(super) fn gather(shop: &Shop) -> Evidence {
    let tables = shop.store.tables();
    let calls = shop.history.calls();
    let mut records: Vec<RecordKey> = calls.iter().map(|call| RecordKey::Operation(call.command.operation)).collect();
    records.sort();
    records.dedup();
    let request = LoadRequest { event: hall::event(), records: records.clone(), free_in: Vec::new() };
    let snapshot = at_once(tables.load(&request)).expect("memory does not fail");
    let operation = |key: RecordKey| {
        let read = snapshot.get(&key)?;
        match (&key, read.record.as_ref()?) {
            (RecordKey::Operation(id), Record::Operation(record)) => Some((*id, (read.decided_at, record.clone()))),
            _ => None,
        }
    };
    let operations = records.into_iter().filter_map(operation).collect();
    let jumps = [Fault::StoreClockAhead, Fault::StoreClockBack];
    Evidence {
        calls,
        changes: all_changes(tables, &hall::event()),
        commits: shop.store.commits(),
        tickets: all_tickets(tables).into_iter().map(|(id, version, ticket)| (id, (version, ticket))).collect(),
        pools: all_pools(tables).into_iter().map(|(id, version, pool)| (id, (version, pool))).collect(),
        reservations: all_reservations(shop).into_iter().map(|(version, it)| (it.id, (version, it))).collect(),
        operations,
        hold_ttl: shop.settings.hold_ttl,
        limit_per_customer: shop.settings.limit_per_customer,
        late_payment: shop.settings.late_payment,
        store_clock_is_true: jumps.iter().all(|jump| shop.trouble.fired().of(*jump) == 0),
    }
}
