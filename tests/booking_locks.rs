//! Locks share out the work: they are held where the policy wants them, given back when nobody needs them, and whatever
//! goes wrong with them, the sale goes on, unless the host would rather wait.

mod common;

use std::sync::{Arc, Mutex};

use common::doubles::{GrantsAll, Seen};
use common::sim::simulate;
use common::spy_lock::SpyLock;
use common::world::{Hall, millis, record, refusal, reserved, seconds, touch, unavailable};
use ticket_reservation::adapters::memory::MemoryLock;
use ticket_reservation::booking::{BookingService, Contention, Limits, LockOutage, LockPolicy, LockScope};
use ticket_reservation::domain::{Command, RecordKey, Rejection};
use ticket_reservation::ports::{Group, LAPSED_MAX, Lock};

const A1: &str = "ticket:3:gig:A1";
const A2: &str = "ticket:3:gig:A2";
const A3: &str = "ticket:3:gig:A3";

fn always(hall: &Hall, lock: Arc<dyn Lock>, scope: LockScope, limits: Limits) -> BookingService {
    hall.service_with(|builder| builder.lock(lock).lock_policy(LockPolicy::Always(scope)).limits(limits))
}

fn by_ticket(hall: &Hall, lock: &Arc<SpyLock>) -> BookingService {
    always(hall, lock.clone(), LockScope::Ticket, Limits::default())
}

/// The lock that covers a record.
fn covering(scope: LockScope, key: &RecordKey) -> Option<String> {
    Some(match (scope, key) {
        (LockScope::Event, RecordKey::Ticket(_) | RecordKey::Pool(_)) => "event:gig".to_owned(),
        (LockScope::Area, RecordKey::Ticket(_)) => "area:3:gig:A".to_owned(),
        (LockScope::Ticket, RecordKey::Ticket(id)) => format!("ticket:3:gig:{id}"),
        (_, RecordKey::Pool(id)) => format!("pool:3:gig:{id}"),
        _ => return None,
    })
}

/// From now on, notes every commit of tickets or pools that is not covered by a lock held at that moment.
fn watch(hall: &Hall, lock: &Arc<SpyLock>, scope: LockScope) -> Arc<Mutex<Vec<String>>> {
    let bare: Arc<Mutex<Vec<String>>> = Arc::default();
    let (noted, lock) = (bare.clone(), lock.clone());
    hall.stage.before_commit(move |groups: &[Group]| {
        let held = lock.held();
        let written = groups.iter().flat_map(|group| group.writes.iter().map(|write| &write.key));
        let needed = written.filter_map(|key| covering(scope, key)).filter(|key| !held.contains(key));
        noted.lock().unwrap().extend(needed);
    });
    bare
}

#[test]
fn every_commit_that_changes_places_is_covered_by_locks_held() {
    for scope in [LockScope::Ticket, LockScope::Area, LockScope::Event] {
        simulate(async |sim| {
            let hall = Hall::open_with_limit(&sim, &[("floor", 5), ("roof", 9)], 50).await;
            let lock = SpyLock::new(&sim);
            let service = always(&hall, lock.clone(), scope, Limits::default());
            let bare = watch(&hall, &lock, scope);
            let first = hall.hold("ann", &["A1", "A2"], &[("floor", 3), ("roof", 1)]);
            let second = hall.hold("bob", &["A2", "A3"], &[]);
            let third = hall.best("cat", 4);
            reserved(service.submit(first.clone()).await);
            let (second, third_held) = (hall.send(&service, &second), hall.send(&service, &third));
            assert_eq!(refusal(second.answer().await), unavailable(&["A2"]));
            reserved(third_held.answer().await);
            for command in [
                hall.extend(&third, None),
                hall.confirm(&third),
                hall.transfer(&third, "dan"),
                hall.release(&first),
                hall.block(&["B1", "B2"]),
                hall.unblock(&["B1"]),
            ] {
                service.submit(command).await.unwrap();
            }
            reserved(service.submit(hall.hold("eve", &[], &[("floor", 5), ("roof", 2)])).await);
            hall.clock.step_seconds(600);
            // Reclaiming changes the other pool of the expired hold too.
            reserved(service.submit(hall.hold("fay", &[], &[("floor", 5)])).await);
            assert_eq!(*bare.lock().unwrap(), Vec::<String>::new(), "{scope:?}");
            sim.idle().await;
            assert!(lock.held().is_empty(), "{scope:?}: {:?}", lock.held());
            hall.audit();
        });
    }
}

