//! Every answer is observed once, for what it is.

mod common;

use common::doubles::Seen;
use common::sim::simulate;
use common::stage::Fault;
use common::world::{Hall, refusal, reserved, seconds, unknown};
use ticket_reservation::booking::{Contention, Limits};
use ticket_reservation::domain::{Command, Rejection};

/// What was observed of the answer to a command.
fn told(hall: &Hall, command: &Command) -> Vec<Seen> {
    let of = command.operation;
    let about = |seen: &Seen| match seen {
        Seen::Answered(operation, _) | Seen::Failed(operation) | Seen::Unknown(operation) => *operation == of,
        _ => false,
    };
    hall.seen.seen().into_iter().filter(about).collect()
}

#[test]
fn successes_refusals_failures_and_unknown_outcomes_are_told_apart() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        let service = hall.service_with(|builder| {
            builder.limits(Limits::default().store_retries_max(0)).contention(Contention::Wait(seconds(2)))
        });
        let hold = hall.hold("ann", &["A1"], &[]);
        reserved(service.submit(hold.clone()).await);
        assert_eq!(told(&hall, &hold), [Seen::Answered(hold.operation, None)]);

        let refused = hall.hold("bob", &["A1"], &[]);
        let why = refusal(service.submit(refused.clone()).await);
        assert_eq!(told(&hall, &refused), [Seen::Answered(refused.operation, Some(why))]);

        let failed = hall.hold("cat", &["A2"], &[]);
        hall.stage.faults([Fault::Transient]);
        assert!(service.submit(failed.clone()).await.is_err());
        assert_eq!(told(&hall, &failed), [Seen::Failed(failed.operation)]);

        let lost = hall.hold("dan", &["A3"], &[]);
        hall.stage.faults([Fault::Lost]);
        hall.stage.load_faults([Fault::Pass, Fault::Permanent]);
        unknown(service.submit(lost.clone()).await);
        assert_eq!(told(&hall, &lost), [Seen::Unknown(lost.operation)]);
    });
}

#[test]
fn answers_that_no_batch_gives_are_observed_too() {
    simulate(async |sim| {
        let hall = Hall::open(&sim, &[]).await;
        let service = hall.service_with(|builder| {
            builder.limits(Limits::default().queue_max(1)).contention(Contention::Wait(seconds(2)))
        });
        hall.stage.load_gate.close();
        let at_work = hall.send(&service, &hall.hold("ann", &["A1"], &[]));
        sim.idle().await;
        let waits = hall.hold("bob", &["A2"], &[]);
        let waiting = hall.send(&service, &waits);
        sim.idle().await;
        let too_many = hall.hold("cat", &["A3"], &[]);
        assert_eq!(refusal(service.submit(too_many.clone()).await), Rejection::Overloaded);
        assert_eq!(told(&hall, &too_many), [Seen::Answered(too_many.operation, Some(Rejection::Overloaded))]);
        assert_eq!(refusal(waiting.answer().await), Rejection::DeadlinePassed);
        assert_eq!(told(&hall, &waits), [Seen::Answered(waits.operation, Some(Rejection::DeadlinePassed))]);
        hall.stage.load_gate.open();
        assert!(at_work.answer().await.is_err());
        service.shutdown(seconds(5)).await;
        let late = hall.hold("dan", &["A4"], &[]);
        assert_eq!(refusal(service.submit(late.clone()).await), Rejection::ShuttingDown);
        assert_eq!(told(&hall, &late), [Seen::Answered(late.operation, Some(Rejection::ShuttingDown))]);
    });
}
