//! The fingerprint of a command: equal content, equal fingerprint, on every machine and in every version; and any other
//! content, another one. A field that did not count would let one request be answered with the success of another.

mod common;

use std::time::Duration;

use common::world::{area, customer, event, lines, pool, ticket, tickets};
use ticket_reservation::domain::{
    Action, BlockReason, Command, CreateEvent, EventId, Fingerprint, Hold, Import, OperationId, Place, ReservationId,
    SalesWindow, Timestamp, Transfer,
};
use uuid::Uuid;

fn reservation(n: u8) -> ReservationId {
    Uuid::from_bytes([n; 16]).into()
}

fn command(action: Action) -> Command {
    Command { event: event(), operation: OperationId::from_parts(Timestamp::EPOCH, [1; 10]), action }
}

fn of(action: Action) -> Fingerprint {
    Fingerprint::of(&command(action))
}

/// Each of these differs from the first, and from each other.
#[track_caller]
fn assert_all_differ(actions: &[(&str, Action)]) {
    for (n, (name, action)) in actions.iter().enumerate() {
        for (other_name, other) in &actions[..n] {
            assert_ne!(of(action.clone()), of(other.clone()), "{name} against {other_name}");
        }
    }
}

fn hold() -> Hold {
    Hold::new(reservation(1), customer("ann"), lines(&["A1", "A2"], &[("floor", 2)]))
        .with_best_available(area("A"), 3)
        .with_ttl(Duration::from_secs(60))
}

#[test]
fn every_field_of_a_hold_counts() {
    let with = |change: fn(&mut Hold)| {
        let mut hold = hold();
        change(&mut hold);
        Action::Hold(hold)
    };
    assert_all_differ(&[
        ("the hold", with(|_| {})),
        ("reservation", with(|it| it.reservation = reservation(2))),
        ("customer", with(|it| it.customer = customer("bob"))),
        ("a ticket", with(|it| it.lines = lines(&["A1", "A3"], &[("floor", 2)]))),
        ("a ticket less", with(|it| it.lines = lines(&["A1"], &[("floor", 2)]))),
        ("a pool", with(|it| it.lines = lines(&["A1", "A2"], &[("roof", 2)]))),
        ("a quantity", with(|it| it.lines = lines(&["A1", "A2"], &[("floor", 3)]))),
        ("a pool less", with(|it| it.lines = lines(&["A1", "A2"], &[]))),
        ("no best available", with(|it| it.best_available = None)),
        ("its area", with(|it| it.best_available.as_mut().unwrap().area = area("B"))),
        ("its quantity", with(|it| it.best_available.as_mut().unwrap().quantity = 4)),
        ("ttl", with(|it| it.ttl = Some(Duration::from_nanos(60_000_000_001)))),
        ("the policy's ttl", with(|it| it.ttl = None)),
        ("no ttl at all", with(|it| it.ttl = Some(Duration::ZERO))),
    ]);
}

#[test]
fn every_field_of_a_new_event_counts() {
    let at = |micros| Some(Timestamp::from_micros(micros));
    let terms = |opens, closes, limit_per_customer| {
        Action::CreateEvent(CreateEvent { window: SalesWindow { opens, closes }, limit_per_customer })
    };
    assert_all_differ(&[
        ("the terms", terms(at(5), at(9), Some(4))),
        ("opens", terms(at(6), at(9), Some(4))),
        ("opens at once", terms(None, at(9), Some(4))),
        ("opens at the epoch", terms(at(0), at(9), Some(4))),
        ("closes", terms(at(5), at(10), Some(4))),
        ("closes never", terms(at(5), None, Some(4))),
        ("limit", terms(at(5), at(9), Some(5))),
        ("a limit of nothing", terms(at(5), at(9), Some(0))),
        ("no limit", terms(at(5), at(9), None)),
    ]);
}

