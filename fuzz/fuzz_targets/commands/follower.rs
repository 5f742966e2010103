//! Whoever follows the change feed knows the tables.

use std::collections::BTreeMap;

use ticket_reservation::adapters::memory::MemoryRepository;
use ticket_reservation::domain::{EventId, Record, RecordKey};
use ticket_reservation::ports::{PAGE_MAX, PoolQuery, Repository, ReservationQuery, Sequence, TicketQuery};

use crate::domain_support::world::at_once;

#[derive(Default)]
pub(crate) struct Follower {
    read: Sequence,
    known: BTreeMap<RecordKey, (u64, Record)>,
}

impl Follower {
    /// Reads on. Nothing has been purged since, that was not read.
    pub(crate) fn read(&mut self, repository: &MemoryRepository, event: &EventId) {
        loop {
            let page = at_once(repository.changes(event, self.read, PAGE_MAX)).expect("everything was read in time");
            let Some(last) = page.last() else { return };
            self.read = last.sequence;
            for change in page {
                let before = self.known.insert(change.key.clone(), (change.version, change.record));
                let version_before = before.map_or(0, |(version, _)| version);
                assert!(change.version > version_before, "{:?} again at version {}", change.key, change.version);
            }
        }
    }

    /// The tables, rebuilt, are the tables.
    pub(crate) fn check(&self, repository: &MemoryRepository, event: &EventId) {
        let of = "the memory store does not fail";
        let (after, limit) = (None, PAGE_MAX);
        let query = TicketQuery { event: event.clone(), area: None, only_available: false, after, limit };
        let tickets = at_once(repository.tickets(&query)).expect(of);
        let query = PoolQuery { event: event.clone(), after: None, limit };
        let pools = at_once(repository.pools(&query)).expect(of);
        let query = ReservationQuery { event: Some(event.clone()), customer: None, state: None, after: None, limit };
        let reservations = at_once(repository.reservations(&query)).expect(of);

        let tickets = tickets.into_iter().map(|(id, at, it)| (RecordKey::Ticket(id), (at, Record::Ticket(it))));
        let pools = pools.into_iter().map(|(id, at, it)| (RecordKey::Pool(id), (at, Record::Pool(it))));
        let reservations =
            reservations.into_iter().map(|(at, it)| (RecordKey::Reservation(it.id), (at, Record::Reservation(it))));
        let tables: BTreeMap<_, _> = tickets.chain(pools).chain(reservations).collect();
        let is_listed = |key: &RecordKey| !matches!(key, RecordKey::Event | RecordKey::Allowance(_));
        let rebuilt: BTreeMap<_, _> = self.known.iter().filter(|(key, _)| is_listed(key)).collect();
        assert_eq!(rebuilt, tables.iter().collect(), "the feed of {event} against its tables");
    }
}
