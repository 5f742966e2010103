//! Snapshots built record by record, for tests of the rules without any service. What a test does not name does not exist.

use std::time::Duration;

use super::sim::START;
use super::world::{area, customer, event, lines, pool, record, seconds};
use ticket_reservation::domain::{
    Action, Allowance, ChangeSet, Command, CustomerId, Event, EventState, Hold, Lapsed, LapsedOf, OperationId, Place,
    Policies, Pool, Record, RecordKey, Rejection, Reservation, ReservationId, ReservationState, SalesWindow, Snapshot,
    Ticket, TicketState, Timestamp, Transfer, Versioned, View, decide,
};

pub(crate) const MOMENT: Duration = Duration::from_micros(1);

/// The deadline of every hold in these tests.
pub(crate) const UNTIL: Timestamp = START;

pub(crate) fn id(n: u8) -> ReservationId {
    ReservationId::from_parts(START, [n; 10])
}

pub(crate) fn operation(n: u8) -> OperationId {
    OperationId::from_parts(START, [n; 10])
}

pub(crate) fn command(action: Action) -> Command {
    Command { event: event(), operation: operation(1), action }
}

/// A snapshot and the policies that it is decided under.
pub(crate) struct World {
    pub(crate) snapshot: Snapshot,
    pub(crate) policies: Policies,
}

impl World {
    /// An event on sale, at `now`.
    pub(crate) fn at(now: Timestamp) -> Self {
        let world = Self { snapshot: Snapshot::new(event(), now), policies: Policies::default() };
        world.with_limit(None)
    }

    pub(crate) fn put(mut self, key: RecordKey, record: Record, decided_at: Timestamp) -> Self {
        self.snapshot.insert(key, Versioned::new(1, decided_at, record));
        self
    }

    pub(crate) fn with_limit(self, limit_per_customer: Option<u32>) -> Self {
        let event = Event { state: EventState::OnSale, window: SalesWindow::default(), limit_per_customer };
        self.put(RecordKey::Event, Record::Event(event), Timestamp::EPOCH)
    }

    pub(crate) fn ticket(self, name: &str, state: TicketState) -> Self {
        self.ticket_decided(name, state, Timestamp::EPOCH)
    }

    pub(crate) fn ticket_decided(self, name: &str, state: TicketState, decided_at: Timestamp) -> Self {
        let ticket = Ticket { place: Place { area: area("A"), row: 1, number: 1 }, state };
        self.put(record(name), Record::Ticket(ticket), decided_at)
    }

    pub(crate) fn pool(mut self, name: &str, capacity: u32, held: u32, lapsed: &[ReservationId]) -> Self {
        let list = Lapsed { reservations: lapsed.to_vec(), more: false };
        self.snapshot.insert_lapsed(LapsedOf::Pool(pool(name)), list);
        self.put(RecordKey::Pool(pool(name)), Record::Pool(Pool { capacity, held, booked: 0 }), Timestamp::EPOCH)
    }

    pub(crate) fn allowance(mut self, who: &str, held: u32, booked: u32, lapsed: &[ReservationId]) -> Self {
        let list = Lapsed { reservations: lapsed.to_vec(), more: false };
        self.snapshot.insert_lapsed(LapsedOf::Customer(customer(who)), list);
        let allowance = Record::Allowance(Allowance { held, booked });
        self.put(RecordKey::Allowance(customer(who)), allowance, Timestamp::EPOCH)
    }

    pub(crate) fn reservation(
        self,
        n: u8,
        who: &str,
        of: &[&str],
        pools: &[(&str, u32)],
        state: ReservationState,
    ) -> Self {
        let reservation = Reservation {
            id: id(n),
            event: event(),
            customer: customer(who),
            lines: lines(of, pools),
            state,
            held_at: START.before(seconds(600)),
        };
        self.put(RecordKey::Reservation(id(n)), Record::Reservation(reservation), Timestamp::EPOCH)
    }

    /// Ann holds A1 until [`UNTIL`].
    pub(crate) fn ann_holds_a1(self) -> Self {
        let state = TicketState::Held { reservation: id(1), until: UNTIL };
        self.ticket("A1", state).reservation(1, "ann", &["A1"], &[], ReservationState::Held { until: UNTIL })
    }

    pub(crate) fn policies(mut self, policies: Policies) -> Self {
        self.policies = policies;
        self
    }

    /// Decides; records that the world lacks do not exist.
    pub(crate) fn decide(&self, command: &Command) -> (Result<ChangeSet, Rejection>, Vec<RecordKey>) {
        let mut snapshot = self.snapshot.clone();
        loop {
            let mut view = View::new(&snapshot);
            let decided = decide(&mut view, command, &self.policies);
            let missing = view.missing().to_vec();
            if missing.is_empty() {
                return (decided, view.into_touched());
            }
            missing.into_iter().for_each(|key| snapshot.insert(key, Versioned::ABSENT));
        }
    }

    pub(crate) fn verdict(&self, action: Action) -> Result<ChangeSet, Rejection> {
        self.decide(&command(action)).0
    }
}

pub(crate) fn hold(who: &str, of: &[&str], pools: &[(&str, u32)]) -> Action {
    Action::Hold(Hold::new(id(9), customer(who), lines(of, pools)))
}

pub(crate) fn confirm(who: &str) -> Action {
    Action::Confirm { reservation: id(1), customer: customer(who) }
}

/// What Ann does to her reservation.
pub(crate) fn release() -> Action {
    Action::Release { reservation: id(1), customer: customer("ann") }
}

pub(crate) fn cancel() -> Action {
    Action::Cancel { reservation: id(1), customer: customer("ann") }
}

pub(crate) fn transfer() -> Action {
    Action::Transfer(Transfer { reservation: id(1), from: customer("ann"), to: customer("zoe") })
}

/// Everything that a customer can do to a reservation.
pub(crate) fn actions(who: &str) -> Vec<Action> {
    let (reservation, customer) = (id(1), customer(who));
    let to = CustomerId::new("zoe").unwrap();
    vec![
        confirm(who),
        Action::Release { reservation, customer: customer.clone() },
        Action::Extend { reservation, customer: customer.clone(), ttl: None },
        Action::Transfer(Transfer { reservation, from: customer, to }),
    ]
}

pub(crate) fn written<'c>(changes: &'c ChangeSet, key: &RecordKey) -> Option<&'c Record> {
    changes.writes.iter().find(|(written, _)| written == key).map(|(_, record)| record)
}

pub(crate) fn pool_after(changes: &ChangeSet, name: &str) -> Pool {
    match written(changes, &RecordKey::Pool(pool(name))) {
        Some(Record::Pool(pool)) => pool.clone(),
        other => panic!("{name} is not written: {other:?}"),
    }
}

pub(crate) fn state_after(changes: &ChangeSet, n: u8) -> ReservationState {
    match written(changes, &RecordKey::Reservation(id(n))) {
        Some(Record::Reservation(reservation)) => reservation.state,
        other => panic!("reservation {n} is not written: {other:?}"),
    }
}
