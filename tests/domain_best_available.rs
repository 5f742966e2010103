//! Best available: which neighbouring places are chosen, and what such a hold rests on.

mod common;

use common::rules::{MOMENT, UNTIL, World, command, id, operation, state_after};
use common::world::{area, customer, lines, record, seconds, ticket, tickets, unavailable};
use proptest::prelude::*;
use ticket_reservation::domain::{
    Action, BlockReason, ChangeSet, Command, Hold, Place, Record, RecordKey, Rejection, Reservation, ReservationState,
    Ticket, TicketId, TicketState, Timestamp, Versioned, View, decide, pick,
};

fn place(in_area: &str, row: u32, number: u32) -> Place {
    Place { area: area(in_area), row, number }
}

fn picked(places: &[(&str, u32, u32)], quantity: u32) -> Option<Vec<String>> {
    let free: Vec<(TicketId, Place)> = places
        .iter()
        .map(|(in_area, row, number)| (ticket(&format!("{in_area}{row}-{number}")), place(in_area, *row, *number)))
        .collect();
    pick(free.iter().map(|(id, place)| (id, place)), quantity).map(|ids| ids.iter().map(ToString::to_string).collect())
}

#[test]
fn the_end_of_a_row_and_the_next_number_of_the_next_row_are_no_neighbours() {
    assert_eq!(picked(&[("A", 1, 2), ("A", 2, 3)], 2), None);
    let row_behind = picked(&[("A", 1, 2), ("A", 2, 3), ("A", 2, 4)], 2);
    assert_eq!(row_behind, Some(vec!["A2-3".into(), "A2-4".into()]));
}

#[test]
fn places_of_two_areas_are_no_neighbours() {
    assert_eq!(picked(&[("A", 1, 1), ("B", 1, 2)], 2), None);
}

#[test]
fn of_two_runs_that_fit_equally_the_one_with_the_lower_numbers_is_chosen() {
    let row = [("A", 1, 1), ("A", 1, 2), ("A", 1, 4), ("A", 1, 5)];
    assert_eq!(picked(&row, 2), Some(vec!["A1-1".into(), "A1-2".into()]));
}

/// The documented order of preference once more, as slow as it gets: every run of every row.
fn choose_slowly(free: &[(u32, u32)], quantity: usize) -> Option<Vec<(u32, u32)>> {
    let is_free = |row, number| free.contains(&(row, number));
    let mut runs: Vec<(u32, usize, u32)> = Vec::new();
    for (row, first) in free.iter().copied() {
        let begins = first == 0 || !is_free(row, first - 1);
        let length = (first..).take_while(|number| is_free(row, *number)).count();
        if begins && length >= quantity {
            runs.push((row, length, first));
        }
    }
    let (row, _, first) = runs.into_iter().min()?;
    Some((first..).take(quantity).map(|number| (row, number)).collect())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_picked_is_what_the_order_of_preference_says(
        free in prop::collection::btree_set((0..4_u32, 0..9_u32), 0..30),
        quantity in 1..5_usize,
    ) {
        let free: Vec<(u32, u32)> = free.into_iter().collect();
        let named: Vec<(TicketId, Place)> =
            free.iter().map(|(row, number)| (ticket(&format!("{row}-{number}")), place("A", *row, *number))).collect();
        let picked = pick(named.iter().map(|(id, place)| (id, place)), u32::try_from(quantity).unwrap());
        let expected = choose_slowly(&free, quantity);
        let expected = expected.map(|places| {
            places.into_iter().map(|(row, number)| ticket(&format!("{row}-{number}"))).collect::<Vec<_>>()
        });
        prop_assert_eq!(picked, expected);
    }
}

/// Row 1 of area A with places 1 to 5, of which these are in the list of free ones.
fn row_of_five(now: Timestamp, free: &[&str]) -> World {
    let mut world = World::at(now);
    let at = |name: &str| place("A", 1, name[1..].parse().unwrap());
    world.snapshot.insert_free(area("A"), free.iter().map(|name| (ticket(name), at(name))));
    for name in ["A1", "A2", "A3", "A4", "A5"] {
        world = with_state(world, name, TicketState::Available, Timestamp::EPOCH);
    }
    world
}

fn with_state(world: World, name: &str, state: TicketState, decided_at: Timestamp) -> World {
    let ticket = Ticket { place: place("A", 1, name[1..].parse().unwrap()), state };
    world.put(record(name), Record::Ticket(ticket), decided_at)
}

fn best(named: &[&str], quantity: u32) -> Action {
    Action::Hold(Hold::new(id(9), customer("bob"), lines(named, &[])).with_best_available(area("A"), quantity))
}

fn reserved(changes: &ChangeSet) -> Reservation {
    changes.receipt.as_ref().and_then(|it| it.outcome.reservation()).expect("a hold makes a reservation").clone()
}

#[test]
fn what_is_named_is_not_chosen_once_more() {
    let world = row_of_five(UNTIL, &["A1", "A2", "A3"]);
    let changes = world.verdict(best(&["A1"], 2)).unwrap();
    assert_eq!(reserved(&changes).lines.tickets(), tickets(&["A1", "A2", "A3"]));
}

#[test]
fn a_refusal_tells_how_many_places_are_free_beside_the_named_ones() {
    let world = row_of_five(UNTIL, &["A1", "A3", "A4"]);
    let refused = world.verdict(best(&["A3"], 2));
    assert_eq!(refused, Err(Rejection::NoNeighbours { area: area("A"), wanted: 2, free: 2 }));
}

