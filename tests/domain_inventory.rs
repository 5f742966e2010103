//! Creating an event, importing its inventory in chunks, and taking tickets off sale.

mod common;

use common::rules::{MOMENT, UNTIL, World, actions, confirm, hold, id, written};
use common::world::{area, customer, pool, record, seconds, ticket, tickets, unavailable};
use ticket_reservation::domain::{
    Action, BlockReason, ChangeSet, CreateEvent, Event, EventState, Import, Outcome, Place, Pool, PoolId, Record,
    RecordKey, Rejection, ReservationState, SalesWindow, Ticket, TicketId, TicketState, Timestamp, Versioned,
};

fn event_in(state: EventState) -> Event {
    let window = SalesWindow { opens: Some(UNTIL.before(seconds(9))), closes: Some(UNTIL.after(seconds(9))) };
    Event { state, window, limit_per_customer: Some(7) }
}

fn world_in(state: EventState) -> World {
    World::at(UNTIL).put(RecordKey::Event, Record::Event(event_in(state)), Timestamp::EPOCH)
}

fn without_event() -> World {
    let mut world = World::at(UNTIL);
    world.snapshot.insert(RecordKey::Event, Versioned::ABSENT);
    world
}

fn at(number: u32) -> Place {
    Place { area: area("A"), row: 1, number }
}

fn chunk(tickets: &[(&str, u32)], pools: &[(&str, u32)], last: bool) -> Action {
    Action::Import(Import {
        tickets: tickets.iter().map(|(id, number)| (ticket(id), at(*number))).collect(),
        pools: pools.iter().map(|(id, capacity)| (pool(id), *capacity)).collect(),
        last,
    })
}

fn block(ids: &[&str]) -> Action {
    Action::Block { tickets: tickets(ids), reason: BlockReason::new("camera").unwrap() }
}

fn unblock(ids: &[&str]) -> Action {
    Action::Unblock { tickets: tickets(ids) }
}

fn blocked() -> TicketState {
    TicketState::Blocked { reason: BlockReason::new("camera").unwrap() }
}

fn changed(changes: &ChangeSet) -> u32 {
    match changes.receipt.as_ref().map(|receipt| &receipt.outcome) {
        Some(Outcome::Inventory { changed }) => *changed,
        other => panic!("not about inventory: {other:?}"),
    }
}

fn ticket_after(changes: &ChangeSet, id: &str) -> Option<Ticket> {
    match written(changes, &record(id)) {
        Some(Record::Ticket(ticket)) => Some(ticket.clone()),
        _ => None,
    }
}

fn mismatch(tickets: &[&str], pools: &[&str]) -> Rejection {
    let pools: Vec<PoolId> = pools.iter().map(|id| pool(id)).collect();
    let tickets: Vec<TicketId> = tickets.iter().map(|id| ticket(id)).collect();
    Rejection::InventoryMismatch { tickets, pools }
}

#[test]
fn a_new_event_keeps_its_terms_and_sells_nothing_yet() {
    let Event { window, limit_per_customer, .. } = event_in(EventState::Preparing);
    let changes = without_event().verdict(Action::CreateEvent(CreateEvent { window, limit_per_customer })).unwrap();
    let created = written(&changes, &RecordKey::Event);
    assert_eq!(created, Some(&Record::Event(event_in(EventState::Preparing))));
    assert_eq!(changed(&changes), 0);
}

#[test]
fn an_event_is_created_once() {
    for state in [EventState::Preparing, EventState::OnSale] {
        let again = world_in(state).verdict(Action::CreateEvent(CreateEvent::default()));
        assert_eq!(again, Err(Rejection::EventExists));
    }
}

#[test]
fn an_event_that_does_not_exist_is_told_for_every_command_on_it() {
    let of_reservations = actions("ann").into_iter().chain([
        Action::Cancel { reservation: id(1), customer: customer("ann") },
        hold("ann", &["A1"], &[]),
        chunk(&[("A1", 1)], &[], true),
        block(&["A1"]),
        unblock(&["A1"]),
    ]);
    for action in of_reservations {
        assert_eq!(without_event().verdict(action.clone()), Err(Rejection::UnknownEvent), "{action:?}");
    }
}

