//! A commit whose answer is lost: whatever became of it, and whenever, the effect happens at most once, and the caller
//! learns the truth or that it is not known.

mod common;

use common::sim::simulate;
use common::spy_lock::SpyLock;
use common::stage::Fault;
use common::world::{Hall, millis, record, refusal, reserved, seconds, touch, unavailable, unknown};
use ticket_reservation::booking::{BookingError, BookingService, Contention, Limits, LockPolicy, LockScope};
use ticket_reservation::domain::{Command, RecordKey, Rejection, ReservationState, TicketState};

#[test]
fn a_lost_commit_that_was_not_applied_is_carried_out_once() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[("floor", 5)]).await;
        let service = hall.service();
        hall.stage.faults([Fault::Lost, Fault::Lost]);
        let hold = hall.hold("ann", &["A1"], &[("floor", 2)]);
        let receipt = service.submit(hold.clone()).await.unwrap();
        assert!(!receipt.repeated);
        assert_eq!((hall.stage.commits(), hall.pool_row("floor").held), (3, 2));
        assert!(service.submit(hold).await.unwrap().repeated);
        hall.audit();
    });
}

#[test]
fn a_lost_commit_that_was_applied_is_found_and_not_carried_out_again() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[("floor", 5)]).await;
        let service = hall.service();
        hall.stage.faults([Fault::Applied]);
        let hold = hall.hold("ann", &["A1"], &[("floor", 2)]);
        let reservation = reserved(service.submit(hold.clone()).await);
        assert_eq!(hall.reservation(&hold), Some(reservation));
        assert_eq!((hall.stage.commits(), hall.pool_row("floor").held), (1, 2));
        hall.audit();
    });
}

#[test]
fn a_lost_commit_that_lands_after_it_was_repeated_changes_nothing() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[("floor", 5)]).await;
        let service = hall.service();
        hall.stage.faults([Fault::Zombie]);
        let hold = hall.hold("ann", &["A1"], &[("floor", 2)]);
        let reservation = reserved(service.submit(hold.clone()).await);
        assert_eq!(hall.stage.land_zombies(), [false]);
        assert_eq!((hall.reservation(&hold), hall.pool_row("floor").held), (Some(reservation), 2));
        hall.audit();
    });
}

#[test]
fn a_lost_commit_that_lands_between_the_second_read_and_the_second_commit_happens_once() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[("floor", 5)]).await;
        let service = hall.service();
        hall.stage.faults([Fault::Zombie]);
        hall.stage.commit_gate.close();
        hall.stage.commit_gate.let_one();
        let hold = hall.hold("ann", &["A1"], &[("floor", 2)]);
        let answer = hall.send(&service, &hold);
        sim.sleep_all().await;
        assert_eq!((hall.stage.commits(), hall.stage.commit_gate.waiting()), (2, 1));
        assert_eq!(hall.stage.land_zombies(), [true]);
        hall.stage.commit_gate.open();
        let reservation = reserved(answer.answer().await);
        assert_eq!(hall.reservation(&hold), Some(reservation));
        assert_eq!(hall.pool_row("floor").held, 2);
        hall.audit();
    });
}

#[test]
fn a_final_no_after_an_unknown_outcome_bars_the_lost_commit_for_ever() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[("floor", 5)]).await;
        let (service, rival) = (hall.service(), hall.rival());
        hall.stage.faults([Fault::Zombie]);
        hall.stage.commit_gate.close();
        let hold = hall.hold("ann", &["A1"], &[("floor", 2)]);
        let answer = hall.send(&service, &hold);
        sim.idle().await;
        let other = hall.hold("rex", &["A1"], &[]);
        reserved(rival.submit(other.clone()).await);
        hall.stage.commit_gate.let_one();
        sim.sleep_all().await;
        assert_eq!(hall.stage.commits(), 2, "the tombstone is being written");
        hall.stage.commit_gate.open();
        assert_eq!(refusal(answer.answer().await), unavailable(&["A1"]));
        // Even if everything it was decided on came back, it cannot land.
        reserved(rival.submit(hall.release(&other)).await);
        assert_eq!(hall.stage.land_zombies(), [false]);
        assert_eq!((hall.reservation(&hold), hall.pool_row("floor").held), (None, 0));
        assert_eq!(refusal(service.submit(hold.clone()).await), Rejection::OperationVoided);
        assert_eq!(refusal(rival.submit(hold).await), Rejection::OperationVoided);
        hall.audit();
    });
}

