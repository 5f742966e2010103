//! Many processes on one store, without a lock: a lock that works hides what a store does wrong.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use futures_channel::oneshot;

use super::super::audit;
use super::super::bench::{RepositoryBench, side_by_side};
use super::super::check::{Checked, Failure, ensure, ensure_eq};
use super::super::contest::{self, Job, LIMIT, Line, Log, POOL, TICKETS, Word};
use super::super::worker::{END, WORKER_JOB};
use crate::domain::{ReservationId, ReservationState};
use crate::ports::BoxFuture;

const INSTANCES: u32 = 4;
const BUYERS: u32 = 8;
const ROUNDS: u32 = 20;

/// How many lines a process may print before it is killed.
const LINES_BEFORE_KILL: usize = 15;

fn job(instance: u32, seed: u64) -> Job {
    Job { event: contest::event(), instance, buyers: BUYERS, rounds: ROUNDS, seed }
}

async fn stage(bench: &RepositoryBench) -> Checked {
    bench.stage(&contest::event(), TICKETS, &[POOL], Some(LIMIT)).await
}

pub(super) async fn many_service_instances_sell_nothing_twice(bench: &RepositoryBench) -> Checked {
    stage(bench).await?;
    let seed = bench.runtime.random();
    let lines: Arc<Mutex<Vec<Line>>> = Arc::default();
    let mut tasks: Vec<BoxFuture<'static, Checked>> = Vec::new();
    for instance in 0..INSTANCES {
        let repository = bench.store.open().await;
        let (runtime, job, lines) = (Arc::clone(&bench.runtime), job(instance, seed), Arc::clone(&lines));
        let log: Log = Arc::new(move |line| lines.lock().unwrap_or_else(PoisonError::into_inner).push(line));
        tasks.push(Box::pin(async move { contest::run(repository, runtime, &job, log).await }));
    }
    side_by_side(&bench.runtime, tasks).await.map_err(|failure| failure.at(&format!("seed {seed}")))?;
    let lines = lines.lock().unwrap_or_else(PoisonError::into_inner).clone();
    bench.note(format!("{INSTANCES} service instances in one process, seed {seed}"));
    check(bench, &lines).await.map_err(|failure| failure.at(&format!("seed {seed}")))
}

pub(super) async fn many_processes_sell_nothing_twice(bench: &RepositoryBench) -> Checked {
    run_processes(bench, None).await
}

pub(super) async fn a_killed_process_leaves_nothing_half_done(bench: &RepositoryBench) -> Checked {
    run_processes(bench, Some(LINES_BEFORE_KILL)).await
}

/// Starts the processes, and kills the first one after it has printed so many lines.
async fn run_processes(bench: &RepositoryBench, kill_after: Option<usize>) -> Checked {
    stage(bench).await?;
    let seed = bench.runtime.random();
    let mut processes = Vec::new();
    for instance in 0..INSTANCES {
        let Some(mut command) = bench.store.worker() else {
            return Err(Failure::skipped(
                "single process: no other process can open this store \
                 (processes::many_service_instances_sell_nothing_twice does it inside one)",
            ));
        };
        command.env(WORKER_JOB, job(instance, seed).to_string());
        processes.push(follow(command, kill_after.filter(|_| instance == 0)));
    }
    let mut lines = Vec::new();
    for (instance, process) in processes.into_iter().enumerate() {
        let said = process.await.map_err(|_| Failure::new("nobody follows a process any more"))?;
        let said = said.map_err(|failure| failure.at(&format!("process {instance}, seed {seed}")))?;
        lines.extend(said);
    }
    let killed = if kill_after.is_some() { ", one of them killed" } else { "" };
    bench.note(format!("{INSTANCES} processes{killed}, seed {seed}"));
    check(bench, &lines).await.map_err(|failure| failure.at(&format!("seed {seed}")))
}

/// Starts a process and reads what it prints. Reading blocks, so it has a thread of its own.
fn follow(mut command: Command, kill_after: Option<usize>) -> oneshot::Receiver<Result<Vec<Line>, Failure>> {
    let (sender, receiver) = oneshot::channel();
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    thread::spawn(move || {
        // The case has ended when nobody listens.
        let _ = sender.send(read_all(command, kill_after));
    });
    receiver
}

fn read_all(mut command: Command, kill_after: Option<usize>) -> Result<Vec<Line>, Failure> {
    let mut child = command.spawn()?;
    let Some(out) = child.stdout.take() else { return Err(Failure::new("the process has no standard output")) };
    let mut lines = Vec::new();
    let mut ended = false;
    for text in BufReader::new(out).lines() {
        let text = text?;
        // A harness may print lines of its own, and a killed process may not finish its last one.
        match text.parse::<Line>() {
            Ok(line) => lines.push(line),
            Err(_) => ended |= text == END,
        }
        if kill_after == Some(lines.len()) {
            child.kill()?;
        }
    }
    let status = child.wait()?;
    match kill_after {
        None => ensure!(ended && status.success(), "the process ended with {status}, its job done: {ended}"),
        Some(_) => ensure!(!ended && !status.success(), "the process ended with {status} before it was killed"),
    }
    Ok(lines)
}

/// What buyers were told, against what the store says.
async fn check(bench: &RepositoryBench, lines: &[Line]) -> Checked {
    let event = contest::event();
    audit::tables(bench, &event).await?;
    audit::feed(bench, &event).await?;
    let mut confirmed: BTreeMap<ReservationId, Word> = BTreeMap::new();
    let mut cancelled: BTreeMap<ReservationId, Word> = BTreeMap::new();
    for line in lines {
        let words = if line.confirms { &mut confirmed } else { &mut cancelled };
        words.insert(line.reservation, line.word);
    }
    let mut unknown = 0;
    let mut found: BTreeMap<ReservationId, bool> = BTreeMap::new();
    for (_, reservation) in bench.reservations(&event).await? {
        let is_booked = reservation.state == ReservationState::Booked;
        if is_booked {
            ensure!(confirmed.contains_key(&reservation.id), "{} is booked, and nobody asked for it", reservation.id);
        }
        found.insert(reservation.id, is_booked);
    }
    for (id, confirmed) in &confirmed {
        let is_booked = found.get(id).copied();
        let expected = match (confirmed, cancelled.get(id)) {
            (Word::Done, None | Some(Word::Refused)) => true,
            (Word::Refused, _) | (Word::Done, Some(Word::Done)) => false,
            _ => {
                unknown += 1;
                continue;
            }
        };
        ensure_eq!(is_booked, Some(expected), "whether {id} is booked, which was told to be ({confirmed:?})");
    }
    let done = confirmed.values().filter(|word| **word == Word::Done).count();
    ensure!(done > 0, "nobody booked anything");
    bench.note(format!("{done} bookings, {} cancelled, {unknown} unknown", cancelled.len()));
    Ok(())
}
