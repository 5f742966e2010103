//! The tables of the store and their indexes.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use super::area::AreaIndex;
use crate::domain::{
    Allowance, AreaId, CustomerId, Event, EventId, OperationId, OperationRecord, Pool, PoolId, Record, RecordKey,
    Reservation, ReservationId, ReservationState, Ticket, TicketId, Timestamp, Versioned,
};
use crate::ports::{Change, Group, GroupOutcome, Purged, Sequence, Write};

/// A record and where it stands: its version, and when that was decided.
#[derive(Clone)]
pub(super) struct Row<T> {
    pub(super) version: u64,
    pub(super) decided_at: Timestamp,
    pub(super) content: T,
}

impl<T: Clone> Row<T> {
    pub(super) fn versioned(&self, record: impl Fn(T) -> Record) -> Versioned {
        Versioned::new(self.version, self.decided_at, record(self.content.clone()))
    }
}

/// Everything. Reservations and operations are named across events; the rest belongs to one.
pub(super) struct Tables {
    pub(super) events: BTreeMap<EventId, EventTables>,
    pub(super) reservations: HashMap<ReservationId, Row<Reservation>>,
    /// In the order of their ids, which is the order in which they were made.
    pub(super) operations: BTreeMap<OperationId, Row<OperationRecord>>,
    pub(super) holds: Holds,
    pub(super) operations_purged_before: Timestamp,
}

/// What belongs to one event.
#[derive(Default)]
pub(super) struct EventTables {
    pub(super) event: Option<Row<Event>>,
    pub(super) tickets: HashMap<TicketId, Row<Ticket>>,
    pub(super) ticket_ids: BTreeSet<TicketId>,
    pub(super) areas: BTreeMap<AreaId, AreaIndex>,
    pub(super) pools: BTreeMap<PoolId, Row<Pool>>,
    pub(super) allowances: HashMap<CustomerId, Row<Allowance>>,
    pub(super) reservations: BTreeSet<ReservationId>,
    pub(super) customers: HashMap<CustomerId, CustomerIndex>,
    pub(super) holds_by_pool: HashMap<PoolId, Holds>,
    pub(super) changes: VecDeque<Change>,
    pub(super) purged_through: Sequence,
}

/// Holds by their deadlines.
pub(super) type Holds = BTreeSet<(Timestamp, ReservationId)>;

/// What a customer has of an event.
#[derive(Default)]
pub(super) struct CustomerIndex {
    pub(super) reservations: BTreeSet<ReservationId>,
    pub(super) holds: Holds,
}

impl Tables {
    pub(super) fn new() -> Self {
        Self {
            events: BTreeMap::new(),
            reservations: HashMap::new(),
            operations: BTreeMap::new(),
            holds: BTreeSet::new(),
            operations_purged_before: Timestamp::from_micros(i64::MIN),
        }
    }

    pub(super) fn versioned(&self, event: &EventId, key: &RecordKey) -> Versioned {
        let tables = self.events.get(event);
        match key {
            RecordKey::Event => tables.and_then(|t| t.event.as_ref()).map(|row| row.versioned(Record::Event)),
            RecordKey::Ticket(id) => tables.and_then(|t| t.tickets.get(id)).map(|row| row.versioned(Record::Ticket)),
            RecordKey::Pool(id) => tables.and_then(|t| t.pools.get(id)).map(|row| row.versioned(Record::Pool)),
            RecordKey::Allowance(id) => {
                tables.and_then(|t| t.allowances.get(id)).map(|row| row.versioned(Record::Allowance))
            }
            RecordKey::Reservation(id) => self.reservations.get(id).map(|row| row.versioned(Record::Reservation)),
            RecordKey::Operation(id) => self.operations.get(id).map(|row| row.versioned(Record::Operation)),
        }
        .unwrap_or_default()
    }

