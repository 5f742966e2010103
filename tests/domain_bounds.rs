//! Every bound of the rules at its edge: the last value that is allowed, and the first that is not.

mod common;

use std::time::Duration;

use common::rules::{MOMENT, UNTIL, World, command, hold, id, state_after};
use common::world::{area, customer, event, pool, record, ticket};
use ticket_reservation::domain::{
    Action, BlockReason, Command, Hold, IMPORT_CHUNK_MAX, Import, InvalidLines, InvalidPolicies, LINES_MAX,
    LatePayment, Lines, Place, Policies, Record, Rejection, ReservationState, Snapshot, Ticket, TicketId, Timestamp,
    View, decide,
};

const NANO: Duration = Duration::from_nanos(1);

fn many(count: usize) -> Vec<TicketId> {
    (0..count).map(|n| ticket(&format!("T{n}"))).collect()
}

fn merged(count: usize, pools: &[(&str, u32)]) -> Result<Lines, InvalidLines> {
    Lines::merge(many(count), pools.iter().map(|(id, quantity)| (pool(id), *quantity)))
}

#[test]
fn the_bounds_are_the_documented_ones() {
    assert_eq!((LINES_MAX, IMPORT_CHUNK_MAX), (1_000, 10_000));
}

#[test]
fn a_reservation_has_at_most_1000_lines() {
    assert_eq!(merged(1_000, &[]).map(|lines| lines.places()), Ok(1_000));
    assert_eq!(merged(1_001, &[]), Err(InvalidLines::TooMany { lines: 1_001 }));
    assert_eq!(merged(999, &[("floor", 7)]).map(|lines| lines.places()), Ok(1_006));
    assert_eq!(merged(999, &[("floor", 7), ("roof", 1)]), Err(InvalidLines::TooMany { lines: 1_001 }));
}

#[test]
fn a_line_named_twice_is_one_line() {
    let twice = Lines::merge(many(999).into_iter().chain(many(999)), [(pool("floor"), 1), (pool("floor"), 2)]).unwrap();
    assert_eq!((twice.tickets().len(), twice.pools()), (999, [(pool("floor"), 3)].as_slice()));
}

#[test]
fn the_places_of_a_reservation_fit_into_32_bits_together() {
    let max = u32::MAX;
    assert_eq!(merged(0, &[("floor", max)]).map(|lines| lines.places()), Ok(max));
    assert_eq!(merged(0, &[("floor", max), ("floor", 1)]), Err(InvalidLines::Overflow), "one pool");
    assert_eq!(merged(0, &[("floor", max - 1), ("roof", 1)]).map(|lines| lines.places()), Ok(max));
    assert_eq!(merged(0, &[("floor", max), ("roof", 1)]), Err(InvalidLines::Overflow), "two pools");
    assert_eq!(merged(1, &[("floor", max - 1)]).map(|lines| lines.places()), Ok(max));
    assert_eq!(merged(1, &[("floor", max)]), Err(InvalidLines::Overflow), "a ticket and a pool");
}

#[test]
fn no_places_of_a_pool_cannot_be_asked_for() {
    assert_eq!(merged(1, &[("floor", 0)]), Err(InvalidLines::ZeroQuantity));
    assert_eq!(merged(1, &[("floor", 1), ("floor", 0)]), Err(InvalidLines::ZeroQuantity));
}

fn best(named: usize, pools: &[(&str, u32)], quantity: u32) -> Action {
    let lines = merged(named, pools).unwrap();
    Action::Hold(Hold::new(id(9), customer("ann"), lines).with_best_available(area("A"), quantity))
}

fn block(tickets: Vec<TicketId>) -> Action {
    Action::Block { tickets, reason: BlockReason::new("camera").unwrap() }
}

fn import(tickets: usize, pools: usize) -> Action {
    let place = Place { area: area("A"), row: 1, number: 1 };
    Action::Import(Import {
        tickets: many(tickets).into_iter().map(|id| (id, place.clone())).collect(),
        pools: (0..pools).map(|n| (pool(&format!("P{n}")), 1)).collect(),
        last: false,
    })
}