/// One process, and no lock is held elsewhere: who comes first is served first.
#[test]
fn finding_out_which_locks_it_needs_costs_nobody_its_turn() {
    for scope in [LockScope::Ticket, LockScope::Area, LockScope::Event] {
        simulate(async |sim| {
            let hall = Hall::open(&sim, &[("floor", 5)]).await;
            let lock = SpyLock::new(&sim);
            let service = always(&hall, lock.clone(), scope, Limits::default());
            let first = hall.send(&service, &hall.hold("ann", &["A1"], &[("floor", 1)]));
            let second = hall.send(&service, &hall.hold("bob", &["A1"], &[]));
            let third = hall.send(&service, &hall.best("cat", 1));
            let first = first.answer().await;
            assert!(first.is_ok(), "{scope:?}: {first:?}");
            assert_eq!(refusal(second.answer().await), unavailable(&["A1"]), "{scope:?}");
            reserved(third.answer().await);
        });
    }
}

#[test]
fn making_room_for_a_big_hold_is_covered_by_locks_too() {
    simulate(async |sim| {
        let many = LAPSED_MAX as u32 + 20;
        let hall = Hall::open(&sim, &[("floor", many), ("roof", many)]).await;
        for _ in 0..many {
            reserved(hall.rival().submit(hall.hold("ann", &[], &[("floor", 1), ("roof", 1)])).await);
        }
        hall.clock.step_seconds(600);
        let lock = SpyLock::new(&sim);
        let service = by_ticket(&hall, &lock);
        let bare = watch(&hall, &lock, LockScope::Ticket);
        reserved(service.submit(hall.hold("bob", &[], &[("floor", many)])).await);
        assert_eq!(*bare.lock().unwrap(), Vec::<String>::new());
    });
}

#[test]
fn who_has_all_locks_goes_on_while_others_wait() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        let lock = SpyLock::new(&sim);
        let service = by_ticket(&hall, &lock);
        let elsewhere = lock.taken_by_another(&[A2], seconds(60));
        let mut waiting = hall.send(&service, &hall.hold("ann", &["A1", "A2"], &[]));
        let ready = hall.send(&service, &hall.hold("bob", &["A3"], &[]));
        reserved(ready.answer().await);
        assert_eq!(sim.elapsed(), seconds(0));
        sim.sleep_for(millis(100)).await;
        assert!(waiting.is_waiting());
        assert!(lock.released().contains(&A1.to_owned()), "part of what is needed is given back");
        lock.give_back(elsewhere);
        reserved(waiting.answer().await);
        assert!(sim.elapsed() < seconds(1));
    });
}

#[test]
fn those_who_wait_for_a_lock_do_not_fill_the_batch_for_those_who_need_another() {
    for batch_max in [1, 2] {
        simulate(async |sim| {
            let hall = Hall::open(&sim, &[]).await;
            let lock = SpyLock::new(&sim);
            let service = always(&hall, lock.clone(), LockScope::Ticket, Limits::default().batch_max(batch_max));
            let _elsewhere = lock.taken_by_another(&[A1], seconds(60));
            let waiting: Vec<_> = (0..40).map(|_| hall.send(&service, &hall.hold("ann", &["A1"], &[]))).collect();
            sim.sleep_for(millis(100)).await;
            let ready = service.submit(hall.hold("bob", &["A2"], &[])).await;
            assert!(ready.is_ok() && sim.elapsed() < seconds(1), "batches of {batch_max}: {:?}", sim.elapsed());
            for waiting in waiting {
                assert_eq!(refusal(waiting.answer().await), Rejection::DeadlinePassed);
            }
        });
    }
}

#[test]
fn two_processes_that_want_the_same_keys_in_part_both_get_on() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        let shared = MemoryLock::new(hall.runtime());
        let locks = [SpyLock::on(shared.clone(), &sim), SpyLock::on(shared, &sim)];
        let services = locks.clone().map(|lock| by_ticket(&hall, &lock));
        let mut started = Vec::new();
        for round in 0..40 {
            let seats = if round % 2 == 0 { ["A1", "A2", "A3"] } else { ["A3", "A4", "A1"] };
            for service in services.clone() {
                let hold = hall.hold("ann", &seats, &[]);
                let release = hall.release(&hold);
                started.push(sim.start(async move {
                    if service.submit(hold).await.is_ok() {
                        let _ = service.submit(release).await.unwrap();
                        return 1;
                    }
                    0
                }));
            }
        }
        let mut won = 0;
        for started in started {
            won += started.answer().await;
        }
        assert!(won > 0 && sim.elapsed() < seconds(10), "{won} holds in {:?}", sim.elapsed());
        assert!(locks.iter().all(|lock| lock.held().is_empty()));
        hall.audit();
    });
}