#[test]
fn every_field_of_an_import_counts() {
    let import = |id: &str, in_area: &str, row, number, in_pool: &str, capacity, last| {
        let place = Place { area: area(in_area), row, number };
        Action::Import(Import { tickets: vec![(ticket(id), place)], pools: vec![(pool(in_pool), capacity)], last })
    };
    assert_all_differ(&[
        ("the chunk", import("A1", "A", 1, 2, "floor", 10, false)),
        ("ticket", import("A2", "A", 1, 2, "floor", 10, false)),
        ("area", import("A1", "B", 1, 2, "floor", 10, false)),
        ("row", import("A1", "A", 2, 2, "floor", 10, false)),
        ("number", import("A1", "A", 1, 1, "floor", 10, false)),
        ("row and number the other way round", import("A1", "A", 2, 1, "floor", 10, false)),
        ("pool", import("A1", "A", 1, 2, "roof", 10, false)),
        ("capacity", import("A1", "A", 1, 2, "floor", 11, false)),
        ("last", import("A1", "A", 1, 2, "floor", 10, true)),
        ("nothing", Action::Import(Import::default())),
    ]);
}

#[test]
fn every_field_of_what_is_done_to_a_reservation_counts() {
    let minute = Some(Duration::from_secs(60));
    let extend = |n, who, ttl| Action::Extend { reservation: reservation(n), customer: customer(who), ttl };
    let confirm = |n, who| Action::Confirm { reservation: reservation(n), customer: customer(who) };
    let release = |n, who| Action::Release { reservation: reservation(n), customer: customer(who) };
    let cancel = |n, who| Action::Cancel { reservation: reservation(n), customer: customer(who) };
    assert_all_differ(&[
        ("extend", extend(1, "ann", minute)),
        ("extend another", extend(2, "ann", minute)),
        ("extend for another", extend(1, "bob", minute)),
        ("extend by the policy's ttl", extend(1, "ann", None)),
        ("extend longer", extend(1, "ann", Some(Duration::from_secs(61)))),
        ("confirm", confirm(1, "ann")),
        ("confirm another", confirm(2, "ann")),
        ("confirm for another", confirm(1, "bob")),
        ("release", release(1, "ann")),
        ("release another", release(2, "ann")),
        ("release for another", release(1, "bob")),
        ("cancel", cancel(1, "ann")),
        ("cancel another", cancel(2, "ann")),
        ("cancel for another", cancel(1, "bob")),
    ]);
}

#[test]
fn every_field_of_a_transfer_counts() {
    let transfer = |n, from, to| {
        Action::Transfer(Transfer { reservation: reservation(n), from: customer(from), to: customer(to) })
    };
    assert_all_differ(&[
        ("the transfer", transfer(1, "ann", "bob")),
        ("another reservation", transfer(2, "ann", "bob")),
        ("from another", transfer(1, "cat", "bob")),
        ("to another", transfer(1, "ann", "cat")),
        ("back", transfer(1, "bob", "ann")),
    ]);
}

#[test]
fn every_field_of_a_block_counts() {
    let block =
        |ids: &[&str], reason: &str| Action::Block { tickets: tickets(ids), reason: BlockReason::new(reason).unwrap() };
    assert_all_differ(&[
        ("the block", block(&["A1", "A2"], "camera")),
        ("another ticket", block(&["A1", "A3"], "camera")),
        ("a ticket less", block(&["A1"], "camera")),
        ("another reason", block(&["A1", "A2"], "pillar")),
        ("unblocking", Action::Unblock { tickets: tickets(&["A1", "A2"]) }),
        ("unblocking another", Action::Unblock { tickets: tickets(&["A1", "A3"]) }),
    ]);
}

#[test]
fn the_event_counts_and_the_operation_id_does_not() {
    let one = command(Action::Hold(hold()));
    let elsewhere = Command { event: EventId::new("other").unwrap(), ..one.clone() };
    assert_ne!(Fingerprint::of(&one), Fingerprint::of(&elsewhere));
    let again = Command { operation: OperationId::from_parts(Timestamp::EPOCH, [2; 10]), ..one.clone() };
    assert_eq!(Fingerprint::of(&one), Fingerprint::of(&again));
}

#[test]
fn texts_do_not_run_into_each_other() {
    let transfer =
        |from, to| Action::Transfer(Transfer { reservation: reservation(1), from: customer(from), to: customer(to) });
    assert_ne!(of(transfer("ab", "c")), of(transfer("a", "bc")));
    let unblock = |ids: &[&str]| Action::Unblock { tickets: tickets(ids) };
    assert_ne!(of(unblock(&["A", "B"])), of(unblock(&["AB"])));
    let hold = |ids: &[&str], pools: &[(&str, u32)]| {
        Action::Hold(Hold::new(reservation(1), customer("ann"), lines(ids, pools)))
    };
    assert_ne!(of(hold(&["A", "B"], &[])), of(hold(&["A"], &[("B", 1)])));
}