    fn version(&self, event: &EventId, key: &RecordKey) -> u64 {
        let tables = self.events.get(event);
        match key {
            RecordKey::Event => tables.and_then(|t| t.event.as_ref()).map(|row| row.version),
            RecordKey::Ticket(id) => tables.and_then(|t| t.tickets.get(id)).map(|row| row.version),
            RecordKey::Pool(id) => tables.and_then(|t| t.pools.get(id)).map(|row| row.version),
            RecordKey::Allowance(id) => tables.and_then(|t| t.allowances.get(id)).map(|row| row.version),
            RecordKey::Reservation(id) => self.reservations.get(id).map(|row| row.version),
            RecordKey::Operation(id) => self.operations.get(id).map(|row| row.version),
        }
        .unwrap_or(0)
    }

    /// Writes the group if every version in it still stands.
    pub(super) fn commit(&mut self, event: &EventId, group: &Group) -> GroupOutcome {
        let reads = group.reads.iter().map(|(key, version)| (key, *version));
        let writes = group.writes.iter().map(|write| (&write.key, write.version));
        let purged: Vec<&RecordKey> = group.purged(self.operations_purged_before).collect();
        let mut shifted = Vec::new();
        let mut stale = Vec::new();
        let is_as_read = |key, version| self.version(event, key) == version && !purged.contains(&key);
        for (key, _) in reads.chain(writes).filter(|(key, version)| !is_as_read(*key, *version)) {
            match self.shifted(event, key, group) {
                Some(write) => shifted.push(write),
                None => stale.push(key.clone()),
            }
        }
        if !stale.is_empty() {
            return GroupOutcome::Conflict { stale };
        }
        for write in &group.writes {
            let shifted = shifted.iter().find(|shifted| shifted.key == write.key);
            self.write(event, shifted.unwrap_or(write));
        }
        GroupOutcome::Committed
    }

    /// A pool that others have counted in since, and this group does too.
    fn shifted(&self, event: &EventId, key: &RecordKey, group: &Group) -> Option<Write> {
        let RecordKey::Pool(id) = key else { return None };
        group.shifted(id, &self.versioned(event, key))
    }

    fn write(&mut self, event: &EventId, write: &Write) {
        if !self.events.contains_key(event) {
            self.events.insert(event.clone(), EventTables::default());
        }
        let Some(tables) = self.events.get_mut(event) else { return };
        let version = write.version + 1;
        let decided_at = write.decided_at;
        match (&write.key, write.record.clone()) {
            (RecordKey::Event, Record::Event(content)) => tables.event = Some(Row { version, decided_at, content }),
            (RecordKey::Ticket(id), Record::Ticket(content)) => {
                tables.write_ticket(id, Row { version, decided_at, content });
            }
            (RecordKey::Pool(id), Record::Pool(content)) => {
                tables.pools.insert(id.clone(), Row { version, decided_at, content });
            }
            (RecordKey::Allowance(id), Record::Allowance(content)) => {
                tables.allowances.insert(id.clone(), Row { version, decided_at, content });
            }
            (RecordKey::Reservation(id), Record::Reservation(content)) => {
                let row = Row { version, decided_at, content };
                if let Some(before) = self.reservations.get(id) {
                    tables.unindex(&before.content, &mut self.holds);
                }
                tables.index(&row.content, &mut self.holds);
                self.reservations.insert(*id, row);
            }
            (RecordKey::Operation(id), Record::Operation(content)) => {
                self.operations.insert(*id, Row { version, decided_at, content });
                return;
            }
            // `check` has refused a record of another kind than its key.
            _ => return,
        }
        let sequence = tables.next_sequence();
        #[cfg(planted_bugs)]
        if crate::planted::is(crate::planted::Bug::FeedRowLost) && write.version == 3 {
            return;
        }
        tables.changes.push_back(Change {
            sequence,
            decided_at,
            version,
            key: write.key.clone(),
            record: write.record.clone(),
        });
    }

