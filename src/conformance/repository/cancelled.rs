//! Calls that are dropped at every step of their work, until they are through.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use crate::booking::BookingService;
use crate::conformance::audit;
use crate::conformance::bench::{
    RepositoryBench, area_id, blocked, customer_id, event_id, lines, literal, nth_ticket, place, pool, pool_id,
    pool_key, reservation, ticket, ticket_key,
};
use crate::conformance::check::{Checked, Failure, ensure, ensure_eq};
use crate::conformance::halting::Halting;
use crate::conformance::service;
use crate::domain::{
    Action, BlockReason, Command, CreateEvent, CustomerId, Event, EventId, EventState, Hold, Lines, Pool, Record,
    RecordKey, ReservationId, ReservationState, SalesWindow, TicketId, TicketState, Transfer,
};
use crate::ports::{LoadRequest, RuntimeExt};

/// A call that is not through after so many polls or steps has failed: who knows what becomes of it if it is dropped later.
const STEPS_MAX: u32 = 50;

/// The least that a call of the service has: before a load, before its answer, and the same of a commit.
const STEPS_MIN: u32 = 4;

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
    bench.put(&event, vec![(ticket_key(2), ticket(2, blocked("camera")))]).await?;
    let records = (0..5).map(ticket_key).chain([pool_key("floor")]).collect();
    let request = LoadRequest { event: event.clone(), records, free_in: vec![area_id("A")] };
    for times in 0..STEPS_MAX {
        let through = polled(times, bench.repository.load(&request)).await.transpose()?;
        let is_through = through.is_some();
        let after = Some(bench.repository.load(&request).await?);
        for found in through.into_iter().chain(after) {
            for n in 0..5 {
                let state = if n == 2 { blocked("camera") } else { TicketState::Available };
                let record = found.get(&ticket_key(n)).and_then(|it| it.record.clone());
                ensure_eq!(record, Some(ticket(n, state)), "ticket {n}, after a load dropped after {times} polls");
            }
            let floor = found.get(&pool_key("floor")).and_then(|it| it.record.clone());
            ensure_eq!(floor, Some(pool(9, 0, 0)), "the pool, after a load dropped after {times} polls");
            let free: Vec<TicketId> = [0, 1, 3, 4].map(nth_ticket).to_vec();
            ensure_eq!(found.free(&area_id("A")), Some(&free[..]), "what is free, after {times} polls");
        }
        if is_through {
            bench.note(format!("through after {times} polls"));
            return Ok(());
        }
    }
    Err(not_through("a load"))
}

fn not_through(what: &str) -> Failure {
    Failure::new(format!("{what} is not through after {STEPS_MAX} steps"))
}

pub(super) async fn a_commit_dropped_at_any_moment_is_whole_or_not_at_all(bench: &RepositoryBench) -> Checked {
    let event = event_id("concert");
    bench.stage(&event, 3 * STEPS_MAX, &[], None).await?;
    for times in 0..STEPS_MAX {
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
            return audit::feed(bench, &event).await;
        }
    }
    Err(not_through("a commit"))
}

/// What comes of a call of the service that is dropped at a step: before the first one, when it was only asked for.
async fn dropped_at<T>(store: &Halting, step: u32, call: impl Future<Output = T> + Send) -> Option<T> {
    match step.checked_sub(1) {
        None => polled(1, call).await,
        Some(step) => store.dropped_at(step, call).await,
    }
}

/// Whether a call was answered at a step, and not before the store could have been at work.
fn is_through(bench: &RepositoryBench, name: &str, step: u32, answered: bool) -> Result<bool, Failure> {
    if answered {
        ensure!(step > STEPS_MIN, "{name} was answered before step {step}, which proves nothing");
        bench.note(format!("{name} {step}"));
    } else if step + 1 == STEPS_MAX {
        return Err(not_through(name));
    }
    Ok(answered)
}

