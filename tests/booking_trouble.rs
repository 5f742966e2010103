//! A store that fails, that brings little, that panics: who is answered what, and that the sale goes on.

mod common;

use common::sim::simulate;
use common::stage::Fault;
use common::world::{Answer, Hall, event, millis, pool, record, refusal, reserved, seconds, ticket, touch};
use futures_util::FutureExt;
use ticket_reservation::booking::{BookingError, Limits};
use ticket_reservation::domain::{
    CustomerId, LatePayment, Policies, RecordKey, Rejection, ReservationState, TicketState,
};
use ticket_reservation::ports::{LAPSED_MAX, StoreErrorKind};

fn failure(answer: Answer) -> StoreErrorKind {
    match answer {
        Err(BookingError::Failed(error)) => error.kind(),
        other => panic!("not failed: {other:?}"),
    }
}

#[test]
fn a_group_that_can_never_be_written_does_not_take_the_others_down() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[("floor", 9)]).await;
        let service = hall.service();
        hall.stage.fails_on(record("A2"), Fault::Permanent);
        hall.stage.load_gate.close();
        let good = hall.send(&service, &hall.hold("ann", &["A1"], &[]));
        let bad = hall.send(&service, &hall.hold("bob", &["A2"], &[]));
        let with_it = hall.send(&service, &hall.hold("cat", &["A2"], &[]));
        let also_good = hall.send(&service, &hall.hold("dan", &[], &[("floor", 1)]));
        sim.idle().await;
        hall.stage.load_gate.open();
        reserved(good.answer().await);
        reserved(also_good.answer().await);
        assert_eq!(failure(bad.answer().await), StoreErrorKind::Permanent);
        assert_eq!(failure(with_it.answer().await), StoreErrorKind::Permanent);
        assert_eq!(hall.ticket_state("A2"), TicketState::Available);
        hall.audit();
    });
}

/// A row that someone else has locked for long: a timeout each time, and the rest of the hall is none of its business.
#[test]
fn a_group_that_always_fails_in_passing_does_not_take_the_others_down() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        let service = hall.service();
        hall.stage.fails_on(record("A2"), Fault::Transient);
        let bad = hall.send(&service, &hall.hold("bob", &["A2"], &[]));
        let good = hall.send(&service, &hall.hold("ann", &["A1"], &[]));
        reserved(good.answer().await);
        assert_eq!(failure(bad.answer().await), StoreErrorKind::Transient);
    });
}

#[test]
fn a_store_that_fails_in_passing_too_often_is_an_error_and_nothing_is_changed() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        let service = hall.service_with(|builder| builder.limits(Limits::default().store_retries_max(3)));
        hall.stage.faults([Fault::Transient; 4]);
        let hold = hall.hold("ann", &["A1"], &[]);
        assert_eq!(failure(service.submit(hold.clone()).await), StoreErrorKind::Transient);
        assert_eq!(hall.stage.commits(), 4);
        assert_eq!(hall.ticket_state("A1"), TicketState::Available);
        assert!(!service.submit(hold).await.unwrap().repeated);
    });
}

#[test]
fn a_load_that_fails_for_good_is_an_error() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        let service = hall.service();
        hall.stage.load_faults([Fault::Permanent]);
        let answer = service.submit(hall.hold("ann", &["A1"], &[])).await;
        assert_eq!(failure(answer), StoreErrorKind::Permanent);
        reserved(service.submit(hall.hold("ann", &["A1"], &[])).await);
    });
}

#[test]
fn a_record_that_cannot_be_read_fails_only_those_who_ask_for_it() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        let service = hall.service();
        hall.stage.unreadable(record("A3"));
        let started: Vec<_> =
            (1..=9).map(|n| hall.send(&service, &hall.hold("ann", &[&format!("A{n}")], &[]))).collect();
        for (number, started) in (1..).zip(started) {
            let answer = started.answer().await;
            match number {
                3 => assert_eq!(failure(answer), StoreErrorKind::Permanent),
                _ => drop(reserved(answer)),
            }
        }
        hall.audit();
    });
}

