//! Waiting requests are decided together: how many commits that makes, in which order, and when who is answered.

mod common;

use common::runtime::TestRuntime;
use common::sim::{Started, simulate};
use common::stage::Fault;
use common::world::{Answer, Hall, event, millis, places, pool, record, refusal, reserved, ticket, touch, unavailable};
use std::sync::Arc;
use ticket_reservation::adapters::memory::MemoryRepository;
use ticket_reservation::booking::{BookingService, Limits};
use ticket_reservation::domain::{Command, CreateEvent, RecordKey, Rejection, ReservationState, TicketState};
use ticket_reservation::ports::RuntimeExt;

async fn answers(started: Vec<Started<Answer>>) -> Vec<Answer> {
    let mut answers = Vec::new();
    for started in started {
        answers.push(started.answer().await);
    }
    answers
}

#[test]
fn a_hundred_requests_that_wait_for_a_commit_make_one_more_commit() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[("floor", 1_000)]).await;
        let service = hall.service();
        hall.stage.commit_gate.close();
        let first = hall.send(&service, &hall.hold("ann", &[], &[("floor", 1)]));
        sim.idle().await;
        let others = (0..100).map(|_| hall.send(&service, &hall.hold("bob", &[], &[("floor", 1)]))).collect();
        sim.idle().await;
        assert_eq!(hall.stage.commits(), 1);
        hall.stage.commit_gate.open();
        reserved(first.answer().await);
        assert!(answers(others).await.iter().all(Result::is_ok));
        assert_eq!(hall.stage.commits(), 2);
        assert_eq!(hall.pool_row("floor").held, 101);
        hall.audit();
    });
}

#[test]
fn batches_of_one_make_a_commit_for_each_request() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[("floor", 1_000)]).await;
        let service = hall.service_with(|builder| builder.limits(Limits::default().batch_max(1)));
        hall.stage.commit_gate.close();
        let first = hall.send(&service, &hall.hold("ann", &[], &[("floor", 1)]));
        sim.idle().await;
        let others = (0..100).map(|_| hall.send(&service, &hall.hold("bob", &[], &[("floor", 1)]))).collect();
        sim.idle().await;
        hall.stage.commit_gate.open();
        reserved(first.answer().await);
        assert!(answers(others).await.iter().all(Result::is_ok));
        assert_eq!(hall.stage.commits(), 101);
    });
}

#[test]
fn requests_on_the_same_record_share_a_group_and_others_share_the_commit() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[("floor", 10)]).await;
        let service = hall.service();
        hall.stage.load_gate.close();
        let on_floor = [hall.hold("ann", &[], &[("floor", 1)]), hall.hold("bob", &["A1"], &[("floor", 1)])];
        let on_seats = [hall.hold("cat", &["A2"], &[]), hall.hold("dan", &["A3"], &[])];
        let started = on_floor.iter().chain(&on_seats).map(|command| hall.send(&service, command)).collect();
        sim.idle().await;
        hall.stage.load_gate.open();
        assert!(answers(started).await.iter().all(Result::is_ok));
        let committed = hall.stage.committed();
        assert_eq!(committed.iter().map(Vec::len).collect::<Vec<_>>(), [3]);
        hall.audit();
    });
}

#[test]
fn a_double_click_answers_both_with_the_same_reservation() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[("floor", 9)]).await;
        let service = hall.service();
        let hold = hall.hold("ann", &["A1"], &[("floor", 2)]);
        let (first, second) = (hall.send(&service, &hold), hall.send(&service, &hold));
        let (first, second) = (first.answer().await.unwrap(), second.answer().await.unwrap());
        assert_eq!((first.repeated, second.repeated), (false, true));
        assert_eq!((first.outcome, first.at), (second.outcome, second.at));
        assert_eq!(hall.pool_row("floor").held, 2);
        hall.audit();
    });
}