/// What is asked of the service about a seat of its own, after what must be there first.
struct Call {
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

const CALLS: [Call; 11] = [
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
pub(super) async fn a_call_of_the_service_dropped_at_any_moment_happens_once(bench: &RepositoryBench) -> Checked {
    let event = event_id("concert");
    let seats = STEPS_MAX * CALLS.len() as u32;
    bench.stage(&event, seats, &[("floor", seats)], None).await?;
    let store = Halting::new(bench.open().await?);
    let service = service::on(bench, Arc::clone(&store) as _)?;
    let mut seats = 0..seats;
    for Call { name, resolves, commands } in CALLS {
        for step in 0..STEPS_MAX {
            let seat = seats.next().unwrap_or_default();
            let mut commands = commands(bench, &event, seat)?;
            let Some(dropped) = commands.pop() else { break };
            for command in commands {
                let _ = service.submit(command).await?;
            }
            let answer = if resolves {
                dropped_at(&store, step, service.resolve(dropped.clone())).await
            } else {
                dropped_at(&store, step, service.submit(dropped.clone())).await
            };
            let receipt = service.submit(dropped.clone()).await?;
            let again = service.submit(dropped).await?;
            ensure_eq!(again.outcome, receipt.outcome, "a {name} made again after it was dropped at step {step}");
            ensure!(again.repeated, "a {name} that was answered before happened again");
            let through = is_through(bench, name, step, answer.is_some())?;
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

/// What the service does about many records or on its own goes on where it was dropped, and nothing happens twice.
pub(super) async fn work_on_many_records_dropped_at_any_moment_goes_on(bench: &RepositoryBench) -> Checked {
    let store = Halting::new(bench.open().await?);
    let service = service::on(bench, Arc::clone(&store) as _)?;
    imports(bench, &store, &service).await?;
    blocks(bench, &store, &service).await?;
    sweeps(bench, &store, &service).await
}

async fn imports(bench: &RepositoryBench, store: &Halting, service: &BookingService) -> Checked {
    for step in 0..STEPS_MAX {
        let event = event_id(&format!("import {step}"));
        let _ = service.create_event(&event, service.new_operation_id(), CreateEvent::default()).await?;
        let tickets: Vec<_> = (0..3).map(|n| (nth_ticket(n), place(n))).collect();
        let pools = vec![(pool_id("floor"), 9)];
        let answer = dropped_at(store, step, service.import(&event, tickets.clone(), pools.clone())).await;
        let added = service.import(&event, tickets, pools).await?;
        ensure!(added <= 4, "4 were imported, and {added} of them were new");
        let found: Vec<_> = bench.tickets(&event).await?.into_iter().map(|(id, version, _)| (id, version)).collect();
        ensure_eq!(
            found,
            (0..3).map(|n| (nth_ticket(n), 1)).collect::<Vec<_>>(),
            "the tickets, dropped at step {step}"
        );
        let pools = bench.pools(&event).await?;
        ensure_eq!(pools, vec![(pool_id("floor"), 1, Pool::with_capacity(9))], "the pools, dropped at step {step}");
        let on_sale = Event { state: EventState::OnSale, window: SalesWindow::default(), limit_per_customer: None };
        let terms = bench.get(&event, &RecordKey::Event).await?;
        ensure_eq!((terms.version, terms.record), (2, Some(Record::Event(on_sale))), "the event");
        audit::feed(bench, &event).await?;
        if is_through(bench, "import", step, answer.transpose()?.is_some())? {
            break;
        }
    }
    Ok(())
}

async fn blocks(bench: &RepositoryBench, store: &Halting, service: &BookingService) -> Checked {
    let event = event_id("blocks");
    bench.stage(&event, 4 * STEPS_MAX, &[], None).await?;
    let reason: BlockReason = literal(BlockReason::new("camera"));
    let mut pairs = (0..2 * STEPS_MAX).map(|n| [nth_ticket(2 * n), nth_ticket(2 * n + 1)].to_vec());
    for blocks in [true, false] {
        for (step, pair) in (0..STEPS_MAX).zip(pairs.by_ref()) {
            let (block, unblock) = (
                || service.block_many(&event, pair.clone(), reason.clone()),
                || service.unblock_many(&event, pair.clone()),
            );
            let (answer, report, versions) = if blocks {
                (dropped_at(store, step, block()).await, block().await?, 2)
            } else {
                let _ = block().await?;
                (dropped_at(store, step, unblock()).await, unblock().await?, 3)
            };
            ensure!(report.refused.is_empty(), "refused, after it was dropped at step {step}: {report:?}");
            for (id, version, ticket) in bench.tickets(&event).await?.iter().filter(|(id, ..)| pair.contains(id)) {
                let state = if blocks { blocked("camera") } else { TicketState::Available };
                ensure_eq!((&ticket.state, *version), (&state, versions), "ticket {id}, dropped at step {step}");
            }
            let name = if blocks { "block_many" } else { "unblock_many" };
            if is_through(bench, name, step, answer.transpose()?.is_some())? {
                break;
            }
        }
    }
    audit::feed(bench, &event).await
}

async fn sweeps(bench: &RepositoryBench, store: &Halting, service: &BookingService) -> Checked {
    let event = event_id("sweep");
    bench.stage(&event, 0, &[("floor", 9)], None).await?;
    let past = bench.clock().await?.before(Duration::from_secs(3_600));
    for step in 0..STEPS_MAX {
        let id = bench.runtime.reservation_id();
        let key = RecordKey::Reservation(id);
        let held = ReservationState::Held { until: past };
        let record = reservation(id, &event, "ada", lines(&[], &[("floor", 1)]), held);
        bench.put(&event, vec![(key.clone(), record), (pool_key("floor"), pool(9, 1, 0))]).await?;
        let answer = dropped_at(store, step, service.sweep(10)).await;
        let _ = service.sweep(10).await?;
        let found = bench.get(&event, &key).await?;
        let expired = reservation(id, &event, "ada", lines(&[], &[("floor", 1)]), ReservationState::Expired);
        ensure_eq!((found.version, found.record), (2, Some(expired)), "a hold swept again after step {step}");
        ensure_eq!(bench.get(&event, &pool_key("floor")).await?.record, Some(pool(9, 0, 0)), "the pool");
        if is_through(bench, "sweep", step, answer.transpose()?.is_some())? {
            break;
        }
    }
    audit::tables(bench, &event).await?;
    audit::feed(bench, &event).await
}
