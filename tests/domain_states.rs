//! Which action is possible in which state of a reservation, and what the others are told.

mod common;

use common::rules::{MOMENT, UNTIL, World, cancel, id, pool_after, release, state_after, transfer, written};
use common::world::{customer, pool, record, seconds};
use ticket_reservation::domain::{
    Action, EventId, Lapsed, LapsedOf, Pool, Record, RecordKey, Rejection, Reservation, ReservationState, Ticket,
    TicketState, Timestamp, View, expire,
};

const HELD: ReservationState = ReservationState::Held { until: UNTIL };

/// Ann's reservation of A1 and two places of the floor, in this state; A1 says the same.
fn ann_has(state: ReservationState, now: Timestamp) -> World {
    let owned = match state {
        ReservationState::Held { until } => TicketState::Held { reservation: id(1), until },
        ReservationState::Booked => TicketState::Booked { reservation: id(1) },
        _ => TicketState::Available,
    };
    let world = World::at(now).ticket("A1", owned).pool("floor", 9, 4, &[]);
    world.reservation(1, "ann", &["A1"], &[("floor", 2)], state)
}

fn extend() -> Action {
    Action::Extend { reservation: id(1), customer: customer("ann"), ttl: None }
}

fn confirm() -> Action {
    common::rules::confirm("ann")
}

#[test]
fn what_is_over_can_be_neither_changed_nor_ended_again() {
    for (state, name) in [(ReservationState::Released, "released"), (ReservationState::Cancelled, "cancelled")] {
        for action in [extend(), confirm(), release(), cancel(), transfer()] {
            let refused = ann_has(state, UNTIL.before(MOMENT)).verdict(action.clone());
            assert_eq!(refused, Err(Rejection::WrongState { state: name }), "{action:?}");
        }
    }
}

#[test]
fn a_booking_is_neither_extended_nor_confirmed_nor_released() {
    for action in [extend(), confirm(), release()] {
        let refused = ann_has(ReservationState::Booked, UNTIL).verdict(action.clone());
        assert_eq!(refused, Err(Rejection::WrongState { state: "booked" }), "{action:?}");
    }
}

#[test]
fn a_booking_is_cancelled_or_transferred_at_any_time() {
    for now in [UNTIL, UNTIL.after(seconds(1_000_000))] {
        let mut booked = ann_has(ReservationState::Booked, now);
        let counted = Pool { capacity: 9, held: 1, booked: 3 };
        booked = booked.put(RecordKey::Pool(pool("floor")), Record::Pool(counted), Timestamp::EPOCH);
        // The operation ids of these tests would be too old.
        booked.policies.retention = seconds(2_000_000);
        let cancelled = booked.verdict(cancel()).unwrap();
        assert_eq!(state_after(&cancelled, 1), ReservationState::Cancelled);
        assert_eq!(pool_after(&cancelled, "floor").booked, 1);
        let a1 = written(&cancelled, &record("A1"));
        assert!(matches!(a1, Some(Record::Ticket(Ticket { state: TicketState::Available, .. }))), "{a1:?}");
        assert_eq!(state_after(&booked.verdict(transfer()).unwrap(), 1), ReservationState::Booked);
    }
}

#[test]
fn a_hold_is_not_cancelled_but_released() {
    let live = ann_has(HELD, UNTIL.before(MOMENT));
    assert_eq!(live.verdict(cancel()), Err(Rejection::WrongState { state: "held" }));
    let released = live.verdict(release()).unwrap();
    assert_eq!(state_after(&released, 1), ReservationState::Released);
    let a1 = written(&released, &record("A1"));
    assert!(matches!(a1, Some(Record::Ticket(Ticket { state: TicketState::Available, .. }))), "{a1:?}");
}

#[test]
fn cancelling_what_is_over_is_told_that_it_has_expired_reclaimed_or_not() {
    for state in [HELD, ReservationState::Expired] {
        let refused = ann_has(state, UNTIL).verdict(cancel());
        assert_eq!(refused, Err(Rejection::WrongState { state: "expired" }), "{state:?}");
    }
}

#[test]
fn a_reclaimed_hold_is_over_whatever_the_clock_says() {
    for action in [extend(), confirm(), release(), transfer()] {
        let refused = ann_has(ReservationState::Expired, UNTIL.before(seconds(100))).verdict(action.clone());
        assert_eq!(refused, Err(Rejection::HoldExpired), "{action:?}");
    }
}

#[test]
fn a_reservation_that_does_not_exist_is_unknown() {
    for action in [extend(), confirm(), release(), cancel(), transfer()] {
        assert_eq!(World::at(UNTIL).verdict(action.clone()), Err(Rejection::UnknownReservation), "{action:?}");
    }
}

#[test]
fn extending_moves_the_deadline_of_the_tickets_too() {
    let changes = ann_has(HELD, UNTIL.before(MOMENT)).verdict(extend()).unwrap();
    let ReservationState::Held { until } = state_after(&changes, 1) else { panic!("still held") };
    let a1 = match written(&changes, &record("A1")) {
        Some(Record::Ticket(ticket)) => ticket.state.clone(),
        other => panic!("A1 is not written: {other:?}"),
    };
    assert_eq!(a1, TicketState::Held { reservation: id(1), until });
    assert!(until > UNTIL);
}

#[test]
fn ending_a_reservation_frees_no_ticket_that_another_one_has() {
    let mut booked = ann_has(ReservationState::Booked, UNTIL);
    booked = booked.ticket("A1", TicketState::Booked { reservation: id(2) });
    let cancelled = booked.verdict(cancel()).unwrap();
    assert_eq!(written(&cancelled, &record("A1")), None);
}

#[test]
fn expiring_passes_over_reservations_of_other_events() {
    let mut world = ann_has(HELD, UNTIL);
    let key = RecordKey::Reservation(id(1));
    let Some(Record::Reservation(of_ours)) = world.snapshot.get(&key).and_then(|it| it.record.clone()) else {
        panic!("Ann has a reservation")
    };
    let other = Reservation { event: EventId::new("other").unwrap(), ..of_ours };
    world = world.put(key, Record::Reservation(other), Timestamp::EPOCH);
    let mut view = View::new(&world.snapshot);
    assert_eq!(expire(&mut view, &[id(1)]).writes, []);
}

#[test]
fn expiring_is_dated_by_what_it_looked_at() {
    let mut world = ann_has(HELD, UNTIL);
    world = world.ticket_decided("A1", TicketState::Available, UNTIL.after(seconds(5)));
    let changes = expire(&mut View::new(&world.snapshot), &[id(1)]);
    assert_eq!(changes.at, UNTIL.after(seconds(5)));
    assert_eq!((changes.receipt.is_none(), state_after(&changes, 1)), (true, ReservationState::Expired));
}

#[test]
fn a_decision_that_finds_more_lapsed_holds_than_it_was_given_says_so() {
    let mut world = ann_has(HELD, UNTIL);
    let list = Lapsed { reservations: vec![id(1)], more: true };
    world.snapshot.insert_lapsed(LapsedOf::Pool(pool("floor")), list);
    let mut view = View::new(&world.snapshot);
    assert_eq!(view.lapsed(&LapsedOf::Pool(pool("floor"))), [id(1)]);
    assert_eq!(view.lapsed(&LapsedOf::Pool(pool("floor"))), [id(1)]);
    assert_eq!(view.more_lapsed(), [LapsedOf::Pool(pool("floor"))], "once");
}