#[test]
fn nothing_is_held_before_the_last_chunk_has_come() {
    let Event { window: SalesWindow { closes, .. }, .. } = event_in(EventState::Preparing);
    for (state, on_sale) in [(EventState::Preparing, false), (EventState::OnSale, true)] {
        match world_in(state).pool("floor", 5, 0, &[]).verdict(hold("ann", &[], &[("floor", 1)])) {
            Ok(_) => assert!(on_sale),
            // When the sale opens is not known before the inventory is complete.
            Err(rejection) => assert_eq!((on_sale, rejection), (false, Rejection::NotOnSale { opens: None, closes })),
        }
    }
}

#[test]
fn places_are_held_from_the_opening_until_the_close() {
    let SalesWindow { opens: Some(opens), closes: Some(closes) } = event_in(EventState::OnSale).window else {
        panic!("the window has both ends")
    };
    for (now, open) in [(opens.before(MOMENT), false), (opens, true), (closes.before(MOMENT), true), (closes, false)] {
        let mut world = world_in(EventState::OnSale).pool("floor", 5, 0, &[]);
        world.snapshot.set_clock(now);
        assert_eq!(world.verdict(hold("ann", &[], &[("floor", 1)])).is_ok(), open, "{now}");
    }
}

#[test]
fn an_import_adds_free_tickets_and_empty_pools_and_counts_both() {
    let world = world_in(EventState::Preparing);
    let changes = world.verdict(chunk(&[("A1", 1), ("A2", 2)], &[("floor", 9)], false)).unwrap();
    assert_eq!(changed(&changes), 3);
    assert_eq!(ticket_after(&changes, "A2"), Some(Ticket::available(at(2))));
    let floor = written(&changes, &RecordKey::Pool(pool("floor")));
    assert_eq!(floor, Some(&Record::Pool(Pool { capacity: 9, held: 0, booked: 0 })));
    assert_eq!(written(&changes, &RecordKey::Event), None, "more chunks are to come");
}

#[test]
fn the_last_chunk_puts_the_event_on_sale_on_its_own_terms() {
    for last in [chunk(&[("A1", 1)], &[], true), chunk(&[], &[], true)] {
        let changes = world_in(EventState::Preparing).verdict(last).unwrap();
        let event = written(&changes, &RecordKey::Event);
        assert_eq!(event, Some(&Record::Event(event_in(EventState::OnSale))));
    }
}

#[test]
fn a_last_chunk_for_an_event_on_sale_leaves_the_event_alone() {
    let world = world_in(EventState::OnSale);
    let changes = world.verdict(chunk(&[("A1", 1)], &[], true)).unwrap();
    assert_eq!(written(&changes, &RecordKey::Event), None);
    assert_eq!(ticket_after(&changes, "A1"), Some(Ticket::available(at(1))), "its places are added");
}

fn with_inventory() -> World {
    let booked = Ticket { place: at(1), state: TicketState::Booked { reservation: id(1) } };
    world_in(EventState::Preparing)
        .put(record("A1"), Record::Ticket(booked), Timestamp::EPOCH)
        .put(record("A2"), Record::Ticket(Ticket { place: at(2), state: blocked() }), Timestamp::EPOCH)
        .pool("floor", 9, 4, &[])
}

#[test]
fn what_is_there_already_keeps_its_state_and_is_not_counted() {
    let again = chunk(&[("A1", 1), ("A2", 2), ("A3", 3)], &[("floor", 9)], false);
    let changes = with_inventory().verdict(again).unwrap();
    assert_eq!(changed(&changes), 1);
    for kept in [record("A1"), record("A2"), RecordKey::Pool(pool("floor"))] {
        assert_eq!(written(&changes, &kept), None, "{kept:?}");
    }
}

#[test]
fn a_ticket_at_another_place_is_refused_by_its_name() {
    let moved = |place| Action::Import(Import { tickets: vec![(ticket("A1"), place)], ..Import::default() });
    let (row, area) = (Place { row: 2, ..at(1) }, Place { area: area("B"), ..at(1) });
    for place in [at(9), row, area] {
        assert_eq!(with_inventory().verdict(moved(place.clone())), Err(mismatch(&["A1"], &[])), "{place:?}");
    }
}

#[test]
fn a_pool_of_another_capacity_is_refused_by_its_name() {
    for capacity in [8, 10] {
        let other = chunk(&[], &[("floor", capacity)], true);
        assert_eq!(with_inventory().verdict(other), Err(mismatch(&[], &["floor"])));
    }
}

#[test]
fn everything_that_differs_is_named_at_once() {
    let other = chunk(&[("A2", 1), ("A3", 3), ("A1", 2)], &[("floor", 8), ("roof", 1)], true);
    assert_eq!(with_inventory().verdict(other), Err(mismatch(&["A1", "A2"], &["floor"])));
}

