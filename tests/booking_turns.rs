//! Inside a process requests on the same places are decided in the order of their arrival, whatever locks they need.

mod common;

use std::sync::Arc;

use common::sim::simulate;
use common::spy_lock::SpyLock;
use common::world::{Hall, refusal, reserved, unavailable};
use ticket_reservation::booking::{BookingService, Contention, LockPolicy, LockScope};
use ticket_reservation::domain::Rejection;

fn by_ticket(hall: &Hall, lock: &Arc<SpyLock>, contention: Contention) -> BookingService {
    hall.service_with(|builder| {
        builder.lock(lock.clone()).lock_policy(LockPolicy::Always(LockScope::Ticket)).contention(contention)
    })
}

#[test]
fn who_lacks_one_lock_is_not_overtaken_by_who_has_all() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[("floor", 2)]).await;
        let service = by_ticket(&hall, &SpyLock::new(&sim), Contention::Reject);
        hall.stage.commit_gate.close();
        let before = hall.send(&service, &hall.hold("zoe", &[], &[("floor", 1)]));
        sim.idle().await;
        // The lock of the floor is kept for bob, who needs no other one. Ann needs one more, and came first.
        let first = hall.send(&service, &hall.hold("ann", &["A1"], &[("floor", 1)]));
        let second = hall.send(&service, &hall.hold("bob", &[], &[("floor", 1)]));
        sim.idle().await;
        hall.stage.commit_gate.open();
        reserved(before.answer().await);
        reserved(first.answer().await);
        assert!(matches!(refusal(second.answer().await), Rejection::Insufficient { .. }));
        hall.audit();
    });
}

#[test]
fn what_the_library_chooses_is_not_what_someone_before_has_named() {
    for contention in [Contention::Reject, Contention::Wait(std::time::Duration::from_secs(5))] {
        simulate(async |sim| {
            let hall = Hall::open(&sim, &[]).await;
            let service = by_ticket(&hall, &SpyLock::new(&sim), contention);
            let named = hall.send(&service, &hall.hold("ann", &["A1"], &[]));
            let chosen = hall.send(&service, &hall.best("bob", 1));
            reserved(named.answer().await);
            reserved(chosen.answer().await);
            hall.audit();
        });
    }
}

#[test]
fn a_refusal_that_rests_on_what_is_sold_already_does_not_wait_for_anybody() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        let service = by_ticket(&hall, &SpyLock::new(&sim), Contention::Reject);
        reserved(hall.rival().submit(hall.hold("zoe", &["A2"], &[])).await);
        let first = hall.send(&service, &hall.hold("ann", &["A1"], &[]));
        let second = hall.send(&service, &hall.hold("bob", &["A1", "A2"], &[]));
        hall.stage.commit_gate.close();
        assert_eq!(refusal(second.answer().await), unavailable(&["A2"]));
        hall.stage.commit_gate.open();
        reserved(first.answer().await);
    });
}

#[test]
fn who_waits_for_another_process_keeps_nobody_from_other_places() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[("floor", 2)]).await;
        let lock = SpyLock::new(&sim);
        let service = by_ticket(&hall, &lock, Contention::Wait(std::time::Duration::from_secs(5)));
        let elsewhere = lock.taken_by_another(&["ticket:3:gig:A1"], std::time::Duration::from_secs(60));
        let waiting = hall.send(&service, &hall.hold("ann", &["A1"], &[("floor", 1)]));
        sim.sleep_for(std::time::Duration::from_millis(20)).await;
        reserved(service.submit(hall.hold("bob", &[], &[("floor", 1)])).await);
        lock.give_back(elsewhere);
        reserved(waiting.answer().await);
        hall.audit();
    });
}
