//! The rules themselves, without any service: `decide` on snapshots built by hand. A deadline off by a microsecond, a
//! forgotten check of the owner, a record left out of what a decision depends on: each breaks a test here.

mod common;

use std::time::Duration;

use common::rules::{
    MOMENT, UNTIL, World, actions, command, confirm, hold, id, operation, pool_after, state_after, written,
};
use common::sim::START;
use common::world::{customer, event, pool, record, seconds, tickets, unavailable};
use ticket_reservation::domain::{
    Action, Allowance, BlockReason, LatePayment, Policies, Pool, Record, RecordKey, Rejection, ReservationState,
    Snapshot, Ticket, TicketState, Versioned, View, decide, expire, void,
};

#[test]
fn a_hold_lives_until_the_last_microsecond_before_its_deadline() {
    let before = World::at(UNTIL.before(MOMENT)).ann_holds_a1();
    for action in actions("ann") {
        assert!(before.verdict(action.clone()).is_ok(), "{action:?}");
    }
    assert_eq!(before.verdict(hold("bob", &["A1"], &[])), Err(unavailable(&["A1"])));
    let block = Action::Block { tickets: tickets(&["A1"]), reason: BlockReason::new("camera").unwrap() };
    assert_eq!(before.verdict(block), Err(unavailable(&["A1"])));
}

#[test]
fn a_hold_is_over_exactly_at_its_deadline() {
    let at = World::at(UNTIL).ann_holds_a1();
    for action in actions("ann") {
        assert_eq!(at.verdict(action.clone()), Err(Rejection::HoldExpired), "{action:?}");
    }
    assert!(at.verdict(hold("bob", &["A1"], &[])).is_ok());
    let block = Action::Block { tickets: tickets(&["A1"]), reason: BlockReason::new("camera").unwrap() };
    assert!(at.verdict(block).is_ok());
}

#[test]
fn a_pool_place_is_reclaimed_exactly_at_the_deadline_of_its_hold() {
    for (now, free) in [(UNTIL.before(MOMENT), false), (UNTIL, true)] {
        let world = World::at(now).pool("floor", 3, 3, &[id(1)]);
        let world = world.reservation(1, "ann", &[], &[("floor", 3)], ReservationState::Held { until: UNTIL });
        let decided = world.verdict(hold("bob", &[], &[("floor", 2)]));
        if free {
            let changes = decided.unwrap();
            assert_eq!(pool_after(&changes, "floor"), Pool { capacity: 3, held: 2, booked: 0 });
            assert_eq!(state_after(&changes, 1), ReservationState::Expired);
        } else {
            assert_eq!(decided, Err(Rejection::Insufficient { pool: pool("floor"), wanted: 2, free: 0 }));
        }
    }
}

#[test]
fn no_more_holds_are_reclaimed_than_are_needed() {
    let mut world = World::at(UNTIL).pool("floor", 6, 6, &[id(1), id(2), id(3)]);
    for n in 1..=3 {
        world = world.reservation(n, "ann", &[], &[("floor", 2)], ReservationState::Held { until: UNTIL });
    }
    let changes = world.verdict(hold("bob", &[], &[("floor", 3)])).unwrap();
    assert_eq!(pool_after(&changes, "floor").held, 2 + 3);
    assert_eq!(written(&changes, &RecordKey::Reservation(id(3))), None, "two were enough");
}

#[test]
fn a_reservation_reclaimed_for_two_reasons_counts_once() {
    let lapsed = [id(1)];
    let world = World::at(UNTIL).with_limit(Some(4)).pool("floor", 4, 4, &lapsed).pool("roof", 4, 4, &lapsed);
    let world = world.allowance("bob", 8, 0, &lapsed);
    let held = ReservationState::Held { until: UNTIL };
    let world = world.reservation(1, "bob", &[], &[("floor", 4), ("roof", 4)], held);
    let changes = world.verdict(hold("bob", &[], &[("floor", 2), ("roof", 2)])).unwrap();
    assert_eq!((pool_after(&changes, "floor").held, pool_after(&changes, "roof").held), (2, 2));
    let allowance = written(&changes, &RecordKey::Allowance(customer("bob")));
    assert_eq!(allowance, Some(&Record::Allowance(Allowance { held: 4, booked: 0 })));
}