#[test]
fn the_tombstone_is_what_bars_the_lost_commit() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        let (service, rival) = (hall.service(), hall.rival());
        let hold = hall.hold("ann", &["A1"], &[]);
        service.submit(hold.clone()).await.unwrap();
        // The lost commit books; meanwhile the hold runs out, so that the answer is no, and no record changes.
        hall.stage.faults([Fault::Zombie]);
        hall.stage.commit_gate.close();
        let confirm = hall.confirm(&hold);
        let answer = hall.send(&service, &confirm);
        sim.idle().await;
        hall.clock.step_seconds(600);
        hall.stage.commit_gate.open();
        assert_eq!(refusal(answer.answer().await), Rejection::HoldExpired);
        assert_eq!(hall.stage.land_zombies(), [false]);
        assert!(matches!(hall.ticket_state("A1"), TicketState::Held { .. }));
        assert_eq!(refusal(rival.submit(confirm).await), Rejection::OperationVoided);
        assert!(matches!(hall.reservation(&hold).unwrap().state, ReservationState::Held { .. }));
    });
}

#[test]
fn a_lost_commit_that_lands_just_before_its_tombstone_is_a_success() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        let service = hall.service();
        let hold = hall.hold("ann", &["A1"], &[]);
        service.submit(hold.clone()).await.unwrap();
        hall.stage.faults([Fault::Zombie]);
        hall.stage.commit_gate.close();
        let answer = hall.send(&service, &hall.confirm(&hold));
        sim.idle().await;
        hall.clock.step_seconds(600);
        hall.stage.commit_gate.let_one();
        sim.sleep_all().await;
        assert_eq!(hall.stage.commit_gate.waiting(), 1, "the tombstone is being written");
        assert_eq!(hall.stage.land_zombies(), [true]);
        hall.stage.commit_gate.open();
        assert_eq!(reserved(answer.answer().await).state, ReservationState::Booked);
        hall.audit();
    });
}

#[test]
fn a_tombstone_whose_own_answer_is_lost_is_no_answer_yet() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        let (service, rival) = (hall.service(), hall.rival());
        hall.stage.faults([Fault::Zombie, Fault::Lost, Fault::Applied]);
        hall.stage.commit_gate.close();
        let hold = hall.hold("ann", &["A1"], &[]);
        let answer = hall.send(&service, &hold);
        sim.idle().await;
        reserved(rival.submit(hall.hold("rex", &["A1"], &[])).await);
        hall.stage.commit_gate.open();
        let refused = refusal(answer.answer().await);
        assert!(refused == unavailable(&["A1"]) || refused == Rejection::OperationVoided, "{refused:?}");
        assert_eq!(hall.stage.commits(), 3);
        assert_eq!(hall.stage.land_zombies(), [false]);
        hall.audit();
    });
}

#[test]
fn a_request_that_was_only_refused_in_a_lost_commit_needs_no_tombstone() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        let service = hall.service();
        hall.stage.faults([Fault::Lost]);
        hall.stage.load_gate.close();
        let winner = hall.send(&service, &hall.hold("ann", &["A1"], &[]));
        let losers: Vec<_> = (0..5).map(|_| hall.hold("bob", &["A1"], &[])).collect();
        let answers: Vec<_> = losers.iter().map(|hold| hall.send(&service, hold)).collect();
        sim.idle().await;
        hall.stage.load_gate.open();
        reserved(winner.answer().await);
        for answer in answers {
            assert_eq!(refusal(answer.answer().await), unavailable(&["A1"]));
        }
        // Nothing of theirs was on its way: they cost no write, and may be asked again.
        let written = hall.stage.committed().into_iter().flatten().flat_map(|group| group.writes);
        let of_losers = |key: &RecordKey| losers.iter().any(|hold| *key == RecordKey::Operation(hold.operation));
        assert_eq!(written.into_iter().filter(|write| of_losers(&write.key)).count(), 0);
        assert_eq!(refusal(service.submit(losers[0].clone()).await), unavailable(&["A1"]));
    });
}