#[test]
fn a_double_click_in_two_processes_happens_once() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[("floor", 9)]).await;
        let (here, there) = (hall.service(), hall.rival());
        let hold = hall.hold("ann", &["A1"], &[("floor", 2)]);
        hall.stage.commit_gate.close();
        let first = hall.send(&here, &hold);
        sim.idle().await;
        let second = there.submit(hold).await.unwrap();
        hall.stage.commit_gate.open();
        let first = first.answer().await.unwrap();
        assert_eq!((first.repeated, second.repeated), (true, false));
        assert_eq!(first.outcome, second.outcome);
        assert_eq!(hall.pool_row("floor").held, 2);
        hall.audit();
    });
}

#[test]
fn other_content_under_an_operation_id_on_its_way_is_refused_after_it() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        let service = hall.service();
        let hold = hall.hold("ann", &["A1"], &[]);
        let other = Command { operation: hold.operation, ..hall.hold("ann", &["A2"], &[]) };
        hall.stage.commit_gate.close();
        let first = hall.send(&service, &hold);
        let mut second = hall.send(&service, &other);
        sim.idle().await;
        assert!(second.is_waiting(), "the record that refuses it is not committed");
        hall.stage.commit_gate.open();
        reserved(first.answer().await);
        assert_eq!(refusal(second.answer().await), Rejection::OperationReused);
        assert_eq!(hall.ticket_state("A2"), TicketState::Available);
    });
}

#[test]
fn arrival_order_decides_who_gets_a_seat() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[("floor", 1)]).await;
        let service = hall.service();
        hall.stage.commit_gate.close();
        let first = hall.send(&service, &hall.hold("zoe", &[], &[("floor", 1)]));
        sim.idle().await;
        let buyers: Vec<Command> = (0..50).map(|n| hall.hold(&format!("buyer {n}"), &["A1"], &[])).collect();
        let started = buyers.iter().map(|hold| hall.send(&service, hold)).collect();
        sim.idle().await;
        hall.stage.commit_gate.open();
        reserved(first.answer().await);
        let mut answers = answers(started).await.into_iter();
        let winner = reserved(answers.next().unwrap());
        assert_eq!(winner.customer.as_str(), "buyer 0");
        assert!(answers.all(|answer| refusal(answer) == unavailable(&["A1"])));
        hall.audit();
    });
}

#[test]
fn arrival_order_holds_after_a_conflict_too() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        let service = hall.service();
        hall.stage.commit_gate.close();
        let (mut started, mut operations) = (Vec::new(), Vec::new());
        for n in 0..20 {
            let hold = hall.hold(&format!("buyer {n}"), &["A1"], &[]);
            operations.push(hold.operation);
            started.push(hall.send(&service, &hold));
        }
        sim.idle().await;
        touch(&hall.store, &record("A1"));
        let late = hall.send(&service, &hall.hold("late", &["A1"], &[]));
        sim.idle().await;
        hall.stage.commit_gate.open();
        let mut answers = answers(started).await.into_iter();
        assert_eq!(reserved(answers.next().unwrap()).customer.as_str(), "buyer 0");
        assert!(answers.all(|answer| refusal(answer) == unavailable(&["A1"])));
        assert_eq!(refusal(late.answer().await), unavailable(&["A1"]));
        assert_eq!(hall.seen.answered()[..20], operations[..], "they are answered in arrival order");
    });
}

#[test]
fn arrival_order_holds_across_groups_that_conflict_together() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        let service = hall.service();
        hall.stage.commit_gate.close();
        let first = hall.send(&service, &hall.hold("zoe", &["B1"], &[]));
        sim.idle().await;
        let mut started = Vec::new();
        // The third is refused for A1, which the first takes: these two are one group, the second is another.
        for hold in [hall.hold("ann", &["A1", "A2"], &[]), hall.best("bob", 1), hall.hold("cat", &["A1", "A4"], &[])] {
            sim.sleep_for(millis(1)).await;
            started.push(hall.send(&service, &hold));
        }
        sim.idle().await;
        hall.stage.commit_gate.let_one();
        reserved(first.answer().await);
        sim.idle().await;
        assert_eq!(hall.stage.committed()[1].len(), 2);
        reserved(hall.rival().submit(hall.hold("rex", &["A2", "A3"], &[])).await);
        hall.stage.commit_gate.open();
        let [ann, bob, cat] = answers(started).await.try_into().unwrap();
        assert_eq!(refusal(ann), unavailable(&["A2"]));
        assert_eq!(reserved(bob).lines.tickets(), [ticket("A1")], "the best place left was his before it was cat's");
        assert_eq!(refusal(cat), unavailable(&["A1"]));
        hall.audit();
    });
}