#[test]
fn nobody_but_the_owner_may_do_anything() {
    let world = World::at(UNTIL.before(MOMENT)).ann_holds_a1();
    let cancel = |who| Action::Cancel { reservation: id(1), customer: customer(who) };
    for action in actions("eve").into_iter().chain([cancel("eve")]) {
        assert_eq!(world.verdict(action.clone()), Err(Rejection::NotOwner), "{action:?}");
    }
    let booked = World::at(UNTIL).ticket("A1", TicketState::Booked { reservation: id(1) });
    let booked = booked.reservation(1, "ann", &["A1"], &[], ReservationState::Booked);
    assert_eq!(booked.verdict(cancel("eve")), Err(Rejection::NotOwner));
    assert!(booked.verdict(cancel("ann")).is_ok());
}

#[test]
fn a_ticket_alone_says_who_owns_it() {
    // The reservation says that Ann holds A1; the ticket says that another reservation does.
    let taken = TicketState::Held { reservation: id(2), until: UNTIL.after(seconds(9)) };
    let world = World::at(UNTIL.before(MOMENT)).ticket("A1", taken);
    let world = world.reservation(1, "ann", &["A1"], &[], ReservationState::Held { until: UNTIL });
    for action in actions("ann") {
        assert_eq!(world.verdict(action.clone()), Err(Rejection::HoldExpired), "{action:?}");
    }
}

#[test]
fn a_clock_stepping_back_revives_no_hold() {
    // Someone has seen the deadline pass and taken the seat; then the clock stepped back before the deadline.
    let past = UNTIL.before(seconds(100));
    let taken = TicketState::Held { reservation: id(2), until: UNTIL.after(seconds(600)) };
    let world = World::at(past).ticket_decided("A1", taken, UNTIL);
    let world = world.reservation(1, "ann", &["A1"], &[], ReservationState::Held { until: UNTIL });
    assert_eq!(world.verdict(confirm("ann")), Err(Rejection::HoldExpired));
    // The seat was given back since: only the time of that decision tells that the hold is over.
    for state in [TicketState::Available, TicketState::Held { reservation: id(1), until: UNTIL }] {
        let world = World::at(past).ticket_decided("A1", state, UNTIL);
        let world = world.reservation(1, "ann", &["A1"], &[], ReservationState::Held { until: UNTIL });
        for action in actions("ann") {
            assert_eq!(world.verdict(action.clone()), Err(Rejection::HoldExpired), "{action:?}");
        }
        assert!(world.verdict(hold("bob", &["A1"], &[])).is_ok());
    }
}

/// As with tickets: the pool was changed when the hold was over already, and the clock stepped back since.
#[test]
fn a_clock_stepping_back_revives_no_hold_of_a_pool() {
    let world = World::at(UNTIL.before(seconds(100))).pool("floor", 9, 3, &[]);
    let after = Record::Pool(Pool { capacity: 9, held: 3, booked: 0 });
    let world = world.put(RecordKey::Pool(pool("floor")), after, UNTIL);
    let world = world.reservation(1, "ann", &[], &[("floor", 2)], ReservationState::Held { until: UNTIL });
    assert_eq!(world.verdict(confirm("ann")), Err(Rejection::HoldExpired));
    let changes = world.verdict(hold("bob", &[], &[("floor", 1)])).unwrap();
    let until = changes.at.after(world.policies.hold_ttl);
    assert_eq!(state_after(&changes, 9), ReservationState::Held { until }, "it lasts from when it was decided");
}

#[test]
fn what_is_decided_on_a_clock_behind_is_dated_no_earlier_than_what_it_was_decided_on() {
    let world = World::at(UNTIL.before(seconds(100))).ticket_decided("A1", TicketState::Available, UNTIL);
    let changes = world.verdict(hold("bob", &["A1"], &[])).unwrap();
    assert_eq!(changes.at, UNTIL);
    let until = UNTIL.after(world.policies.hold_ttl);
    assert_eq!(state_after(&changes, 9), ReservationState::Held { until });
}

