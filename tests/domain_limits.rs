//! Counters: how many places a customer may have, what each action adds to and takes from pools and allowances, and how
//! much that has lapsed is reclaimed for it.

mod common;

use common::rules::{MOMENT, UNTIL, World, confirm, hold, id, pool_after, state_after, written};
use common::world::{customer, pool};
use ticket_reservation::domain::{
    Action, Allowance, ChangeSet, Pool, Record, RecordKey, Rejection, ReservationState, TicketState, Transfer,
};

const HELD: ReservationState = ReservationState::Held { until: UNTIL };
const BOOKED: ReservationState = ReservationState::Booked;

fn allowance_after(changes: &ChangeSet, who: &str) -> Option<(u32, u32)> {
    match written(changes, &RecordKey::Allowance(customer(who))) {
        Some(Record::Allowance(Allowance { held, booked })) => Some((*held, *booked)),
        _ => None,
    }
}

fn transfer(from: &str, to: &str) -> Action {
    Action::Transfer(Transfer { reservation: id(1), from: customer(from), to: customer(to) })
}

/// Ann has reservation 1, two places of the floor, just before a hold of it would be over.
fn ann_has_two(limit: u32, state: ReservationState, held: u32, booked: u32) -> World {
    let mut world = World::at(UNTIL.before(MOMENT)).with_limit(Some(limit)).pool("floor", 9, 0, &[]);
    let counted = match state {
        BOOKED => Pool { capacity: 9, held: 1, booked: 4 },
        _ => Pool { capacity: 9, held: 4, booked: 1 },
    };
    let key = RecordKey::Pool(pool("floor"));
    world = world.put(key, Record::Pool(counted), UNTIL.before(MOMENT));
    world.allowance("ann", held, booked, &[]).reservation(1, "ann", &[], &[("floor", 2)], state)
}

#[test]
fn a_customer_may_have_exactly_as_many_places_as_the_limit() {
    let world = World::at(UNTIL).with_limit(Some(4)).pool("floor", 9, 0, &[]).allowance("ann", 1, 1, &[]);
    let changes = world.verdict(hold("ann", &[], &[("floor", 2)])).unwrap();
    assert_eq!(allowance_after(&changes, "ann"), Some((3, 1)));
    let refused = world.verdict(hold("ann", &[], &[("floor", 3)]));
    assert_eq!(refused, Err(Rejection::LimitReached { limit: 4, taken: 2, wanted: 3 }));
}

#[test]
fn tickets_and_pool_places_count_together() {
    let world = World::at(UNTIL).with_limit(Some(3)).pool("floor", 9, 0, &[]).allowance("ann", 0, 0, &[]);
    let world = world.ticket("A1", TicketState::Available);
    let changes = world.verdict(hold("ann", &["A1"], &[("floor", 2)])).unwrap();
    assert_eq!(allowance_after(&changes, "ann"), Some((3, 0)));
    let refused = world.verdict(hold("ann", &["A1"], &[("floor", 3)]));
    assert_eq!(refused, Err(Rejection::LimitReached { limit: 3, taken: 0, wanted: 4 }));
}

#[test]
fn a_limit_of_zero_sells_nothing() {
    let world = World::at(UNTIL).with_limit(Some(0)).pool("floor", 9, 0, &[]);
    let refused = world.verdict(hold("ann", &[], &[("floor", 1)]));
    assert_eq!(refused, Err(Rejection::LimitReached { limit: 0, taken: 0, wanted: 1 }));
}

#[test]
fn the_largest_limit_is_a_limit() {
    const MAX: u32 = u32::MAX;
    let world = World::at(UNTIL).with_limit(Some(MAX)).pool("floor", MAX, 0, &[]).allowance("ann", MAX - 1, 0, &[]);
    let changes = world.verdict(hold("ann", &[], &[("floor", 1)])).unwrap();
    assert_eq!(allowance_after(&changes, "ann"), Some((MAX, 0)));
    let refused = world.verdict(hold("ann", &[], &[("floor", 2)]));
    assert_eq!(refused, Err(Rejection::LimitReached { limit: MAX, taken: MAX - 1, wanted: 2 }));
}

