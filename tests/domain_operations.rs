//! Idempotency: a repeated success is the same success, other content is refused, and an id that may be forgotten is never
//! carried out.

mod common;

use std::time::Duration;

use common::rules::{MOMENT, UNTIL, World, cancel, command, confirm, hold, id, operation, release, transfer};
use common::sim::START;
use common::world::{customer, event, lines, millis, seconds, tickets};
use ticket_reservation::domain::{
    Action, ActionKind, BlockReason, Command, CreateEvent, EventId, Hold, LatePayment, OPERATION_CLOCK_SKEW_MAX,
    Outcome, Policies, Receipt, Record, RecordKey, Rejection, Reservation, ReservationState, TicketState, Timestamp,
    Transfer, Versioned, View, void,
};

const HELD: ReservationState = ReservationState::Held { until: UNTIL };

/// Decides and carries out, as a store would.
fn carry_out(world: &mut World, n: u8, action: Action) -> Receipt {
    let command = Command { operation: operation(n), ..command(action) };
    let changes = world.decide(&command).0.unwrap();
    for (key, record) in changes.writes {
        world.snapshot.insert(key, Versioned::new(2, changes.at, record));
    }
    changes.receipt.unwrap()
}

/// What a repetition answers. It changes nothing.
fn repeat(world: &World, n: u8, action: Action) -> Receipt {
    let command = Command { operation: operation(n), ..command(action) };
    let changes = world.decide(&command).0.unwrap();
    assert_eq!(changes.writes, [], "a repetition writes nothing");
    let receipt = changes.receipt.unwrap();
    assert!(receipt.repeated);
    receipt
}

fn reservation(receipt: &Receipt) -> &Reservation {
    receipt.outcome.reservation().expect("the command concerned a reservation")
}

#[track_caller]
fn assert_repeats(world: &World, n: u8, action: Action, first: &Receipt) {
    assert_eq!(repeat(world, n, action), Receipt { repeated: true, ..first.clone() });
}

/// Ann holds A1; the operation records that tests use do not exist.
fn ann_holds_a1() -> World {
    World::at(UNTIL.before(MOMENT)).ann_holds_a1()
}

#[test]
fn a_repeated_hold_answers_the_deadline_that_it_had_then() {
    let mut world = World::at(UNTIL.before(seconds(60))).ticket("A1", TicketState::Available);
    let first = hold_of("ann");
    let receipt = carry_out(&mut world, 2, first.clone());
    let extended = Action::Extend { reservation: id(1), customer: customer("ann"), ttl: Some(seconds(1_000)) };
    assert_ne!(reservation(&carry_out(&mut world, 3, extended)).state, reservation(&receipt).state);
    assert_repeats(&world, 2, first.clone(), &receipt);
    carry_out(&mut world, 4, confirm("ann"));
    assert_repeats(&world, 2, first, &receipt);
}

fn hold_of(who: &str) -> Action {
    Action::Hold(Hold::new(id(1), customer(who), lines(&["A1"], &[])))
}

#[test]
fn a_repeated_extension_answers_the_deadline_that_it_gave() {
    let mut world = ann_holds_a1();
    let extend = Action::Extend { reservation: id(1), customer: customer("ann"), ttl: Some(seconds(9)) };
    let receipt = carry_out(&mut world, 2, extend.clone());
    carry_out(&mut world, 3, release());
    let until = UNTIL.before(MOMENT).after(seconds(9));
    assert_eq!(reservation(&receipt).state, ReservationState::Held { until });
    assert_repeats(&world, 2, extend, &receipt);
}

#[test]
fn a_repeated_confirmation_answers_booked_and_its_customer_whatever_came_after() {
    let mut world = ann_holds_a1();
    let receipt = carry_out(&mut world, 2, confirm("ann"));
    assert_eq!(reservation(&receipt).state, ReservationState::Booked);
    carry_out(&mut world, 3, transfer());
    let again = repeat(&world, 2, confirm("ann"));
    assert_eq!(
        (reservation(&again).state, &reservation(&again).customer),
        (ReservationState::Booked, &customer("ann"))
    );
    let zoe = Action::Cancel { reservation: id(1), customer: customer("zoe") };
    carry_out(&mut world, 4, zoe);
    assert_repeats(&world, 2, confirm("ann"), &receipt);
}

#[test]
fn a_repeated_release_answers_released() {
    let mut world = ann_holds_a1();
    let receipt = carry_out(&mut world, 2, release());
    assert_eq!(reservation(&receipt).state, ReservationState::Released);
    assert_repeats(&world, 2, release(), &receipt);
}

#[test]
fn a_repeated_cancellation_answers_cancelled() {
    let booked = TicketState::Booked { reservation: id(1) };
    let world = World::at(UNTIL).ticket("A1", booked);
    let mut world = world.reservation(1, "ann", &["A1"], &[], ReservationState::Booked);
    let receipt = carry_out(&mut world, 2, cancel());
    assert_eq!(reservation(&receipt).state, ReservationState::Cancelled);
    assert_repeats(&world, 2, cancel(), &receipt);
}