#[test]
fn neither_the_order_of_tickets_nor_naming_them_twice_counts() {
    let block = |ids: &[&str]| Action::Block { tickets: tickets(ids), reason: BlockReason::new("camera").unwrap() };
    assert_eq!(of(block(&["A1", "A2"])), of(block(&["A2", "A1", "A2"])));
    let unblock = |ids: &[&str]| Action::Unblock { tickets: tickets(ids) };
    assert_eq!(of(unblock(&["A1", "A2"])), of(unblock(&["A2", "A1", "A2"])));
    let hold = |ids: &[&str], pools: &[(&str, u32)]| {
        Action::Hold(Hold::new(reservation(1), customer("ann"), lines(ids, pools)))
    };
    assert_eq!(of(hold(&["A1", "A2"], &[("floor", 3)])), of(hold(&["A2", "A1", "A2"], &[("floor", 1), ("floor", 2)])));
}

#[test]
fn a_store_gets_back_what_it_kept() {
    let fingerprint = of(Action::Hold(hold()));
    assert_eq!(Fingerprint::from_bytes(*fingerprint.as_bytes()), fingerprint);
}

/// Stores keep fingerprints: a version that computed others would refuse every repetition across an upgrade. These were
/// computed by another implementation of the encoding.
#[test]
fn fingerprints_are_the_same_in_every_version() {
    let place = Place { area: area("A"), row: 1, number: 2 };
    let window = SalesWindow {
        opens: Some(Timestamp::from_micros(1_800_000_000_000_000)),
        closes: Some(Timestamp::from_micros(1_800_000_000_000_001)),
    };
    let (ann, one) = (customer("ann"), reservation(1));
    let (confirm, release) = (ann.clone(), ann.clone());
    // That of the empty terms was computed by another implementation of XXH3, from bytes written out by hand.
    let kept = [
        (
            Action::CreateEvent(CreateEvent { window, limit_per_customer: Some(4) }),
            "b5dc9c31-b48d-0618-c5e5-71fa9acf1da4",
        ),
        (Action::CreateEvent(CreateEvent::default()), "0b80c5db-711f-e5e2-7a40-c9447b579c03"),
        (
            Action::Import(Import {
                tickets: vec![(ticket("A1"), place)],
                pools: vec![(pool("floor"), 10)],
                last: true,
            }),
            "6f0bcca1-e8eb-d83f-96a3-4f823abfd69e",
        ),
        (Action::Hold(hold()), "3adb9f4b-2439-c6e1-ca18-8c7e18c40b00"),
        (Action::Hold(Hold::new(one, ann.clone(), lines(&["Zürich-1"], &[]))), "6dbeeff0-3603-798b-cebd-642d394179ac"),
        (
            Action::Extend { reservation: one, customer: ann.clone(), ttl: Some(Duration::from_millis(1)) },
            "009218d1-ec7b-969b-8cd1-977b2bb251a3",
        ),
        (Action::Confirm { reservation: one, customer: confirm }, "2e1983f0-5759-a7c4-027b-b1dfe6059995"),
        (Action::Release { reservation: one, customer: release }, "f94950f6-0ad1-59e4-22b6-43a897e389fe"),
        (Action::Cancel { reservation: one, customer: ann.clone() }, "f9cd9ee0-6eab-d314-4db7-2588601fa129"),
        (
            Action::Transfer(Transfer { reservation: one, from: ann, to: customer("bob") }),
            "bc2ce4e3-bc49-09b3-33eb-6e8f2735521a",
        ),
        (
            Action::Block { tickets: tickets(&["A2", "A1"]), reason: BlockReason::new("camera").unwrap() },
            "d58da8d7-6fb7-17ab-699f-53178e4d147d",
        ),
        (Action::Unblock { tickets: tickets(&["A1"]) }, "53708c2a-4d88-2cc7-2297-e3de2dcb44b7"),
    ];
    for (action, fingerprint) in kept {
        assert_eq!(Uuid::from_bytes(*of(action.clone()).as_bytes()).to_string(), fingerprint, "{action:?}");
    }
}
