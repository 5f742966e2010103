//! Queues are bounded, deadlines are kept, contention is answered as the host wants it, and a shutdown ends.

mod common;

use std::time::Duration;

use common::doubles::Seen;
use common::sim::{poll_once, simulate};
use common::stage::Fault;
use common::world::{Hall, millis, record, refusal, reserved, seconds, touch, unavailable, unknown};
use ticket_reservation::booking::{Contention, Drained, InvalidConfig, Limits, LockPolicy};
use ticket_reservation::domain::{InvalidPolicies, Policies, Rejection, TicketState};

#[test]
fn a_full_queue_refuses_at_once_and_forgets_who_went_away() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        let service = hall.service_with(|builder| builder.limits(Limits::default().queue_max(2)));
        hall.stage.load_gate.close();
        let at_work = hall.send(&service, &hall.hold("ann", &["A1"], &[]));
        sim.idle().await;
        let waiting = hall.send(&service, &hall.hold("bob", &["A2"], &[]));
        let mut leaving = Box::pin(service.submit(hall.hold("cat", &["A3"], &[])));
        assert!(poll_once(&mut leaving).await.is_pending());
        sim.idle().await;
        assert_eq!(refusal(service.submit(hall.hold("dan", &["A4"], &[])).await), Rejection::Overloaded);
        assert_eq!(sim.elapsed(), seconds(0), "at once");
        drop(leaving);
        let takes_its_place = hall.send(&service, &hall.hold("eve", &["A5"], &[]));
        sim.idle().await;
        assert_eq!(refusal(service.submit(hall.hold("fay", &["A6"], &[])).await), Rejection::Overloaded);
        hall.stage.load_gate.open();
        for answer in [at_work, waiting, takes_its_place] {
            reserved(answer.answer().await);
        }
        assert_eq!(hall.ticket_state("A3"), TicketState::Available);
    });
}

#[test]
fn queues_of_different_events_are_bounded_apart() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        let service = hall.service_with(|builder| builder.limits(Limits::default().queue_max(1)));
        hall.stage.load_gate.close();
        let first = hall.send(&service, &hall.hold("ann", &["A1"], &[]));
        sim.idle().await;
        let second = hall.send(&service, &hall.hold("bob", &["A2"], &[]));
        sim.idle().await;
        let other = ticket_reservation::domain::EventId::new("other").unwrap();
        let elsewhere = ticket_reservation::domain::Command { event: other, ..hall.hold("cat", &["A3"], &[]) };
        let mut elsewhere = hall.send(&service, &elsewhere);
        sim.idle().await;
        assert!(elsewhere.is_waiting());
        hall.stage.load_gate.open();
        assert_eq!(refusal(elsewhere.answer().await), Rejection::UnknownEvent);
        reserved(first.answer().await);
        reserved(second.answer().await);
    });
}

#[test]
fn a_deadline_before_anything_was_sent_is_a_refusal() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        let service = hall.service();
        hall.stage.load_gate.close();
        let hold = hall.hold("ann", &["A1"], &[]);
        let refused = refusal(service.submit_under(hold.clone(), Contention::Wait(seconds(3))).await);
        assert_eq!((refused, sim.elapsed()), (Rejection::DeadlinePassed, seconds(3)));
        hall.stage.load_gate.open();
        sim.idle().await;
        assert_eq!(hall.ticket_state("A1"), TicketState::Available, "what was refused does not happen later");
        assert_eq!(hall.reservation(&hold), None);
    });
}

#[test]
fn a_deadline_during_a_commit_leaves_the_outcome_unknown_and_repeating_resolves_it() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        let service = hall.service();
        hall.stage.commit_gate.close();
        let hold = hall.hold("ann", &["A1"], &[]);
        let answer = service.submit_under(hold.clone(), Contention::Wait(seconds(3))).await;
        assert_eq!(unknown(answer).operation(), hold.operation);
        assert_eq!(sim.elapsed(), seconds(3));
        hall.stage.commit_gate.open();
        assert!(service.submit(hold).await.unwrap().repeated);
    });
}

