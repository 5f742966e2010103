//! Calls that are polled so many times and then dropped, for every number of times until they are through.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use crate::conformance::audit;
use crate::conformance::bench::{
    RepositoryBench, blocked, customer_id, event_id, lines, literal, nth_ticket, ticket, ticket_key,
};
use crate::conformance::check::{Checked, Failure, ensure, ensure_eq};
use crate::conformance::service;
use crate::domain::{Action, BlockReason, Command, CustomerId, EventId, ReservationId, Transfer};
use crate::ports::LoadRequest;

/// Calls that need more polls than that are not followed to their end.
const POLLS_MAX: u32 = 50;

/// What comes of a future that is dropped after so many polls, each made when it asked for it; `None` if it was not
/// through by then.
async fn polled<T>(times: u32, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    let mut left = times;
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match future.as_mut().poll(context) {
            Poll::Ready(done) => Poll::Ready(Some(done)),
            // Nobody waits for one that has no polls left.
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

pub(super) async fn a_load_may_be_dropped_at_any_moment(bench: &RepositoryBench) -> Checked {
    let event = event_id("concert");
    bench.stage(&event, 5, &[("floor", 9)], None).await?;
    let records = (0..5).map(ticket_key).collect();
    let request = LoadRequest { event: event.clone(), records, free_in: Vec::new() };
    for times in 0..POLLS_MAX {
        let through = polled(times, bench.repository.load(&request)).await;
        let found = bench.repository.load(&request).await?;
        ensure!(found.get(&ticket_key(4)).is_some(), "a load after one that was dropped after {times} polls");
        if through.is_some() {
            bench.note(format!("through after {times} polls"));
            break;
        }
    }
    Ok(())
}

pub(super) async fn a_commit_dropped_at_any_moment_is_whole_or_not_at_all(bench: &RepositoryBench) -> Checked {
    let event = event_id("concert");
    bench.stage(&event, 3 * POLLS_MAX, &[], None).await?;
    for times in 0..POLLS_MAX {
        let [first, second, later] = [3 * times, 3 * times + 1, 3 * times + 2];
        let pair = [ticket_key(first), ticket_key(second)];
        let tx = bench.begin(&event, &pair).await?.write(pair[0].clone(), ticket(first, blocked("dropped")));
        let groups = [tx.write(pair[1].clone(), ticket(second, blocked("dropped"))).group()];
        let through = polled(times, bench.repository.commit(&event, &groups)).await;
        let snapshot = bench.load(&event, &pair).await?;
        let versions = pair.each_ref().map(|key| snapshot.get(key).map(|it| it.version));
        ensure_eq!(versions[0], versions[1], "the versions of two records of one group, dropped after {times} polls");
        bench.put(&event, vec![(ticket_key(later), ticket(later, blocked("later")))]).await?;
        if through.is_some() {
            ensure_eq!(versions[0], Some(2), "the version of a record whose commit was answered");
            bench.note(format!("through after {times} polls"));
            break;
        }
    }
    audit::feed(bench, &event).await
}

/// What is asked of the service about a seat of its own, after what must be there first.
struct Call {
    name: &'static str,
    /// Makes the commands before it and the one that is dropped.
    commands: fn(&RepositoryBench, &EventId, u32) -> Result<Vec<Command>, Failure>,
}

fn hold(bench: &RepositoryBench, event: &EventId, seat: u32) -> Command {
    service::hold(bench, event, "ada", lines(&[nth_ticket(seat)], &[("floor", 1)]))
}

fn about(
    bench: &RepositoryBench,
    event: &EventId,
    seat: u32,
    confirmed: bool,
    action: impl FnOnce(ReservationId, CustomerId) -> Action,
) -> Result<Vec<Command>, Failure> {
    let hold = hold(bench, event, seat);
    let reservation = service::reservation_of(&hold)?;
    let mut commands = vec![hold];
    if confirmed {
        commands.push(service::confirm(bench, event, "ada", reservation));
    }
    commands.push(service::command(bench, event, action(reservation, customer_id("ada"))));
    Ok(commands)
}

fn block(bench: &RepositoryBench, event: &EventId, seat: u32) -> Command {
    let reason = literal(BlockReason::new("camera"));
    service::command(bench, event, Action::Block { tickets: vec![nth_ticket(seat)], reason })
}

const CALLS: [Call; 8] = [
    Call { name: "hold", commands: |bench, event, seat| Ok(vec![hold(bench, event, seat)]) },
    Call {
        name: "extend",
        commands: |bench, event, seat| {
            about(bench, event, seat, false, |reservation, customer| Action::Extend {
                reservation,
                customer,
                ttl: None,
            })
        },
    },
    Call {
        name: "confirm",
        commands: |bench, event, seat| {
            about(bench, event, seat, false, |reservation, customer| Action::Confirm { reservation, customer })
        },
    },
    Call {
        name: "release",
        commands: |bench, event, seat| {
            about(bench, event, seat, false, |reservation, customer| Action::Release { reservation, customer })
        },
    },
    Call {
        name: "cancel",
        commands: |bench, event, seat| {
            about(bench, event, seat, true, |reservation, customer| Action::Cancel { reservation, customer })
        },
    },
    Call {
        name: "transfer",
        commands: |bench, event, seat| {
            about(bench, event, seat, true, |reservation, from| {
                Action::Transfer(Transfer { reservation, from, to: customer_id("grace") })
            })
        },
    },
    Call { name: "block", commands: |bench, event, seat| Ok(vec![block(bench, event, seat)]) },
    Call {
        name: "unblock",
        commands: |bench, event, seat| {
            let unblock = Action::Unblock { tickets: vec![nth_ticket(seat)] };
            Ok(vec![block(bench, event, seat), service::command(bench, event, unblock)])
        },
    },
];

/// Every call of the service, dropped after every number of polls, happens once when it is made again.
pub(super) async fn a_call_of_the_service_dropped_at_any_moment_happens_once(bench: &RepositoryBench) -> Checked {
    let event = event_id("concert");
    let seats = POLLS_MAX * CALLS.len() as u32;
    bench.stage(&event, seats, &[("floor", seats)], None).await?;
    let service = service::on(bench, bench.open().await?)?;
    let mut seats = 0..seats;
    for Call { name, commands } in CALLS {
        for times in 0..POLLS_MAX {
            let seat = seats.next().unwrap_or_default();
            let mut commands = commands(bench, &event, seat)?;
            let Some(dropped) = commands.pop() else { break };
            for command in commands {
                let _ = service.submit(command).await?;
            }
            let through = polled(times, service.submit(dropped.clone())).await;
            let receipt = service.submit(dropped.clone()).await?;
            let again = service.submit(dropped).await?;
            ensure_eq!(again.outcome, receipt.outcome, "a {name} made again after it was dropped after {times} polls");
            ensure!(again.repeated, "a {name} that was answered before happened again");
            if let Some(answer) = through {
                ensure_eq!(answer?.outcome, receipt.outcome, "a {name} made again after it was answered");
                break;
            }
        }
    }
    audit::tables(bench, &event).await?;
    audit::feed(bench, &event).await
}
