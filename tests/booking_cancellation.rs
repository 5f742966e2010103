//! Dropping a request's future: before its batch it never happens, afterwards only its answer is lost.

mod common;

use std::time::Duration;

use common::doubles::Seen;
use common::sim::{Sim, poll_once, simulate};
use common::stage::Fault;
use common::world::{Answer, Hall, record, refusal, reserved, touch, unavailable};
use ticket_reservation::booking::{BookingService, Contention, Limits};
use ticket_reservation::domain::{Command, TicketState};
use ticket_reservation::ports::BoxFuture;

fn submit(service: &BookingService, command: &Command) -> BoxFuture<'static, Answer> {
    let (service, command) = (service.clone(), command.clone());
    Box::pin(async move { service.submit(command).await })
}

/// Sends a request, lets everything happen that can, and goes away.
async fn send_and_drop(sim: &Sim, service: &BookingService, command: &Command) {
    let mut request = submit(service, command);
    assert!(poll_once(&mut request).await.is_pending());
    sim.idle().await;
    drop(request);
}

#[test]
fn a_request_that_was_never_polled_never_happens() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        drop(submit(&hall.service(), &hall.hold("ann", &["A1"], &[])));
        sim.idle().await;
        assert_eq!(hall.stage.loads(), 0);
    });
}

#[test]
fn a_request_dropped_before_its_batch_never_happens() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        let service = hall.service();
        hall.stage.commit_gate.close();
        let first = hall.send(&service, &hall.hold("ann", &["A1"], &[]));
        sim.idle().await;
        let dropped = hall.hold("bob", &["A2"], &[]);
        send_and_drop(&sim, &service, &dropped).await;
        let after = hall.send(&service, &hall.hold("cat", &["A2"], &[]));
        hall.stage.commit_gate.open();
        reserved(first.answer().await);
        assert_eq!(reserved(after.answer().await).customer.as_str(), "cat");
        assert_eq!(hall.reservation(&dropped), None);
        assert!(!hall.seen.answered().contains(&dropped.operation));
    });
}

#[test]
fn a_request_dropped_while_its_batch_loads_never_happens() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        let service = hall.service();
        hall.stage.load_gate.close();
        let dropped = hall.hold("ann", &["A1"], &[]);
        send_and_drop(&sim, &service, &dropped).await;
        assert_eq!(hall.stage.load_gate.waiting(), 1);
        hall.stage.load_gate.open();
        sim.idle().await;
        assert_eq!((hall.reservation(&dropped), hall.stage.commits(), sim.tasks()), (None, 0, 0));
    });
}

#[test]
fn a_request_dropped_while_its_batch_commits_happens_once_and_repeating_it_gives_the_answer() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[("floor", 5)]).await;
        let service = hall.service();
        hall.stage.commit_gate.close();
        let dropped = hall.hold("ann", &["A1"], &[("floor", 2)]);
        send_and_drop(&sim, &service, &dropped).await;
        hall.stage.commit_gate.open();
        sim.idle().await;
        let reservation = hall.reservation(&dropped).unwrap();
        let receipt = service.submit(dropped).await.unwrap();
        assert!(receipt.repeated);
        assert_eq!(receipt.outcome.reservation(), Some(&reservation));
        assert_eq!(hall.pool_row("floor").held, 2);
        hall.audit();
    });
}

#[test]
fn a_request_dropped_while_its_commit_fails_is_not_tried_again() {
    for fault in [Fault::Transient, Fault::Lost] {
        simulate(async |sim| {
            let hall = Hall::open(&sim, &[]).await;
            let service = hall.service();
            hall.stage.faults([fault]);
            hall.stage.commit_gate.close();
            let dropped = hall.hold("ann", &["A1"], &[]);
            send_and_drop(&sim, &service, &dropped).await;
            hall.stage.commit_gate.open();
            sim.sleep_all().await;
            assert_eq!((hall.stage.commits(), hall.reservation(&dropped)), (1, None), "{fault:?}");
        });
    }
}

#[test]
fn a_request_dropped_after_a_conflict_is_not_decided_again() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        let service = hall.service();
        hall.stage.commit_gate.close();
        let dropped = hall.hold("ann", &["A1"], &[]);
        send_and_drop(&sim, &service, &dropped).await;
        touch(&hall.store, &record("A1"));
        hall.stage.commit_gate.open();
        sim.sleep_all().await;
        assert_eq!((hall.stage.commits(), hall.ticket_state("A1")), (1, TicketState::Available));
    });
}

