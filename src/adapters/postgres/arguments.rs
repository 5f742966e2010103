//! What a commit is told: a column of every table's rows in an array.

use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::error::Fault;
use super::rows::VOIDED;
use crate::domain::{
    CustomerId, EventId, EventState, OperationRecord, Record, RecordKey, Recorded, Reservation, ReservationState,
    Ticket, TicketState, Timestamp,
};
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

#[derive(Debug)]
struct Checks<K> {
    no: Vec<i64>,
    id: Vec<K>,
    version: Vec<i64>,
}

impl<K> Default for Checks<K> {
    fn default() -> Self {
        Self { no: Vec::new(), id: Vec::new(), version: Vec::new() }
    }
}

/// What every written row begins with.
#[derive(Debug, Default)]
struct Heads {
    group: Vec<i64>,
    /// Its place among the rows of the feed that its group appends.
    nth: Vec<i64>,
    version: Vec<i64>,
    at: Vec<i64>,
}

#[derive(Debug, Clone, Copy)]
struct Head {
    group: i64,
    nth: i64,
    version: i64,
    at: i64,
}

impl Heads {
    fn push(&mut self, head: Head) {
        self.group.push(head.group);
        self.nth.push(head.nth);
        self.version.push(head.version);
        self.at.push(head.at);
    }
}

#[derive(Debug, Default)]
struct Events<'g> {
    heads: Heads,
    state: Vec<&'g str>,
    opens: Vec<Option<i64>>,
    closes: Vec<Option<i64>>,
    limit: Vec<Option<i64>>,
}

#[derive(Debug, Default)]
struct Tickets<'g> {
    heads: Heads,
    id: Vec<&'g str>,
    area: Vec<&'g str>,
    row: Vec<i64>,
    number: Vec<i64>,
    state: Vec<&'g str>,
    reservation: Vec<Option<Uuid>>,
    until: Vec<Option<i64>>,
    reason: Vec<Option<&'g str>>,
}

#[derive(Debug, Default)]
struct Pools<'g> {
    heads: Heads,
    id: Vec<&'g str>,
    capacity: Vec<i64>,
    held: Vec<i64>,
    booked: Vec<i64>,
}

/// By how much pools move, where that is all that is asked of them.
#[derive(Debug, Default)]
struct Shifts {
    held: Vec<Option<i64>>,
    booked: Vec<Option<i64>>,
}

#[derive(Debug, Default)]
struct Allowances<'g> {
    heads: Heads,
    id: Vec<&'g str>,
    held: Vec<i64>,
    booked: Vec<i64>,
}

#[derive(Debug, Default)]
struct Reservations<'g> {
    heads: Heads,
    id: Vec<Uuid>,
    customer: Vec<&'g str>,
    state: Vec<&'g str>,
    until: Vec<Option<i64>>,
    held_at: Vec<i64>,
    /// The lines for the feed: arrays as texts, as an array of arrays of different lengths is none.
    tickets: Vec<Option<String>>,
    pools: Vec<Option<String>>,
    quantities: Vec<Option<String>>,
}

/// What reservations that are held are found by.
#[derive(Debug, Default)]
struct Holds<'g> {
    group: Vec<i64>,
    reservation: Vec<Uuid>,
    is_new: Vec<bool>,
    nth: Vec<i64>,
    until: Vec<i64>,
    pool: Vec<Option<&'g str>>,
    quantity: Vec<Option<i64>>,
    held_by: Vec<Option<&'g str>>,
}