/// What no store needs to be asked about, and why.
fn invalid() -> Vec<(Action, InvalidLines)> {
    let (empty, too_many) = (InvalidLines::Empty, InvalidLines::TooMany { lines: 1_001 });
    vec![
        (hold("ann", &[], &[]), empty),
        (block(Vec::new()), empty),
        (Action::Unblock { tickets: Vec::new() }, empty),
        (best(0, &[], 0), InvalidLines::ZeroQuantity),
        (best(1, &[], 0), InvalidLines::ZeroQuantity),
        (best(0, &[], 1_001), too_many),
        (best(991, &[], 10), too_many),
        (best(990, &[("floor", 5)], 10), too_many),
        (best(990, &[], u32::MAX), InvalidLines::TooMany { lines: 990 + u32::MAX as usize }),
        (best(0, &[("floor", u32::MAX)], 1), InvalidLines::Overflow),
        (best(1, &[("floor", u32::MAX - 3)], 3), InvalidLines::Overflow),
        (block(many(1_001)), too_many),
        (Action::Unblock { tickets: many(1_001) }, too_many),
        (import(10_001, 0), InvalidLines::ImportTooLarge { lines: 10_001 }),
        (import(0, 10_001), InvalidLines::ImportTooLarge { lines: 10_001 }),
        (import(10_000, 1), InvalidLines::ImportTooLarge { lines: 10_001 }),
    ]
}

#[test]
fn what_asks_for_nothing_or_too_much_is_refused_by_its_check() {
    for (action, why) in invalid() {
        assert_eq!(command(action.clone()).check(), Err(why), "{:?}", command(action).kind());
    }
}

#[test]
fn what_the_check_refuses_is_refused_by_the_decision_too_without_a_look_at_anything() {
    for (action, why) in invalid() {
        let (command, snapshot) = (command(action), Snapshot::new(event(), UNTIL));
        let mut view = View::new(&snapshot);
        assert_eq!(decide(&mut view, &command, &Policies::default()), Err(Rejection::InvalidLines(why)));
        assert_eq!((view.missing(), view.touched()), ([].as_slice(), [].as_slice()), "{:?}", command.kind());
    }
}

#[test]
fn the_most_that_is_allowed_passes_the_check() {
    let allowed = [
        best(0, &[], 1_000),
        best(990, &[], 10),
        best(989, &[("floor", 5)], 10),
        block(many(1_000)),
        block(many(1_000).into_iter().chain(many(1_000)).collect()),
        Action::Unblock { tickets: many(1_000).into_iter().chain(many(1_000)).collect() },
        import(10_000, 0),
        import(9_999, 1),
        import(0, 0),
    ];
    for action in allowed {
        let command: Command = command(action);
        assert_eq!(command.check(), Ok(()), "{:?}", command.kind());
    }
}

#[test]
fn places_that_best_available_adds_are_counted_before_they_are_held() {
    let mut world = World::at(UNTIL).pool("floor", u32::MAX, 0, &[]);
    let place = Place { area: area("A"), row: 1, number: 1 };
    world.snapshot.insert_free(area("A"), [(ticket("A1"), place.clone())]);
    let world = world.put(record("A1"), Record::Ticket(Ticket::available(place)), Timestamp::EPOCH);
    let overflow = Err(Rejection::InvalidLines(InvalidLines::Overflow));
    assert_eq!(world.verdict(best(0, &[("floor", u32::MAX)], 1)), overflow);
    assert!(world.verdict(best(0, &[("floor", u32::MAX - 1)], 1)).is_ok());
}

