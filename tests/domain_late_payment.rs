//! A confirmation after the deadline, where the policy books what is still free: it takes its places again by all the
//! rules of a hold.

mod common;

use common::rules::{MOMENT, UNTIL, World, confirm, id, pool_after, state_after, written};
use common::world::{customer, pool, seconds};
use ticket_reservation::domain::{
    Action, Allowance, Event, EventState, LatePayment, Policies, Pool, Record, RecordKey, Rejection, ReservationState,
    SalesWindow, Timestamp, Transfer,
};

const HELD: ReservationState = ReservationState::Held { until: UNTIL };

fn world() -> World {
    let kind = Policies { late_payment: LatePayment::RebookIfFree, ..Policies::default() };
    World::at(UNTIL).policies(kind)
}

fn allowance_after(world: &World, who: &str) -> Option<Allowance> {
    let changes = world.verdict(confirm("ann")).unwrap();
    match written(&changes, &RecordKey::Allowance(customer(who))) {
        Some(Record::Allowance(allowance)) => Some(allowance.clone()),
        _ => None,
    }
}

#[test]
fn a_reclaimed_hold_counts_in_the_allowance_again() {
    let world = world().with_limit(Some(5)).pool("floor", 9, 0, &[]).allowance("ann", 1, 2, &[]);
    let world = world.reservation(1, "ann", &[], &[("floor", 2)], ReservationState::Expired);
    assert_eq!(allowance_after(&world, "ann"), Some(Allowance { held: 1, booked: 4 }));
}

#[test]
fn a_hold_not_reclaimed_yet_counts_in_the_allowance_only_once() {
    let world = world().with_limit(Some(5)).pool("floor", 9, 2, &[]).allowance("ann", 3, 2, &[]);
    let world = world.reservation(1, "ann", &[], &[("floor", 2)], HELD);
    assert_eq!(allowance_after(&world, "ann"), Some(Allowance { held: 1, booked: 4 }));
}

#[test]
fn a_reclaimed_hold_is_refused_beyond_the_limit() {
    for (taken, allowed) in [(3, true), (4, false)] {
        let world = world().with_limit(Some(5)).pool("floor", 9, 0, &[]).allowance("ann", 0, taken, &[]);
        let world = world.reservation(1, "ann", &[], &[("floor", 2)], ReservationState::Expired);
        match world.verdict(confirm("ann")) {
            Ok(_) => assert!(allowed, "{taken} are taken"),
            Err(rejection) => {
                assert_eq!((allowed, rejection), (false, Rejection::LimitReached { limit: 5, taken, wanted: 2 }));
            }
        }
    }
}

#[test]
fn a_reclaimed_hold_is_refused_when_its_pool_is_full() {
    for (held, free) in [(7, true), (8, false)] {
        let world = world().pool("floor", 9, held, &[]);
        let world = world.reservation(1, "ann", &[], &[("floor", 2)], ReservationState::Expired);
        match world.verdict(confirm("ann")) {
            Ok(changes) => {
                assert_eq!((free, pool_after(&changes, "floor")), (true, Pool { capacity: 9, held, booked: 2 }));
            }
            Err(rejection) => {
                let full = Rejection::Insufficient { pool: pool("floor"), wanted: 2, free: 1 };
                assert_eq!((free, rejection), (false, full));
            }
        }
    }
}

#[test]
fn a_reclaimed_hold_reclaims_what_others_have_let_lapse() {
    let world = world().pool("floor", 3, 3, &[id(2), id(3)]);
    let world = world.reservation(1, "ann", &[], &[("floor", 1)], ReservationState::Expired);
    let world =
        world.reservation(2, "bob", &[], &[("floor", 1)], HELD).reservation(3, "cat", &[], &[("floor", 2)], HELD);
    let changes = world.verdict(confirm("ann")).unwrap();
    assert_eq!(pool_after(&changes, "floor"), Pool { capacity: 3, held: 2, booked: 1 });
    assert_eq!([1, 2].map(|n| state_after(&changes, n)), [ReservationState::Booked, ReservationState::Expired]);
    assert_eq!(written(&changes, &RecordKey::Reservation(id(3))), None, "one was enough");
}

fn sold_in(world: World, window: SalesWindow) -> World {
    let event = Event { state: EventState::OnSale, window, limit_per_customer: None };
    world.put(RecordKey::Event, Record::Event(event), Timestamp::EPOCH)
}

#[test]
fn nothing_is_booked_late_after_the_sale_has_closed() {
    for (closes, open) in [(UNTIL.after(MOMENT), true), (UNTIL, false)] {
        for (state, held) in [(HELD, 2), (ReservationState::Expired, 0)] {
            let window = SalesWindow { opens: None, closes: Some(closes) };
            let world = sold_in(world(), window).pool("floor", 9, held, &[]);
            let world = world.reservation(1, "ann", &[], &[("floor", 2)], state);
            match world.verdict(confirm("ann")) {
                Ok(_) => assert!(open, "{state:?}"),
                Err(rejection) => {
                    let closed = Rejection::NotOnSale { opens: None, closes: Some(closes) };
                    assert_eq!((open, rejection), (false, closed), "{state:?}");
                }
            }
        }
    }
}

#[test]
fn a_live_hold_is_booked_after_the_sale_has_closed() {
    let window = SalesWindow { opens: None, closes: Some(UNTIL.before(seconds(60))) };
    let world = sold_in(World::at(UNTIL.before(MOMENT)).ann_holds_a1(), window);
    assert_eq!(state_after(&world.verdict(confirm("ann")).unwrap(), 1), ReservationState::Booked);
}

#[test]
fn what_was_given_back_is_not_booked_late() {
    for (state, name) in [
        (ReservationState::Released, "released"),
        (ReservationState::Cancelled, "cancelled"),
        (ReservationState::Booked, "booked"),
    ] {
        let world = world().pool("floor", 9, 0, &[]).reservation(1, "ann", &[], &[("floor", 2)], state);
        assert_eq!(world.verdict(confirm("ann")), Err(Rejection::WrongState { state: name }));
    }
}

#[test]
fn only_a_confirmation_revives_what_is_over() {
    let (reservation, ann) = (id(1), customer("ann"));
    for state in [HELD, ReservationState::Expired] {
        let world = world().pool("floor", 9, 2, &[]).reservation(1, "ann", &[], &[("floor", 2)], state);
        for action in [
            Action::Extend { reservation, customer: ann.clone(), ttl: None },
            Action::Release { reservation, customer: ann.clone() },
            Action::Transfer(Transfer { reservation, from: ann.clone(), to: customer("zoe") }),
        ] {
            assert_eq!(world.verdict(action.clone()), Err(Rejection::HoldExpired), "{state:?} {action:?}");
        }
    }
}