#[test]
fn a_chunk_that_contradicts_itself_is_refused() {
    let world = world_in(EventState::Preparing);
    assert_eq!(world.verdict(chunk(&[("A1", 1), ("A1", 2)], &[], false)), Err(mismatch(&["A1"], &[])));
    assert_eq!(world.verdict(chunk(&[], &[("floor", 1), ("floor", 2)], false)), Err(mismatch(&[], &["floor"])));
    // Also when what comes last is what is there.
    let known = with_inventory();
    assert_eq!(known.verdict(chunk(&[("A1", 2), ("A1", 1)], &[], false)), Err(mismatch(&["A1"], &[])));
    assert_eq!(known.verdict(chunk(&[], &[("floor", 8), ("floor", 9)], false)), Err(mismatch(&[], &["floor"])));
}

#[test]
fn what_a_chunk_names_twice_in_the_same_way_is_added_once() {
    let world = world_in(EventState::Preparing);
    let changes = world.verdict(chunk(&[("A1", 1), ("A1", 1)], &[("floor", 2), ("floor", 2)], false)).unwrap();
    assert_eq!(changed(&changes), 2);
    let floor = written(&changes, &RecordKey::Pool(pool("floor")));
    assert_eq!(floor, Some(&Record::Pool(Pool::with_capacity(2))));
}

fn with_tickets() -> World {
    let held = TicketState::Held { reservation: id(1), until: UNTIL.after(MOMENT) };
    let world = World::at(UNTIL).ticket("A1", TicketState::Available).ticket("A2", TicketState::Available);
    world.ticket("A3", held).ticket("A4", blocked()).ticket("A5", TicketState::Booked { reservation: id(2) })
}

#[test]
fn blocking_takes_free_tickets_off_sale_and_keeps_the_reason() {
    let changes = with_tickets().verdict(block(&["A1", "A2"])).unwrap();
    for name in ["A1", "A2"] {
        assert_eq!(ticket_after(&changes, name).map(|it| it.state), Some(blocked()), "{name}");
    }
    assert_eq!(changed(&changes), 2);
}

#[test]
fn a_ticket_named_twice_is_blocked_and_unblocked_once() {
    assert_eq!(changed(&with_tickets().verdict(block(&["A1", "A1"])).unwrap()), 1);
    assert_eq!(changed(&with_tickets().verdict(unblock(&["A4", "A4"])).unwrap()), 1);
}

#[test]
fn what_is_not_free_is_not_blocked_and_nothing_else_with_it() {
    let refused = with_tickets().verdict(block(&["A5", "A1", "A4", "A3"]));
    assert_eq!(refused, Err(unavailable(&["A3", "A4", "A5"])));
}

#[test]
fn unblocking_puts_a_ticket_on_sale_again() {
    let changes = with_tickets().verdict(unblock(&["A4"])).unwrap();
    assert_eq!(ticket_after(&changes, "A4").map(|it| it.state), Some(TicketState::Available));
    assert_eq!(changed(&changes), 1);
}

#[test]
fn what_is_not_blocked_is_not_unblocked_and_nothing_else_with_it() {
    let refused = with_tickets().verdict(unblock(&["A5", "A4", "A1", "A3"]));
    assert_eq!(refused, Err(Rejection::NotBlocked { tickets: tickets(&["A1", "A3", "A5"]) }));
}

#[test]
fn tickets_that_do_not_exist_are_named_before_any_that_are_taken() {
    for action in [block(&["X2", "A3", "X1"]), unblock(&["X2", "A3", "X1"]), hold("ann", &["X2", "A3", "X1"], &[])] {
        let refused = with_tickets().verdict(action.clone());
        assert_eq!(refused, Err(Rejection::UnknownTickets { tickets: tickets(&["X1", "X2"]) }), "{action:?}");
    }
}

#[test]
fn a_pool_that_does_not_exist_is_named() {
    let refused = with_tickets().verdict(hold("ann", &["A1"], &[("attic", 1)]));
    assert_eq!(refused, Err(Rejection::UnknownPool { pool: pool("attic") }));
}

#[test]
fn a_ticket_blocked_after_its_hold_was_over_is_not_confirmed() {
    let world = World::at(UNTIL).ticket("A1", blocked());
    let world = world.reservation(1, "ann", &["A1"], &[], ReservationState::Held { until: UNTIL });
    assert_eq!(world.verdict(confirm("ann")), Err(Rejection::HoldExpired));
}