#[test]
fn who_waits_behind_a_commit_that_hangs_is_refused_at_the_deadline() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        let service = hall.service_with(|builder| builder.contention(Contention::Wait(seconds(2))));
        hall.stage.commit_gate.close();
        let first = hall.send(&service, &hall.hold("ann", &["A1"], &[]));
        sim.idle().await;
        let second = hall.send(&service, &hall.hold("bob", &["A2"], &[]));
        unknown(first.answer().await);
        assert_eq!(refusal(second.answer().await), Rejection::DeadlinePassed);
        assert_eq!(sim.elapsed(), seconds(2));
        hall.stage.commit_gate.open();
        sim.idle().await;
        assert_eq!(hall.ticket_state("A2"), TicketState::Available);
    });
}

#[test]
fn a_deadline_of_no_time_is_over_at_once() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        let service = hall.service();
        let hold = hall.hold("ann", &["A1"], &[]);
        let refused = refusal(service.submit_under(hold.clone(), Contention::Wait(Duration::ZERO)).await);
        sim.idle().await;
        assert_eq!((refused, hall.reservation(&hold)), (Rejection::DeadlinePassed, None));
    });
}

#[test]
fn a_deadline_beyond_the_clock_means_to_wait_as_long_as_it_takes() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        let service = hall.service();
        let hold = hall.hold("ann", &["A1"], &[]);
        reserved(service.submit_under(hold, Contention::Wait(Duration::MAX)).await);
    });
}

#[test]
fn who_does_not_want_to_wait_is_told_at_once_that_others_were_faster() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        let service = hall.service_with(|builder| builder.contention(Contention::Reject));
        hall.stage.commit_gate.close();
        let hold = hall.send(&service, &hall.hold("ann", &["A1"], &[]));
        sim.idle().await;
        touch(&hall.store, &record("A1"));
        hall.stage.commit_gate.open();
        let refused = refusal(hold.answer().await);
        assert!(matches!(refused, Rejection::Contended { retry_after } if !retry_after.is_zero()), "{refused:?}");
        assert_eq!((hall.stage.commits(), sim.elapsed()), (1, seconds(0)));
        reserved(service.submit(hall.hold("ann", &["A1"], &[])).await);
    });
}

#[test]
fn who_wants_to_wait_is_decided_again_until_it_is_settled() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        let service = hall.service();
        let store = hall.store.clone();
        let mut conflicts = 0;
        hall.stage.before_commit(move |_| {
            conflicts += 1;
            if conflicts <= 20 {
                touch(&store, &record("A1"));
            }
        });
        reserved(service.submit(hall.hold("ann", &["A1"], &[])).await);
        assert_eq!(hall.seen.count(|seen| matches!(seen, Seen::Conflict { .. })), 20);
        assert!(sim.elapsed() > millis(0), "it pauses between tries");
    });
}

#[test]
fn a_shutdown_answers_everybody_it_took_in_and_takes_nobody_more() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        let service = hall.service();
        hall.stage.commit_gate.close();
        let at_work = hall.send(&service, &hall.hold("ann", &["A1"], &[]));
        sim.idle().await;
        let waiting = hall.send(&service, &hall.hold("bob", &["A2"], &[]));
        sim.idle().await;
        let shutdown = sim.start({
            let service = service.clone();
            async move { service.shutdown(seconds(5)).await }
        });
        sim.idle().await;
        assert_eq!(refusal(service.submit(hall.hold("cat", &["A3"], &[])).await), Rejection::ShuttingDown);
        hall.stage.commit_gate.open();
        assert_eq!(shutdown.answer().await, Drained::Completely);
        reserved(at_work.answer().await);
        reserved(waiting.answer().await);
        assert_eq!(sim.elapsed(), seconds(0));
        assert_eq!(sim.tasks(), 0, "nothing runs on");
    });
}

#[test]
fn a_shutdown_of_an_idle_service_is_over_at_once() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        let service = hall.service();
        assert_eq!(service.shutdown(seconds(5)).await, Drained::Completely);
        assert_eq!(service.shutdown(seconds(5)).await, Drained::Completely);
        reserved(hall.service().submit(hall.hold("ann", &["A1"], &[])).await);
        assert_eq!(sim.elapsed(), seconds(0));
    });
}

