//! Reading a snapshot: what was asked for, and what deciding needs next.

use super::tables::{EventTables, Holds, Tables};
use crate::domain::{
    Lapsed, LapsedOf, Record, RecordKey, Recorded, Reservation, ReservationId, Snapshot, Timestamp, Versioned,
};
use crate::ports::{LAPSED_MAX, LoadRequest};

pub(super) fn load(tables: &Tables, request: &LoadRequest, clock: Timestamp) -> Snapshot {
    let mut snapshot = Snapshot::new(request.event.clone(), clock);
    snapshot.set_operations_purged_before(tables.operations_purged_before);
    snapshot.reserve(request.records.len());
    let mut loading = Loading { tables, of_event: tables.events.get(&request.event), request, snapshot };
    for key in &request.records {
        loading.bring(key.clone(), Depth::Along);
    }
    for area in &request.free_in {
        let free = loading.of_event.and_then(|event| event.areas.get(area)).map(|index| index.free(clock));
        let free = free.unwrap_or_default();
        let mut with_places = Vec::with_capacity(free.len());
        for id in free {
            let key = RecordKey::Ticket(id.clone());
            loading.bring(key.clone(), Depth::Along);
            if let Some(Record::Ticket(ticket)) = loading.snapshot.get(&key).and_then(|it| it.record.as_ref()) {
                with_places.push((id, ticket.place.clone()));
            }
        }
        loading.snapshot.insert_free(area.clone(), with_places);
    }
    loading.snapshot
}

/// How a record came to be loaded. Who finds a pool or an allowance finds its expired holds too; but what comes along
/// with those ends there, so that a load stays bounded.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Depth {
    /// It, or something that it belongs to, was asked for.
    Along,
    /// It belongs to an expired hold of a pool or an allowance that was asked for.
    WithLapsed,
    /// It is an expired hold of something that belongs to an expired hold.
    Last,
}

struct Loading<'a> {
    tables: &'a Tables,
    of_event: Option<&'a EventTables>,
    request: &'a LoadRequest,
    snapshot: Snapshot,
}

impl Loading<'_> {
    fn bring(&mut self, key: RecordKey, depth: Depth) {
        let known = self.snapshot.get(&key).cloned();
        let is_new = known.is_none();
        let versioned = known.unwrap_or_else(|| self.tables.versioned(&self.request.event, &key));
        if is_new {
            self.snapshot.insert(key.clone(), versioned.clone());
        }
        match key {
            RecordKey::Pool(id) => {
                let holds = self.of_event.and_then(|event| event.holds_by_pool.get(&id));
                self.bring_lapsed(LapsedOf::Pool(id), holds, depth);
            }
            RecordKey::Allowance(id) => {
                let holds =
                    self.of_event.and_then(|event| event.customers.get(&id)).map(|of_customer| &of_customer.holds);
                self.bring_lapsed(LapsedOf::Customer(id), holds, depth);
            }
            RecordKey::Reservation(_) if depth < Depth::Last => self.bring_lines(&versioned, depth),
            RecordKey::Operation(_) if is_new => {
                if let Some(Record::Operation(operation)) = versioned.record
                    && let Recorded::Applied { reservation: Some(id), .. } = operation.recorded
                {
                    self.bring(RecordKey::Reservation(id), Depth::Along);
                }
            }
            _ => {}
        }
    }

    /// With a reservation of this event: its tickets, its pools, and what its customer has taken.
    fn bring_lines(&mut self, versioned: &Versioned, depth: Depth) {
        let Some(Record::Reservation(reservation)) = &versioned.record else { return };
        let Reservation { event, customer, lines, .. } = reservation;
        if *event != self.request.event {
            return;
        }
        if depth == Depth::Along {
            for ticket in lines.tickets() {
                self.bring(RecordKey::Ticket(ticket.clone()), depth);
            }
        }
        for (pool, _) in lines.pools() {
            self.bring(RecordKey::Pool(pool.clone()), depth);
        }
        if self.is_limited() {
            self.bring(RecordKey::Allowance(customer.clone()), depth);
        }
    }

    fn bring_lapsed(&mut self, of: LapsedOf, holds: Option<&Holds>, depth: Depth) {
        if self.snapshot.lapsed(&of).is_some() {
            return;
        }
        let clock = self.snapshot.clock();
        let mut due = holds.into_iter().flatten().take_while(|(until, _)| *until <= clock).map(|(_, id)| *id);
        let reservations: Vec<ReservationId> = due.by_ref().take(LAPSED_MAX).collect();
        let more = due.next().is_some();
        self.snapshot.insert_lapsed(of, Lapsed { reservations: reservations.clone(), more });
        for id in reservations {
            let depth = if depth == Depth::Along { Depth::WithLapsed } else { Depth::Last };
            self.bring(RecordKey::Reservation(id), depth);
        }
    }

    fn is_limited(&self) -> bool {
        let event = self.of_event.and_then(|event| event.event.as_ref());
        event.is_some_and(|row| row.content.limit_per_customer.is_some())
    }
}
