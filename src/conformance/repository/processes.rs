//! Many processes on one store, without a lock: a lock that works hides what a store does wrong.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::conformance::audit;
use crate::conformance::bench::{RepositoryBench, side_by_side};
use crate::conformance::check::{Checked, Failure, ensure, ensure_eq};
use crate::conformance::contest::{self, Asked, Job, LIMIT, Line, Log, POOL, TICKETS, Word};
use crate::conformance::process::{Process, are_ready, begin, worked_at_the_same_time};
use crate::conformance::worker::CONFLICTS;
use crate::domain::{ReservationId, ReservationState};
use crate::ports::BoxFuture;

const INSTANCES: u32 = 4;
const BUYERS: u32 = 8;
const ROUNDS: u32 = 20;

/// How many lines the process says that is killed.
const LINES_BEFORE_KILL: u32 = 40;

fn job(instance: u32, seed: u64) -> Job {
    Job { event: contest::event(), instance, buyers: BUYERS, rounds: ROUNDS, seed, pause_after: None }
}

async fn stage(bench: &RepositoryBench) -> Checked {
    bench.stage(&contest::event(), TICKETS, &[POOL], Some(LIMIT)).await
}

pub(super) async fn many_service_instances_sell_nothing_twice(bench: &RepositoryBench) -> Checked {
    stage(bench).await?;
    let lines: Arc<Mutex<Vec<Line>>> = Arc::default();
    let mut tasks: Vec<BoxFuture<'static, Result<u32, Failure>>> = Vec::new();
    for instance in 0..INSTANCES {
        let repository = bench.open().await?;
        let (runtime, job) = (Arc::clone(&bench.runtime), job(instance, bench.common.seed));
        let lines = Arc::clone(&lines);
        let log: Log = Arc::new(move |line| lines.lock().unwrap_or_else(PoisonError::into_inner).push(line));
        tasks.push(Box::pin(async move { contest::run(repository, runtime, &job, log).await }));
    }
    let conflicts: u32 = side_by_side(&bench.runtime, tasks).await?.into_iter().sum();
    let lines = lines.lock().unwrap_or_else(PoisonError::into_inner).clone();
    bench.note(format!("{INSTANCES} service instances in one process, {conflicts} conflicts"));
    check(bench, &lines).await
}

pub(super) async fn many_processes_sell_nothing_twice(bench: &RepositoryBench) -> Checked {
    stage(bench).await?;
    run_processes(bench, INSTANCES, false).await
}

pub(super) async fn a_killed_process_leaves_nothing_half_done(bench: &RepositoryBench) -> Checked {
    stage(bench).await?;
    run_processes(bench, INSTANCES, true).await
}

/// Nobody has opened the store before. This process opens it too, among the others.
pub(super) async fn many_processes_open_one_fresh_store_at_once(bench: &RepositoryBench) -> Checked {
    ensure!(!bench.repository.is_open(), "the store was opened before, which proves nothing");
    run_processes(bench, 2 * INSTANCES, false).await
}

/// Starts the processes together; the first one may be killed in the middle of its work.
async fn run_processes(bench: &RepositoryBench, instances: u32, kills: bool) -> Checked {
    let mut processes = Vec::new();
    for instance in 0..instances {
        let command = bench.worker().await?;
        let pause_after = (kills && instance == 0).then_some(LINES_BEFORE_KILL);
        let job = Job { pause_after, ..job(instance, bench.common.seed) };
        processes.push(bench.common.children.start(command, &job.to_string())?);
    }
    if !bench.repository.is_open() {
        bench.open_at_once(2).await?;
        are_ready(&mut processes).await?;
        stage(bench).await?;
    } else {
        are_ready(&mut processes).await?;
    }
    begin(&mut processes)?;
    let mut lines = Vec::new();
    let mut conflicts = 0;
    for (instance, process) in processes.iter_mut().enumerate() {
        let is_killed = kills && instance == 0;
        let followed = follow(bench, process, is_killed, &mut lines).await;
        conflicts += followed.map_err(|failure| failure.at(&format!("process {instance}")))?;
    }
    let spans: Vec<_> = processes.iter().map(Process::span).collect();
    let together = worked_at_the_same_time(&spans);
    let killed = if kills { ", one of them killed" } else { "" };
    bench.note(format!("{together} of {instances} processes at the same time{killed}, {conflicts} conflicts"));
    check(bench, &lines).await?;
    ensure!(together > 1, "the processes worked one after another, which proves nothing");
    ensure!(conflicts > 0, "no process ever met another one's decision, which proves nothing");
    Ok(())
}

