use std::collections::HashMap;

use uuid::Uuid;

use super::error::Fault;
use super::pool::Answer;
use super::rows::Columns;
use crate::adapters::gathered::Gathered;
use crate::domain::{AreaId, LapsedOf, Lines, PoolId, Record, RecordKey, ReservationId, Snapshot, TicketId};
use crate::ports::{LAPSED_MAX, LoadRequest};

/// One call of the procedure that reads everything.
pub(super) const LOAD: &str = "EXEC {schema}.load_records @P1, @P2, @P3, @P4, @P5, @P6, @P7, @P8, @P9";

/// One more than the bound, to see whether there are more.
pub(super) const LAPSED_ASKED: i64 = LAPSED_MAX as i64 + 1;

/// The keys of a request, by kind, each a JSON array.
#[derive(Debug)]
pub(super) struct Keys {
    pub(super) tickets: String,
    pub(super) pools: String,
    pub(super) customers: String,
    pub(super) reservations: String,
    pub(super) operations: String,
    pub(super) free_in: String,
}

impl Keys {
    pub(super) fn of(request: &LoadRequest) -> Self {
        let (mut tickets, mut pools, mut customers) = (Vec::new(), Vec::new(), Vec::new());
        let (mut reservations, mut operations) = (Vec::new(), Vec::new());
        for key in &request.records {
            match key {
                RecordKey::Event => {}
                RecordKey::Ticket(id) => tickets.push(id.as_str()),
                RecordKey::Pool(id) => pools.push(id.as_str()),
                RecordKey::Allowance(id) => customers.push(id.as_str()),
                RecordKey::Reservation(id) => reservations.push(guid(id.as_uuid())),
                RecordKey::Operation(id) => operations.push(guid(id.as_uuid())),
            }
        }
        let areas: Vec<&str> = request.free_in.iter().map(AreaId::as_str).collect();
        Self {
            tickets: json(&tickets),
            pools: json(&pools),
            customers: json(&customers),
            reservations: json(&reservations),
            operations: json(&operations),
            free_in: json(&areas),
        }
    }
}

/// The text that is cast to `uniqueidentifier` and then to `binary(16)` to have a UUID's bytes: SQL Server keeps the first three parts
/// of what it reads with their bytes in the other order.
pub(super) fn guid(id: &Uuid) -> String {
    Uuid::from_bytes_le(*id.as_bytes()).to_string()
}

fn json(keys: &[impl AsRef<str>]) -> String {
    let keys: Vec<&str> = keys.iter().map(AsRef::as_ref).collect();
    serde_json::Value::from(keys).to_string()
}

/// Lines of reservations, as they are read row by row.
#[derive(Debug, Default)]
pub(super) struct LineRows(HashMap<ReservationId, TicketsAndPools>);

type TicketsAndPools = (Vec<TicketId>, Vec<(PoolId, u32)>);

impl LineRows {
    pub(super) fn add(&mut self, row: Columns<'_>) -> Result<(), Fault> {
        let (tickets, pools) = self.0.entry(row.reservation_id()?).or_default();
        match row.optional::<&str>("ticket_id")? {
            Some(_) => tickets.push(row.id("ticket_id")?),
            None => pools.push((row.id("pool_id")?, row.count("quantity")?)),
        }
        Ok(())
    }

    /// Those of one reservation, whose row this is.
    pub(super) fn take(&mut self, row: Columns<'_>) -> Result<Lines, Fault> {
        let (tickets, pools) = self.0.remove(&row.reservation_id()?).unwrap_or_default();
        Lines::merge(tickets, pools).map_err(|error| row.fault(error))
    }
}

/// Whether no commit of the event ended between the first row and the last one.
pub(super) fn is_of_one_moment(answer: &Answer) -> Result<bool, Fault> {
    let end = Columns::of(&answer.end);
    let first = answer.rows.first().ok_or_else(|| end.fault("an answer without a beginning"))?;
    Ok(Columns::of(first).get::<i64>("commits")? == end.get::<i64>("commits")?)
}

/// The snapshot that the rows are.
pub(super) fn snapshot(request: &LoadRequest, Answer { rows, end }: &Answer) -> Result<Snapshot, Fault> {
    let mut gathered = Gathered::new(request, rows.len());
    let mut lines = LineRows::default();
    for row in rows.iter().map(Columns::of) {
        let (key, record) = match row.kind()? {
            "begin" => {
                gathered.clock(row.time("now")?);
                continue;
            }
            "line" => {
                lines.add(row)?;
                continue;
            }
            "lapsed in pool" => {
                gathered.lapsed(LapsedOf::Pool(row.id("id")?), row.time("held_until")?, row.reservation_id()?);
                continue;
            }
            "lapsed of customer" => {
                gathered.lapsed(LapsedOf::Customer(row.id("id")?), row.time("held_until")?, row.reservation_id()?);
                continue;
            }
            "free" => {
                let (id, ticket) = (row.id("ticket_id")?, row.ticket()?);
                gathered.free(&id, &ticket.place);
                (RecordKey::Ticket(id), Record::Ticket(ticket))
            }
            "reservation" => row.record_of_reservation(lines.take(row)?)?,
            _ => row.record()?,
        };
        gathered.record(key, row.versioned(record)?);
    }
    if let Some(before) = Columns::of(end).optional_time("operations_purged_before")? {
        gathered.operations_purged_before(before);
    }
    Ok(gathered.into_snapshot())
}
