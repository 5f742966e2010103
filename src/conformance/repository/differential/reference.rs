use std::collections::BTreeMap;

use crate::domain::{
    AreaId, ChangeSet, Command, EventId, Lapsed, LapsedOf, Policies, Receipt, Record, RecordKey, Rejection,
    Reservation, ReservationId, ReservationState, Snapshot, Timestamp, Versioned, View, decide, expire,
};
use crate::ports::{Change, Sequence};

/// What the rules make of commands that come one after another: a map of records.
///
/// It has no batches, no conflicts and no store, so that whatever goes wrong there does not go wrong here too.
#[derive(Debug)]
pub(super) struct Reference {
    policies: Policies,
    /// The store's own clock, which chooses what a load brings along.
    clock: Timestamp,
    /// Reservations and operations are named across events; of the others each event has its own.
    records: BTreeMap<(Option<EventId>, RecordKey), Versioned>,
    feeds: BTreeMap<EventId, Vec<Change>>,
}

fn place_of(event: &EventId, key: &RecordKey) -> (Option<EventId>, RecordKey) {
    let is_shared = matches!(key, RecordKey::Reservation(_) | RecordKey::Operation(_));
    ((!is_shared).then(|| event.clone()), key.clone())
}

impl Reference {
    pub(super) fn new(policies: Policies, clock: Timestamp) -> Self {
        Self { policies, clock, records: BTreeMap::new(), feeds: BTreeMap::new() }
    }

    /// The store's own clock.
    pub(super) fn clock(&self) -> Timestamp {
        self.clock
    }

    /// A record as the store must have it.
    pub(super) fn get(&self, event: &EventId, key: &RecordKey) -> Versioned {
        self.records.get(&place_of(event, key)).cloned().unwrap_or_default()
    }

    /// The records of an event.
    pub(super) fn records<'r>(&'r self, event: &'r EventId) -> impl Iterator<Item = (&'r RecordKey, u64, &'r Record)> {
        let all = self.records.iter().filter_map(|((of, key), it)| Some((of, key, it.version, it.record.as_ref()?)));
        all.filter_map(move |(of, key, version, record)| {
            let of = match record {
                Record::Reservation(reservation) => Some(&reservation.event),
                Record::Operation(operation) => Some(&operation.event),
                _ => of.as_ref(),
            };
            (of == Some(event)).then_some((key, version, record))
        })
    }

    pub(super) fn changes(&self, event: &EventId) -> &[Change] {
        self.feeds.get(event).map(Vec::as_slice).unwrap_or_default()
    }

    /// Carries a command out at that time. The answer is the receipt, or why not.
    pub(super) fn submit(&mut self, command: &Command, at: Timestamp) -> Result<Option<Receipt>, Rejection> {
        let changes = self.decided(&command.event, command.area(), at, |view| decide(view, command, &self.policies))?;
        self.write(&command.event, &changes);
        Ok(changes.receipt)
    }

    /// Settles the hold that the store has to name first, if its deadline has come at that time. Answers how many holds
    /// that were.
    pub(super) fn sweep(&mut self, at: Timestamp) -> usize {
        let Some((event, reservation)) = self.lapsed(|_| true).next().map(|it| (it.event.clone(), it.id)) else {
            return 0;
        };
        let changes = self.decided(&event, None, at, |view| expire(view, &[reservation]));
        self.write(&event, &changes);
        usize::from(!changes.writes.is_empty())
    }

    /// The holds that have lapsed by the store's own clock, the oldest deadline first.
    pub(super) fn lapsed(&self, is_wanted: impl Fn(&Reservation) -> bool) -> impl Iterator<Item = &Reservation> {
        let mut lapsed: Vec<(Timestamp, &Reservation)> = Vec::new();
        for row in self.records.values() {
            if let Some(Record::Reservation(reservation)) = &row.record
                && let ReservationState::Held { until } = reservation.state
                && until <= self.clock
                && is_wanted(reservation)
            {
                lapsed.push((until, reservation));
            }
        }
        lapsed.sort_by_key(|(until, _)| *until);
        lapsed.into_iter().map(|(_, reservation)| reservation)
    }

    /// Those that count in a pool or an allowance of an event.
    pub(super) fn lapsed_of(&self, event: &EventId, of: &LapsedOf) -> Vec<ReservationId> {
        let counts = |reservation: &Reservation| match of {
            LapsedOf::Pool(id) => reservation.lines.pools().iter().any(|(pool, _)| pool == id),
            LapsedOf::Customer(id) => reservation.customer == *id,
        };
        self.lapsed(|reservation| reservation.event == *event && counts(reservation)).map(|it| it.id).collect()
    }

    /// Decides on a snapshot to which everything is added that the decision finds missing.
    fn decided<T>(
        &self,
        event: &EventId,
        area: Option<&AreaId>,
        at: Timestamp,
        decide: impl Fn(&mut View<'_>) -> T,
    ) -> T {
        let mut snapshot = Snapshot::new(event.clone(), at);
        if let Some(area) = area {
            let free = self.free_in(event, area);
            free.iter().for_each(|(id, _)| self.load(&mut snapshot, RecordKey::Ticket(id.clone())));
            snapshot.insert_free(area.clone(), free);
        }
        loop {
            let mut view = View::new(&snapshot);
            let decided = decide(&mut view);
            let missing = view.missing().to_vec();
            if missing.is_empty() {
                return decided;
            }
            missing.into_iter().for_each(|key| self.load(&mut snapshot, key));
        }
    }

    fn load(&self, snapshot: &mut Snapshot, key: RecordKey) {
        let event = snapshot.event().clone();
        let of = match &key {
            RecordKey::Pool(id) => Some(LapsedOf::Pool(id.clone())),
            RecordKey::Allowance(id) => Some(LapsedOf::Customer(id.clone())),
            _ => None,
        };
        if let Some(of) = of {
            let reservations = self.lapsed_of(&event, &of);
            snapshot.insert_lapsed(of, Lapsed { reservations, more: false });
        }
        snapshot.insert(key.clone(), self.get(&event, &key));
    }

    fn write(&mut self, event: &EventId, changes: &ChangeSet) {
        let mut writes: Vec<_> = changes.writes.iter().collect();
        writes.sort_by(|(left, _), (right, _)| left.cmp(right));
        for (key, record) in writes {
            let row = self.records.entry(place_of(event, key)).or_default();
            *row = Versioned::new(row.version + 1, changes.at, record.clone());
            if !matches!(key, RecordKey::Operation(_)) {
                let feed = self.feeds.entry(event.clone()).or_default();
                let (sequence, version) = (feed.len() as Sequence + 1, row.version);
                let (key, record) = (key.clone(), record.clone());
                feed.push(Change { sequence, decided_at: changes.at, version, key, record });
            }
        }
    }
}