#[test]
fn a_repeated_transfer_answers_the_receiver_and_the_state_then() {
    let mut world = ann_holds_a1();
    let receipt = carry_out(&mut world, 2, transfer());
    assert_eq!((reservation(&receipt).state, &reservation(&receipt).customer), (HELD, &customer("zoe")));
    carry_out(&mut world, 3, confirm("zoe"));
    assert_repeats(&world, 2, transfer(), &receipt);
}

#[test]
fn a_repeated_block_answers_how_many_it_blocked() {
    let free = TicketState::Available;
    let mut world = World::at(UNTIL).ticket("A1", free.clone()).ticket("A2", free);
    let block = Action::Block { tickets: tickets(&["A1", "A2"]), reason: BlockReason::new("camera").unwrap() };
    let receipt = carry_out(&mut world, 2, block.clone());
    assert_eq!(receipt.outcome, Outcome::Inventory { changed: 2 });
    carry_out(&mut world, 3, Action::Unblock { tickets: tickets(&["A1"]) });
    assert_repeats(&world, 2, block, &receipt);
}

#[test]
fn a_repetition_says_when_it_happened_and_not_when_it_was_asked_again() {
    let mut world = ann_holds_a1();
    let receipt = carry_out(&mut world, 2, confirm("ann"));
    world.snapshot.set_clock(UNTIL.after(seconds(1_000)));
    let again = Command { operation: operation(2), ..command(confirm("ann")) };
    let changes = world.decide(&again).0.unwrap();
    assert_eq!(changes.at, receipt.at);
    assert_eq!(changes.receipt.unwrap().at, UNTIL.before(MOMENT));
}

#[test]
fn a_repetition_rests_on_the_record_of_its_operation() {
    let mut world = ann_holds_a1();
    carry_out(&mut world, 2, confirm("ann"));
    let again = Command { operation: operation(2), ..command(confirm("ann")) };
    assert!(world.decide(&again).1.contains(&RecordKey::Operation(operation(2))));
}

#[test]
fn a_refusal_leaves_no_record_and_is_decided_again() {
    let mut world = ann_holds_a1();
    assert_eq!(world.verdict(cancel()), Err(Rejection::WrongState { state: "held" }));
    carry_out(&mut world, 2, confirm("ann"));
    assert!(world.verdict(cancel()).is_ok());
}

#[test]
fn a_success_says_what_it_was() {
    let free = TicketState::Available;
    let kinds = [
        (World::at(UNTIL).ticket("A1", free), hold_of("ann"), ActionKind::Hold),
        (ann_holds_a1(), confirm("ann"), ActionKind::Confirm),
        (ann_holds_a1(), release(), ActionKind::Release),
        (ann_holds_a1(), transfer(), ActionKind::Transfer),
    ];
    for (world, action, kind) in kinds {
        let (changes, at) = (world.verdict(action).unwrap(), world.snapshot.clock());
        let receipt = changes.receipt.unwrap();
        assert_eq!((receipt.kind, receipt.operation, receipt.at, receipt.repeated), (kind, operation(1), at, false));
    }
}

#[test]
fn other_content_under_a_used_id_is_refused() {
    let mut world = ann_holds_a1();
    carry_out(&mut world, 1, confirm("ann"));
    for action in [confirm("bob"), release(), cancel(), hold("ann", &["A1"], &[])] {
        assert_eq!(world.verdict(action.clone()), Err(Rejection::OperationReused), "{action:?}");
    }
}

#[test]
fn an_id_used_for_another_event_is_refused() {
    let mut world = ann_holds_a1();
    carry_out(&mut world, 1, confirm("ann"));
    // Whatever the fingerprint says: the record is of another event.
    let key = RecordKey::Operation(operation(1));
    let Some(Record::Operation(mut kept)) = world.snapshot.get(&key).and_then(|it| it.record.clone()) else {
        panic!("a success is recorded")
    };
    kept.event = EventId::new("other").unwrap();
    let world = world.put(key, Record::Operation(kept), START);
    assert_eq!(world.verdict(confirm("ann")), Err(Rejection::OperationReused));
}

#[test]
fn a_tombstone_refuses_other_content_as_reused() {
    let world = ann_holds_a1().put(RecordKey::Operation(operation(2)), tombstone(confirm("ann")), START);
    let of = |action| Command { operation: operation(2), ..command(action) };
    assert_eq!(world.decide(&of(confirm("ann"))).0, Err(Rejection::OperationVoided));
    assert_eq!(world.decide(&of(release())).0, Err(Rejection::OperationReused));
}

fn tombstone(action: Action) -> Record {
    let command = Command { operation: operation(2), ..command(action) };
    let mut world = World::at(START);
    world.snapshot.insert(RecordKey::Operation(operation(2)), Versioned::ABSENT);
    let changes = void(&mut View::new(&world.snapshot), &command);
    changes.writes.into_iter().next().expect("a tombstone is written").1
}

/// The ids of these tests are made at [`START`], a whole millisecond.
fn decided_at(now: Timestamp) -> Result<(), Rejection> {
    World::at(now).ticket("A1", TicketState::Available).verdict(hold("ann", &["A1"], &[])).map(drop)
}