#[test]
fn all_requests_of_a_lost_commit_are_resolved_each_for_itself() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[("floor", 9)]).await;
        let service = hall.service();
        hall.stage.faults([Fault::Zombie]);
        hall.stage.load_gate.close();
        let holds = ["A1", "A2", "A3"].map(|seat| hall.hold("ann", &[seat], &[("floor", 1)]));
        let answers = holds.clone().map(|hold| hall.send(&service, &hold));
        sim.idle().await;
        hall.stage.load_gate.open();
        for answer in answers {
            reserved(answer.answer().await);
        }
        assert_eq!(hall.stage.land_zombies(), [false]);
        assert_eq!(hall.pool_row("floor").held, 3);
        hall.audit();
    });
}

#[test]
fn a_store_out_of_reach_until_the_deadline_leaves_the_outcome_unknown() {
    for applied in [false, true] {
        simulate(async |sim| {
            let hall = Hall::open(&sim, &[]).await;
            let limits = Limits::default().store_retries_max(2);
            let service = hall.service_with(|builder| builder.limits(limits).contention(Contention::Wait(seconds(5))));
            hall.stage.faults([if applied { Fault::Applied } else { Fault::Lost }]);
            hall.stage.commit_gate.close();
            let hold = hall.hold("ann", &["A1"], &[]);
            let answer = hall.send(&service, &hold);
            sim.idle().await;
            hall.stage.out_of_reach(true);
            hall.stage.commit_gate.open();
            assert_eq!(unknown(answer.answer().await).operation(), hold.operation);
            assert_eq!(sim.elapsed(), seconds(5), "as long as there is time it is tried again");
            hall.stage.out_of_reach(false);
            assert_eq!(service.submit(hold).await.unwrap().repeated, applied);
            hall.audit();
        });
    }
}

#[test]
fn a_store_that_fails_for_good_after_a_lost_commit_leaves_the_outcome_unknown() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        let service = hall.service();
        hall.stage.faults([Fault::Applied]);
        hall.stage.load_faults([Fault::Pass, Fault::Permanent]);
        let hold = hall.hold("ann", &["A1"], &[]);
        unknown(service.submit(hold.clone()).await);
        assert!(service.submit(hold).await.unwrap().repeated);
    });
}

#[test]
fn a_panic_after_a_lost_commit_leaves_the_outcome_unknown() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        let service = hall.service();
        hall.stage.faults([Fault::Applied]);
        hall.stage.load_faults([Fault::Pass, Fault::Panic]);
        let hold = hall.hold("ann", &["A1"], &[]);
        unknown(service.submit(hold.clone()).await);
        assert!(service.submit(hold).await.unwrap().repeated);
    });
}

#[test]
fn an_uncertain_request_is_not_refused_as_contended_after_a_conflict() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        let service = hall.service_with(|builder| builder.contention(Contention::Reject));
        hall.stage.faults([Fault::Zombie]);
        let store = hall.store.clone();
        let mut commits = 0;
        hall.stage.before_commit(move |_| {
            commits += 1;
            if commits == 2 {
                touch(&store, &record("A1"));
            }
        });
        reserved(service.submit(hall.hold("ann", &["A1"], &[])).await);
        assert_eq!(hall.stage.commits(), 3);
        assert_eq!(hall.stage.land_zombies(), [false]);
    });
}

