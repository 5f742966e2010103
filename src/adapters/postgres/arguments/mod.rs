//! What a commit is told: a column of every table's rows in an array.

mod array_text;
mod columns;
mod early;

use tokio_postgres::types::ToSql;
use uuid::Uuid;

use self::columns::{Allowances, Checks, Events, Head, Holds, Operations, Pools, Reservations, Shifts, Tickets};
use self::early::is_inserted_early;
pub(super) use self::early::may_be_early;
use super::error::Fault;
use crate::domain::{EventId, Record, RecordKey};
use crate::ports::{Group, PoolShift, Write};

/// How many parameters there are.
const COUNT: usize = 89;

/// The call of the function that writes everything.
pub(super) fn commit_sql() -> String {
    let parameters: Vec<String> = (1..=COUNT).map(|number| format!("${number}")).collect();
    format!("SELECT {{schema}}.commit_groups({})", parameters.join(", "))
}

/// The arguments, in columns.
#[derive(Debug, Default)]
pub(super) struct Arguments<'g> {
    event: &'g str,
    /// How many rows of the feed each group appends.
    feed: Vec<i64>,
    /// Whether rows that are new are written before the event's lock is waited for.
    is_early: bool,
    check_group: Vec<i64>,
    checked: Vec<(usize, &'g RecordKey)>,
    event_no: Vec<i64>,
    event_version: Vec<i64>,
    ticket_checks: Checks<&'g str>,
    pool_checks: Checks<&'g str>,
    /// Of each checked pool, and of each written one.
    checked_shifts: Shifts,
    shifts: Shifts,
    allowance_checks: Checks<&'g str>,
    reservation_checks: Checks<Uuid>,
    operation_checks: Checks<Uuid>,
    events: Events<'g>,
    tickets: Tickets<'g>,
    pools: Pools<'g>,
    allowances: Allowances<'g>,
    reservations: Reservations<'g>,
    holds: Holds<'g>,
    operations: Operations<'g>,
}

impl<'g> Arguments<'g> {
    /// Refuses what cannot be right. `is_early` writes rows that are new before the event's lock is waited for.
    pub(super) fn of(event: &'g EventId, groups: &'g [Group], is_early: bool) -> Result<Self, Fault> {
        let mut arguments = Self { event: event.as_str(), is_early, ..Self::default() };
        for (number, group) in groups.iter().enumerate() {
            let mut nth = 0;
            for (key, version) in &group.reads {
                arguments.check(number, key, *version, None)?;
            }
            for write in &group.writes {
                let shift = group.shifts.iter().find(|it| matches!(&write.key, RecordKey::Pool(id) if *id == it.pool));
                if !(is_early && is_inserted_early(write)) {
                    arguments.check(number, &write.key, write.version, shift)?;
                }
                if !matches!(write.key, RecordKey::Operation(_)) {
                    nth += 1;
                }
                let head = Head {
                    group: ordinal(number)?,
                    nth,
                    version: signed(write.version)?,
                    at: write.decided_at.as_micros(),
                };
                arguments.write(event, write, head, shift)?;
            }
            arguments.feed.push(nth);
        }
        Ok(arguments)
    }

    /// The group and the key of a check, by its number.
    pub(super) fn checked(&self, number: i64) -> Option<(usize, &'g RecordKey)> {
        usize::try_from(number).ok()?.checked_sub(1).and_then(|at| self.checked.get(at)).copied()
    }

    fn check(
        &mut self,
        group: usize,
        key: &'g RecordKey,
        version: u64,
        shift: Option<&PoolShift>,
    ) -> Result<(), Fault> {
        self.checked.push((group, key));
        self.check_group.push(ordinal(group)?);
        let (no, version) = (ordinal(self.checked.len() - 1)?, signed(version)?);
        match key {
            RecordKey::Event => {
                self.event_no.push(no);
                self.event_version.push(version);
            }
            RecordKey::Ticket(id) => self.ticket_checks.push(no, id.as_str(), version),
            RecordKey::Pool(id) => {
                self.pool_checks.push(no, id.as_str(), version);
                self.checked_shifts.push(shift);
            }
            RecordKey::Allowance(id) => self.allowance_checks.push(no, id.as_str(), version),
            RecordKey::Reservation(id) => self.reservation_checks.push(no, *id.as_uuid(), version),
            RecordKey::Operation(id) => self.operation_checks.push(no, *id.as_uuid(), version),
        }
        Ok(())
    }

