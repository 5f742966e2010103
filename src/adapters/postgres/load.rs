use tokio_postgres::Row;
use uuid::Uuid;

use super::error::Fault;
use super::rows::Columns;
use crate::adapters::gathered::Gathered;
use crate::domain::{AreaId, LapsedOf, Record, RecordKey, Snapshot};
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
    let mut gathered = Gathered::new(request, rows.len());
    for row in rows {
        let columns = Columns::of(row);
        match columns.kind()? {
            "store" => {
                let (clock, purged_before) = columns.store()?;
                gathered.clock(clock);
                if let Some(before) = purged_before {
                    gathered.operations_purged_before(before);
                }
            }
            "lapsed in pool" => {
                gathered.lapsed(LapsedOf::Pool(columns.id()?), columns.store()?.0, columns.reservation_id()?);
            }
            "lapsed of customer" => {
                gathered.lapsed(LapsedOf::Customer(columns.id()?), columns.store()?.0, columns.reservation_id()?);
            }
            kind => {
                let (key, record) = columns.record()?;
                if let (RecordKey::Ticket(id), Record::Ticket(ticket), "free") = (&key, &record, kind) {
                    gathered.free(id, &ticket.place);
                }
                gathered.record(key, columns.versioned(record)?);
            }
        }
    }
    Ok(gathered.into_snapshot())
}
