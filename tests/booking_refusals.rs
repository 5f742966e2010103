//! Every way in which the rules say no, through the booking service.

mod common;

use std::time::Duration;

use common::sim::{START, simulate};
use common::world::{Hall, customer, event, places, pool, refusal, reserved, seconds, tickets};
use ticket_reservation::booking::BookingError;
use ticket_reservation::domain::{
    Action, Command, CreateEvent, EventId, Hold, Import, InvalidLines, Lines, OperationId, Rejection, ReservationState,
    SalesWindow, TicketState,
};
use ticket_reservation::ports::RuntimeExt;

#[test]
fn what_does_not_exist_is_named_in_the_refusal() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        let service = hall.service();
        let refused = refusal(service.submit(hall.hold("ann", &["A1", "Z8", "Z9"], &[])).await);
        assert_eq!(refused, Rejection::UnknownTickets { tickets: tickets(&["Z8", "Z9"]) });
        let refused = refusal(service.submit(hall.hold("ann", &[], &[("roof", 1)])).await);
        assert_eq!(refused, Rejection::UnknownPool { pool: pool("roof") });
        let never_held = hall.hold("ann", &["A1"], &[]);
        for command in [hall.confirm(&never_held), hall.release(&never_held), hall.cancel(&never_held)] {
            assert_eq!(refusal(service.submit(command).await), Rejection::UnknownReservation);
        }
        let elsewhere = Command { event: EventId::new("other").unwrap(), ..hall.hold("ann", &["A1"], &[]) };
        assert_eq!(refusal(service.submit(elsewhere).await), Rejection::UnknownEvent);
        let elsewhere = Command { event: EventId::new("other").unwrap(), ..hall.block(&["A1"]) };
        assert_eq!(refusal(service.submit(elsewhere).await), Rejection::UnknownEvent);
    });
}

#[test]
fn a_reservation_of_another_event_is_unknown() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        let service = hall.service();
        let other = EventId::new("other").unwrap();
        let _ = service.create_event(&other, sim.operation_id(), CreateEvent::default()).await.unwrap();
        let hold = hall.hold("ann", &["A1"], &[]);
        reserved(service.submit(hold.clone()).await);
        for command in [hall.confirm(&hold), hall.release(&hold), hall.cancel(&hold), hall.transfer(&hold, "bob")] {
            let elsewhere = Command { event: other.clone(), ..command };
            assert_eq!(refusal(service.submit(elsewhere).await), Rejection::UnknownReservation);
        }
        assert_eq!(reserved(service.submit(hall.confirm(&hold)).await).state, ReservationState::Booked);
    });
}

#[test]
fn a_reservation_id_is_used_once() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        let service = hall.service();
        let first = reserved(service.submit(hall.hold("ann", &["A1"], &[])).await);
        let again = hall.hold_of(Hall::hold_under(first.id, "ann", &["A2"]));
        assert_eq!(refusal(service.submit(again).await), Rejection::ReservationExists);
        assert_eq!(hall.ticket_state("A2"), TicketState::Available);
    });
}

#[test]
fn a_reservation_in_the_wrong_state_is_left_alone() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        let service = hall.service();
        let hold = hall.hold("ann", &["A1"], &[]);
        service.submit(hold.clone()).await.unwrap();
        let wrong = |state| Rejection::WrongState { state };
        assert_eq!(refusal(service.submit(hall.cancel(&hold)).await), wrong("held"));
        service.submit(hall.confirm(&hold)).await.unwrap();
        for command in [hall.confirm(&hold), hall.release(&hold), hall.extend(&hold, None)] {
            assert_eq!(refusal(service.submit(command).await), wrong("booked"));
        }
        service.submit(hall.cancel(&hold)).await.unwrap();
        for command in [hall.confirm(&hold), hall.cancel(&hold), hall.transfer(&hold, "bob")] {
            assert_eq!(refusal(service.submit(command).await), wrong("cancelled"));
        }
        let hold = hall.hold("ann", &["A2"], &[]);
        service.submit(hold.clone()).await.unwrap();
        service.submit(hall.release(&hold)).await.unwrap();
        assert_eq!(refusal(service.submit(hall.confirm(&hold)).await), wrong("released"));
        hall.audit();
    });
}

#[test]
fn nobody_but_the_owner_changes_a_reservation() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        let service = hall.service();
        let hold = hall.hold("ann", &["A1"], &[]);
        let before = reserved(service.submit(hold.clone()).await);
        let Action::Hold(of_ann) = hold.action.clone() else { unreachable!() };
        let of_eve = hall.hold_of(Hold { customer: customer("eve"), ..of_ann });
        let by_eve = [
            hall.confirm(&of_eve),
            hall.release(&of_eve),
            hall.cancel(&of_eve),
            hall.extend(&of_eve, None),
            hall.transfer(&of_eve, "eve"),
        ];
        for command in by_eve {
            assert_eq!(refusal(service.submit(command).await), Rejection::NotOwner);
        }
        assert_eq!(hall.reservation(&hold), Some(before));
    });
}

#[test]
fn nothing_is_sold_before_the_last_chunk_of_the_inventory() {
    simulate(async |sim| {
        let hall = Hall::empty(&sim);
        let service = hall.service();
        let terms = CreateEvent::default();
        let _ = service.create_event(&event(), sim.operation_id(), terms.clone()).await.unwrap();
        assert_eq!(refusal(service.create_event(&event(), sim.operation_id(), terms).await), Rejection::EventExists);
        service.submit(hall.command(Action::Import(Import { tickets: places(), ..Import::default() }))).await.unwrap();
        let refused = refusal(service.submit(hall.hold("ann", &["A1"], &[])).await);
        assert_eq!(refused, Rejection::NotOnSale { opens: None, closes: None });
        service.submit(hall.import(&[], true)).await.unwrap();
        reserved(service.submit(hall.hold("ann", &["A1"], &[])).await);
    });
}