#[test]
fn a_hold_lasts_at_least_a_millisecond_and_at_most_the_maximum() {
    let world = World::at(UNTIL.before(MOMENT)).ann_holds_a1().pool("floor", 5, 0, &[]);
    let max = world.policies.hold_ttl_max;
    let refused = Err(Rejection::InvalidTtl { max });
    let hold = |ttl| Action::Hold(Hold::new(id(9), customer("bob"), merged(0, &[("floor", 1)]).unwrap()).with_ttl(ttl));
    let extend = |ttl| Action::Extend { reservation: id(1), customer: customer("ann"), ttl: Some(ttl) };
    for ttl in [Duration::ZERO, Duration::from_millis(1) - NANO, max + NANO, Duration::MAX] {
        assert_eq!(world.verdict(hold(ttl)), refused, "{ttl:?}");
        assert_eq!(world.verdict(extend(ttl)), refused, "{ttl:?}");
    }
    for ttl in [Duration::from_millis(1), max] {
        let until = UNTIL.before(MOMENT).after(ttl);
        assert_eq!(state_after(&world.verdict(hold(ttl)).unwrap(), 9), ReservationState::Held { until });
        assert!(world.verdict(extend(ttl)).is_ok());
    }
}

#[test]
fn a_hold_that_does_not_say_how_long_lasts_as_the_policy_says() {
    let policies = Policies { hold_ttl: Duration::from_secs(61), ..Policies::default() };
    let world = World::at(UNTIL).pool("floor", 5, 0, &[]).policies(policies);
    let changes = world.verdict(hold("bob", &[], &[("floor", 1)])).unwrap();
    let until = UNTIL.after(Duration::from_secs(61));
    assert_eq!(state_after(&changes, 9), ReservationState::Held { until });
}

#[test]
fn an_extension_that_does_not_say_how_long_lasts_as_the_policy_says() {
    let policies = Policies { hold_ttl: Duration::from_secs(61), ..Policies::default() };
    let world = World::at(UNTIL.before(MOMENT)).ann_holds_a1().policies(policies);
    let extend = Action::Extend { reservation: id(1), customer: customer("ann"), ttl: None };
    let until = UNTIL.before(MOMENT).after(Duration::from_secs(61));
    assert_eq!(state_after(&world.verdict(extend).unwrap(), 1), ReservationState::Held { until });
}

#[test]
fn a_hold_can_be_extended_until_exactly_its_maximum_is_reached() {
    // Held for the first time 600 s before UNTIL.
    let extend = Action::Extend { reservation: id(1), customer: customer("ann"), ttl: None };
    let of = |max| Policies { hold_ttl: Duration::from_secs(60), hold_ttl_max: max, ..Policies::default() };
    let at = UNTIL.before(MOMENT);
    let world = World::at(at).ann_holds_a1().policies(of(Duration::from_secs(600)));
    assert_eq!(world.verdict(extend.clone()), Err(Rejection::ExtensionLimit { until: UNTIL }));
    let world = World::at(at).ann_holds_a1().policies(of(Duration::from_secs(600) + MOMENT));
    let until = UNTIL.after(MOMENT);
    assert_eq!(state_after(&world.verdict(extend).unwrap(), 1), ReservationState::Held { until });
}

#[test]
fn policies_are_the_documented_ones_by_default() {
    let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
    let documented = Policies {
        hold_ttl: minutes(10),
        hold_ttl_max: minutes(30),
        late_payment: LatePayment::Refuse,
        retention: minutes(7 * 24 * 60),
    };
    assert_eq!(Policies::default(), documented);
    assert_eq!(documented.check(), Ok(()));
}

#[test]
fn policies_hold_for_at_least_a_millisecond_and_at_most_the_maximum() {
    let with = |hold_ttl, hold_ttl_max| Policies { hold_ttl, hold_ttl_max, ..Policies::default() }.check();
    let (milli, second) = (Duration::from_millis(1), Duration::from_secs(1));
    assert_eq!(with(milli, second), Ok(()));
    assert_eq!(with(milli - NANO, second), Err(InvalidPolicies::HoldTtl));
    assert_eq!(with(second, second), Ok(()));
    assert_eq!(with(second + NANO, second), Err(InvalidPolicies::HoldTtl));
}

#[test]
fn policies_remember_operations_longer_than_any_hold_lasts() {
    let with = |retention| Policies { retention, ..Policies::default() }.check();
    let max = Policies::default().hold_ttl_max;
    assert_eq!(with(max), Err(InvalidPolicies::Retention));
    assert_eq!(with(max + NANO), Ok(()));
}
