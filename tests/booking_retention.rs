//! What is remembered for how long, what is refused afterwards, and the sweeper that tidies up beside the sale.

mod common;

use std::time::Duration;

use common::doubles::Seen;
use common::sim::{START, simulate};
use common::stage::Fault;
use common::world::{Hall, event, record, refusal, reserved, seconds, touch, unavailable};
use futures_util::FutureExt;
use ticket_reservation::booking::BookingService;
use ticket_reservation::domain::{
    Command, OPERATION_CLOCK_SKEW_MAX, OperationId, Rejection, ReservationState, TicketState, Timestamp,
};
use ticket_reservation::ports::{Change, ChangesError, PAGE_MAX, Repository, StoreErrorKind};

const DAY: u64 = 24 * 60 * 60;
const RETENTION: Duration = Duration::from_secs(7 * DAY);

/// The same command under an id made at another time.
fn made_at(command: Command, time: Timestamp) -> Command {
    Command { operation: OperationId::from_parts(time, [3; 10]), ..command }
}

fn feed(hall: &Hall, after: u64) -> Result<Vec<Change>, ChangesError> {
    hall.store.changes(&event(), after, PAGE_MAX).now_or_never().unwrap()
}

async fn sweep_all(service: &BookingService, limit: usize) -> usize {
    for step in 0..1_000 {
        let swept = service.sweep(limit).await.unwrap();
        if swept == ticket_reservation::booking::Swept::default() {
            return step;
        }
    }
    panic!("the sweeper finds no end");
}

#[test]
fn an_operation_id_is_good_for_exactly_the_retention() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        let service = hall.service();
        hall.clock.step_seconds(30 * DAY as i64);
        let oldest = hall.clock_time().before(RETENTION);
        let too_old = made_at(hall.hold("ann", &["A1"], &[]), oldest.before(Duration::from_millis(1)));
        assert_eq!(refusal(service.submit(too_old).await), Rejection::OperationTooOld);
        assert_eq!(hall.ticket_state("A1"), TicketState::Available);
        reserved(service.submit(made_at(hall.hold("ann", &["A1"], &[]), oldest)).await);
    });
}

#[test]
fn an_operation_id_from_the_far_future_is_refused() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        let service = hall.service();
        let latest = START.after(OPERATION_CLOCK_SKEW_MAX);
        let beyond = made_at(hall.hold("ann", &["A1"], &[]), latest.after(Duration::from_millis(1)));
        assert_eq!(refusal(service.submit(beyond).await), Rejection::OperationFromFuture);
        reserved(service.submit(made_at(hall.hold("ann", &["A1"], &[]), latest)).await);
    });
}

#[test]
fn a_purged_operation_is_never_carried_out_again() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        let service = hall.service();
        let hold = hall.hold("ann", &["A1"], &[]);
        reserved(service.submit(hold.clone()).await);
        let release = hall.release(&hold);
        service.submit(release.clone()).await.unwrap();
        hall.clock.step_seconds(8 * DAY as i64);
        sweep_all(&service, 100).await;
        for command in [&hold, &release] {
            assert_eq!(refusal(service.submit(command.clone()).await), Rejection::OperationTooOld);
        }
        // A clock that steps back makes the id look young again; what was purged stays unknown.
        hall.clock.step_seconds(-8 * DAY as i64);
        for command in [&hold, &release] {
            assert_eq!(refusal(service.submit(command.clone()).await), Rejection::OperationTooOld);
        }
        assert_eq!(hall.ticket_state("A1"), TicketState::Available);
    });
}

#[test]
fn a_confirmation_that_was_purged_is_not_confused_with_a_new_one() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        let service = hall.service();
        let hold = hall.hold("ann", &["A1"], &[]);
        reserved(service.submit(hold.clone()).await);
        let confirm = hall.confirm(&hold);
        service.submit(confirm.clone()).await.unwrap();
        hall.clock.step_seconds(8 * DAY as i64);
        sweep_all(&service, 100).await;
        assert_eq!(refusal(service.submit(confirm).await), Rejection::OperationTooOld);
        assert_eq!(hall.reservation(&hold).unwrap().state, ReservationState::Booked, "bookings are not purged");
        let new = made_at(hall.cancel(&hold), hall.clock_time());
        assert_eq!(reserved(service.submit(new).await).state, ReservationState::Cancelled);
        hall.audit();
    });
}

