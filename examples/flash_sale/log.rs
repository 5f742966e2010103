//! A worker's log: what it asked for and what it was told, so that an audit can hold the store against it.
//!
//! One line for each event, fields separated by tabs (no id has one), the lines of a reservation last:
//!
//! ```text
//! flash_sale log 4
//! B  <unix time, µs>                                                 the worker is told to begin
//! S  <operation>  <at, µs>  hold     <reservation>  <customer>  <line> ...   a request is about to be sent
//! S  <operation>  <at, µs>  confirm  <reservation>  <customer>
//! S  <operation>  <at, µs>  release  <reservation>  <customer>
//! R  <operation>  ...                                                the same again, to find out what became of it
//! A  <operation>  <at, µs>  <latency, µs>  ok       <line> ...       it was carried out
//! A  <operation>  <at, µs>  <latency, µs>  no       <why>            this sending was refused
//! A  <operation>  <at, µs>  <latency, µs>  busy     <why>            the same, because of load
//! A  <operation>  <at, µs>  <latency, µs>  never    <why>            it was refused for good: the answer to an R
//! A  <operation>  <at, µs>  <latency, µs>  failed                    this sending was not carried out
//! A  <operation>  <at, µs>  <latency, µs>  unknown                   it may have been carried out
//! E                                                                  the worker has ended
//! ```
//!
//! A line is `t=<ticket>`, `p=<quantity>=<pool>` or, where the library chooses, `n=<quantity>=<area>`. The same request
//! may be sent several times, and a refusal says nothing of earlier times, unless it is for good. `at` is since the worker
//! was told to begin, which all are about at once. Each line is one `write(2)` before anything else happens, so that it outlives
//! a `SIGKILL`; what follows the last line break was cut off and never happened. Only the log of a worker that was killed
//! may lack answers, and its end.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use ticket_reservation::booking::BookingError;
use ticket_reservation::domain::{Action, Command, Lines, OperationId, Receipt, Timestamp};
use ticket_reservation::ports::StoreErrorKind;

use crate::runtime::unix_time;

/// The first line of every log.
pub(crate) const HEADER: &str = "flash_sale log 4";
/// The last line of the log of a worker that was not killed.
pub(crate) const END: &str = "E";

/// The name of the log of worker number `worker`, from 1.
pub(crate) fn name(worker: u32) -> String {
    format!("worker-{worker}.log")
}

/// Where that worker writes it.
pub(crate) fn path(dir: &Path, worker: u32) -> PathBuf {
    dir.join(name(worker))
}

/// An open log.
#[derive(Debug)]
pub(crate) struct Log {
    file: File,
    line: Mutex<Vec<u8>>,
    began: OnceLock<Instant>,
}

impl Log {
    /// Starts a new log.
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().create_new(true).append(true).open(path)?;
        let log = Self { file, line: Mutex::new(Vec::with_capacity(512)), began: OnceLock::new() };
        log.write(|line| line.extend_from_slice(HEADER.as_bytes()))?;
        Ok(log)
    }

    /// The worker was told to begin: everything is timed from here on.
    pub(crate) fn begin(&self) -> io::Result<()> {
        let (began, at) = now_by_both_clocks();
        self.began.get_or_init(|| began);
        self.write(|line| put(line, format_args!("B\t{}", at.as_micros())))
    }

    fn at(&self) -> Duration {
        self.began.get_or_init(Instant::now).elapsed()
    }

    /// A request is about to be sent, or sent again to be resolved.
    pub(crate) fn sent(&self, command: &Command, resolves: bool) -> io::Result<()> {
        let at = self.at();
        self.write(|line| {
            let what = if resolves { "R" } else { "S" };
            let (operation, kind) = (command.operation, command.kind().name());
            put(line, format_args!("{what}\t{operation}\t{}\t{kind}", at.as_micros()));
            match &command.action {
                Action::Hold(hold) => {
                    put(line, format_args!("\t{}\t{}", hold.reservation, hold.customer));
                    put_lines(line, &hold.lines);
                    if let Some(best) = &hold.best_available {
                        put(line, format_args!("\tn={}={}", best.quantity, best.area));
                    }
                }
                Action::Confirm { reservation, customer } | Action::Release { reservation, customer } => {
                    put(line, format_args!("\t{reservation}\t{customer}"));
                }
                _ => {}
            }
        })
    }

    /// A request was answered.
    pub(crate) fn answered(
        &self,
        operation: OperationId,
        resolves: bool,
        latency: Duration,
        answer: &Result<Receipt, BookingError>,
    ) -> io::Result<()> {
        let at = self.at();
        self.write(|line| {
            put(line, format_args!("A\t{operation}\t{}\t{}", at.as_micros(), latency.as_micros()));
            match answer {
                Ok(receipt) => {
                    put(line, format_args!("\tok"));
                    if let Some(reservation) = receipt.outcome.reservation() {
                        put_lines(line, &reservation.lines);
                    }
                }
                Err(BookingError::Rejected(rejection)) => {
                    let refused = match rejection {
                        why if why.is_about_load() => "busy",
                        _ if resolves => "never",
                        _ => "no",
                    };
                    put(line, format_args!("\t{refused}\t{}", rejection.kind()));
                }
                Err(BookingError::Failed(error)) if error.kind() != StoreErrorKind::Unknown => {
                    put(line, format_args!("\tfailed"));
                }
                Err(_) => put(line, format_args!("\tunknown")),
            }
        })
    }

    /// The worker has served its buyers, and nobody waits for an answer any more.
    pub(crate) fn ended(&self) -> io::Result<()> {
        self.write(|line| line.extend_from_slice(END.as_bytes()))
    }

    fn write(&self, fill: impl FnOnce(&mut Vec<u8>)) -> io::Result<()> {
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        line.clear();
        fill(&mut line);
        line.push(b'\n');
        (&self.file).write_all(&line)
    }
}

/// The same moment by the clock that only goes on and by the one that all processes share, as exactly as can be.
fn now_by_both_clocks() -> (Instant, Timestamp) {
    let measure = |_| {
        let (began, at) = (Instant::now(), unix_time());
        (began.elapsed(), began, at)
    };
    let (_, began, at) = (0..16).map(measure).min_by_key(|(took, ..)| *took).unwrap_or_else(|| measure(0));
    (began, at)
}

fn put_lines(line: &mut Vec<u8>, lines: &Lines) {
    for ticket in lines.tickets() {
        put(line, format_args!("\tt={ticket}"));
    }
    for (pool, quantity) in lines.pools() {
        put(line, format_args!("\tp={quantity}={pool}"));
    }
}

fn put(line: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    // Writing to memory cannot fail.
    let _ = line.write_fmt(text);
}
