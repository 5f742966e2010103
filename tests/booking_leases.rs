//! Leases: how long they are kept, when they are given back, and what happens when they are lost.

mod common;

use std::sync::Arc;

use common::doubles::Seen;
use common::sim::{Sim, poll_once, simulate};
use common::spy_lock::{Extending, SpyLock};
use common::stage::Fault;
use common::world::{Hall, millis, record, reserved, seconds, touch};
use ticket_reservation::booking::{BookingService, Contention, Drained, Limits, LockPolicy, LockScope};
use ticket_reservation::ports::Lock;

const A1: &str = "ticket:3:gig:A1";
const A2: &str = "ticket:3:gig:A2";

fn always(hall: &Hall, lock: Arc<dyn Lock>, scope: LockScope, limits: Limits) -> BookingService {
    hall.service_with(|builder| builder.lock(lock).lock_policy(LockPolicy::Always(scope)).limits(limits))
}

fn by_ticket(hall: &Hall, lock: &Arc<SpyLock>) -> BookingService {
    always(hall, lock.clone(), LockScope::Ticket, Limits::default())
}

#[test]
fn locks_are_given_back_when_nobody_waits() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        let lock = SpyLock::new(&sim);
        let service = by_ticket(&hall, &lock);
        reserved(service.submit(hall.hold("ann", &["A1", "A2"], &[])).await);
        sim.idle().await;
        assert!(lock.is_free(A1) && lock.is_free(A2));
        let mut released = lock.released();
        released.sort_unstable();
        assert_eq!(released, [A1, A2]);
    });
}

#[test]
fn locks_are_given_back_when_those_who_wait_for_them_went_away() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        let lock = SpyLock::new(&sim);
        let service = always(&hall, lock.clone(), LockScope::Event, Limits::default());
        hall.stage.commit_gate.close();
        let first = hall.send(&service, &hall.hold("ann", &["A1"], &[]));
        sim.idle().await;
        let mut leaving = Box::pin(service.submit(hall.hold("bob", &["A2"], &[])));
        assert!(poll_once(&mut leaving).await.is_pending());
        drop(leaving);
        hall.stage.commit_gate.open();
        reserved(first.answer().await);
        sim.idle().await;
        assert_eq!(sim.tasks(), 0, "the event's task has ended");
        assert!(lock.is_free("event:gig"), "and left its lock behind: {:?}", lock.held());
    });
}

#[test]
fn a_lock_is_passed_on_to_those_who_wait_and_only_so_often() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        let lock = SpyLock::new(&sim);
        let limits = Limits::default().batch_max(1).lease_batches_max(3).lease_tenure_max(seconds(60));
        let service = always(&hall, lock.clone(), LockScope::Event, limits);
        hall.stage.load_gate.close();
        let started: Vec<_> =
            (1..=9).map(|n| hall.send(&service, &hall.hold("ann", &[&format!("A{n}")], &[]))).collect();
        sim.idle().await;
        hall.stage.load_gate.open();
        for started in started {
            reserved(started.answer().await);
        }
        sim.idle().await;
        let released = lock.released().len();
        assert!((2..=3).contains(&released), "nine batches, {released} times given back");
    });
}

#[test]
fn a_lock_kept_too_long_is_given_back_though_others_wait() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        let lock = SpyLock::new(&sim);
        let limits = Limits::default().batch_max(1).lease_batches_max(1_000).lease_tenure_max(millis(25));
        let service = always(&hall, lock.clone(), LockScope::Event, limits);
        hall.stage.commit_gate.close();
        let first = hall.send(&service, &hall.hold("ann", &["A1"], &[]));
        sim.idle().await;
        let second = hall.send(&service, &hall.hold("bob", &["A2"], &[]));
        sim.sleep_for(millis(30)).await;
        hall.stage.commit_gate.let_one();
        reserved(first.answer().await);
        assert_eq!(lock.released(), ["event:gig"]);
        hall.stage.commit_gate.open();
        reserved(second.answer().await);
    });
}

/// There is one process: whoever it waits for is itself.
#[test]
fn a_lock_on_its_way_back_is_no_contention_with_oneself() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        let lock = SpyLock::new(&sim);
        lock.release_takes(millis(3));
        let limits = Limits::default().batch_max(1).lease_batches_max(1);
        let service = hall.service_with(|builder| {
            let builder = builder.lock(lock.clone()).lock_policy(LockPolicy::Always(LockScope::Event));
            builder.limits(limits).contention(Contention::Reject)
        });
        hall.stage.load_gate.close();
        let started: Vec<_> =
            (1..=9).map(|n| hall.send(&service, &hall.hold("ann", &[&format!("A{n}")], &[]))).collect();
        sim.idle().await;
        hall.stage.load_gate.open();
        let mut refused = Vec::new();
        for started in started {
            refused.extend(started.answer().await.err());
        }
        assert!(refused.is_empty(), "{refused:?}");
    });
}

#[test]
fn a_shutdown_gives_locks_back_before_it_is_complete() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        let lock = SpyLock::new(&sim);
        lock.release_takes(millis(3));
        let service = by_ticket(&hall, &lock);
        reserved(service.submit(hall.hold("ann", &["A1"], &[])).await);
        assert_eq!(service.shutdown(seconds(5)).await, Drained::Completely);
        // The host's runtime may end now, and with it whatever still runs.
        assert!(lock.is_free(A1), "others wait for its TTL");
    });
}

