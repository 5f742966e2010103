//! Each call of the service about a reservation, a seat or an event.

use std::sync::Arc;

use super::locked::is_given_back;
use super::{CALL_STEPS, dropped_at, is_through};
use crate::booking::BookingService;
use crate::conformance::audit;
use crate::conformance::bench::{RepositoryBench, area_id, customer_id, event_id, lines, literal, nth_ticket};
use crate::conformance::check::{Checked, Failure, ensure, ensure_eq};
use crate::conformance::halting::{Halting, HaltingLock};
use crate::conformance::service;
use crate::domain::{
    Action, BlockReason, Command, CreateEvent, CustomerId, EventId, Hold, Lines, ReservationId, Transfer,
};
use crate::ports::RuntimeExt;

/// What is asked of the service about a seat of its own, after what must be there first.
pub(super) struct Call {
    name: &'static str,
    resolves: bool,
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

pub(super) const CALLS: [Call; 11] = [
    Call { name: "hold", resolves: false, commands: |bench, event, seat| Ok(vec![hold(bench, event, seat)]) },
    Call {
        name: "extend",
        resolves: false,
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
        resolves: false,
        commands: |bench, event, seat| {
            about(bench, event, seat, false, |reservation, customer| Action::Confirm { reservation, customer })
        },
    },
    Call {
        name: "release",
        resolves: false,
        commands: |bench, event, seat| {
            about(bench, event, seat, false, |reservation, customer| Action::Release { reservation, customer })
        },
    },
    Call {
        name: "cancel",
        resolves: false,
        commands: |bench, event, seat| {
            about(bench, event, seat, true, |reservation, customer| Action::Cancel { reservation, customer })
        },
    },
    Call {
        name: "transfer",
        resolves: false,
        commands: |bench, event, seat| {
            about(bench, event, seat, true, |reservation, from| {
                Action::Transfer(Transfer { reservation, from, to: customer_id("grace") })
            })
        },
    },
    Call { name: "block", resolves: false, commands: |bench, event, seat| Ok(vec![block(bench, event, seat)]) },
    Call {
        name: "unblock",
        resolves: false,
        commands: |bench, event, seat| {
            let unblock = Action::Unblock { tickets: vec![nth_ticket(seat)] };
            Ok(vec![block(bench, event, seat), service::command(bench, event, unblock)])
        },
    },
    Call { name: "resolve", resolves: true, commands: |bench, event, seat| Ok(vec![hold(bench, event, seat)]) },
    Call {
        name: "create_event",
        resolves: false,
        commands: |bench, event, seat| {
            let event = event_id(&format!("{event} {seat}"));
            Ok(vec![service::command(bench, &event, Action::CreateEvent(CreateEvent::default()))])
        },
    },
    // The last one: it takes the seats of others.
    Call {
        name: "best available",
        resolves: false,
        commands: |bench, event, _| {
            let hold = Hold::new(bench.runtime.reservation_id(), customer_id("ada"), Lines::default());
            Ok(vec![service::command(bench, event, Action::Hold(hold.with_best_available(area_id("A"), 2)))])
        },
    },
];

/// Every call of the service, dropped at every step of its loads and commits, happens once when it is made again.
pub(in crate::conformance::repository) async fn a_call_of_the_service_dropped_at_any_moment_happens_once(
    bench: &RepositoryBench,
) -> Checked {
    let store = Halting::new(bench.open().await?);
    let service = service::on(bench, Arc::clone(&store) as _)?;
    every_call(bench, &store, &service, None).await
}

/// Drops each call at every step until it is through, and makes it again. The lock, where there is one, is free after each.
pub(super) async fn every_call(
    bench: &RepositoryBench,
    store: &Halting,
    service: &BookingService,
    lock: Option<&HaltingLock>,
) -> Checked {
    let event = event_id("concert");
    let seats = CALL_STEPS.max * CALLS.len() as u32;
    bench.stage(&event, seats, &[("floor", seats)], None).await?;
    let mut seats = 0..seats;
    for Call { name, resolves, commands } in CALLS {
        for step in 0..CALL_STEPS.max {
            let seat = seats.next().unwrap_or_default();
            let mut commands = commands(bench, &event, seat)?;
            let Some(dropped) = commands.pop() else { break };
            for command in commands {
                let _ = service.submit(command).await?;
            }
            if let Some(lock) = lock {
                is_given_back(bench, lock, name).await?;
            }
            let answer = if resolves {
                dropped_at(store, step, service.resolve(dropped.clone())).await
            } else {
                dropped_at(store, step, service.submit(dropped.clone())).await
            };
            // Nobody asks for anything meanwhile: what the dropped call has locked is given back without that.
            if let Some(lock) = lock {
                is_given_back(bench, lock, name).await?;
            }
            let receipt = service.submit(dropped.clone()).await?;
            let again = service.submit(dropped).await?;
            ensure_eq!(again.outcome, receipt.outcome, "a {name} made again after it was dropped at step {step}");
            ensure!(again.repeated, "a {name} that was answered before happened again");
            let through = is_through(bench, name, CALL_STEPS, step, answer.is_some())?;
            if let Some(answer) = answer {
                ensure_eq!(answer?.outcome, receipt.outcome, "a {name} made again after it was answered");
            }
            if through {
                break;
            }
        }
    }
    audit::tables(bench, &event).await?;
    audit::feed(bench, &event).await
}