#[test]
fn an_extension_never_shortens_and_never_exceeds_the_maximum() {
    let extend = |seconds| Action::Extend {
        reservation: id(1),
        customer: customer("ann"),
        ttl: Some(Duration::from_secs(seconds)),
    };
    // Held for the first time 600 s before UNTIL; the policy allows 1,800 s in all.
    let world = World::at(UNTIL.before(seconds(300))).ann_holds_a1();
    let until = |action| state_after(&world.verdict(action).unwrap(), 1);
    assert_eq!(until(extend(10)), ReservationState::Held { until: UNTIL });
    assert_eq!(until(extend(301)), ReservationState::Held { until: UNTIL.after(seconds(1)) });
    assert_eq!(until(extend(1_800)), ReservationState::Held { until: UNTIL.after(seconds(1_200)) });
    let short = Policies { hold_ttl: seconds(60), hold_ttl_max: seconds(600), ..Policies::default() };
    let world = World::at(UNTIL.before(seconds(300))).ann_holds_a1().policies(short);
    assert_eq!(world.verdict(extend(600)), Err(Rejection::ExtensionLimit { until: UNTIL }));
}

#[test]
fn a_late_payment_is_refused_unless_the_policy_books_what_is_still_free() {
    let late = World::at(UNTIL).ann_holds_a1();
    assert_eq!(late.verdict(confirm("ann")), Err(Rejection::HoldExpired));
    let kind = Policies { late_payment: LatePayment::RebookIfFree, ..Policies::default() };
    let late = late.policies(kind.clone());
    assert_eq!(late.verdict(confirm("eve")), Err(Rejection::NotOwner));
    assert_eq!(state_after(&late.verdict(confirm("ann")).unwrap(), 1), ReservationState::Booked);
    for (taken, free) in [
        (TicketState::Held { reservation: id(2), until: UNTIL.after(MOMENT) }, false),
        (TicketState::Held { reservation: id(2), until: UNTIL }, true),
        (TicketState::Booked { reservation: id(2) }, false),
        (TicketState::Blocked { reason: BlockReason::new("camera").unwrap() }, false),
        (TicketState::Available, true),
    ] {
        let world = World::at(UNTIL).ticket("A1", taken.clone()).policies(kind.clone());
        let world = world.reservation(1, "ann", &["A1"], &[], ReservationState::Held { until: UNTIL });
        match world.verdict(confirm("ann")) {
            Ok(changes) => assert!(free && state_after(&changes, 1) == ReservationState::Booked, "{taken:?}"),
            Err(rejection) => assert_eq!((free, rejection), (false, unavailable(&["A1"])), "{taken:?}"),
        }
    }
}

#[test]
fn a_late_payment_counts_in_pools_and_allowances_once_whether_reclaimed_or_not() {
    let kind = Policies { late_payment: LatePayment::RebookIfFree, ..Policies::default() };
    let held = ReservationState::Held { until: UNTIL };
    // Still counted: two held become two booked. Reclaimed: two free ones are booked, if there are any.
    for (state, counted, capacity, booked) in [
        (held, 2, 2, Some(2)),
        (ReservationState::Expired, 0, 2, Some(2)),
        (ReservationState::Expired, 0, 1, None),
        (ReservationState::Released, 0, 2, None),
    ] {
        let world = World::at(UNTIL).with_limit(Some(2)).policies(kind.clone()).pool("floor", capacity, counted, &[]);
        let world = world.allowance("ann", counted, 0, &[]).reservation(1, "ann", &[], &[("floor", 2)], state);
        let decided = world.verdict(confirm("ann"));
        let Some(booked) = booked else {
            assert!(decided.is_err(), "{state:?} of {capacity}: {decided:?}");
            continue;
        };
        let changes = decided.unwrap();
        assert_eq!(pool_after(&changes, "floor"), Pool { capacity, held: 0, booked });
        let allowance = written(&changes, &RecordKey::Allowance(customer("ann")));
        assert_eq!(allowance, Some(&Record::Allowance(Allowance { held: 0, booked })), "{state:?}");
    }
}