async fn sells_through(sim: &Sim, hall: &Hall, service: &BookingService, work: std::time::Duration) {
    hall.stage.commit_gate.close();
    let hold = hall.send(service, &hall.hold("ann", &["A1"], &[]));
    sim.sleep_for(work).await;
    hall.stage.commit_gate.open();
    reserved(hold.answer().await);
    hall.audit();
}

#[test]
fn a_lease_is_kept_alive_as_long_as_its_work_takes() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        let lock = SpyLock::new(&sim);
        let service = always(&hall, lock.clone(), LockScope::Ticket, Limits::default().lock_ttl(seconds(1)));
        hall.stage.commit_gate.close();
        let hold = hall.send(&service, &hall.hold("ann", &["A1"], &[]));
        for _ in 0..80 {
            sim.sleep_for(millis(100)).await;
            assert!(lock.held().contains(A1) && !lock.is_free(A1), "after {:?}", sim.elapsed());
        }
        hall.stage.commit_gate.open();
        reserved(hold.answer().await);
        assert!((8..=30).contains(&lock.extended()), "extended {} times in 8 s", lock.extended());
        assert_eq!(hall.seen.lost_leases(), Vec::<String>::new());
    });
}

#[test]
fn a_lease_lost_during_the_work_is_observed_and_the_sale_goes_on() {
    for extending in [Extending::Loses, Extending::Fails] {
        simulate(async |sim| {
            let hall = Hall::open(&sim, &[]).await;
            let lock = SpyLock::new(&sim);
            lock.extending(extending);
            let service = always(&hall, lock.clone(), LockScope::Ticket, Limits::default().lock_ttl(seconds(1)));
            sells_through(&sim, &hall, &service, seconds(5)).await;
            assert_eq!(hall.seen.lost_leases(), [A1], "{extending:?}");
            let failed = hall.seen.count(|seen| *seen == Seen::LockFailed);
            assert_eq!(failed > 0, extending == Extending::Fails, "{extending:?}");
        });
    }
}

#[test]
fn a_lease_that_ends_while_its_extension_hangs_is_observed_too() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        let lock = SpyLock::new(&sim);
        lock.extending(Extending::Hangs);
        let service = always(&hall, lock.clone(), LockScope::Ticket, Limits::default().lock_ttl(seconds(1)));
        sells_through(&sim, &hall, &service, seconds(5)).await;
        assert_eq!(hall.seen.lost_leases(), [A1]);
    });
}

#[test]
fn a_lease_is_kept_through_conflicts_and_only_so_often() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        let lock = SpyLock::new(&sim);
        let limits = Limits::default().lease_batches_max(3).lease_tenure_max(seconds(60));
        let service = always(&hall, lock.clone(), LockScope::Ticket, limits);
        let store = hall.store.clone();
        let mut conflicts = 0;
        hall.stage.before_commit(move |_| {
            conflicts += 1;
            if conflicts <= 12 {
                touch(&store, &record("A1"));
            }
        });
        reserved(service.submit(hall.hold("ann", &["A1"], &[])).await);
        sim.idle().await;
        let released = lock.released().len();
        assert!((4..=5).contains(&released), "thirteen batches, {released} times given back");
    });
}

#[test]
fn no_lock_is_kept_while_the_store_is_out_of_reach() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        let lock = SpyLock::new(&sim);
        let service = by_ticket(&hall, &lock);
        hall.stage.faults([Fault::Transient, Fault::Transient, Fault::Transient]);
        let hold = hall.send(&service, &hall.hold("ann", &["A1"], &[]));
        sim.idle().await;
        assert!(hall.stage.commits() == 1 && lock.is_free(A1), "others wait for a process that only pauses");
        reserved(hold.answer().await);
        hall.audit();
    });
}

#[test]
fn a_lease_that_ends_in_a_pause_is_taken_again_before_the_next_commit() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        let lock = SpyLock::new(&sim);
        let limits = Limits::default().lock_ttl(millis(10)).lease_tenure_max(seconds(60)).lease_batches_max(1_000);
        let service = always(&hall, lock.clone(), LockScope::Ticket, limits);
        let (store, held) = (hall.store.clone(), lock.clone());
        let mut commits = 0;
        hall.stage.before_commit(move |_| {
            assert!(held.held().contains(A1), "a commit without its lock");
            commits += 1;
            if commits <= 40 {
                touch(&store, &record("A1"));
            }
        });
        reserved(service.submit(hall.hold("ann", &["A1"], &[])).await);
        assert!(!hall.seen.lost_leases().is_empty(), "the pauses were too short for this test");
    });
}

#[test]
fn a_lock_that_never_answers_a_release_is_left_alone_too() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        let lock = SpyLock::new(&sim);
        lock.release_takes(seconds(3_600));
        let service = by_ticket(&hall, &lock);
        for row in ["A", "B"] {
            for number in 1..=10 {
                reserved(service.submit(hall.hold("ann", &[&format!("{row}{number}")], &[])).await);
            }
        }
        assert!(sim.elapsed() < seconds(3), "twenty holds took {:?}", sim.elapsed());
    });
}