#[test]
fn a_record_that_the_repository_never_returns_is_an_error_and_no_endless_wait() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        let service = hall.service();
        hall.stage.withhold(record("A2"));
        let answer = service.submit(hall.hold("ann", &["A1", "A2"], &[])).await;
        assert_eq!(failure(answer), StoreErrorKind::Permanent);
        assert!(sim.elapsed() < seconds(1));
        reserved(service.submit(hall.hold("ann", &["A1"], &[])).await);
    });
}

#[test]
fn a_repository_that_brings_only_what_it_is_asked_for_sells_all_the_same() {
    simulate(async |sim| {
        let hall = Hall::open_with_limit(&sim, &[("floor", 4)], 4).await;
        hall.stage.bare();
        let service = hall.service();
        let hold = hall.hold("ann", &["A1", "A2"], &[("floor", 2)]);
        service.submit(hold.clone()).await.unwrap();
        assert!(service.submit(hold.clone()).await.unwrap().repeated);
        service.submit(hall.extend(&hold, Some(seconds(900)))).await.unwrap();
        service.submit(hall.transfer(&hold, "bob")).await.unwrap();
        service.submit(hall.transfer(&hall.hold_again(&hold, "bob"), "ann")).await.unwrap();
        service.submit(hall.confirm(&hold)).await.unwrap();
        let lapsing = hall.hold("bob", &["A3", "A4"], &[("floor", 2)]);
        service.submit(lapsing).await.unwrap();
        hall.clock.step_seconds(601);
        reserved(service.submit(hall.hold("bob", &["A3"], &[("floor", 2)])).await);
        service.submit(hall.cancel(&hold)).await.unwrap();
        assert_eq!(reserved(service.submit(hall.best("cat", 4)).await).lines.places(), 4);
        hall.audit();
    });
}

#[test]
fn more_expired_holds_than_one_load_brings_are_all_reclaimed_for_one_big_hold() {
    for bare in [false, true] {
        simulate(async |sim| {
            let holds = 3 * LAPSED_MAX as u32 + 8;
            let hall = Hall::open_with_limit(&sim, &[("floor", holds)], 400).await;
            let service = hall.service();
            for n in 0..holds {
                reserved(service.submit(hall.hold(&format!("buyer {n}"), &[], &[("floor", 1)])).await);
            }
            let early = refusal(service.submit(hall.hold("ann", &[], &[("floor", 1)])).await);
            assert_eq!(early, Rejection::Insufficient { pool: pool("floor"), wanted: 1, free: 0 });
            hall.clock.step_seconds(600);
            if bare {
                hall.stage.bare();
            }
            reserved(service.submit(hall.hold("ann", &[], &[("floor", holds)])).await);
            assert_eq!(hall.pool_row("floor").held, holds);
            hall.audit();
        });
    }
}

#[test]
fn who_needs_many_expired_holds_reclaimed_is_not_overtaken_meanwhile() {
    simulate(async |sim| {
        let holds = 3 * LAPSED_MAX as u32;
        let hall = Hall::open(&sim, &[("floor", holds)]).await;
        let service = hall.service();
        for _ in 0..holds {
            reserved(service.submit(hall.hold("ann", &[], &[("floor", 1)])).await);
        }
        hall.clock.step_seconds(600);
        let first = hall.send(&service, &hall.hold("bob", &[], &[("floor", holds)]));
        let second = hall.send(&service, &hall.hold("cat", &[], &[("floor", 1)]));
        let first = first.answer().await;
        assert!(first.is_ok(), "it came first: {first:?}");
        let none = Rejection::Insufficient { pool: pool("floor"), wanted: 1, free: 0 };
        assert_eq!(refusal(second.answer().await), none);
    });
}