    /// The last defence, like a check constraint: what breaks an invariant by itself is not written.
    pub(super) fn check(event: &EventId, write: &Write) -> Result<(), &'static str> {
        match (&write.key, &write.record) {
            (RecordKey::Event, Record::Event(_))
            | (RecordKey::Ticket(_), Record::Ticket(_))
            | (RecordKey::Allowance(_), Record::Allowance(_)) => Ok(()),
            (RecordKey::Operation(_), Record::Operation(operation)) => {
                if operation.event == *event {
                    Ok(())
                } else {
                    Err("an operation of another event")
                }
            }
            (RecordKey::Pool(_), Record::Pool(pool)) => {
                let taken = u64::from(pool.held) + u64::from(pool.booked);
                if taken <= u64::from(pool.capacity) { Ok(()) } else { Err("a pool beyond its capacity") }
            }
            (RecordKey::Reservation(id), Record::Reservation(reservation)) => {
                if reservation.id == *id && reservation.event == *event {
                    Ok(())
                } else {
                    Err("a reservation under another id or of another event")
                }
            }
            _ => Err("a record of another kind than its key"),
        }
    }

    pub(super) fn purge(&mut self, before: Timestamp, limit: usize) -> Purged {
        #[cfg(planted_bugs)]
        let horizon =
            if crate::planted::is(crate::planted::Bug::PurgeWithoutHorizon) { Timestamp::EPOCH } else { before };
        #[cfg(not(planted_bugs))]
        let horizon = before;
        self.operations_purged_before = self.operations_purged_before.max(horizon);
        let mut purged = Purged::default();
        while purged.operations < limit {
            match self.operations.first_entry() {
                Some(oldest) if oldest.key().made_at() < before => {
                    oldest.remove();
                    purged.operations += 1;
                }
                _ => break,
            }
        }
        for tables in self.events.values_mut() {
            while purged.changes < limit {
                match tables.changes.front() {
                    Some(oldest) if oldest.decided_at < before => {
                        tables.purged_through = oldest.sequence;
                        tables.changes.pop_front();
                        purged.changes += 1;
                    }
                    _ => break,
                }
            }
        }
        purged
    }
}

impl EventTables {
    fn next_sequence(&self) -> Sequence {
        self.changes.back().map_or(self.purged_through, |last| last.sequence) + 1
    }

    fn write_ticket(&mut self, id: &TicketId, row: Row<Ticket>) {
        let area = &row.content.place.area;
        match self.tickets.get_mut(id) {
            // Sold, held, given back: it stays where it is in the hall.
            Some(before) if before.content.place.area == *area => {
                if let Some(index) = self.areas.get_mut(area) {
                    index.change(id, &before.content.state, &row.content.state);
                }
                *before = row;
                return;
            }
            Some(before) => {
                if let Some(index) = self.areas.get_mut(&before.content.place.area) {
                    index.remove(id, &before.content.state);
                }
            }
            None => {
                self.ticket_ids.insert(id.clone());
            }
        }
        self.areas.entry(area.clone()).or_default().add(id, &row.content.state);
        self.tickets.insert(id.clone(), row);
    }

    fn index(&mut self, reservation: &Reservation, holds: &mut Holds) {
        let id = reservation.id;
        self.reservations.insert(id);
        let customer = self.customers.entry(reservation.customer.clone()).or_default();
        customer.reservations.insert(id);
        if let ReservationState::Held { until } = reservation.state {
            holds.insert((until, id));
            customer.holds.insert((until, id));
            for (pool, _) in reservation.lines.pools() {
                self.holds_by_pool.entry(pool.clone()).or_default().insert((until, id));
            }
        }
    }

    fn unindex(&mut self, reservation: &Reservation, holds: &mut Holds) {
        let id = reservation.id;
        let mut customer = self.customers.get_mut(&reservation.customer);
        if let ReservationState::Held { until } = reservation.state {
            holds.remove(&(until, id));
            if let Some(customer) = &mut customer {
                customer.holds.remove(&(until, id));
            }
            for (pool, _) in reservation.lines.pools() {
                if let Some(of_pool) = self.holds_by_pool.get_mut(pool) {
                    of_pool.remove(&(until, id));
                }
            }
        }
        if let Some(customer) = customer {
            customer.reservations.remove(&id);
            if customer.reservations.is_empty() {
                self.customers.remove(&reservation.customer);
            }
        }
    }
}
