//! Locks from one batch and one batcher to the next: nobody is refused for what their own process holds, gives back or
//! has just chosen.

mod common;

use std::sync::Arc;

use common::sim::simulate;
use common::spy_lock::SpyLock;
use common::stage::Fault;
use common::world::{Hall, millis, refusal, reserved, seconds, unknown};
use ticket_reservation::booking::{BookingService, Contention, Limits, LockPolicy, LockScope};
use ticket_reservation::domain::{Rejection, ReservationState};
use ticket_reservation::ports::Runtime;

fn always(hall: &Hall, lock: &Arc<SpyLock>, scope: LockScope, contention: Contention) -> BookingService {
    hall.service_with(|builder| {
        builder.lock(lock.clone()).lock_policy(LockPolicy::Always(scope)).contention(contention)
    })
}

#[test]
fn best_available_buyers_of_one_batch_are_given_different_places_under_every_lock() {
    for scope in [LockScope::Ticket, LockScope::Area, LockScope::Event] {
        simulate(async |sim| {
            let hall = Hall::open(&sim, &[]).await;
            let lock = SpyLock::new(&sim);
            let service = always(&hall, &lock, scope, Contention::Reject);
            let started: Vec<_> = (0..5).map(|_| hall.send(&service, &hall.best("ann", 2))).collect();
            for answer in started {
                reserved(answer.answer().await);
            }
            let loads = hall.stage.loads();
            assert!(loads <= 3, "{scope:?}: they take turns, {loads} loads");
            hall.audit();
        });
    }
}

#[test]
fn a_lock_on_its_way_back_from_the_last_batcher_is_no_contention() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        let lock = SpyLock::new(&sim);
        let service = always(&hall, &lock, LockScope::Ticket, Contention::Reject);
        lock.release_takes(millis(20));
        let hold = hall.hold("ann", &["A1"], &[]);
        reserved(service.submit(hold.clone()).await);
        sim.sleep(millis(5)).await;
        reserved(service.submit(hall.confirm(&hold)).await);
    });
}

#[test]
fn a_store_that_panics_leaves_no_lock_behind() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        let lock = SpyLock::new(&sim);
        let service = always(&hall, &lock, LockScope::Ticket, Contention::Reject);
        hall.stage.faults([Fault::Panic]);
        let hold = hall.hold("ann", &["A1"], &[]);
        assert!(service.submit(hold.clone()).await.is_err());
        sim.idle().await;
        assert!(lock.held().is_empty(), "{:?}", lock.held());
        reserved(service.submit(hold).await);
    });
}

#[test]
fn a_lock_that_hangs_is_left_alone_by_the_next_batchers_too() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        let lock = SpyLock::new(&sim);
        lock.acquiring_hangs(true);
        let limits = Limits::default().lock_timeout(seconds(3));
        let service = hall.service_with(|builder| {
            builder.lock(lock.clone()).lock_policy(LockPolicy::Always(LockScope::Ticket)).limits(limits)
        });
        for seat in ["A1", "A2", "A3"] {
            reserved(service.submit(hall.hold("ann", &[seat], &[])).await);
            sim.idle().await;
        }
        assert_eq!((lock.asked().len(), sim.elapsed()), (1, seconds(3)));
    });
}

/// Eight days after a lost answer nobody knows any more: it is not refused for good either.
#[test]
fn resolving_what_is_no_longer_remembered_writes_nothing_down() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        let service = hall.service();
        let hold = hall.hold("ann", &["A1"], &[]);
        reserved(service.submit(hold.clone()).await);
        let confirm = hall.confirm(&hold);
        hall.stage.faults([Fault::Applied]);
        hall.stage.load_faults([Fault::Pass, Fault::Permanent]);
        unknown(service.submit(confirm.clone()).await);
        hall.clock.step_seconds(8 * 24 * 3_600);
        service.sweep(1_000).await.unwrap();
        unknown(service.resolve(confirm.clone()).await);
        assert_eq!(refusal(service.submit(confirm).await), Rejection::OperationTooOld, "and not voided");
        assert_eq!(hall.reservation(&hold).unwrap().state, ReservationState::Booked);
    });
}