    fn write(&mut self, event: &EventId, write: &'g Write, head: Head, shift: Option<&PoolShift>) -> Result<(), Fault> {
        match (&write.key, &write.record) {
            (RecordKey::Event, Record::Event(record)) => self.events.push(record, head),
            (RecordKey::Ticket(id), Record::Ticket(record)) => self.tickets.push(id.as_str(), record, head),
            (RecordKey::Pool(id), Record::Pool(record)) => {
                self.pools.push(id.as_str(), record, head);
                self.shifts.push(shift);
            }
            (RecordKey::Allowance(id), Record::Allowance(record)) => {
                self.allowances.push(id.as_str(), record, head);
            }
            (RecordKey::Reservation(id), Record::Reservation(record)) if *id == record.id && record.event == *event => {
                self.reservations.push(record, head);
                self.holds.push(record, head);
            }
            (RecordKey::Operation(id), Record::Operation(record)) if record.event == *event => {
                if head.version != 0 {
                    return Err(Fault::Alarm { what: "a recorded operation was to be changed" });
                }
                self.operations.push(*id.as_uuid(), record, head);
            }
            _ => {
                let what = "a record was to be written under a key or an event that is not its own";
                return Err(Fault::Alarm { what });
            }
        }
        Ok(())
    }

    /// In the order of the function's parameters.
    pub(super) fn parameters(&self) -> [&(dyn ToSql + Sync); COUNT] {
        let (kt, kp, ka) = (&self.ticket_checks, &self.pool_checks, &self.allowance_checks);
        let (kr, ko) = (&self.reservation_checks, &self.operation_checks);
        let (e, t, p, a) = (&self.events, &self.tickets, &self.pools, &self.allowances);
        let (r, h, o) = (&self.reservations, &self.holds, &self.operations);
        [
            &self.event,
            &self.feed,
            &self.is_early,
            &self.check_group,
            &self.event_no,
            &self.event_version,
            &kt.no,
            &kt.id,
            &kt.version,
            &kp.no,
            &kp.id,
            &kp.version,
            &self.checked_shifts.held,
            &self.checked_shifts.booked,
            &ka.no,
            &ka.id,
            &ka.version,
            &kr.no,
            &kr.id,
            &kr.version,
            &ko.no,
            &ko.id,
            &ko.version,
            &e.heads.group,
            &e.heads.nth,
            &e.heads.version,
            &e.heads.at,
            &e.state,
            &e.opens,
            &e.closes,
            &e.limit,
            &t.heads.group,
            &t.heads.nth,
            &t.heads.version,
            &t.heads.at,
            &t.id,
            &t.area,
            &t.row,
            &t.number,
            &t.state,
            &t.reservation,
            &t.until,
            &t.reason,
            &p.heads.group,
            &p.heads.nth,
            &p.heads.version,
            &p.heads.at,
            &p.id,
            &p.capacity,
            &p.held,
            &p.booked,
            &self.shifts.held,
            &self.shifts.booked,
            &a.heads.group,
            &a.heads.nth,
            &a.heads.version,
            &a.heads.at,
            &a.id,
            &a.held,
            &a.booked,
            &r.heads.group,
            &r.heads.nth,
            &r.heads.version,
            &r.heads.at,
            &r.id,
            &r.customer,
            &r.state,
            &r.until,
            &r.held_at,
            &r.tickets,
            &r.pools,
            &r.quantities,
            &h.group,
            &h.reservation,
            &h.is_new,
            &h.nth,
            &h.until,
            &h.pool,
            &h.quantity,
            &h.held_by,
            &o.group,
            &o.at,
            &o.id,
            &o.fingerprint,
            &o.kind,
            &o.reservation,
            &o.customer,
            &o.until,
            &o.changed,
        ]
    }
}

/// Groups and checks count from 1, as arrays do.
fn ordinal(at: usize) -> Result<i64, Fault> {
    i64::try_from(at + 1).map_err(|_| Fault::Alarm { what: "more groups than can be counted" })
}

/// No version reaches the bound: that would be 2^63 commits.
fn signed(version: u64) -> Result<i64, Fault> {
    i64::try_from(version).map_err(|_| Fault::Alarm { what: "a counter ran over" })
}