/// Every record whose change would change the answer must be looked at, or a commit could rest on what is no longer so.
#[test]
fn a_decision_depends_on_every_record_it_rests_on() {
    let world = World::at(UNTIL.before(MOMENT)).with_limit(Some(9)).ann_holds_a1();
    let world = world.ticket("A2", TicketState::Available).pool("floor", 5, 2, &[]).allowance("bob", 0, 0, &[]);
    let world = world.allowance("ann", 1, 0, &[]).allowance("zoe", 0, 0, &[]);
    let of_bob = [
        RecordKey::Event,
        RecordKey::Operation(operation(1)),
        RecordKey::Reservation(id(9)),
        record("A2"),
        RecordKey::Pool(pool("floor")),
        RecordKey::Allowance(customer("bob")),
    ];
    let of_ann = [RecordKey::Event, RecordKey::Operation(operation(1)), RecordKey::Reservation(id(1))];
    let a1 = record("A1");
    let [ann, zoe] = ["ann", "zoe"].map(|who| RecordKey::Allowance(customer(who)));
    let mut cases = vec![(hold("bob", &["A2"], &[("floor", 3)]), of_bob.to_vec())];
    for (n, action) in actions("ann").into_iter().enumerate() {
        let allowances: &[&RecordKey] = match n {
            2 => &[],
            3 => &[&ann, &zoe],
            _ => &[&ann],
        };
        let needed = of_ann.iter().chain([&a1]).chain(allowances.iter().copied()).cloned().collect();
        cases.push((action, needed));
    }
    for (action, needed) in cases {
        let (decided, touched) = world.decide(&command(action.clone()));
        let changes = decided.unwrap();
        for key in needed {
            assert!(touched.contains(&key), "{action:?} does not look at {key:?}");
        }
        for (key, _) in &changes.writes {
            assert!(touched.contains(key), "{action:?} writes {key:?} without having read it");
        }
    }
}

#[test]
fn a_refusal_depends_on_what_it_names() {
    let world = World::at(UNTIL.before(MOMENT)).ann_holds_a1().pool("floor", 1, 1, &[]);
    let (decided, touched) = world.decide(&command(hold("bob", &["A1"], &[])));
    assert_eq!(decided, Err(unavailable(&["A1"])));
    assert!(touched.contains(&record("A1")));
    let (decided, touched) = world.decide(&command(hold("bob", &[], &[("floor", 1)])));
    assert!(matches!(decided, Err(Rejection::Insufficient { .. })));
    assert!(touched.contains(&RecordKey::Pool(pool("floor"))));
}

#[test]
fn expiring_leaves_alone_what_is_live_or_taken_over() {
    let world = World::at(UNTIL).pool("floor", 9, 4, &[]).ann_holds_a1();
    let other = TicketState::Held { reservation: id(3), until: UNTIL.after(seconds(1)) };
    let world = world.ticket("A2", other);
    let world = world.reservation(2, "bob", &["A2"], &[("floor", 1)], ReservationState::Held { until: UNTIL });
    let live = ReservationState::Held { until: UNTIL.after(MOMENT) };
    let world = world.reservation(4, "cat", &[], &[("floor", 3)], live);
    let world = world.reservation(5, "dan", &[], &[("floor", 3)], ReservationState::Booked);
    let mut view = View::new(&world.snapshot);
    let changes = expire(&mut view, &[id(1), id(2), id(4), id(5), id(2)]);
    assert_eq!(view.missing(), []);
    assert_eq!([1, 2].map(|n| state_after(&changes, n)), [ReservationState::Expired; 2]);
    assert_eq!(pool_after(&changes, "floor").held, 3, "counted out once");
    let a1 = written(&changes, &record("A1"));
    assert!(matches!(a1, Some(Record::Ticket(Ticket { state: TicketState::Available, .. }))));
    for untouched in [record("A2"), RecordKey::Reservation(id(4)), RecordKey::Reservation(id(5))] {
        assert_eq!(written(&changes, &untouched), None);
    }
}

#[test]
fn a_tombstone_replaces_no_record() {
    let command = command(hold("bob", &["A1"], &[]));
    let key = RecordKey::Operation(command.operation);
    let mut snapshot = Snapshot::new(event(), START);
    snapshot.insert(key.clone(), Versioned::ABSENT);
    let changes = void(&mut View::new(&snapshot), &command);
    assert!(matches!(written(&changes, &key), Some(Record::Operation(_))));
    snapshot.apply(&changes);
    assert_eq!(void(&mut View::new(&snapshot), &command).writes, []);
    let decided = decide(&mut View::new(&snapshot), &command, &Policies::default());
    assert_eq!(decided, Err(Rejection::OperationVoided));
}