#[test]
fn the_others_of_a_batch_do_not_notice_that_one_went_away() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        let service = hall.service();
        hall.stage.commit_gate.close();
        // These two run when this task waits: the dropped one comes first.
        let loser = hall.send(&service, &hall.hold("bob", &["A1"], &[]));
        let other = hall.send(&service, &hall.hold("cat", &["A2"], &[]));
        let mut dropped = submit(&service, &hall.hold("ann", &["A1"], &[]));
        assert!(poll_once(&mut dropped).await.is_pending());
        sim.idle().await;
        assert_eq!(hall.stage.commit_gate.waiting(), 1);
        drop(dropped);
        hall.stage.commit_gate.open();
        assert_eq!(refusal(loser.answer().await), unavailable(&["A1"]), "the dropped one was on its way");
        reserved(other.answer().await);
        assert_eq!(hall.stage.commits(), 1);
        hall.audit();
    });
}

/// Drops a request after every number of polls. Each time it happened once or never, and repeating it says which.
#[test]
fn a_request_dropped_after_any_number_of_polls_happens_at_most_once() {
    let mut happened = [0, 0];
    for polls in 0..=6 {
        simulate(async |sim| {
            let hall = Hall::open(&sim, &[("floor", 10)]).await;
            let service = hall.service();
            let hold = hall.hold("ann", &["A1"], &[("floor", 3)]);
            let mut request = submit(&service, &hold);
            for gate in [&hall.stage.load_gate, &hall.stage.commit_gate] {
                gate.close();
            }
            for poll in 0..polls {
                let _ = poll_once(&mut request).await;
                sim.idle().await;
                match poll {
                    1 => hall.stage.load_gate.open(),
                    3 => hall.stage.commit_gate.open(),
                    _ => {}
                }
                if poll > 3 {
                    break;
                }
            }
            drop(request);
            hall.stage.load_gate.open();
            hall.stage.commit_gate.open();
            sim.idle().await;
            let took_place = hall.reservation(&hold).is_some();
            assert_eq!(hall.pool_row("floor").held, if took_place { 3 } else { 0 }, "after {polls} polls");
            let receipt = service.submit(hold).await.unwrap();
            assert_eq!(receipt.repeated, took_place, "after {polls} polls");
            assert_eq!(hall.pool_row("floor").held, 3);
            hall.audit();
            happened[usize::from(took_place)] += 1;
        });
    }
    assert!(happened.iter().all(|times| *times > 1), "both ends are seen: {happened:?}");
}

#[test]
fn a_dropped_request_frees_its_place_in_the_queue() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        let service = hall.service_with(|builder| builder.limits(Limits::default().queue_max(3)));
        hall.stage.commit_gate.close();
        let first = hall.send(&service, &hall.hold("ann", &["A1"], &[]));
        sim.idle().await;
        for _ in 0..100 {
            send_and_drop(&sim, &service, &hall.hold("bob", &["A2"], &[])).await;
        }
        let last = hall.send(&service, &hall.hold("cat", &["A2"], &[]));
        sim.idle().await;
        hall.stage.commit_gate.open();
        reserved(first.answer().await);
        reserved(last.answer().await);
        let decided = hall.seen.count(|seen| matches!(seen, Seen::Answered(..)));
        assert_eq!(decided, 2);
    });
}

#[test]
fn a_request_past_its_deadline_frees_its_place_in_the_queue() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        let service = hall.service_with(|builder| builder.limits(Limits::default().queue_max(1)));
        hall.stage.commit_gate.close();
        let first = hall.send(&service, &hall.hold("ann", &["A1"], &[]));
        sim.idle().await;
        let briefly = Contention::Wait(Duration::from_millis(5));
        let late = service.submit_under(hall.hold("bob", &["A2"], &[]), briefly).await;
        assert_eq!(refusal(late), ticket_reservation::domain::Rejection::DeadlinePassed);
        let next = hall.send(&service, &hall.hold("cat", &["A2"], &[]));
        sim.idle().await;
        hall.stage.commit_gate.open();
        reserved(first.answer().await);
        reserved(next.answer().await);
    });
}

#[test]
fn a_dropped_shutdown_still_takes_nobody_more() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        let service = hall.service();
        hall.stage.commit_gate.close();
        let first = hall.send(&service, &hall.hold("ann", &["A1"], &[]));
        sim.idle().await;
        let mut shutdown = Box::pin(service.shutdown(Duration::from_secs(1)));
        assert!(poll_once(&mut shutdown).await.is_pending());
        drop(shutdown);
        let refused = refusal(service.submit(hall.hold("bob", &["A2"], &[])).await);
        assert_eq!(refused, ticket_reservation::domain::Rejection::ShuttingDown);
        hall.stage.commit_gate.open();
        reserved(first.answer().await);
    });
}