#[test]
fn an_id_may_be_made_a_day_in_the_future_and_not_a_microsecond_more() {
    assert_eq!(OPERATION_CLOCK_SKEW_MAX, Duration::from_secs(86_400));
    assert_eq!(decided_at(START.before(OPERATION_CLOCK_SKEW_MAX)), Ok(()));
    assert_eq!(decided_at(START.before(OPERATION_CLOCK_SKEW_MAX + MOMENT)), Err(Rejection::OperationFromFuture));
}

#[test]
fn an_id_may_be_as_old_as_the_retention_and_not_a_microsecond_more() {
    let retention = Policies::default().retention;
    assert_eq!(decided_at(START.after(retention)), Ok(()));
    assert_eq!(decided_at(START.after(retention + MOMENT)), Err(Rejection::OperationTooOld));
}

#[test]
fn an_id_may_be_as_old_as_the_last_purge_and_not_a_microsecond_more() {
    for (purged_before, verdict) in [(START, Ok(())), (START.after(MOMENT), Err(Rejection::OperationTooOld))] {
        let mut world = World::at(START).ticket("A1", TicketState::Available);
        world.snapshot.set_operations_purged_before(purged_before);
        assert_eq!(world.verdict(hold("ann", &["A1"], &[])).map(drop), verdict);
    }
}

#[test]
fn a_clock_stepping_back_forgets_no_purge() {
    let mut world = World::at(START.before(seconds(60))).ticket("A1", TicketState::Available);
    world.snapshot.set_operations_purged_before(START.after(millis(1)));
    assert_eq!(world.verdict(hold("ann", &["A1"], &[])), Err(Rejection::OperationTooOld));
}

#[test]
fn a_success_that_is_still_recorded_is_answered_however_old_its_id_is() {
    let mut world = ann_holds_a1();
    let receipt = carry_out(&mut world, 2, confirm("ann"));
    world.snapshot.set_clock(START.after(Policies::default().retention * 2));
    world.snapshot.set_operations_purged_before(START.after(seconds(1)));
    assert_repeats(&world, 2, confirm("ann"), &receipt);
    world.snapshot.set_clock(START.before(OPERATION_CLOCK_SKEW_MAX * 2));
    assert_repeats(&world, 2, confirm("ann"), &receipt);
}

fn elsewhere(state: ReservationState) -> World {
    let other = Reservation {
        id: id(9),
        event: EventId::new("other").unwrap(),
        customer: customer("ann"),
        lines: lines(&["A1"], &[]),
        state,
        held_at: START.before(seconds(600)),
    };
    let world = World::at(UNTIL.before(MOMENT)).ticket("A1", TicketState::Available);
    world.put(RecordKey::Reservation(id(9)), Record::Reservation(other), Timestamp::EPOCH)
}

#[test]
fn a_reservation_id_is_taken_in_all_events() {
    for state in [HELD, ReservationState::Released, ReservationState::Expired] {
        let taken = elsewhere(state);
        assert_eq!(taken.verdict(hold("ann", &["A1"], &[])), Err(Rejection::ReservationExists), "{state:?}");
    }
}

#[test]
fn a_reservation_id_is_taken_for_ever() {
    let gone = [ReservationState::Released, ReservationState::Cancelled, ReservationState::Expired];
    for state in [HELD, ReservationState::Booked].into_iter().chain(gone) {
        let world = World::at(UNTIL).ticket("A1", TicketState::Available).reservation(9, "ann", &["A2"], &[], state);
        let world = world.ticket("A2", TicketState::Available);
        assert_eq!(world.verdict(hold("ann", &["A1"], &[])), Err(Rejection::ReservationExists), "{state:?}");
    }
}

#[test]
fn a_reservation_of_another_event_is_unknown_to_this_one() {
    let (reservation, ann) = (id(9), customer("ann"));
    for state in [HELD, ReservationState::Booked] {
        let kind = Policies { late_payment: LatePayment::RebookIfFree, ..Policies::default() };
        let world = elsewhere(state).policies(kind);
        for action in [
            Action::Confirm { reservation, customer: ann.clone() },
            Action::Release { reservation, customer: ann.clone() },
            Action::Cancel { reservation, customer: ann.clone() },
            Action::Extend { reservation, customer: ann.clone(), ttl: None },
            Action::Transfer(Transfer { reservation, from: ann.clone(), to: customer("zoe") }),
        ] {
            assert_eq!(world.verdict(action.clone()), Err(Rejection::UnknownReservation), "{action:?}");
        }
    }
}

#[test]
fn the_terms_of_an_event_can_be_created_again_under_the_same_id_alone() {
    let mut world = World::at(START);
    world.snapshot.insert(RecordKey::Event, Versioned::ABSENT);
    let create = || Action::CreateEvent(CreateEvent::default());
    let receipt = carry_out(&mut world, 2, create());
    assert_repeats(&world, 2, create(), &receipt);
    assert_eq!(world.verdict(create()), Err(Rejection::EventExists));
    assert_eq!(world.snapshot.event(), &event());
}