#[test]
fn a_purge_between_decision_and_commit_lets_nothing_happen_twice() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[("floor", 9)]).await;
        let (service, rival) = (hall.service(), hall.rival());
        let hold = hall.hold("ann", &[], &[("floor", 1)]);
        // It is decided when its id is just young enough, and committed when its record, written meanwhile, is gone again.
        hall.clock.set(START.after(RETENTION).before(seconds(1)));
        hall.stage.commit_gate.close();
        let late = hall.send(&service, &hold);
        sim.idle().await;
        assert_eq!(hall.stage.commit_gate.waiting(), 1);
        reserved(rival.submit(hold.clone()).await);
        hall.clock.step_seconds(2);
        sweep_all(&rival, 100).await;
        hall.stage.commit_gate.open();
        let answer = late.answer().await;
        assert!(answer.is_err(), "{answer:?}");
        assert_eq!(hall.pool_row("floor").held, 1);
        hall.audit();
    });
}

#[test]
fn the_change_feed_tells_who_fell_behind_the_purge() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[("floor", 9)]).await;
        let service = hall.service();
        reserved(service.submit(hall.hold("ann", &["A1"], &[])).await);
        let old = feed(&hall, 0).unwrap();
        let last = old.last().unwrap().sequence;
        assert_eq!(old.iter().map(|change| change.sequence).collect::<Vec<_>>(), (1..=last).collect::<Vec<_>>());
        hall.clock.step_seconds(8 * DAY as i64);
        reserved(service.submit(made_at(hall.hold("bob", &["A2"], &[]), hall.clock_time())).await);
        sweep_all(&service, 7).await;
        for after in [0, last - 1] {
            match feed(&hall, after) {
                Err(ChangesError::Truncated { purged_through }) => assert_eq!(purged_through, last),
                other => panic!("after {after}: {other:?}"),
            }
        }
        let rest = feed(&hall, last).unwrap();
        assert_eq!(rest[0].sequence, last + 1);
        assert!(rest.iter().any(|change| change.key == record("A2")));
    });
}

#[test]
fn the_sweeper_settles_expired_holds_in_bounded_steps() {
    simulate(async |sim| {
        let hall = Hall::open_with_limit(&sim, &[("floor", 100)], 200).await;
        let service = hall.service();
        for n in 1..=10 {
            reserved(service.submit(hall.hold("ann", &[&format!("A{n}")], &[("floor", 2)])).await);
        }
        assert_eq!(service.sweep(4).await.unwrap().expired, 0, "none has expired");
        hall.clock.step_seconds(600);
        let mut expired = Vec::new();
        for _ in 0..4 {
            expired.push(service.sweep(4).await.unwrap().expired);
        }
        assert_eq!(expired, [4, 4, 2, 0]);
        assert_eq!((hall.pool_row("floor").held, hall.ticket_state("A1")), (0, TicketState::Available));
        let told = hall.seen.count(|seen| matches!(seen, Seen::Swept { expired: 4 }));
        assert_eq!(told, 2);
        hall.audit();
    });
}

#[test]
fn the_sweeper_frees_only_what_the_expired_hold_still_owns() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[("floor", 9)]).await;
        let service = hall.service();
        let old = hall.hold("ann", &["A1", "A2", "A3"], &[("floor", 2)]);
        reserved(service.submit(old.clone()).await);
        hall.clock.step_seconds(600);
        let next = reserved(service.submit(hall.hold("bob", &["A2"], &[("floor", 1)])).await);
        service.submit(hall.block(&["A3"])).await.unwrap();
        assert_eq!(service.sweep(100).await.unwrap().expired, 1);
        assert_eq!(hall.ticket_state("A1"), TicketState::Available);
        assert!(matches!(hall.ticket_state("A2"), TicketState::Held { reservation, .. } if reservation == next.id));
        assert!(matches!(hall.ticket_state("A3"), TicketState::Blocked { .. }));
        assert_eq!(hall.pool_row("floor").held, 1);
        assert_eq!(hall.reservation(&old).unwrap().state, ReservationState::Expired);
        hall.audit();
    });
}

#[test]
fn the_sweeper_leaves_alone_what_is_extended_confirmed_or_not_over() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        let service = hall.service();
        let [extended, confirmed, released] = ["A1", "A2", "A3"].map(|seat| hall.hold("ann", &[seat], &[]));
        for hold in [&extended, &confirmed, &released] {
            reserved(service.submit(hold.clone()).await);
        }
        service.submit(hall.extend(&extended, Some(seconds(1_200)))).await.unwrap();
        service.submit(hall.confirm(&confirmed)).await.unwrap();
        service.submit(hall.release(&released)).await.unwrap();
        hall.clock.step_seconds(600);
        assert_eq!(service.sweep(100).await.unwrap().expired, 0);
        hall.clock.set(START.after(seconds(1_200)).before(Duration::from_micros(1)));
        assert_eq!(service.sweep(100).await.unwrap().expired, 0);
        hall.clock.step(1);
        assert_eq!(service.sweep(100).await.unwrap().expired, 1);
        hall.audit();
    });
}

