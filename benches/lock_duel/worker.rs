//! One process: its waiters ask, hold and release until the time is over.

use std::error::Error;
use std::io::{self, BufRead, Write};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ticket_reservation::ports::Runtime;
use tokio::sync::Barrier;

use crate::contender::{Contender, Key};
use crate::holders::{self, Interval, now_ns};
use crate::orders::{Orders, Outcome, WORKER};
use crate::runtime::TokioRuntime;

/// Most waits that are reported.
const WAITS_MAX: usize = 200_000;

/// How long what goes on in the background may take at the end.
const CLOSE: Duration = Duration::from_secs(2);

/// Runs as a worker, if this is one.
pub(crate) fn run_if_ordered() -> Option<ExitCode> {
    std::env::var_os(WORKER)?;
    Some(match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("lock_duel: a worker failed: {error}");
            ExitCode::FAILURE
        }
    })
}

fn run() -> Result<(), Box<dyn Error>> {
    let mut lines = io::stdin().lock().lines();
    let mut line = || lines.next().unwrap_or_else(|| Err(io::ErrorKind::UnexpectedEof.into()));
    let orders: Orders = serde_json::from_str(&line()?)?;
    let tokio = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let runtime: Arc<dyn Runtime> = Arc::new(TokioRuntime::new(tokio.handle().clone()));
    let contender = Contender::new(&orders, &runtime)?;
    // Whoever connects for the first time does it before the start.
    tokio.block_on(async {
        let key = Key::new(u32::MAX - orders.process)?;
        let held = contender.acquire(&key, Duration::from_secs(5)).await;
        held.ok_or("a key that nobody wants could not be had")?.release().await;
        Ok::<_, Box<dyn Error>>(())
    })?;
    say("ready")?;
    line()?;
    let outcome = tokio.block_on(compete(orders, contender))?;
    say(&serde_json::to_string(&outcome)?)?;
    // Waiters of a lock that cannot be called back may still be at it.
    tokio.shutdown_background();
    Ok(())
}

fn say(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}

/// What the waiters of a key have seen. Whoever holds the key writes: thousands of logs, one for each waiter, would cost
/// more than what is measured.
#[derive(Default)]
struct Seen {
    waits_us: Vec<u64>,
    intervals: Vec<Interval>,
    failures: u64,
}

type Log = Arc<Mutex<Seen>>;

fn write(log: &Log) -> MutexGuard<'_, Seen> {
    log.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn compete(orders: Orders, contender: Contender) -> Result<Outcome, Box<dyn Error>> {
    let orders = Arc::new(orders);
    let waiters = usize::try_from(orders.waiters)?;
    let logs: Vec<Log> = (0..orders.keys).map(|_| Log::default()).collect();
    let start = Arc::new(Barrier::new(waiters));
    let mut tasks = Vec::with_capacity(waiters);
    for waiter in 0..orders.waiters {
        let number = waiter % orders.keys;
        let (key, contender) = (Key::new(number)?, contender.clone());
        let (orders, start, log) =
            (Arc::clone(&orders), Arc::clone(&start), Arc::clone(&logs[usize::try_from(number)?]));
        tasks.push(tokio::spawn(async move {
            start.wait().await;
            wait_again_and_again(&orders, &contender, &key, number, &log).await
        }));
    }
    for task in tasks {
        task.await??;
    }
    contender.close(CLOSE).await;
    let seen: Vec<Seen> = logs.iter().map(|log| std::mem::take(&mut *write(log))).collect();
    let intervals: Vec<Interval> = seen.iter().flat_map(|seen| seen.intervals.iter().copied()).collect();
    holders::write(&orders.folder, orders.process, &intervals)?;
    let mut waits: Vec<u64> = seen.iter().flat_map(|seen| seen.waits_us.iter().copied()).collect();
    waits.sort_unstable();
    let step = waits.len().div_ceil(WAITS_MAX).max(1);
    Ok(Outcome {
        acquisitions: u64::try_from(waits.len())?,
        failures: seen.iter().map(|seen| seen.failures).sum(),
        longest_wait_us: waits.last().copied().unwrap_or_default(),
        waits_us: waits.iter().step_by(step).map(|wait| u32::try_from(*wait).unwrap_or(u32::MAX)).collect(),
        held_us: intervals.iter().map(|it| (it.to_ns - it.from_ns) / 1_000).sum(),
    })
}

async fn wait_again_and_again(
    orders: &Orders,
    contender: &Contender,
    key: &Key,
    number: u32,
    log: &Log,
) -> Result<(), io::Error> {
    let end = Instant::now() + orders.time;
    loop {
        let asked = Instant::now();
        let left = end.saturating_duration_since(asked);
        if left.is_zero() {
            return Ok(());
        }
        let Some(held) = contender.acquire(key, left).await else {
            // At the end of the time that is how it ends; before, the lock has failed.
            if Instant::now() < end {
                write(log).failures += 1;
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            continue;
        };
        let from_ns = now_ns();
        let wait_us = u64::try_from(asked.elapsed().as_micros()).unwrap_or(u64::MAX);
        if orders.count {
            holders::count(&orders.folder, number)?;
        } else if !orders.hold.is_zero() {
            tokio::time::sleep(orders.hold).await;
        }
        {
            let mut seen = write(log);
            seen.waits_us.push(wait_us);
            seen.intervals.push(Interval { key: number, from_ns, to_ns: now_ns() });
        }
        held.release().await;
    }
}