/// Collects what a process says, until it ends or is killed. Answers how many conflicts it had.
async fn follow(
    bench: &RepositoryBench,
    process: &mut Process,
    is_killed: bool,
    lines: &mut Vec<Line>,
) -> Result<u32, Failure> {
    let (mut conflicts, mut said) = (0, 0);
    while let Some(text) = process.line().await {
        // A harness may print lines of its own, and a killed process may not finish its last one.
        if let Ok(line) = text.parse::<Line>() {
            lines.push(line);
            said += 1;
        } else if let Some(count) = text.strip_prefix(CONFLICTS) {
            conflicts += count.trim().parse::<u32>()?;
        }
        // It says no more than that and waits, with requests on their way.
        if is_killed && said == LINES_BEFORE_KILL {
            process.kill();
        }
    }
    if is_killed {
        ensure_eq!(said, LINES_BEFORE_KILL, "how many lines it said before it was killed");
        process.has_been_killed(&*bench.runtime).await?;
    } else {
        process.has_done_its_job(&*bench.runtime).await?;
    }
    Ok(conflicts)
}

/// What buyers were told, against what the store says.
async fn check(bench: &RepositoryBench, lines: &[Line]) -> Checked {
    let event = contest::event();
    audit::tables(bench, &event).await?;
    audit::feed(bench, &event).await?;
    // The last word about each.
    let mut told: BTreeMap<Asked, BTreeMap<ReservationId, Word>> = BTreeMap::new();
    for line in lines {
        told.entry(line.asked).or_default().insert(line.reservation, line.word);
    }
    let mut told = |asked| told.remove(&asked).unwrap_or_default();
    let (held, confirmed, cancelled) = (told(Asked::Hold), told(Asked::Confirm), told(Asked::Cancel));
    let found: BTreeMap<ReservationId, ReservationState> =
        bench.reservations(&event).await?.into_iter().map(|(_, found)| (found.id, found.state)).collect();
    for (id, state) in &found {
        ensure!(held.contains_key(id), "{id} exists, and nobody asked for it");
        let is_booked = *state == ReservationState::Booked;
        ensure!(!is_booked || confirmed.contains_key(id), "{id} is booked, and nobody asked for it");
    }
    for (id, word) in &held {
        ensure!(*word != Word::Done || found.contains_key(id), "a hold that was acknowledged is lost: {id}");
        ensure!(*word != Word::Refused || !found.contains_key(id), "a hold that was refused exists: {id}");
    }
    let mut unknown = 0;
    for (id, confirmed) in &confirmed {
        let expected = match (confirmed, cancelled.get(id)) {
            (Word::Done, None | Some(Word::Refused)) => true,
            (Word::Refused, _) | (Word::Done, Some(Word::Done)) => false,
            _ => {
                unknown += 1;
                continue;
            }
        };
        let is_booked = found.get(id).map(|state| *state == ReservationState::Booked);
        ensure_eq!(is_booked, Some(expected), "whether {id} is booked, which was told to be ({confirmed:?})");
    }
    let done = |words: &BTreeMap<ReservationId, Word>| words.values().filter(|word| **word == Word::Done).count();
    let booked = done(&confirmed);
    ensure!(booked > 0, "nobody booked anything");
    bench.note(format!("{} holds, {booked} bookings, {} cancelled, {unknown} unknown", done(&held), done(&cancelled)));
    Ok(())
}