#[derive(Debug, Default)]
struct Operations<'g> {
    group: Vec<i64>,
    at: Vec<i64>,
    id: Vec<Uuid>,
    fingerprint: Vec<&'g [u8]>,
    kind: Vec<&'g str>,
    reservation: Vec<Option<Uuid>>,
    customer: Vec<Option<&'g str>>,
    until: Vec<Option<i64>>,
    changed: Vec<i64>,
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
            (RecordKey::Event, Record::Event(record)) => {
                self.events.heads.push(head);
                self.events.state.push(match record.state {
                    EventState::Preparing => "preparing",
                    EventState::OnSale => "on_sale",
                });
                self.events.opens.push(micros(record.window.opens));
                self.events.closes.push(micros(record.window.closes));
                self.events.limit.push(record.limit_per_customer.map(i64::from));
            }
            (RecordKey::Ticket(id), Record::Ticket(record)) => {
                self.tickets.heads.push(head);
                self.tickets.push(id.as_str(), record);
            }
            (RecordKey::Pool(id), Record::Pool(record)) => {
                self.pools.heads.push(head);
                self.pools.id.push(id.as_str());
                self.pools.capacity.push(record.capacity.into());
                self.pools.held.push(record.held.into());
                self.pools.booked.push(record.booked.into());
                self.shifts.push(shift);
            }
            (RecordKey::Allowance(id), Record::Allowance(record)) => {
                self.allowances.heads.push(head);
                self.allowances.id.push(id.as_str());
                self.allowances.held.push(record.held.into());
                self.allowances.booked.push(record.booked.into());
            }
            (RecordKey::Reservation(id), Record::Reservation(record)) if *id == record.id && record.event == *event => {
                self.reservations.heads.push(head);
                self.reservations.push(record);
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

/// Whether it pays to write what is new before the event's lock is waited for: a check that fails undoes it, so nothing may be in
/// the groups that others are likely to change first.
pub(super) fn may_be_early(groups: &[Group]) -> bool {
    let writes = || groups.iter().flat_map(|group| &group.writes);
    let pools = writes().filter(|write| matches!(write.key, RecordKey::Pool(_))).count();
    let shifts: usize = groups.iter().map(|group| group.shifts.len()).sum();
    pools > 0
        && pools == shifts
        && writes().any(is_inserted_early)
        && !writes().any(|write| matches!(write.key, RecordKey::Event | RecordKey::Ticket(_)))
}

/// Others cannot have written these rows but in a race for the same id, which the insertion finds out.
fn is_inserted_early(write: &Write) -> bool {
    write.version == 0 && matches!(write.key, RecordKey::Reservation(_) | RecordKey::Operation(_))
}

impl Shifts {
    fn push(&mut self, shift: Option<&PoolShift>) {
        self.held.push(shift.map(|shift| shift.held));
        self.booked.push(shift.map(|shift| shift.booked));
    }
}

impl<K> Checks<K> {
    fn push(&mut self, no: i64, id: K, version: i64) {
        self.no.push(no);
        self.id.push(id);
        self.version.push(version);
    }
}

impl<'g> Tickets<'g> {
    fn push(&mut self, id: &'g str, ticket: &'g Ticket) {
        self.id.push(id);
        self.area.push(ticket.place.area.as_str());
        self.row.push(ticket.place.row.into());
        self.number.push(ticket.place.number.into());
        let (state, reservation, until, reason) = match &ticket.state {
            TicketState::Available => ("available", None, None, None),
            TicketState::Held { reservation, until } => ("held", Some(reservation), Some(until.as_micros()), None),
            TicketState::Booked { reservation } => ("booked", Some(reservation), None, None),
            TicketState::Blocked { reason } => ("blocked", None, None, Some(reason.as_str())),
        };
        self.state.push(state);
        self.reservation.push(reservation.map(|id| *id.as_uuid()));
        self.until.push(until);
        self.reason.push(reason);
    }
}

impl<'g> Reservations<'g> {
    fn push(&mut self, reservation: &'g Reservation) {
        let until = match reservation.state {
            ReservationState::Held { until } => Some(until.as_micros()),
            _ => None,
        };
        self.id.push(*reservation.id.as_uuid());
        self.customer.push(reservation.customer.as_str());
        self.state.push(reservation.state.name());
        self.until.push(until);
        self.held_at.push(reservation.held_at.as_micros());
        let lines = &reservation.lines;
        self.tickets.push(array(lines.tickets().iter().map(|id| id.as_str())));
        self.pools.push(array(lines.pools().iter().map(|(id, _)| id.as_str())));
        self.quantities.push(array(lines.pools().iter().map(|(_, quantity)| quantity.to_string())));
    }
}

impl<'g> Holds<'g> {
    /// A row for each pool, or one without a pool.
    fn push(&mut self, reservation: &'g Reservation, head: Head) {
        let ReservationState::Held { until } = reservation.state else { return };
        let pools = reservation.lines.pools();
        for index in 0..pools.len().max(1) {
            let pool = pools.get(index);
            self.group.push(head.group);
            self.reservation.push(*reservation.id.as_uuid());
            self.is_new.push(head.version == 0);
            self.nth.push(index as i64 + 1);
            self.until.push(until.as_micros());
            self.pool.push(pool.map(|(id, _)| id.as_str()));
            self.quantity.push(pool.map(|(_, quantity)| (*quantity).into()));
            self.held_by.push((index == 0).then(|| reservation.customer.as_str()));
        }
    }
}

impl<'g> Operations<'g> {
    fn push(&mut self, id: Uuid, operation: &'g OperationRecord, head: Head) {
        let (kind, reservation, customer, until, changed) = match &operation.recorded {
            Recorded::Applied { kind, reservation, customer, until, changed } => {
                (kind.name(), reservation.as_ref(), customer.as_ref(), *until, *changed)
            }
            Recorded::Voided => (VOIDED, None, None, None, 0),
        };
        self.group.push(head.group);
        self.at.push(head.at);
        self.id.push(id);
        self.fingerprint.push(operation.fingerprint.as_bytes());
        self.kind.push(kind);
        self.reservation.push(reservation.map(|id| *id.as_uuid()));
        self.customer.push(customer.map(CustomerId::as_str));
        self.until.push(micros(until));
        self.changed.push(changed.into());
    }
}

/// An array as PostgreSQL writes it (<https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO>); none if it is empty.
fn array(elements: impl Iterator<Item = impl AsRef<str>>) -> Option<String> {
    let mut text = String::from("{");
    for element in elements {
        text.push_str(if text.len() == 1 { "\"" } else { ",\"" });
        for character in element.as_ref().chars() {
            if matches!(character, '"' | '\\') {
                text.push('\\');
            }
            text.push(character);
        }
        text.push('"');
    }
    text.push('}');
    (text.len() > 2).then_some(text)
}

fn micros(time: Option<Timestamp>) -> Option<i64> {
    time.map(Timestamp::as_micros)
}

/// Groups and checks count from 1, as arrays do.
fn ordinal(at: usize) -> Result<i64, Fault> {
    i64::try_from(at + 1).map_err(|_| Fault::Alarm { what: "more groups than can be counted" })
}

/// No version reaches the bound: that would be 2^63 commits.
fn signed(version: u64) -> Result<i64, Fault> {
    i64::try_from(version).map_err(|_| Fault::Alarm { what: "a counter ran over" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_array_is_written_as_postgresql_reads_it() {
        assert_eq!(array(["a", "b c"].iter()).as_deref(), Some(r#"{"a","b c"}"#));
        assert_eq!(array([r#"a"b\c"#, "{,}", "NULL"].iter()).as_deref(), Some(r#"{"a\"b\\c","{,}","NULL"}"#));
        assert_eq!(array(std::iter::empty::<&str>()), None);
    }
}
