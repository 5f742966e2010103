//! Times, sales windows and deadlines, to the microsecond.

use std::time::Duration;

use ticket_reservation::domain::{CustomerId, EventId, Lines};
use ticket_reservation::domain::{Reservation, ReservationState, SalesWindow, Timestamp};

const MOMENT: Duration = Duration::from_micros(1);

fn at(micros: i64) -> Timestamp {
    Timestamp::from_micros(micros)
}

#[test]
fn a_duration_moves_a_time_by_whole_microseconds() {
    assert_eq!(at(10).after(Duration::from_nanos(2_999)), at(12));
    assert_eq!(at(10).before(Duration::from_nanos(2_999)), at(8));
    assert_eq!(at(5).before(Duration::from_micros(7)), at(-2));
}

#[test]
fn times_stop_at_the_ends_of_the_range() {
    assert_eq!(at(i64::MAX - 1).after(Duration::from_micros(2)), at(i64::MAX));
    assert_eq!(at(i64::MIN + 1).before(Duration::from_micros(2)), at(i64::MIN));
    assert_eq!(at(7).after(Duration::MAX), at(i64::MAX));
    assert_eq!(at(-7).before(Duration::MAX), at(i64::MIN));
}

#[test]
fn the_time_since_something_later_is_zero() {
    assert_eq!(at(7).since(at(5)), Duration::from_micros(2));
    assert_eq!(at(5).since(at(5)), Duration::ZERO);
    assert_eq!(at(5).since(at(7)), Duration::ZERO);
    assert_eq!(at(i64::MAX).since(at(i64::MIN)), Duration::from_micros(i64::MAX.unsigned_abs()), "it stops, too");
}

#[test]
fn a_time_is_shown_in_seconds_with_six_decimals() {
    assert_eq!(at(1_000_002).to_string(), "1.000002");
    assert_eq!(at(-1_500_000).to_string(), "-1.500000");
    assert_eq!(at(-1).to_string(), "-0.000001");
    assert_eq!(format!("{:?}", at(42)), "42us");
}

#[test]
fn a_sale_begins_at_its_opening_and_is_over_at_its_close() {
    let window = SalesWindow { opens: Some(at(10)), closes: Some(at(20)) };
    let inside = [9, 10, 19, 20].map(|micros| window.contains(at(micros)));
    assert_eq!(inside, [false, true, true, false]);
}

#[test]
fn a_window_without_an_end_is_open_on_that_side() {
    let from_ten = SalesWindow { opens: Some(at(10)), closes: None };
    assert_eq!([9, 10, i64::MAX].map(|micros| from_ten.contains(at(micros))), [false, true, true]);
    let to_ten = SalesWindow { opens: None, closes: Some(at(10)) };
    assert_eq!([i64::MIN, 9, 10].map(|micros| to_ten.contains(at(micros))), [true, true, false]);
    assert!(SalesWindow::default().contains(at(0)));
}

#[test]
fn a_reservation_is_a_live_hold_or_a_lapsed_one_and_never_both() {
    let mut reservation = Reservation {
        id: uuid::Uuid::nil().into(),
        event: EventId::new("gig").unwrap(),
        customer: CustomerId::new("ann").unwrap(),
        lines: Lines::default(),
        state: ReservationState::Held { until: at(20) },
        held_at: at(10),
    };
    let judged = |it: &Reservation, now| (it.is_live_hold(now), it.is_lapsed(now));
    assert_eq!(judged(&reservation, at(20).before(MOMENT)), (true, false));
    assert_eq!(judged(&reservation, at(20)), (false, true));
    for state in
        [ReservationState::Booked, ReservationState::Released, ReservationState::Cancelled, ReservationState::Expired]
    {
        reservation.state = state;
        assert_eq!(judged(&reservation, at(20)), (false, false), "{state:?}");
    }
}