#[test]
fn a_lock_that_grants_everybody_everything_sells_nothing_twice() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[("floor", 7)]).await;
        let lock = GrantsAll::new(&sim);
        let services = [(); 3].map(|()| always(&hall, lock.clone(), LockScope::Ticket, Limits::default()));
        hall.stage.load_gate.close();
        let mut started = Vec::new();
        for n in 0..60 {
            let hold = hall.hold("ann", &[&format!("A{}", n % 10 + 1)], &[("floor", 1)]);
            started.push(hall.send(&services[n % 3], &hold));
        }
        sim.idle().await;
        hall.stage.load_gate.open();
        let mut held = 0;
        for started in started {
            held += usize::from(started.answer().await.is_ok());
        }
        assert_eq!(held, 7);
        hall.audit();
    });
}

#[test]
fn a_lock_that_is_never_granted_ends_at_the_deadline_or_at_once() {
    for reject in [false, true] {
        simulate(async |sim| {
            let hall = Hall::open(&sim, &[]).await;
            let lock = SpyLock::new(&sim);
            let _elsewhere = lock.taken_by_another(&[A1, A3], seconds(3_600));
            let contention = if reject { Contention::Reject } else { Contention::Wait(seconds(4)) };
            let service = hall.service_with(|builder| {
                let builder = builder.lock(lock.clone()).lock_policy(LockPolicy::Always(LockScope::Ticket));
                builder.contention(contention)
            });
            let refused = refusal(service.submit(hall.hold("ann", &["A1"], &[])).await);
            if reject {
                assert!(matches!(refused, Rejection::Contended { retry_after } if !retry_after.is_zero()));
                assert!(sim.elapsed() < millis(10), "{:?}", sim.elapsed());
            } else {
                assert_eq!((refused, sim.elapsed()), (Rejection::DeadlinePassed, seconds(4)));
            }
            reserved(service.submit(hall.hold("ann", &["A2"], &[])).await);
            sim.sleep_all().await;
            assert_eq!(sim.tasks(), 0, "nothing goes on asking");
        });
    }
}

#[test]
fn a_confirmation_waits_for_the_locks_of_what_it_books() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        let lock = SpyLock::new(&sim);
        let service = by_ticket(&hall, &lock);
        let hold: Command = hall.hold("ann", &["A1", "A2"], &[]);
        reserved(service.submit(hold.clone()).await);
        sim.idle().await;
        let elsewhere = lock.taken_by_another(&[A2], seconds(60));
        let mut confirm = hall.send(&service, &hall.confirm(&hold));
        sim.sleep_for(millis(50)).await;
        assert!(confirm.is_waiting());
        lock.give_back(elsewhere);
        reserved(confirm.answer().await);
        hall.audit();
    });
}

/// The next commits find A1 changed.
fn conflicts(hall: &Hall, times: usize) {
    let store = hall.store.clone();
    let mut left = times;
    hall.stage.before_commit(move |_| {
        if left > 0 {
            left -= 1;
            touch(&store, &record("A1"));
        }
    });
}

async fn hold_and_release(hall: &Hall, service: &BookingService, times: usize) {
    for _ in 0..times {
        let hold = hall.hold("ann", &["A1"], &[]);
        reserved(service.submit(hold.clone()).await);
        reserved(service.submit(hall.release(&hold)).await);
    }
}

fn adaptive(hall: &Hall, lock: &Arc<SpyLock>) -> BookingService {
    hall.service_with(|builder| builder.lock(lock.clone()))
}

#[test]
fn without_conflicts_an_adaptive_service_takes_no_lock() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        let lock = SpyLock::new(&sim);
        hold_and_release(&hall, &adaptive(&hall, &lock), 100).await;
        assert_eq!(lock.asked(), Vec::<Vec<String>>::new());
    });
}

