//! The other processes of the repository suite.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use super::check::Failure;
use super::contest::{self, Job, Line, Log};
use crate::ports::{Repository, Runtime};

/// The environment variable in which a worker process finds its job.
pub const WORKER_JOB: &str = "TICKET_RESERVATION_CONFORMANCE_JOB";

/// The last line of a worker that did all of its job.
pub(super) const END: &str = "end";

/// Why a worker could not do its job.
#[derive(Debug, thiserror::Error)]
#[error("the worker failed: {0}")]
pub struct WorkerError(String);

/// Whether this process was started as a worker, by [`Store::worker`](super::Store::worker).
#[must_use]
pub fn is_worker() -> bool {
    std::env::var_os(WORKER_JOB).is_some()
}

/// What a worker process does: it fights over the inventory of the store that it has opened, and prints what it was told
/// on the standard output.
///
/// # Errors
///
/// [`WorkerError`] when it was not started as a worker, or when the store or the service fails.
pub async fn worker(repository: Arc<dyn Repository>, runtime: Arc<dyn Runtime>) -> Result<(), WorkerError> {
    work(repository, runtime).await.map_err(|failure| match failure {
        Failure::Failed(message) | Failure::Skipped(message) => WorkerError(message),
    })
}

async fn work(repository: Arc<dyn Repository>, runtime: Arc<dyn Runtime>) -> Result<(), Failure> {
    let job: Job = std::env::var(WORKER_JOB)?.parse()?;
    // A line that cannot be written is missing at the other end, and makes the case fail there.
    let broken: Arc<Mutex<Option<std::io::Error>>> = Arc::default();
    let log: Log = {
        let broken = Arc::clone(&broken);
        Arc::new(move |line: Line| {
            let mut out = std::io::stdout().lock();
            if let Err(error) = writeln!(out, "{line}").and_then(|()| out.flush()) {
                *broken.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            }
        })
    };
    contest::run(repository, runtime, &job, log).await?;
    if let Some(error) = broken.lock().unwrap_or_else(PoisonError::into_inner).take() {
        return Err(error.into());
    }
    writeln!(std::io::stdout(), "{END}")?;
    Ok(())
}