#[test]
fn a_sweep_that_meets_a_sale_leaves_the_sale_alone() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[("floor", 9)]).await;
        let (sweeping, rival) = (hall.service(), hall.rival());
        for seat in ["A1", "A2"] {
            reserved(rival.submit(hall.hold("ann", &[seat], &[])).await);
        }
        hall.clock.step_seconds(600);
        hall.stage.commit_gate.close();
        let sweep = sim.start(async move { sweeping.sweep(10).await });
        sim.idle().await;
        let next = reserved(rival.submit(hall.hold("bob", &["A1"], &[])).await);
        hall.stage.commit_gate.open();
        assert_eq!(sweep.answer().await.unwrap().expired, 1, "the other one is left for the next step");
        assert!(matches!(hall.ticket_state("A1"), TicketState::Held { reservation, .. } if reservation == next.id));
        assert_eq!(rival.sweep(10).await.unwrap().expired, 1);
        assert!(matches!(hall.ticket_state("A1"), TicketState::Held { reservation, .. } if reservation == next.id));
        hall.audit();
    });
}

#[test]
fn many_sweepers_and_many_buyers_do_not_disturb_each_other() {
    simulate(async |sim| {
        let hall = Hall::open_with_limit(&sim, &[("floor", 20)], 1_000).await;
        let services = [hall.service(), hall.service(), hall.rival()];
        // Every thirtieth commit fails the services on the stage, in one way or another.
        for fault in [Fault::Transient, Fault::Applied, Fault::Lost, Fault::Zombie] {
            hall.stage.faults([[Fault::Pass; 29].as_slice(), &[fault]].concat());
        }
        let mut started = Vec::new();
        for round in 0..40 {
            for (n, service) in services.iter().enumerate() {
                let seat = format!("A{}", (round * 3 + n * 5) % 10 + 1);
                let hold = hall.hold(&format!("buyer {n}"), &[&seat], &[("floor", 1 + round as u32 % 3)]);
                let confirm = hall.confirm(&hold);
                let cancel = hall.cancel(&hold);
                let service = service.clone();
                started.push(sim.start(async move {
                    if service.submit(hold).await.is_ok() && round % 4 == 0 && service.submit(confirm).await.is_ok() {
                        let _ = service.submit(cancel).await;
                    }
                    let _ = service.sweep(3).await;
                }));
            }
            if round % 3 == 0 {
                sim.idle().await;
                hall.clock.step_seconds(300);
                hall.audit();
            }
        }
        for started in started {
            started.answer().await;
        }
        hall.stage.land_zombies();
        hall.audit();
        hall.clock.step_seconds(600);
        sweep_all(&services[2], 50).await;
        assert_eq!(hall.pool_row("floor").held, 0);
        hall.audit();
    });
}

#[test]
fn a_sweep_with_a_bare_repository_settles_everything_too() {
    simulate(async |sim| {
        let hall = Hall::open_with_limit(&sim, &[("floor", 9)], 9).await;
        let service = hall.service();
        for seat in ["A1", "A2", "A3"] {
            reserved(service.submit(hall.hold("ann", &[seat], &[("floor", 2)])).await);
        }
        hall.clock.step_seconds(600);
        hall.stage.bare();
        assert_eq!(service.sweep(10).await.unwrap().expired, 3);
        reserved(service.submit(hall.hold("ann", &["A1"], &[("floor", 8)])).await);
        hall.audit();
    });
}

#[test]
fn a_sweep_on_a_failing_store_says_so_and_is_harmless() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        let service = hall.service();
        reserved(service.submit(hall.hold("ann", &["A1"], &[])).await);
        hall.clock.step_seconds(600);
        hall.stage.faults([Fault::Zombie]);
        assert_eq!(service.sweep(10).await.unwrap_err().kind(), StoreErrorKind::Unknown);
        reserved(service.submit(hall.hold("bob", &["A1"], &[])).await);
        assert_eq!(hall.stage.land_zombies(), [false]);
        assert_eq!(refusal(service.submit(hall.hold("cat", &["A1"], &[])).await), unavailable(&["A1"]));
        touch(&hall.store, &record("A1"));
        assert_eq!(service.sweep(10).await.unwrap().expired, 1);
        hall.audit();
    });
}

#[test]
fn a_refused_operation_leaves_nothing_to_purge() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        let service = hall.service();
        hall.clock.step_seconds(8 * DAY as i64);
        sweep_all(&service, 1_000).await;
        let refused = made_at(hall.hold("ann", &["Z1"], &[]), hall.clock_time());
        assert!(matches!(refusal(service.submit(refused).await), Rejection::UnknownTickets { .. }));
        hall.clock.step_seconds(8 * DAY as i64);
        assert_eq!(sweep_all(&service, 1_000).await, 0);
    });
}