#[test]
fn without_a_limit_nothing_is_counted() {
    let world = World::at(UNTIL.before(MOMENT)).pool("floor", 9, 2, &[]);
    let world = world.reservation(1, "ann", &[], &[("floor", 2)], HELD);
    for action in [hold("bob", &[], &[("floor", 1)]), confirm("ann"), transfer("ann", "bob")] {
        let changes = world.verdict(action.clone()).unwrap();
        let counted = changes.writes.iter().any(|(key, _)| matches!(key, RecordKey::Allowance(_)));
        assert!(!counted, "{action:?}");
    }
}

#[test]
fn confirming_turns_held_places_into_booked_ones() {
    let changes = ann_has_two(9, HELD, 3, 1).verdict(confirm("ann")).unwrap();
    assert_eq!(allowance_after(&changes, "ann"), Some((1, 3)));
    assert_eq!(pool_after(&changes, "floor"), Pool { capacity: 9, held: 2, booked: 3 });
}

#[test]
fn releasing_gives_held_places_back() {
    let release = Action::Release { reservation: id(1), customer: customer("ann") };
    let changes = ann_has_two(9, HELD, 3, 1).verdict(release).unwrap();
    assert_eq!(allowance_after(&changes, "ann"), Some((1, 1)));
    assert_eq!(pool_after(&changes, "floor"), Pool { capacity: 9, held: 2, booked: 1 });
}

#[test]
fn cancelling_gives_booked_places_back() {
    let cancel = Action::Cancel { reservation: id(1), customer: customer("ann") };
    let changes = ann_has_two(9, BOOKED, 3, 4).verdict(cancel).unwrap();
    assert_eq!(allowance_after(&changes, "ann"), Some((3, 2)));
    assert_eq!(pool_after(&changes, "floor"), Pool { capacity: 9, held: 1, booked: 2 });
}

#[test]
fn a_transferred_booking_moves_between_the_booked_places_of_both() {
    let world = ann_has_two(9, BOOKED, 3, 4).allowance("bob", 1, 2, &[]);
    let changes = world.verdict(transfer("ann", "bob")).unwrap();
    assert_eq!(allowance_after(&changes, "ann"), Some((3, 2)));
    assert_eq!(allowance_after(&changes, "bob"), Some((1, 4)));
}

#[test]
fn a_transferred_hold_moves_between_the_held_places_of_both() {
    let world = ann_has_two(9, HELD, 3, 4).allowance("bob", 1, 2, &[]);
    let changes = world.verdict(transfer("ann", "bob")).unwrap();
    assert_eq!(allowance_after(&changes, "ann"), Some((1, 4)));
    assert_eq!(allowance_after(&changes, "bob"), Some((3, 2)));
}

#[test]
fn a_transfer_changes_no_pool_and_no_ticket() {
    for state in [HELD, BOOKED] {
        let changes = ann_has_two(9, state, 3, 4).verdict(transfer("ann", "bob")).unwrap();
        assert_eq!(written(&changes, &RecordKey::Pool(pool("floor"))), None);
        assert_eq!(state_after(&changes, 1), state);
    }
}

#[test]
fn a_transfer_is_refused_beyond_the_receivers_limit() {
    for state in [HELD, BOOKED] {
        let full = ann_has_two(5, state, 2, 2).allowance("bob", 2, 2, &[]);
        let refused = full.verdict(transfer("ann", "bob"));
        assert_eq!(refused, Err(Rejection::LimitReached { limit: 5, taken: 4, wanted: 2 }), "{state:?}");
        let fits = ann_has_two(5, state, 2, 2).allowance("bob", 2, 1, &[]);
        assert!(fits.verdict(transfer("ann", "bob")).is_ok(), "{state:?}");
    }
}

#[test]
fn a_transfer_to_oneself_passes_at_a_full_limit_and_counts_nothing_twice() {
    for (state, held, booked) in [(HELD, 2, 1), (BOOKED, 1, 2)] {
        let changes = ann_has_two(3, state, held, booked).verdict(transfer("ann", "ann")).unwrap();
        assert_eq!(allowance_after(&changes, "ann"), Some((held, booked)), "{state:?}");
        assert_eq!(state_after(&changes, 1), state);
    }
}

