//! Starts the servers and the workers, and looks at what they have done.

use std::error::Error;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use crate::args::{Args, Fault, LockName};
use crate::child::ChildProcess;
use crate::fault::{Struck, strike};
use crate::foreign::{self, Foreign};
use crate::holders::{self, counted, counter};
use crate::judge::{Judgement, Run, judge};
use crate::orders::{Orders, Outcome, WORKER};
use crate::redis_servers::RedisServers;
use crate::report::Report;

/// For how long a lock is taken. Long beside every hold, so that what is slow does not become unsafe.
const TTL: Duration = Duration::from_secs(10);

/// How old a server has to be until it counts where those that have restarted do not, as those that have just started do not:
/// no lock that it may have forgotten is left, and its uptime, in whole seconds, may say one too many.
const COUNTS_AT: Duration = Duration::from_secs(TTL.as_secs() + 1);

/// How often a server is asked for its age.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How long the run takes in which the holders count.
const COUNTING: Duration = Duration::from_secs(1);

/// Lets each lock have its turn. Whether none was ever held twice.
pub(crate) fn run(args: &Args) -> Result<bool, Box<dyn Error>> {
    let mut is_clean = true;
    let mut reports = Vec::new();
    for lock in args.locks() {
        let report = duel(lock, args)?;
        report.print(args.json);
        if report.overlaps > 0 {
            eprintln!("lock_duel: {lock:?} was held twice at once {} times", report.overlaps);
            is_clean = false;
        }
        reports.push(report);
    }
    Ok(is_clean & (!args.judge || meets_the_bars(args, &reports)))
}

/// Says what became of each bar.
fn meets_the_bars(args: &Args, reports: &[Report]) -> bool {
    let run =
        Run { processes: args.processes, keys: args.keys, hold_us: args.hold_us, has_fault: args.fault != Fault::None };
    let of = |lock| reports.iter().find(|report| report.lock == lock).map(Report::figures);
    let judgements = judge(run, of(LockName::Redlock), of(LockName::RslockRaw));
    for judgement in &judgements {
        eprintln!("lock_duel: {judgement}");
    }
    !judgements.iter().any(Judgement::is_missed)
}

fn duel(lock: LockName, args: &Args) -> Result<Report, Box<dyn Error>> {
    let measured = turn(lock, args, Duration::from_secs(args.seconds), false)?;
    let counting = turn(lock, args, COUNTING, true)?;
    let overlaps = measured.overlaps + counting.overlaps;
    Ok(Report::new(lock, args, &measured.outcomes, measured.seconds, measured.commands, overlaps))
}

struct Turn {
    outcomes: Vec<Outcome>,
    seconds: f64,
    commands: u64,
    overlaps: u64,
}

fn turn(lock: LockName, args: &Args, time: Duration, count: bool) -> Result<Turn, Box<dyn Error>> {
    let servers = RedisServers::start(usize::try_from(args.nodes)?)?;
    if lock == LockName::Redlock && args.fault == Fault::Restart {
        all_count(&servers)?;
    }
    let folder = tempfile::tempdir()?;
    let mut workers = Vec::new();
    for process in 0..args.processes {
        workers.push(Worker::start(&Orders {
            lock,
            urls: servers.urls(),
            waiters: args.waiters,
            keys: args.keys,
            hold: Duration::from_micros(args.hold_us),
            ttl: TTL,
            time,
            fault: args.fault,
            process,
            folder: folder.path().to_owned(),
            count,
        })?);
    }
    for worker in &mut workers {
        worker.is_ready()?;
    }
    let before = commands(&servers);
    let started = Instant::now();
    for worker in &mut workers {
        worker.begin()?;
    }
    // Nobody reads and writes back a number for it, so it has no part in the run in which the others do.
    let foreign = args.foreign_us.filter(|_| !count).map(|every| Foreign {
        lock,
        urls: servers.urls(),
        ttl: TTL,
        time,
        every: Duration::from_micros(every),
        folder: folder.path().to_owned(),
        process: args.processes,
    });
    let asking = foreign.clone().map(foreign::start);
    let struck = struck_after(time / 5, args, &servers)?;
    let mut outcomes = Vec::new();
    for worker in workers {
        outcomes.push(worker.outcome()?);
    }
    let seen = asking.map(foreign::join).transpose()?;
    if let (Some(foreign), Some(seen)) = (&foreign, &seen) {
        seen.print(foreign, Duration::from_micros(args.hold_us));
    }
    // What a waiter held at the end came within the time.
    let seconds = started.elapsed().as_secs_f64().min(time.as_secs_f64());
    let own = seen.as_ref().map_or(0, |seen| seen.commands);
    let commands = commands(&servers).saturating_sub(before + own);
    drop(struck);
    let overlaps = match count {
        false => holders::overlaps(folder.path(), args.processes + u32::from(foreign.is_some()))?,
        true => lost_counts(folder.path(), args.keys, &outcomes)?,
    };
    Ok(Turn { outcomes, seconds, commands, overlaps })
}

/// Waits until every server counts. Not part of what is measured.
fn all_count(servers: &RedisServers) -> Result<(), Box<dyn Error>> {
    let deadline = Instant::now() + COUNTS_AT * 2;
    for server in servers.iter() {
        while server.info("server", "uptime_in_seconds")? < COUNTS_AT.as_secs() {
            if Instant::now() > deadline {
                return Err("a redis-server does not get older".into());
            }
            thread::sleep(LOOK_EVERY);
        }
    }
    Ok(())
}

fn struck_after(after: Duration, args: &Args, servers: &RedisServers) -> Result<Struck, Box<dyn Error>> {
    thread::sleep(after);
    Ok(strike(args.fault, servers)?)
}

/// What all servers that answer have done.
fn commands(servers: &RedisServers) -> u64 {
    servers.iter().filter_map(|server| server.commands_processed().ok()).sum()
}

/// How many holders have counted in vain, because another one was counting at the same time.
fn lost_counts(folder: &Path, keys: u32, outcomes: &[Outcome]) -> Result<u64, Box<dyn Error>> {
    let held: u64 = outcomes.iter().map(|it| it.acquisitions).sum();
    let mut all = 0;
    for key in 0..keys {
        all += counted(&counter(folder, key))?;
    }
    Ok(held.abs_diff(all))
}

struct Worker(ChildProcess);

impl Worker {
    fn start(orders: &Orders) -> Result<Self, Box<dyn Error>> {
        Ok(Self(ChildProcess::start(WORKER, &serde_json::to_string(orders)?)?))
    }

    fn is_ready(&mut self) -> Result<(), Box<dyn Error>> {
        self.0.answer().map(drop)
    }

    fn begin(&mut self) -> Result<(), Box<dyn Error>> {
        self.0.tell("begin")
    }

    fn outcome(mut self) -> Result<Outcome, Box<dyn Error>> {
        Ok(serde_json::from_str(&self.0.answer()?)?)
    }
}