#[test]
fn the_sale_opens_and_closes_to_the_microsecond_and_a_hold_may_be_paid_after_it() {
    simulate(async |sim| {
        let window = SalesWindow { opens: Some(START.after(seconds(100))), closes: Some(START.after(seconds(200))) };
        let hall = Hall::open_with(&sim, &[], CreateEvent { window, ..CreateEvent::default() }).await;
        let service = hall.service();
        let moment = Duration::from_micros(1);
        let not_on_sale = Rejection::NotOnSale { opens: window.opens, closes: window.closes };
        hall.clock.set(START.after(seconds(100)).before(moment));
        assert_eq!(refusal(service.submit(hall.hold("ann", &["A1"], &[])).await), not_on_sale);
        hall.clock.set(START.after(seconds(100)));
        reserved(service.submit(hall.hold("ann", &["A1"], &[])).await);
        hall.clock.set(START.after(seconds(200)).before(moment));
        let hold = hall.hold("ann", &["A2"], &[]);
        reserved(service.submit(hold.clone()).await);
        hall.clock.set(START.after(seconds(200)));
        assert_eq!(refusal(service.submit(hall.hold("ann", &["A3"], &[])).await), not_on_sale);
        assert_eq!(reserved(service.submit(hall.confirm(&hold)).await).state, ReservationState::Booked);
    });
}

#[test]
fn what_can_never_be_reserved_is_refused_without_asking_the_store() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[("floor", 5)]).await;
        let service = hall.service();
        let invalid = |lines| Rejection::InvalidLines(lines);
        assert_eq!(refusal(service.submit(hall.hold("ann", &[], &[])).await), invalid(InvalidLines::Empty));
        assert_eq!(refusal(service.submit(hall.block(&[])).await), invalid(InvalidLines::Empty));
        assert_eq!(refusal(service.submit(hall.best("ann", 0)).await), invalid(InvalidLines::ZeroQuantity));
        let too_many = refusal(service.submit(hall.best("ann", 1_001)).await);
        assert_eq!(too_many, invalid(InvalidLines::TooMany { lines: 1_001 }));
        assert_eq!(hall.stage.loads(), 0);
        assert_eq!(Lines::merge([], [(pool("floor"), 0)]), Err(InvalidLines::ZeroQuantity));
        let overflow = Lines::merge([], [(pool("floor"), u32::MAX), (pool("floor"), 1)]);
        assert_eq!(overflow, Err(InvalidLines::Overflow));
    });
}

#[test]
fn a_ttl_beyond_the_policy_is_refused() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        let service = hall.service();
        let invalid = Rejection::InvalidTtl { max: seconds(1800) };
        let with_ttl = |ttl| {
            let Action::Hold(hold) = hall.hold("ann", &["A1"], &[]).action else { unreachable!() };
            hall.hold_of(hold.with_ttl(ttl))
        };
        for ttl in [seconds(0), Duration::from_micros(999), seconds(1801), Duration::MAX] {
            assert_eq!(refusal(service.submit(with_ttl(ttl)).await), invalid, "{ttl:?}");
        }
        let hold = with_ttl(seconds(1800));
        reserved(service.submit(hold.clone()).await);
        assert_eq!(refusal(service.submit(hall.extend(&hold, Some(seconds(1801)))).await), invalid);
    });
}

#[test]
fn a_customer_takes_no_more_than_the_limit_whatever_the_way() {
    simulate(async |sim| {
        let hall = Hall::open_with_limit(&sim, &[("floor", 50)], 4).await;
        let service = hall.service();
        let reached = |taken, wanted| Rejection::LimitReached { limit: 4, taken, wanted };
        let hold = hall.hold("ann", &["A1"], &[("floor", 2)]);
        reserved(service.submit(hold.clone()).await);
        assert_eq!(refusal(service.submit(hall.hold("ann", &["A2", "A3"], &[])).await), reached(3, 2));
        service.submit(hall.confirm(&hold)).await.unwrap();
        assert_eq!(refusal(service.submit(hall.hold("ann", &["A2", "A3"], &[])).await), reached(3, 2));
        let of_bob = hall.hold("bob", &["A4", "A5"], &[]);
        service.submit(of_bob.clone()).await.unwrap();
        assert_eq!(refusal(service.submit(hall.transfer(&of_bob, "ann")).await), reached(3, 2));
        assert_eq!(reserved(service.submit(hall.transfer(&of_bob, "bob")).await).customer, customer("bob"));
        service.submit(hall.cancel(&hold)).await.unwrap();
        reserved(service.submit(hall.transfer(&of_bob, "ann")).await);
        assert_eq!(refusal(service.submit(hall.hold("ann", &[], &[("floor", 3)])).await), reached(2, 3));
        reserved(service.submit(hall.hold("bob", &[], &[("floor", 4)])).await);
        hall.audit();
    });
}

#[test]
fn operation_ids_must_tell_their_time() {
    let version_4 = uuid::Builder::from_random_bytes([7; 16]).into_uuid();
    assert!(OperationId::try_from(version_4).is_err());
}

#[test]
fn an_error_says_whether_it_is_a_refusal() {
    let refused = BookingError::from(Rejection::Overloaded);
    assert_eq!(refused.rejection(), Some(&Rejection::Overloaded));
    assert!(Rejection::Overloaded.is_about_load() && !Rejection::NotOwner.is_about_load());
}
