//! One event, and commits that write it.

use ticket_reservation::domain::{EventId, EventState, Record, RecordKey, Timestamp};
use ticket_reservation::ports::{Group, LoadRequest, Write};

pub(crate) fn event() -> EventId {
    EventId::new("gala").unwrap()
}

/// An event that is on sale, as the first commit makes it.
pub(crate) fn new_event() -> Group {
    let record = Record::Event(ticket_reservation::domain::Event {
        state: EventState::OnSale,
        window: Default::default(),
        limit_per_customer: None,
    });
    let write = Write { key: RecordKey::Event, version: 0, decided_at: Timestamp::from_micros(1), record };
    Group { reads: Vec::new(), writes: vec![write], ..Group::default() }
}

pub(crate) fn load_event() -> LoadRequest {
    LoadRequest { event: event(), records: vec![RecordKey::Event], free_in: Vec::new() }
}

/// A commit that somebody keeps waiting.
pub(crate) fn another_commit() -> Group {
    let mut group = new_event();
    group.writes[0].version = 1;
    group
}
