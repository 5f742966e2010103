use std::collections::BTreeSet;

use super::config::LockScope;
use crate::domain::{Command, EventId, Record, RecordKey, Snapshot};
use crate::locking::LeaseSet;
use crate::ports::LockKey;

/// Which locks cover a decision in this round.
#[derive(Debug, Clone)]
pub(super) enum Coverage {
    /// None is needed.
    Nothing,
    /// Every ticket and pool, each by its own lock, its area's or its event's.
    Everything(LockScope),
    /// These records, each by its own lock.
    Records(BTreeSet<RecordKey>),
}

impl Coverage {
    pub(super) fn is_nothing(&self) -> bool {
        matches!(self, Self::Nothing)
    }

    /// The locks that a command needs, as far as its own words tell: enough to see whether locks at hand serve it.
    pub(super) fn named(&self, event: &EventId, command: &Command) -> Vec<LockKey> {
        let records = || command.records().into_iter().filter(RecordKey::is_inventory);
        match self {
            Self::Nothing | Self::Everything(LockScope::Area) => Vec::new(),
            Self::Everything(LockScope::Event) => event_key(event).into_iter().collect(),
            Self::Everything(LockScope::Ticket) => records().filter_map(|record| record_key(event, &record)).collect(),
            Self::Records(hot) => records()
                .filter(|record| hot.contains(record))
                .filter_map(|record| record_key(event, &record))
                .collect(),
        }
    }

    /// The locks that a decision needs which changes something: those of the tickets and pools it depends on.
    fn of_decision(&self, touched: &[RecordKey], written: &[RecordKey], snapshot: &Snapshot) -> BTreeSet<LockKey> {
        let event = snapshot.event();
        // What does not exist yet is nobody's to fight over.
        let exists = |record: &&RecordKey| snapshot.get(record).is_some_and(|versioned| versioned.version > 0);
        let records = touched.iter().chain(written).filter(|record| record.is_inventory()).filter(exists);
        match self {
            Self::Nothing => BTreeSet::new(),
            Self::Everything(LockScope::Event) => event_key(event).into_iter().collect(),
            Self::Everything(LockScope::Ticket) => records.filter_map(|record| record_key(event, record)).collect(),
            Self::Everything(LockScope::Area) => records
                .filter_map(|record| match snapshot.get(record).and_then(|it| it.record.as_ref()) {
                    Some(Record::Ticket(ticket)) => key(event, "area", ticket.place.area.as_str()),
                    _ => record_key(event, record),
                })
                .collect(),
            Self::Records(hot) => {
                records.filter(|record| hot.contains(*record)).filter_map(|record| record_key(event, record)).collect()
            }
        }
    }
}

/// Lets through only what the locks held cover.
#[derive(Debug)]
pub(super) struct Guard<'a> {
    pub(super) coverage: &'a Coverage,
    pub(super) leases: &'a LeaseSet,
}

impl Guard<'_> {
    /// All locks that the decision needs, if one of them is not held; none if it may go on.
    pub(super) fn lacking(&self, touched: &[RecordKey], written: &[RecordKey], snapshot: &Snapshot) -> Vec<LockKey> {
        if self.coverage.is_nothing() {
            return Vec::new();
        }
        let needed = self.coverage.of_decision(touched, written, snapshot);
        if self.leases.cover(&needed) { Vec::new() } else { needed.into_iter().collect() }
    }
}

fn record_key(event: &EventId, record: &RecordKey) -> Option<LockKey> {
    match record {
        RecordKey::Ticket(id) => key(event, "ticket", id.as_str()),
        RecordKey::Pool(id) => key(event, "pool", id.as_str()),
        _ => None,
    }
}

fn event_key(event: &EventId) -> Option<LockKey> {
    LockKey::new(format!("event:{event}")).ok()
}

/// The event's length keeps two keys apart whose ids contain colons. Two ids of 64 bytes always fit.
fn key(event: &EventId, kind: &str, id: &str) -> Option<LockKey> {
    LockKey::new(format!("{kind}:{}:{event}:{id}", event.as_str().len())).ok()
}