#[test]
fn expired_holds_that_share_pools_in_a_chain_do_not_outrun_a_bare_repository() {
    simulate(async |sim| {
        let names: Vec<String> = (0..8).map(|n| format!("pool {n}")).collect();
        let many = LAPSED_MAX as u32 + 10;
        let pools: Vec<(&str, u32)> = names.iter().map(|name| (name.as_str(), 2 * many)).collect();
        let hall = Hall::open(&sim, &pools).await;
        let service = hall.service();
        for _ in 0..2 * many {
            reserved(service.submit(hall.hold("ann", &[], &[(&names[0], 1)])).await);
        }
        for pair in names.windows(2).skip(1) {
            reserved(service.submit(hall.hold("ann", &[], &[(&pair[0], 1), (&pair[1], 1)])).await);
        }
        hall.clock.step_seconds(600);
        hall.stage.bare();
        reserved(service.submit(hall.hold("bob", &[], &[(&names[0], 2 * many), (&names[1], 1)])).await);
        hall.audit();
    });
}

#[test]
fn holds_that_others_settle_between_two_loads_are_no_error_of_the_repository() {
    simulate(async |sim| {
        // Each expired hold has a seat too, which the load does not bring along.
        let many = 6 * LAPSED_MAX;
        let hall = Hall::open(&sim, &[("floor", many as u32)]).await;
        let office = hall.rival();
        let place = |n: usize| ticket_reservation::domain::Place {
            area: common::world::area("back"),
            row: 1,
            number: n as u32,
        };
        let seats = (0..many).map(|n| (ticket(&format!("back {n}")), place(n))).collect();
        office.import(&event(), seats, Vec::new()).await.unwrap();
        for n in 0..many {
            reserved(office.submit(hall.hold("ann", &[&format!("back {n}")], &[("floor", 1)])).await);
        }
        hall.clock.step_seconds(600);
        let sweeper = office.clone();
        // A sweep on the memory store never waits.
        hall.stage.before_load(move |_| {
            sweeper.sweep(LAPSED_MAX / 2).now_or_never().unwrap().unwrap();
        });
        let service = hall.service();
        reserved(service.submit(hall.hold("bob", &[], &[("floor", many as u32)])).await);
        hall.audit();
    });
}

#[test]
fn a_repository_that_panics_fails_its_callers_and_the_service_goes_on() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        let service = hall.service();
        hall.stage.load_faults([Fault::Panic]);
        hall.stage.load_gate.close();
        let first = hall.send(&service, &hall.hold("ann", &["A1"], &[]));
        sim.idle().await;
        let second = hall.send(&service, &hall.hold("bob", &["A2"], &[]));
        sim.idle().await;
        hall.stage.load_gate.open();
        assert_eq!(failure(first.answer().await), StoreErrorKind::Transient, "nothing was sent");
        assert_eq!(failure(second.answer().await), StoreErrorKind::Transient, "it waited for the one that died");
        assert_eq!((sim.panics(), sim.elapsed()), (1, seconds(0)));
        reserved(service.submit(hall.hold("ann", &["A1"], &[])).await);
        assert_eq!(service.shutdown(seconds(1)).await, ticket_reservation::booking::Drained::Completely);
    });
}

#[test]
fn a_commit_that_panics_leaves_its_outcome_unknown() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        let service = hall.service();
        hall.stage.faults([Fault::Panic]);
        let hold = hall.hold("ann", &["A1"], &[]);
        let unknown = common::world::unknown(service.submit(hold.clone()).await);
        assert_eq!(unknown.operation(), hold.operation);
        assert!(!service.submit(hold).await.unwrap().repeated);
    });
}

#[test]
fn a_request_that_always_conflicts_gives_up_after_a_bounded_number_of_tries() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        let service = hall.service_with(|builder| builder.limits(Limits::default().conflict_retries_max(5)));
        let store = hall.store.clone();
        hall.stage.before_commit(move |_| touch(&store, &record("A1")));
        let refused = refusal(service.submit(hall.hold("ann", &["A1"], &[])).await);
        assert!(matches!(refused, Rejection::Contended { retry_after } if retry_after > millis(0)));
        assert_eq!(hall.stage.commits(), 6);
        assert_eq!(hall.ticket_state("A1"), TicketState::Available);
    });
}

