//! What becomes of groups on their way to the store.

use std::sync::PoisonError;

use ticket_reservation::domain::{
    Event, EventId, Record, RecordKey, Reservation, ReservationState, Ticket, TicketState, Timestamp,
};
use ticket_reservation::ports::{Group, GroupOutcome, StoreError, Write};

use super::{Faulty, MEET};
use crate::fault::{Fault, Kind};

fn is_wrong(write: &Write) -> bool {
    match (&write.key, &write.record) {
        (RecordKey::Pool(_), Record::Pool(pool)) => {
            u64::from(pool.held) + u64::from(pool.booked) > pool.capacity.into()
        }
        (RecordKey::Reservation(id), Record::Reservation(reservation)) => *id != reservation.id,
        (RecordKey::Ticket(_), record) => !matches!(record, Record::Ticket(_)),
        (RecordKey::Pool(_), _) => true,
        _ => false,
    }
}

/// Times as a store keeps them that knows fewer.
fn with_times(record: &Record, kept: impl Fn(Timestamp) -> Timestamp) -> Record {
    match record.clone() {
        Record::Ticket(Ticket { place, state: TicketState::Held { reservation, until } }) => {
            Record::Ticket(Ticket { place, state: TicketState::Held { reservation, until: kept(until) } })
        }
        Record::Reservation(reservation) => {
            let state = match reservation.state {
                ReservationState::Held { until } => ReservationState::Held { until: kept(until) },
                state => state,
            };
            Record::Reservation(Reservation { state, held_at: kept(reservation.held_at), ..reservation })
        }
        Record::Event(event) => {
            let mut window = event.window;
            window.opens = window.opens.map(&kept);
            window.closes = window.closes.map(&kept);
            Record::Event(Event { window, ..event })
        }
        other => other,
    }
}

impl Faulty {
    /// The group as it would be if it had just been read.
    pub(super) async fn up_to_date(&self, event: &EventId, group: &Group, which: impl Fn(u64) -> bool) -> Group {
        let mut group = group.clone();
        let keys = group.reads.iter().map(|(key, _)| key).chain(group.writes.iter().map(|write| &write.key));
        let Ok(snapshot) = self.now(event, keys).await else { return group };
        let version = |key: &RecordKey| snapshot.get(key).map_or(0, |versioned| versioned.version);
        for (key, read) in group.reads.iter_mut().filter(|(_, read)| which(*read)) {
            *read = version(key);
        }
        for write in group.writes.iter_mut().filter(|write| which(write.version)) {
            write.version = version(&write.key);
        }
        group
    }

    pub(super) async fn altered(&self, event: &EventId, group: &Group) -> Group {
        let mut group = group.clone();
        let mut keep_times = |kept: fn(Timestamp) -> Timestamp| {
            for write in &mut group.writes {
                write.decided_at = kept(write.decided_at);
                write.record = with_times(&write.record, kept);
            }
        };
        match self.fault() {
            Fault::ChecksNoVersion => return self.up_to_date(event, &group, |_| true).await,
            Fault::CreatesTwice => {
                let reads = std::mem::take(&mut group.reads);
                group = self.up_to_date(event, &group, |version| version == 0).await;
                group.reads = reads;
            }
            Fault::ForgetsReads => group.reads.clear(),
            Fault::ForgetsAbsence => group.reads.retain(|(_, version)| *version > 0),
            Fault::DropsOperations => group.writes.retain(|write| !matches!(write.key, RecordKey::Operation(_))),
            Fault::WritesWhatIsPurged => {
                let Ok(now) = self.now(event, [].iter()).await else { return group };
                let before = now.operations_purged_before();
                let is_purged = |key: &RecordKey| matches!(key, RecordKey::Operation(id) if id.made_at() < before);
                group.writes.retain(|write| !is_purged(&write.key));
            }
            Fault::LeavesOutWhatIsWrong => group.writes.retain(|write| !is_wrong(write)),
            Fault::ForgetsTheTime => group.writes.iter_mut().for_each(|write| write.decided_at = Timestamp::EPOCH),
            Fault::RoundsTimes => keep_times(|time| Timestamp::from_micros(time.as_micros() / 1_000 * 1_000)),
            Fault::EndsIn9999 => keep_times(|time| time.min(Timestamp::from_micros(253_402_300_799_999_999))),
            Fault::Forgets if group.writes.len() > 3 => group.writes.truncate(3),
            _ => {}
        }
        group
    }

    pub(super) fn note_sold(&self, event: &EventId, groups: &[Group]) {
        let mut sold = self.shared.sold.lock().unwrap_or_else(PoisonError::into_inner);
        for write in groups.iter().flat_map(|group| &group.writes) {
            if let (RecordKey::Ticket(id), Record::Ticket(Ticket { state: TicketState::Booked { .. }, .. })) =
                (&write.key, &write.record)
            {
                sold.insert((event.clone(), id.clone()));
            }
        }
    }

    /// Those of a batch whose records have other versions now.
    pub(super) async fn stale(
        &self,
        event: &EventId,
        group: &Group,
        which: impl Fn(&RecordKey, u64) -> bool,
    ) -> Vec<RecordKey> {
        let reads = group.reads.iter().map(|(key, version)| (key, *version));
        let read: Vec<_> = reads.chain(group.writes.iter().map(|write| (&write.key, write.version))).collect();
        let Ok(now) = self.now(event, read.iter().map(|(key, _)| *key)).await else { return Vec::new() };
        let is_stale = |key: &RecordKey, version| now.get(key).map_or(0, |it| it.version) != version;
        let stale = read.into_iter().filter(|(key, version)| which(key, *version) && is_stale(key, *version));
        stale.map(|(key, _)| key.clone()).collect()
    }

    /// A plain read before the write, as under READ COMMITTED. The two who race have both read before either writes.
    pub(super) async fn commit_after_reading(
        &self,
        event: &EventId,
        group: &Group,
        kind: Kind,
    ) -> Result<Vec<GroupOutcome>, StoreError> {
        let mut checked = group.clone();
        checked.reads.retain(|(key, _)| Kind::of(key) == kind);
        checked.writes.clear();
        let stale = self.stale(event, &checked, |_, _| true).await;
        if !stale.is_empty() {
            return Ok(vec![GroupOutcome::Conflict { stale }]);
        }
        let mut group = group.clone();
        group.reads.retain(|(key, _)| Kind::of(key) != kind);
        let races = self.shared.checked.meet(MEET).await;
        // Who checks everything goes first, so that it finds nothing changed.
        if races && !checked.reads.is_empty() {
            self.shared.written.meet(MEET).await;
        }
        let outcomes = self.inner.commit(event, &[group]).await;
        if races && checked.reads.is_empty() {
            self.shared.written.meet(MEET).await;
        }
        outcomes
    }
}