#[test]
fn a_transfer_reclaims_what_the_receiver_has_let_lapse() {
    let world = ann_has_two(3, BOOKED, 0, 2).allowance("bob", 1, 1, &[id(2)]);
    let over = ReservationState::Held { until: UNTIL.before(MOMENT) };
    let world = world.reservation(2, "bob", &[], &[("floor", 1)], over);
    let changes = world.verdict(transfer("ann", "bob")).unwrap();
    assert_eq!(allowance_after(&changes, "bob"), Some((0, 3)));
    assert_eq!(state_after(&changes, 2), ReservationState::Expired);
    assert_eq!(pool_after(&changes, "floor").held, 0);
}

/// Four lapsed holds of two places each fill the floor, and Ann's limit too.
fn full_of_lapsed(limit: Option<u32>, capacity: u32) -> World {
    let ids = [id(1), id(2), id(3), id(4)];
    let mut world = World::at(UNTIL).with_limit(limit).pool("floor", capacity, 8, &ids);
    if limit.is_some() {
        world = world.allowance("ann", 8, 0, &ids);
    }
    for n in 1..=4 {
        world = world.reservation(n, "ann", &[], &[("floor", 2)], HELD);
    }
    world
}

fn reclaimed(changes: &ChangeSet) -> Vec<u8> {
    (1..=4).filter(|n| written(changes, &RecordKey::Reservation(id(*n))).is_some()).collect()
}

#[test]
fn a_pool_reclaims_exactly_as_many_lapsed_holds_as_it_needs() {
    for (wanted, needed) in [(1, 1), (2, 1), (3, 2), (4, 2), (8, 4)] {
        let changes = full_of_lapsed(None, 8).verdict(hold("bob", &[], &[("floor", wanted)])).unwrap();
        assert_eq!(reclaimed(&changes), (1..=needed).collect::<Vec<_>>(), "{wanted} places");
        assert_eq!(pool_after(&changes, "floor").held, 8 - 2 * u32::from(needed) + wanted);
    }
}

#[test]
fn an_allowance_reclaims_exactly_as_many_lapsed_holds_as_it_needs() {
    for (wanted, needed) in [(1, 1), (2, 1), (3, 2), (4, 2), (8, 4)] {
        let changes = full_of_lapsed(Some(8), 99).verdict(hold("ann", &[], &[("floor", wanted)])).unwrap();
        assert_eq!(reclaimed(&changes), (1..=needed).collect::<Vec<_>>(), "{wanted} places");
        assert_eq!(allowance_after(&changes, "ann"), Some((8 - 2 * u32::from(needed) + wanted, 0)));
    }
}

#[test]
fn nothing_is_reclaimed_where_there_is_room() {
    let changes = full_of_lapsed(Some(10), 10).verdict(hold("ann", &[], &[("floor", 2)])).unwrap();
    assert!(reclaimed(&changes).is_empty());
    assert_eq!(allowance_after(&changes, "ann"), Some((10, 0)));
}

#[test]
fn a_refusal_counts_everything_that_could_be_reclaimed_as_free() {
    let world = full_of_lapsed(None, 8);
    let refused = world.verdict(hold("bob", &[], &[("floor", 9)]));
    assert_eq!(refused, Err(Rejection::Insufficient { pool: pool("floor"), wanted: 9, free: 8 }));
    let world = full_of_lapsed(Some(8), 99);
    let refused = world.verdict(hold("ann", &[], &[("floor", 9)]));
    assert_eq!(refused, Err(Rejection::LimitReached { limit: 8, taken: 0, wanted: 9 }));
}

#[test]
fn a_reclaimed_hold_leaves_the_allowance_of_its_own_customer() {
    let world = World::at(UNTIL).with_limit(Some(9)).pool("floor", 2, 2, &[id(1)]);
    let world = world.allowance("ann", 5, 1, &[]).allowance("bob", 0, 0, &[]);
    let world = world.reservation(1, "ann", &[], &[("floor", 2)], HELD);
    let changes = world.verdict(hold("bob", &[], &[("floor", 1)])).unwrap();
    assert_eq!(allowance_after(&changes, "ann"), Some((3, 1)));
    assert_eq!(allowance_after(&changes, "bob"), Some((1, 0)));
}