#[test]
fn a_refusal_is_answered_only_after_the_commit_it_rests_on() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        let service = hall.service();
        hall.stage.commit_gate.close();
        let winner = hall.send(&service, &hall.hold("ann", &["A1"], &[]));
        let mut loser = hall.send(&service, &hall.hold("bob", &["A1"], &[]));
        sim.idle().await;
        assert_eq!(hall.stage.commits(), 1);
        assert!(loser.is_waiting());
        hall.stage.commit_gate.open();
        reserved(winner.answer().await);
        assert_eq!(refusal(loser.answer().await), unavailable(&["A1"]));
        assert_eq!(hall.stage.commits(), 1, "a refusal costs no commit");
    });
}

#[test]
fn a_refusal_whose_ground_was_not_committed_is_decided_again() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        let (service, rival) = (hall.service(), hall.rival());
        hall.stage.commit_gate.close();
        let winner = hall.send(&service, &hall.hold("ann", &["A1", "A2"], &[]));
        let loser = hall.send(&service, &hall.hold("bob", &["A2", "A3"], &[]));
        sim.idle().await;
        reserved(rival.submit(hall.hold("rex", &["A1"], &[])).await);
        hall.stage.commit_gate.open();
        assert_eq!(refusal(winner.answer().await), unavailable(&["A1"]));
        assert_eq!(reserved(loser.answer().await).customer.as_str(), "bob", "nobody took A2");
        hall.audit();
    });
}

#[test]
fn a_refusal_that_rests_on_nothing_uncommitted_needs_no_commit() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        let service = hall.service();
        reserved(hall.rival().submit(hall.hold("rex", &["A1"], &[])).await);
        hall.stage.commit_gate.close();
        let winner = hall.send(&service, &hall.hold("ann", &["A2"], &[]));
        let loser = hall.send(&service, &hall.hold("bob", &["A1", "A3"], &[]));
        let next = hall.send(&service, &hall.hold("cat", &["A3"], &[]));
        assert_eq!(refusal(loser.answer().await), unavailable(&["A1"]));
        assert_eq!(hall.stage.commit_gate.waiting(), 1);
        hall.stage.commit_gate.open();
        reserved(winner.answer().await);
        reserved(next.answer().await);
    });
}

#[test]
fn a_conflict_fails_its_own_group_alone() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        let service = hall.service();
        hall.stage.commit_gate.close();
        let one = hall.send(&service, &hall.hold("ann", &["A1"], &[]));
        let other = hall.send(&service, &hall.hold("bob", &["A2"], &[]));
        sim.idle().await;
        touch(&hall.store, &record("A1"));
        hall.stage.commit_gate.let_one();
        reserved(other.answer().await);
        assert_eq!(hall.ticket_state("A1"), TicketState::Available);
        hall.stage.commit_gate.open();
        reserved(one.answer().await);
        assert_eq!(hall.stage.commits(), 2);
    });
}

#[test]
fn a_record_that_was_read_and_not_written_is_part_of_the_commit() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        let service = hall.service();
        let hold = hall.hold("ann", &["A1"], &[]);
        reserved(service.submit(hold.clone()).await);
        // A transfer reads the ticket and writes the reservation alone.
        hall.stage.commit_gate.close();
        let transfer = hall.send(&service, &hall.transfer(&hold, "bob"));
        sim.idle().await;
        let groups = hall.stage.committed().pop().unwrap();
        assert!(groups[0].reads.iter().any(|(key, _)| *key == record("A1")));
        touch(&hall.store, &record("A1"));
        hall.stage.commit_gate.open();
        reserved(transfer.answer().await);
        assert_eq!(hall.stage.commits(), 3, "the touched ticket made the first one conflict");
    });
}