#[test]
fn a_customers_own_expired_holds_do_not_count_against_the_limit_however_many_they_are() {
    for bare in [false, true] {
        simulate(async |sim| {
            let holds = 2 * LAPSED_MAX as u32 + 5;
            let hall = Hall::open_with_limit(&sim, &[("floor", 1_000), ("roof", 1_000)], holds).await;
            let service = hall.service();
            for n in 0..holds {
                let pool = if n % 2 == 0 { "floor" } else { "roof" };
                reserved(service.submit(hall.hold("ann", &[], &[(pool, 1)])).await);
            }
            let limit = Rejection::LimitReached { limit: holds, taken: holds, wanted: 1 };
            assert_eq!(refusal(service.submit(hall.hold("ann", &["A1"], &[])).await), limit);
            hall.clock.step_seconds(600);
            if bare {
                hall.stage.bare();
            }
            reserved(service.submit(hall.hold("ann", &["A1"], &[("floor", holds - 1)])).await);
            assert_eq!(refusal(service.submit(hall.hold("ann", &["A2"], &[])).await), limit);
            hall.audit();
        });
    }
}

#[test]
fn what_a_lost_process_left_held_is_sold_without_any_sweeper() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[("floor", 3)]).await;
        let lost = hall.rival();
        let hold = hall.hold("ann", &["A1", "A2"], &[("floor", 3)]);
        reserved(lost.submit(hold.clone()).await);
        drop(lost);
        hall.clock.step_seconds(600);
        let service = hall.service();
        let next = hall.hold("bob", &["A1"], &[("floor", 2)]);
        reserved(service.submit(next.clone()).await);
        assert_eq!(hall.reservation(&hold).unwrap().state, ReservationState::Expired);
        assert_eq!(reserved(service.submit(hall.confirm(&next)).await).state, ReservationState::Booked);
        assert_eq!(refusal(service.submit(hall.confirm(&hold)).await), Rejection::HoldExpired);
        hall.audit();
    });
}

#[test]
fn a_late_payment_is_booked_only_if_the_policy_says_so_and_the_places_are_free() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[("floor", 2)]).await;
        let strict = hall.service();
        let kind = Policies { late_payment: LatePayment::RebookIfFree, ..Policies::default() };
        let kind = hall.service_with(|builder| builder.policies(kind));
        let [first, second] = [("A1", 1), ("A2", 1)].map(|(seat, n)| hall.hold("ann", &[seat], &[("floor", n)]));
        for hold in [&first, &second] {
            reserved(strict.submit(hold.clone()).await);
        }
        hall.clock.step_seconds(600);
        assert_eq!(refusal(strict.submit(hall.confirm(&first)).await), Rejection::HoldExpired);
        assert_eq!(strict.sweep(10).await.unwrap().expired, 2);
        reserved(strict.submit(hall.hold("bob", &["A2"], &[])).await);
        assert_eq!(reserved(kind.submit(hall.confirm(&first)).await).state, ReservationState::Booked);
        assert_eq!(refusal(kind.submit(hall.confirm(&second)).await), common::world::unavailable(&["A2"]));
        assert_eq!((hall.pool_row("floor").held, hall.pool_row("floor").booked), (0, 1));
        hall.audit();
    });
}

#[test]
fn an_allowance_is_kept_only_where_the_event_has_a_limit() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        let service = hall.service();
        reserved(service.submit(hall.hold("ann", &["A1"], &[])).await);
        let allowance = RecordKey::Allowance(CustomerId::new("ann").unwrap());
        let written = hall.stage.committed().into_iter().flatten().flat_map(|group| group.writes);
        assert!(written.into_iter().all(|write| write.key != allowance));
    });
}