#[test]
fn at_its_deadline_a_shutdown_refuses_those_who_wait() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        let service = hall.service_with(|builder| builder.contention(Contention::Wait(seconds(60))));
        hall.stage.commit_gate.close();
        let at_work = hall.send(&service, &hall.hold("ann", &["A1"], &[]));
        sim.idle().await;
        let waiting = hall.send(&service, &hall.hold("bob", &["A2"], &[]));
        sim.idle().await;
        assert_eq!(service.shutdown(seconds(5)).await, Drained::DeadlinePassed);
        assert_eq!(refusal(waiting.answer().await), Rejection::ShuttingDown);
        assert_eq!(sim.elapsed(), seconds(5));
        hall.stage.commit_gate.open();
        reserved(at_work.answer().await);
        assert_eq!(hall.ticket_state("A2"), TicketState::Available);
    });
}

#[test]
fn at_its_deadline_a_shutdown_refuses_those_who_are_to_be_decided_again_too() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        let store = hall.store.clone();
        hall.stage.before_commit(move |_| touch(&store, &record("A1")));
        let endless = Limits::default().conflict_retries_max(u32::MAX);
        let patient = Contention::Wait(seconds(60));
        let service = hall.service_with(|builder| builder.contention(patient).limits(endless));
        let conflicting = hall.send(&service, &hall.hold("ann", &["A1"], &[]));
        sim.idle().await;
        assert_eq!(service.shutdown(seconds(5)).await, Drained::DeadlinePassed);
        assert_eq!(refusal(conflicting.answer().await), Rejection::ShuttingDown);
        assert!(sim.elapsed() < seconds(6), "it was refused after {:?}", sim.elapsed());
    });
}

#[test]
fn a_failing_store_holds_nobody_beyond_the_deadline() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        let limits = Limits::default().store_retries_max(u32::MAX);
        let service = hall.service_with(|builder| builder.limits(limits).contention(Contention::Wait(seconds(4))));
        hall.stage.out_of_reach(true);
        let refused = refusal(service.submit(hall.hold("ann", &["A1"], &[])).await);
        assert_eq!((refused, sim.elapsed()), (Rejection::DeadlinePassed, seconds(4)));
        hall.stage.out_of_reach(false);
        reserved(service.submit(hall.hold("ann", &["A1"], &[])).await);
    });
}

#[test]
fn a_bound_of_zero_still_lets_one_through() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        let limits = Limits::default().batch_max(0).queue_max(0);
        let service = hall.service_with(|builder| builder.limits(limits));
        reserved(service.submit(hall.hold("ann", &["A1"], &[])).await);
        hall.stage.faults([Fault::Transient]);
        reserved(service.submit(hall.hold("ann", &["A2"], &[])).await);
        assert_eq!(refusal(service.submit(hall.hold("bob", &["A2"], &[])).await), unavailable(&["A2"]));
    });
}

#[test]
fn parts_that_contradict_each_other_build_no_service() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        let build = |policies: Policies| {
            let store = std::sync::Arc::new(hall.store.clone());
            let builder = ticket_reservation::booking::BookingService::builder(store, hall.runtime());
            builder.policies(policies).build().map(drop)
        };
        assert_eq!(build(Policies::default()), Ok(()));
        let long = Policies { hold_ttl: seconds(1801), ..Policies::default() };
        assert_eq!(build(long), Err(InvalidConfig::Policies(InvalidPolicies::HoldTtl)));
        let none = Policies { hold_ttl: Duration::ZERO, ..Policies::default() };
        assert_eq!(build(none), Err(InvalidConfig::Policies(InvalidPolicies::HoldTtl)));
        let forgetful = Policies { retention: seconds(1800), ..Policies::default() };
        assert_eq!(build(forgetful), Err(InvalidConfig::Policies(InvalidPolicies::Retention)));
        let store = std::sync::Arc::new(hall.store.clone());
        let builder = ticket_reservation::booking::BookingService::builder(store, hall.runtime());
        assert_eq!(builder.lock_policy(LockPolicy::Adaptive).build().map(drop), Err(InvalidConfig::NoLock));
    });
}
