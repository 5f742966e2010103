//! The snapshot of a load whose rows come one after another, of all kinds.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::domain::{
    AreaId, Lapsed, LapsedOf, Place, Record, RecordKey, ReservationId, Snapshot, TicketId, Timestamp, Versioned,
};
use crate::ports::{LAPSED_MAX, LoadRequest};

/// What there is of it so far.
#[derive(Debug)]
pub(super) struct Gathered {
    snapshot: Snapshot,
    free: HashMap<AreaId, Vec<(TicketId, Place)>>,
    lapsed: BTreeMap<LapsedOf, BTreeSet<(Timestamp, ReservationId)>>,
}

impl Gathered {
    /// Nothing that is asked for is there until a row says so. There will be so many.
    pub(super) fn new(request: &LoadRequest, rows: usize) -> Self {
        let mut snapshot = Snapshot::new(request.event.clone(), Timestamp::EPOCH);
        snapshot.reserve(request.records.len().max(rows));
        for key in request.records.iter().chain([&RecordKey::Event]) {
            snapshot.insert(key.clone(), Versioned::ABSENT);
        }
        let free = request.free_in.iter().map(|area| (area.clone(), Vec::new())).collect();
        Self { snapshot, free, lapsed: BTreeMap::new() }
    }

    pub(super) fn clock(&mut self, now: Timestamp) {
        self.snapshot.set_clock(now);
    }

    pub(super) fn operations_purged_before(&mut self, before: Timestamp) {
        self.snapshot.set_operations_purged_before(before);
    }

    /// An expired hold counts in something.
    pub(super) fn lapsed(&mut self, of: LapsedOf, until: Timestamp, reservation: ReservationId) {
        self.lapsed.entry(of).or_default().insert((until, reservation));
    }

    /// A ticket is free in an area that was asked for; its record is added beside.
    pub(super) fn free(&mut self, id: &TicketId, place: &Place) {
        self.free.entry(place.area.clone()).or_default().push((id.clone(), place.clone()));
    }

    pub(super) fn record(&mut self, key: RecordKey, record: Versioned) {
        match (&key, &record.record) {
            (RecordKey::Pool(id), Some(Record::Pool(_))) => {
                self.lapsed.entry(LapsedOf::Pool(id.clone())).or_default();
            }
            (RecordKey::Allowance(id), Some(Record::Allowance(_))) => {
                self.lapsed.entry(LapsedOf::Customer(id.clone())).or_default();
            }
            _ => {}
        }
        self.snapshot.insert(key, record);
    }

    /// All of it is there.
    pub(super) fn into_snapshot(self) -> Snapshot {
        let Self { mut snapshot, free, lapsed } = self;
        for (area, tickets) in free {
            snapshot.insert_free(area, tickets);
        }
        for (of, reservations) in lapsed {
            let more = reservations.len() > LAPSED_MAX;
            let reservations = reservations.into_iter().map(|(_, id)| id).take(LAPSED_MAX).collect();
            snapshot.insert_lapsed(of, Lapsed { reservations, more });
        }
        snapshot
    }
}