#[test]
fn what_several_groups_only_read_is_part_of_each_of_them() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[("floor", 10)]).await;
        let service = hall.service();
        hall.stage.load_gate.close();
        let holds = ["A1", "A2", "A3"].map(|seat| hall.hold("ann", &[seat], &[]));
        let started = holds.iter().map(|command| hall.send(&service, command)).collect();
        sim.idle().await;
        hall.stage.commit_gate.close();
        hall.stage.load_gate.open();
        sim.idle().await;
        // The event is changed after they have read it: none of the three may be written.
        touch(&hall.store, &RecordKey::Event);
        hall.stage.commit_gate.open();
        assert!(answers(started).await.iter().all(Result::is_ok));
        let groups: Vec<usize> = hall.stage.committed().iter().map(Vec::len).collect();
        assert_eq!(groups, [3, 3], "each of them is decided once more");
        hall.audit();
    });
}

#[test]
fn a_release_and_the_next_hold_of_the_same_seat_share_a_commit() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        let service = hall.service();
        let hold = hall.hold("ann", &["A1"], &[]);
        reserved(service.submit(hold.clone()).await);
        hall.stage.load_gate.close();
        let release = hall.send(&service, &hall.release(&hold));
        let next = hall.send(&service, &hall.hold("bob", &["A1"], &[]));
        sim.idle().await;
        hall.stage.load_gate.open();
        assert_eq!(reserved(release.answer().await).state, ReservationState::Released);
        reserved(next.answer().await);
        assert_eq!(hall.stage.commits(), 2);
        hall.audit();
    });
}

#[test]
fn a_lost_answer_of_the_store_in_passing_is_tried_again() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        let service = hall.service();
        hall.stage.faults([Fault::Transient, Fault::Transient]);
        hall.stage.load_faults([Fault::Transient]);
        let receipt = service.submit(hall.hold("ann", &["A1"], &[])).await.unwrap();
        assert!(!receipt.repeated);
        assert_eq!(hall.stage.commits(), 3);
    });
}

/// On real threads: every interleaving that the machine offers.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_a_thousand_concurrent_holds_of_one_seat_exactly_one_wins() {
    let runtime = TestRuntime::current();
    let store = MemoryRepository::new();
    let build = || BookingService::builder(Arc::new(store.clone()), runtime.clone()).build().unwrap();
    // Four services are four processes: they share nothing but the store.
    let services = [build(), build(), build(), build()];
    let _ = services[0].create_event(&event(), runtime.operation_id(), CreateEvent::default()).await.unwrap();
    services[0].import(&event(), places(), vec![(pool("floor"), 100)]).await.unwrap();
    let mut started = Vec::new();
    for n in 0..1_000 {
        let service = services[n % services.len()].clone();
        let hold = ticket_reservation::domain::Hold::new(
            runtime.reservation_id(),
            common::world::customer(&format!("buyer {n}")),
            common::world::lines(&["A1"], &[("floor", 1)]),
        );
        let operation = runtime.operation_id();
        started.push(tokio::spawn(async move { service.hold(&event(), operation, hold).await }));
    }
    let mut winners = Vec::new();
    for started in started {
        match started.await.unwrap() {
            Ok(reservation) => winners.push(reservation.id),
            Err(error) => assert_eq!(error.rejection(), Some(&unavailable(&["A1"]))),
        }
    }
    assert_eq!(winners.len(), 1);
    let owner = common::audit::all_tickets(&store)[&ticket("A1")].owner();
    assert_eq!(owner, Some(winners[0]));
    common::audit::audit(&store);
}