#[test]
fn an_area_that_does_not_exist_has_no_free_places() {
    let hold = Hold::new(id(9), customer("bob"), lines(&[], &[])).with_best_available(area("Z"), 1);
    let refused = row_of_five(UNTIL, &["A1"]).verdict(Action::Hold(hold));
    assert_eq!(refused, Err(Rejection::NoNeighbours { area: area("Z"), wanted: 1, free: 0 }));
}

#[test]
fn a_place_whose_hold_is_over_is_chosen_and_one_that_is_held_is_not() {
    for (now, free) in [(UNTIL, true), (UNTIL.before(MOMENT), false)] {
        let held = TicketState::Held { reservation: id(1), until: UNTIL };
        let world = with_state(row_of_five(now, &["A1", "A2"]), "A2", held, Timestamp::EPOCH);
        match world.verdict(best(&[], 2)) {
            Ok(changes) => assert_eq!((free, reserved(&changes).lines.tickets().len()), (true, 2)),
            Err(rejection) => {
                assert_eq!((free, rejection), (false, Rejection::NoNeighbours { area: area("A"), wanted: 2, free: 1 }));
            }
        }
    }
}

#[test]
fn a_place_seen_free_by_a_clock_ahead_is_chosen_at_the_time_of_that_clock() {
    let held = TicketState::Held { reservation: id(1), until: UNTIL };
    let world = with_state(row_of_five(UNTIL.before(seconds(100)), &["A1"]), "A1", held, UNTIL);
    let changes = world.verdict(best(&[], 1)).unwrap();
    assert_eq!((changes.at, reserved(&changes).held_at), (UNTIL, UNTIL));
    let until = UNTIL.after(world.policies.hold_ttl);
    assert_eq!(state_after(&changes, 9), ReservationState::Held { until });
}

#[test]
fn a_choice_rests_on_the_chosen_places_and_on_no_other_of_the_area() {
    let (decided, touched) = row_of_five(UNTIL, &["A1", "A3", "A4", "A5"]).decide(&command(best(&[], 3)));
    assert_eq!(reserved(&decided.unwrap()).lines.tickets(), tickets(&["A3", "A4", "A5"]));
    for chosen in ["A3", "A4", "A5"] {
        assert!(touched.contains(&record(chosen)), "{chosen}");
    }
    for other in ["A1", "A2"] {
        assert!(!touched.contains(&record(other)), "{other}: its change must not conflict");
    }
}

/// The first command is decided, and then the second on what it leaves.
fn decide_after(mut world: World, first: Action, then: &Action) -> (Result<ChangeSet, Rejection>, Vec<RecordKey>) {
    let first = Command { operation: operation(2), ..command(first) };
    let changes = world.decide(&first).0.unwrap();
    // Whoever loads a snapshot asks for these too.
    for (key, _) in &changes.writes {
        if world.snapshot.get(key).is_none() {
            world.snapshot.insert(key.clone(), Versioned::ABSENT);
        }
    }
    world.snapshot.apply(&changes);
    world.decide(&command(then.clone()))
}

#[test]
fn a_refusal_rests_on_the_places_that_a_decision_before_it_took() {
    let block = Action::Block { tickets: tickets(&["A2"]), reason: BlockReason::new("camera").unwrap() };
    let (decided, touched) = decide_after(row_of_five(UNTIL, &["A1", "A2", "A3"]), block, &best(&[], 2));
    assert_eq!(decided, Err(Rejection::NoNeighbours { area: area("A"), wanted: 2, free: 2 }));
    assert!(touched.contains(&record("A2")), "if A2 is not taken after all, there are neighbours");
}

#[test]
fn a_place_given_back_by_a_decision_before_can_be_chosen() {
    let blocked = TicketState::Blocked { reason: BlockReason::new("camera").unwrap() };
    let world = with_state(row_of_five(UNTIL, &["A1", "A3"]), "A2", blocked, Timestamp::EPOCH);
    let unblock = Action::Unblock { tickets: tickets(&["A2"]) };
    let (decided, _) = decide_after(world, unblock, &best(&[], 3));
    assert_eq!(reserved(&decided.unwrap()).lines.tickets(), tickets(&["A1", "A2", "A3"]));
}

fn decide_picked(world: &World, quantity: u32, picked: &[TicketId]) -> Result<ChangeSet, Rejection> {
    let command = command(best(&[], quantity));
    let mut snapshot = world.snapshot.clone();
    for key in [RecordKey::Operation(command.operation), RecordKey::Reservation(id(9))] {
        snapshot.insert(key, Versioned::ABSENT);
    }
    decide(&mut View::new(&snapshot).with_picked(picked), &command, &world.policies)
}

#[test]
fn places_picked_before_are_held_and_none_are_chosen_anew() {
    let picked = tickets(&["A4", "A5"]);
    let changes = decide_picked(&row_of_five(UNTIL, &["A1", "A2", "A4", "A5"]), 2, &picked).unwrap();
    assert_eq!(reserved(&changes).lines.tickets(), picked);
}

#[test]
fn places_picked_before_are_refused_when_they_were_taken_since() {
    let taken = TicketState::Booked { reservation: id(1) };
    let world = with_state(row_of_five(UNTIL, &["A1", "A2", "A5"]), "A4", taken, Timestamp::EPOCH);
    assert_eq!(decide_picked(&world, 2, &tickets(&["A4", "A5"])), Err(unavailable(&["A4"])));
}