#[test]
fn an_adaptive_service_locks_what_conflicts_often_and_stops_when_it_does_not() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        let lock = SpyLock::new(&sim);
        let service = adaptive(&hall, &lock);
        conflicts(&hall, 60);
        hold_and_release(&hall, &service, 1).await;
        assert_eq!(hall.seen.count(|seen| *seen == Seen::Adapted { locking: true }), 1);
        let asked = lock.asked();
        assert!(!asked.is_empty() && asked.iter().flatten().all(|key| key == A1), "{asked:?}");
        hold_and_release(&hall, &service, 50).await;
        assert_eq!(hall.seen.count(|seen| *seen == Seen::Adapted { locking: false }), 1);
        let asked = lock.asked().len();
        hold_and_release(&hall, &service, 50).await;
        assert_eq!(lock.asked().len(), asked, "it has stopped");
        sim.idle().await;
        assert!(lock.is_free(A1));
    });
}

#[test]
fn a_lock_store_that_fails_is_observed_and_the_sale_goes_on() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[("floor", 3)]).await;
        let lock = SpyLock::new(&sim);
        lock.acquiring_fails(true);
        let service = by_ticket(&hall, &lock);
        let hold = hall.hold("ann", &["A1"], &[("floor", 2)]);
        reserved(service.submit(hold.clone()).await);
        reserved(service.submit(hall.confirm(&hold)).await);
        reserved(service.submit(hall.best("bob", 2)).await);
        assert_eq!(hall.seen.count(|seen| *seen == Seen::LockFailed), 1, "and it is left alone for a while");
        assert_eq!(sim.elapsed(), seconds(0), "nobody waits for it");
        lock.acquiring_fails(false);
        sim.sleep_for(seconds(1)).await;
        let bare = watch(&hall, &lock, LockScope::Ticket);
        reserved(service.submit(hall.hold("ann", &["A4"], &[])).await);
        assert_eq!(*bare.lock().unwrap(), Vec::<String>::new(), "in order again, it is used again");
        hall.audit();
    });
}

#[test]
fn a_host_may_choose_not_to_sell_without_the_lock() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[("floor", 3)]).await;
        for hangs in [false, true] {
            let lock = SpyLock::new(&sim);
            let service = |contention| {
                hall.service_with(|builder| {
                    let builder = builder.lock(lock.clone()).lock_policy(LockPolicy::Always(LockScope::Ticket));
                    builder.lock_outage(LockOutage::Wait).contention(contention)
                })
            };
            let (patient, hasty) = (service(Contention::Wait(seconds(10))), service(Contention::Reject));
            let out_of_reach = |is| if hangs { lock.acquiring_hangs(is) } else { lock.acquiring_fails(is) };
            out_of_reach(true);
            let (begun, failures) = (sim.elapsed(), hall.seen.count(|seen| *seen == Seen::LockFailed));
            // What changes no places needs no lock.
            assert_eq!(refusal(patient.submit(hall.hold("ann", &["Z9"], &[])).await).kind(), "unknown_tickets");
            let refused = refusal(hasty.submit(hall.hold("ann", &["A1"], &[])).await);
            assert!(matches!(refused, Rejection::Contended { .. }), "{refused:?}");
            let hold = hall.hold("ann", &[], &[("floor", 1)]);
            assert_eq!(refusal(patient.submit(hold).await), Rejection::DeadlinePassed);
            let waited = sim.elapsed() - begun;
            assert!(waited <= seconds(12), "within the deadline, but for one answer of the lock: {waited:?}");
            let asked = hall.seen.count(|seen| *seen == Seen::LockFailed) - failures;
            assert!((5..=12).contains(&asked), "asked again about once a second: {asked}");
            assert_eq!(hall.pool_row("floor").held, 0);

            let hold = hall.hold("ann", &["B1"], &[]);
            let waiting = hall.send(&patient, &hold);
            sim.sleep_for(seconds(2)).await;
            out_of_reach(false);
            let back = sim.elapsed();
            reserved(waiting.answer().await);
            assert!(sim.elapsed() - back <= seconds(2), "in order again, it is used again");
            reserved(patient.submit(hall.release(&hold)).await);
        }
        hall.audit();
    });
}

#[test]
fn a_lock_that_never_answers_is_gone_without() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[("floor", 3)]).await;
        let lock = SpyLock::new(&sim);
        lock.acquiring_hangs(true);
        let service = by_ticket(&hall, &lock);
        let hold = hall.hold("ann", &["A1"], &[("floor", 2)]);
        reserved(service.submit(hold.clone()).await);
        assert_eq!(sim.elapsed(), seconds(1), "it had that long to answer");
        reserved(service.submit(hall.confirm(&hold)).await);
        assert_eq!((lock.asked().len(), sim.elapsed()), (1, seconds(1)), "and is left alone for a while");
        assert_eq!(hall.seen.count(|seen| *seen == Seen::LockFailed), 1);
        hall.audit();
    });
}
