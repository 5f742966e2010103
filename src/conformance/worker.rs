//! The other end: what a process does that a suite has started.

use std::ffi::OsStr;
use std::io::{BufRead, Read, Write};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::check::{Checked, Failure};
use super::contest::{self, Job, Line, Log};
use super::lock::{LockJob, run_job};
use crate::ports::{Lock, Repository, Runtime};

/// The environment variable in which a worker process finds its job.
pub const WORKER_JOB: &str = "TICKET_RESERVATION_CONFORMANCE_JOB";

/// The environment variable with the name of the suite whose harness knows the store.
pub(super) const WORKER_SUITE: &str = "TICKET_RESERVATION_CONFORMANCE_SUITE";

/// The environment variable with the store's address, as its harness gave it.
pub(super) const WORKER_ADDRESS: &str = "TICKET_RESERVATION_CONFORMANCE_ADDRESS";

/// What a worker says when it has opened its store, what it waits for then, and the last line of one that did all of
/// its job.
pub(super) const READY: &str = "ready";
pub(super) const GO: &str = "go";
pub(super) const END: &str = "end";

/// What a worker says, before the reason, when it could not do its job.
pub(super) const FAILED: &str = "the worker failed:";

/// What a worker says of how often its requests met those of others.
pub(super) const CONFLICTS: &str = "conflicts";

/// Why a worker could not do its job.
#[derive(Debug, thiserror::Error)]
#[error("the worker failed: {0}")]
pub struct WorkerError(String);

impl From<Failure> for WorkerError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Failed(message) | Failure::Skipped(message) => Self(message),
        }
    }
}

/// Whether this process was started as a worker, by [`Store::worker`](super::Store::worker) or
/// [`LockSpace::worker`](super::LockSpace::worker).
///
/// ```
/// use ticket_reservation::conformance::is_worker;
///
/// assert!(!is_worker()); // Started by hand.
/// ```
#[must_use]
pub fn is_worker() -> bool {
    std::env::var_os(WORKER_JOB).is_some()
}

/// This very program as another process, for [`Store::worker`](super::Store::worker) and
/// [`LockSpace::worker`](super::LockSpace::worker). Its `main` runs a [`Runner`](super::Runner), which hands `address` to
/// the harness's `join`.
///
/// ```
/// use ticket_reservation::conformance::this_program;
///
/// let worker = this_program("sale.db");
/// assert_eq!(worker.get_envs().count(), 1);
/// ```
#[must_use]
pub fn this_program(address: impl AsRef<OsStr>) -> Command {
    // The first argument is the program's path where the system cannot tell it.
    let program = std::env::current_exe().map_or_else(|_| std::env::args_os().next().unwrap_or_default(), Into::into);
    let mut command = Command::new(program);
    command.env(WORKER_ADDRESS, address);
    command
}

/// What a worker process of the repository suite does: it fights over the inventory of the store that it has opened, and
/// prints what it was told on the standard output. It blocks its thread until the others are ready too.
///
/// # Errors
///
/// [`WorkerError`] when it was not started as a worker, or when the store or the service fails.
///
/// # Cancellation
///
/// The job stays undone, and the case that started the process fails.
///
/// # Example
///
/// ```
#[doc = doc_on_sale!()]
/// use ticket_reservation::conformance::worker;
///
/// // The suite has not started this process.
/// assert!(worker(Arc::new(MemoryRepository::new()), runtime).await.is_err());
#[doc = doc_end!()]
/// ```
pub async fn worker(repository: Arc<dyn Repository>, runtime: Arc<dyn Runtime>) -> Result<(), WorkerError> {
    tell(fight(repository, runtime).await)
}

/// What a worker process of the lock suite does: it takes the locks that it has opened in turn with others, and prints
/// what it was granted. It blocks its thread until the others are ready too.
///
/// # Errors
///
/// [`WorkerError`] when it was not started as a worker, or when the lock fails.
///
/// # Cancellation
///
/// The job stays undone, and the case that started the process fails.
///
/// # Example
///
/// ```
#[doc = doc_on_sale!()]
/// use ticket_reservation::adapters::memory::MemoryLock;
/// use ticket_reservation::conformance::lock_worker;
///
/// // The suite has not started this process.
/// assert!(lock_worker(Arc::new(MemoryLock::new(runtime.clone())), runtime).await.is_err());
#[doc = doc_end!()]
/// ```
pub async fn lock_worker(lock: Arc<dyn Lock>, runtime: Arc<dyn Runtime>) -> Result<(), WorkerError> {
    tell(take_turns(lock, runtime).await)
}

/// Says what has failed, so that the case that started this process can name it.
pub(super) fn tell(done: Result<(), Failure>) -> Result<(), WorkerError> {
    done.map_err(|failure| {
        let error = WorkerError::from(failure);
        if is_worker() {
            // A case that does not listen any more has failed already.
            let _ = say(&format!("{FAILED} {}", error.0.replace('\n', " ")));
        }
        error
    })
}

async fn fight(repository: Arc<dyn Repository>, runtime: Arc<dyn Runtime>) -> Result<(), Failure> {
    let job: Job = std::env::var(WORKER_JOB)?.parse()?;
    // A line that cannot be written is missing at the other end, and makes the case fail there.
    let broken: Arc<Mutex<Option<std::io::Error>>> = Arc::default();
    let log: Log = {
        let (broken, said, pause_after) = (Arc::clone(&broken), AtomicU32::new(0), job.pause_after);
        Arc::new(move |line: Line| {
            let mut out = std::io::stdout().lock();
            if let Err(error) = writeln!(out, "{line}").and_then(|()| out.flush()) {
                *broken.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            }
            if Some(said.fetch_add(1, Ordering::Relaxed) + 1) == pause_after {
                // Nobody says anything more while this one has the output: requests on their way are still carried
                // out, and the process does not end by itself.
                wait_to_be_killed();
            }
        })
    };
    begin_together()?;
    let conflicts = contest::run(repository, runtime, &job, log).await?;
    if let Some(error) = broken.lock().unwrap_or_else(PoisonError::into_inner).take() {
        return Err(error.into());
    }
    say(&format!("{CONFLICTS} {conflicts}"))?;
    say(END)
}

async fn take_turns(lock: Arc<dyn Lock>, runtime: Arc<dyn Runtime>) -> Result<(), Failure> {
    let job: LockJob = std::env::var(WORKER_JOB)?.parse()?;
    begin_together()?;
    run_job(&*lock, &runtime, &job, &say).await?;
    say(END)
}

/// Says that the store is open, and waits until all others have said so.
fn begin_together() -> Checked {
    say(READY)?;
    let mut order = String::new();
    std::io::stdin().lock().read_line(&mut order)?;
    if order.trim_end() == GO { Ok(()) } else { Err(Failure::new("nobody told the worker to go")) }
}

/// Until the suite kills this process, or is gone itself.
pub(super) fn wait_to_be_killed() -> ! {
    let _ = std::io::stdin().lock().read_to_end(&mut Vec::new());
    std::process::exit(1)
}

fn say(text: &str) -> Checked {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}")?;
    Ok(out.flush()?)
}