/// "Contended" promises that nothing was changed, and a lost commit may still change it.
#[test]
fn an_uncertain_request_is_not_refused_as_contended_for_want_of_a_lock() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        let lock = SpyLock::new(&sim);
        let limits = Limits::default().lease_tenure_max(millis(0)).request_timeout(seconds(2));
        let service = hall.service_with(|builder| {
            let builder = builder.lock(lock.clone()).lock_policy(LockPolicy::Always(LockScope::Ticket));
            builder.contention(Contention::Reject).limits(limits)
        });
        hall.stage.faults([Fault::Zombie]);
        hall.stage.commit_gate.close();
        let hold = hall.hold("ann", &["A1"], &[]);
        let answer = hall.send(&service, &hold);
        sim.idle().await;
        // The lock is given up after the lost commit, and goes to another process for good.
        let greedy = lock.clone();
        hall.stage.commit_gate.open();
        while !greedy.is_free("ticket:3:gig:A1") {
            sim.step().await;
        }
        let _taken = greedy.taken_by_another(&["ticket:3:gig:A1"], seconds(3_600));
        let answer = answer.answer().await;
        let landed = hall.stage.land_zombies();
        match answer {
            Err(BookingError::OutcomeUnknown(_)) => {}
            Err(BookingError::Rejected(rejection)) => {
                assert_eq!(landed, [false], "refused as {rejection:?}, and then it happened");
            }
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn an_uncertain_request_finds_its_record_though_its_lock_is_held_elsewhere() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        let lock = SpyLock::new(&sim);
        let service = hall.service_with(|builder| {
            let builder = builder.lock(lock.clone()).lock_policy(LockPolicy::Always(LockScope::Ticket));
            builder.contention(Contention::Wait(seconds(5)))
        });
        hall.stage.faults([Fault::Applied]);
        hall.stage.commit_gate.close();
        let answer = hall.send(&service, &hall.hold("ann", &["A1"], &[]));
        sim.idle().await;
        hall.stage.commit_gate.open();
        while !lock.is_free("ticket:3:gig:A1") {
            sim.step().await;
        }
        let _taken = lock.taken_by_another(&["ticket:3:gig:A1"], seconds(3_600));
        reserved(answer.answer().await);
        assert!(sim.elapsed() < seconds(1), "{:?}", sim.elapsed());
    });
}

/// A confirmation that was lost, and whose hold has run out since: only the clock says no, so nothing that the lost
/// commit read has changed.
async fn lost_confirmation(sim: &common::sim::Sim) -> (Hall, BookingService, Command, Command) {
    let hall = Hall::open(sim, &[]).await;
    let service = hall.service_with(|builder| builder.contention(Contention::Wait(seconds(5))));
    let hold = hall.hold("ann", &["A1"], &[]);
    reserved(service.submit(hold.clone()).await);
    let confirm = hall.confirm(&hold);
    hall.stage.faults([Fault::Zombie]);
    hall.stage.commit_gate.close();
    let answer = hall.send(&service, &confirm);
    sim.idle().await;
    hall.stage.out_of_reach(true);
    hall.stage.commit_gate.open();
    unknown(answer.answer().await);
    sim.sleep_for(seconds(3_600)).await;
    hall.stage.out_of_reach(false);
    (hall, service, hold, confirm)
}

#[test]
fn resolving_makes_a_refusal_final_that_rests_on_the_clock_alone() {
    simulate(async |sim| {
        let (hall, service, _, confirm) = lost_confirmation(&sim).await;
        assert_eq!(refusal(service.resolve(confirm.clone()).await), Rejection::HoldExpired);
        assert_eq!(hall.stage.land_zombies(), [false], "the tombstone keeps it out");
        assert_eq!(refusal(service.submit(confirm).await), Rejection::OperationVoided);
        hall.audit();
    });
}

#[test]
fn resolving_finds_a_lost_commit_that_has_landed() {
    simulate(async |sim| {
        let (hall, service, hold, confirm) = lost_confirmation(&sim).await;
        assert_eq!(hall.stage.land_zombies(), [true]);
        assert!(service.resolve(confirm).await.unwrap().repeated);
        assert_eq!(hall.reservation(&hold).unwrap().state, ReservationState::Booked);
        hall.audit();
    });
}

#[test]
fn resolving_says_that_it_does_not_know_rather_than_that_it_is_busy() {
    simulate(async |sim| {
        let (hall, service, _, confirm) = lost_confirmation(&sim).await;
        hall.stage.out_of_reach(true);
        assert_eq!(unknown(service.resolve(confirm.clone()).await).operation(), confirm.operation);
        service.shutdown(seconds(1)).await;
        unknown(service.resolve(confirm).await);
    });
}
