use std::collections::{BTreeMap, BTreeSet, HashMap};

use tokio_postgres::Row;
use uuid::Uuid;

use super::error::Fault;
use super::rows::Columns;
use crate::domain::{
    AreaId, CustomerId, Lapsed, LapsedOf, Place, PoolId, Record, RecordKey, ReservationId, Snapshot, TicketId,
    Timestamp, Versioned,
};
use crate::ports::{LAPSED_MAX, LoadRequest};

/// One call of the function that reads everything.
pub(super) const LOAD: &str = "SELECT * FROM {schema}.load_records($1, $2, $3, $4, $5, $6, $7, $8)";

/// One more than the bound, to see whether there are more.
pub(super) const LAPSED_ASKED: i64 = LAPSED_MAX as i64 + 1;

/// The keys of a request, by kind.
#[derive(Debug, Default)]
pub(super) struct Keys<'r> {
    pub(super) tickets: Vec<&'r str>,
    pub(super) pools: Vec<&'r str>,
    pub(super) customers: Vec<&'r str>,
    pub(super) reservations: Vec<Uuid>,
    pub(super) operations: Vec<Uuid>,
    pub(super) free_in: Vec<&'r str>,
}

impl<'r> Keys<'r> {
    pub(super) fn of(request: &'r LoadRequest) -> Self {
        let mut keys = Self { free_in: request.free_in.iter().map(AreaId::as_str).collect(), ..Self::default() };
        for key in &request.records {
            match key {
                RecordKey::Event => {}
                RecordKey::Ticket(id) => keys.tickets.push(id.as_str()),
                RecordKey::Pool(id) => keys.pools.push(id.as_str()),
                RecordKey::Allowance(id) => keys.customers.push(id.as_str()),
                RecordKey::Reservation(id) => keys.reservations.push(*id.as_uuid()),
                RecordKey::Operation(id) => keys.operations.push(*id.as_uuid()),
            }
        }
        keys
    }
}

/// The snapshot that the rows are.
pub(super) fn snapshot(request: &LoadRequest, rows: &[Row]) -> Result<Snapshot, Fault> {
    let mut snapshot = Snapshot::new(request.event.clone(), Timestamp::EPOCH);
    snapshot.reserve(request.records.len().max(rows.len()));
    let mut free: HashMap<AreaId, Vec<(TicketId, Place)>> =
        request.free_in.iter().map(|area| (area.clone(), Vec::new())).collect();
    let mut lapsed: BTreeMap<LapsedOf, BTreeSet<(Timestamp, ReservationId)>> = BTreeMap::new();
    for key in request.records.iter().chain([&RecordKey::Event]) {
        snapshot.insert(key.clone(), Versioned::ABSENT);
    }
    for row in rows {
        let columns = Columns::of(row);
        match columns.kind()? {
            "store" => {
                let (clock, purged_before) = columns.store()?;
                snapshot.set_clock(clock);
                if let Some(before) = purged_before {
                    snapshot.set_operations_purged_before(before);
                }
            }
            "lapsed in pool" => {
                let of = LapsedOf::Pool(columns.id::<PoolId>()?);
                lapsed.entry(of).or_default().insert((columns.store()?.0, columns.reservation_id()?));
            }
            "lapsed of customer" => {
                let of = LapsedOf::Customer(columns.id::<CustomerId>()?);
                lapsed.entry(of).or_default().insert((columns.store()?.0, columns.reservation_id()?));
            }
            kind => {
                let (key, record) = columns.record()?;
                match (&key, &record) {
                    (RecordKey::Ticket(id), Record::Ticket(ticket)) if kind == "free" => {
                        free.entry(ticket.place.area.clone()).or_default().push((id.clone(), ticket.place.clone()));
                    }
                    (RecordKey::Pool(id), _) => drop(lapsed.entry(LapsedOf::Pool(id.clone())).or_default()),
                    (RecordKey::Allowance(id), _) => drop(lapsed.entry(LapsedOf::Customer(id.clone())).or_default()),
                    _ => {}
                }
                snapshot.insert(key, columns.versioned(record)?);
            }
        }
    }
    for (area, tickets) in free {
        snapshot.insert_free(area, tickets);
    }
    for (of, reservations) in lapsed {
        let more = reservations.len() > LAPSED_MAX;
        let reservations = reservations.into_iter().map(|(_, id)| id).take(LAPSED_MAX).collect();
        snapshot.insert_lapsed(of, Lapsed { reservations, more });
    }
    Ok(snapshot)
}
