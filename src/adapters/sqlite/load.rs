use super::error::Fault;
use super::store::Store;
use crate::domain::{
    Event, Lapsed, LapsedOf, Record, RecordKey, Recorded, Reservation, ReservationId, Snapshot, Timestamp,
};
use crate::ports::{LAPSED_MAX, LoadRequest};

impl Store<'_> {
    /// Reads what is asked for and what deciding it needs next, all at one moment.
    pub(super) fn load(&mut self, request: &LoadRequest) -> Result<Snapshot, Fault> {
        self.transactions.begin_read()?;
        let snapshot = self.load_in_transaction(request);
        self.transactions.undo(snapshot)
    }

    fn load_in_transaction(&mut self, request: &LoadRequest) -> Result<Snapshot, Fault> {
        let now = self.clock.unix_time();
        let mut snapshot = Snapshot::new(request.event.clone(), now);
        snapshot.reserve(request.records.len());
        if let Some(before) = self.reads.operations_purged_before()? {
            snapshot.set_operations_purged_before(before);
        }
        let event = self.reads.record(&request.event, &RecordKey::Event)?;
        let counts_customers = matches!(&event.record, Some(Record::Event(Event { limit_per_customer: Some(_), .. })));
        snapshot.insert(RecordKey::Event, event);
        let loading = Loading { store: self, snapshot, now, counts_customers, lapsed: Vec::new() };
        loading.run(request)
    }
}

/// A load on its way.
struct Loading<'l, 'c> {
    store: &'l mut Store<'c>,
    snapshot: Snapshot,
    now: Timestamp,
    /// Whether the event has a limit, so that allowances count.
    counts_customers: bool,
    /// The expired holds found so far.
    lapsed: Vec<ReservationId>,
}

impl Loading<'_, '_> {
    fn run(mut self, request: &LoadRequest) -> Result<Snapshot, Fault> {
        for area in &request.free_in {
            let mut free = Vec::new();
            for (id, versioned) in self.store.reads.free(&request.event, area, self.now)? {
                if let Some(Record::Ticket(ticket)) = &versioned.record {
                    free.push((id.clone(), ticket.place.clone()));
                }
                self.snapshot.insert(RecordKey::Ticket(id), versioned);
            }
            self.snapshot.insert_free(area.clone(), free);
        }
        for key in &request.records {
            self.read_with_lapsed(key)?;
        }
        // Giving an expired hold back changes its pools and its customer's allowance. A decision takes it for granted
        // that the expired holds of each of these are there too; what those belong to is read when it is asked for, so
        // that a load stays bounded.
        for id in std::mem::take(&mut self.lapsed) {
            if let Some(lapsed) = self.reservation_of_this_event(&RecordKey::Reservation(id)) {
                for key in self.counters_of(&lapsed) {
                    self.read_with_lapsed(&key)?;
                }
            }
        }
        Ok(self.snapshot)
    }

    /// Reads a record, the expired holds that count in it, and what it names.
    fn read_with_lapsed(&mut self, key: &RecordKey) -> Result<(), Fault> {
        self.read(key)?;
        match key {
            RecordKey::Pool(pool) => self.read_lapsed(LapsedOf::Pool(pool.clone())),
            RecordKey::Allowance(customer) => self.read_lapsed(LapsedOf::Customer(customer.clone())),
            RecordKey::Reservation(_) => {
                let Some(reservation) = self.reservation_of_this_event(key) else {
                    return Ok(());
                };
                for ticket in reservation.lines.tickets() {
                    self.read(&RecordKey::Ticket(ticket.clone()))?;
                }
                self.counters_of(&reservation).iter().try_for_each(|key| self.read_with_lapsed(key))
            }
            RecordKey::Operation(_) => match self.reservation_of_operation(key) {
                Some(reservation) => self.read_with_lapsed(&reservation),
                None => Ok(()),
            },
            RecordKey::Event | RecordKey::Ticket(_) => Ok(()),
        }
    }

    fn read(&mut self, key: &RecordKey) -> Result<(), Fault> {
        if self.snapshot.get(key).is_none() {
            let versioned = self.store.reads.record(self.snapshot.event(), key)?;
            self.snapshot.insert(key.clone(), versioned);
        }
        Ok(())
    }

    fn read_lapsed(&mut self, of: LapsedOf) -> Result<(), Fault> {
        if self.snapshot.lapsed(&of).is_some() {
            return Ok(());
        }
        let event = self.snapshot.event();
        let mut reservations = match &of {
            LapsedOf::Pool(pool) => self.store.reads.lapsed_in_pool(event, pool, self.now)?,
            LapsedOf::Customer(customer) => self.store.reads.lapsed_of_customer(event, customer, self.now)?,
        };
        let more = reservations.len() > LAPSED_MAX;
        reservations.truncate(LAPSED_MAX);
        for id in &reservations {
            self.read(&RecordKey::Reservation(*id))?;
        }
        self.lapsed.extend_from_slice(&reservations);
        self.snapshot.insert_lapsed(of, Lapsed { reservations, more });
        Ok(())
    }

    /// The records that a reservation counts in.
    fn counters_of(&self, reservation: &Reservation) -> Vec<RecordKey> {
        let pools = reservation.lines.pools().iter().map(|(pool, _)| RecordKey::Pool(pool.clone()));
        let customer = self.counts_customers.then(|| RecordKey::Allowance(reservation.customer.clone()));
        pools.chain(customer).collect()
    }

    fn reservation_of_this_event(&self, key: &RecordKey) -> Option<Reservation> {
        match &self.snapshot.get(key)?.record {
            Some(Record::Reservation(found)) if found.event == *self.snapshot.event() => Some(found.clone()),
            _ => None,
        }
    }

    fn reservation_of_operation(&self, key: &RecordKey) -> Option<RecordKey> {
        match &self.snapshot.get(key)?.record {
            Some(Record::Operation(operation)) => match &operation.recorded {
                Recorded::Applied { reservation, .. } => reservation.map(RecordKey::Reservation),
                Recorded::Voided => None,
            },
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::store::testing;
    use super::super::thread::Session as _;
    use super::*;
    use crate::domain::EventId;

    #[test]
    fn a_load_that_fails_says_why_even_when_its_transaction_cannot_be_ended() {
        let folder = tempfile::tempdir().unwrap();
        let session = testing::session(&folder);
        let connection = session.open().unwrap();
        let mut store = session.prepare(&connection).unwrap();
        let damaged = "INSERT INTO event (event_id, state, limit_per_customer, version, decided_at)
            VALUES ('gala', 'on_sale', NULL, 1, 1); INSERT INTO pool VALUES ('gala', 'floor', 9, 4294967296, 0, 1, 1)";
        connection.execute_batch("PRAGMA ignore_check_constraints = ON").unwrap();
        connection.execute_batch(damaged).unwrap();
        store.transactions.break_rollback();
        let records = vec![RecordKey::Pool("floor".try_into().unwrap())];
        let request = LoadRequest { event: EventId::new("gala").unwrap(), records, free_in: Vec::new() };
        let fault = store.load(&request).unwrap_err();
        assert!(matches!(fault, Fault::Content { table: "pool", .. }), "{fault:?}");
    }
}
