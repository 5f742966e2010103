//! The other processes of a case: started together, followed line by line, and gone when the case is.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use futures_channel::mpsc;
use futures_util::StreamExt;

use super::check::{Checked, Failure};
use super::worker::{END, FAILED, GO, READY, WORKER_JOB, WORKER_SUITE};
use crate::ports::Runtime;

/// How often an ended process is asked for its status, and for how long at most.
const WAIT_POLL: Duration = Duration::from_millis(2);
const WAIT_POLLS_MAX: usize = 5_000;

/// All processes of one case. A clone is another handle on them.
#[derive(Clone)]
pub(super) struct Children {
    suite: Option<Arc<str>>,
    running: Arc<Mutex<Running>>,
    arrivals: Arc<AtomicU64>,
}

#[derive(Default)]
struct Running {
    ended: bool,
    children: Vec<Arc<Mutex<Child>>>,
}

impl Children {
    pub(super) fn new(suite: Option<&str>) -> Self {
        Self { suite: suite.map(Arc::from), running: Arc::default(), arrivals: Arc::default() }
    }

    /// Of the same suite, and none yet.
    pub(super) fn again(&self) -> Self {
        Self::new(self.suite.as_deref())
    }

    /// Starts a worker with a job.
    pub(super) fn start(&self, mut command: Command, job: &str) -> Result<Process, Failure> {
        command.env(WORKER_JOB, job).stdin(Stdio::piped()).stdout(Stdio::piped());
        if let Some(suite) = &self.suite {
            command.env(WORKER_SUITE, &**suite);
        }
        let mut running = locked(&self.running);
        if running.ended {
            return Err(Failure::new("the case has ended"));
        }
        let mut child = command.spawn()?;
        let (orders, out) = (child.stdin.take(), child.stdout.take());
        let child = Arc::new(Mutex::new(child));
        running.children.push(Arc::clone(&child));
        drop(running);
        let (sender, lines) = mpsc::unbounded();
        let process = Process { child, orders, lines, said: Vec::new(), ended: false, failure: None };
        let Some(out) = out else { return Err(Failure::new("the process has no standard output")) };
        let arrivals = Arc::clone(&self.arrivals);
        // Reading blocks, so it has a thread of its own. It ends with the process.
        thread::Builder::new().name("conformance-reader".to_owned()).spawn(move || {
            for text in BufReader::new(out).lines() {
                let Ok(text) = text else { break };
                let line = (arrivals.fetch_add(1, Ordering::AcqRel), text);
                if sender.unbounded_send(line).is_err() {
                    break;
                }
            }
        })?;
        Ok(process)
    }

    /// Kills what still runs, and lets nothing start any more.
    pub(super) fn end(&self) {
        let children = {
            let mut running = locked(&self.running);
            running.ended = true;
            std::mem::take(&mut running.children)
        };
        children.iter().for_each(|child| kill(child));
    }
}

/// One process. Dropping it kills it.
pub(super) struct Process {
    child: Arc<Mutex<Child>>,
    orders: Option<ChildStdin>,
    /// What it says, with the position among all lines of all processes of the case.
    lines: mpsc::UnboundedReceiver<(u64, String)>,
    said: Vec<u64>,
    /// Whether it has said that it did all of its job.
    ended: bool,
    /// Why it could not, if it has said so.
    failure: Option<String>,
}

impl Process {
    /// The next line, `None` after the last one.
    pub(super) async fn line(&mut self) -> Option<String> {
        let (arrival, text) = self.lines.next().await?;
        self.said.push(arrival);
        self.ended |= text == END;
        if let Some(failure) = text.strip_prefix(FAILED) {
            self.failure = Some(failure.trim().to_owned());
        }
        Some(text)
    }

    /// Waits until it has opened its store. A harness may print lines of its own before.
    async fn is_ready(&mut self) -> Checked {
        while let Some(line) = self.line().await {
            if line == READY {
                self.said.clear();
                return Ok(());
            }
        }
        Err(Failure::new(format!("the process has ended before it was ready: {}", self.why())))
    }

    fn tell(&mut self, order: &str) -> Checked {
        let Some(orders) = &mut self.orders else { return Err(Failure::new("the process has no standard input")) };
        writeln!(orders, "{order}")
            .and_then(|()| orders.flush())
            .map_err(|error| Failure::from(error).at("telling a process"))
    }

    pub(super) fn kill(&self) {
        kill(&self.child);
    }

    /// Fails unless it did all of its job. Called when it says nothing more.
    pub(super) async fn has_done_its_job(&mut self, runtime: &dyn Runtime) -> Checked {
        let status = self.status(runtime).await?;
        if self.ended && status.success() {
            return Ok(());
        }
        Err(Failure::new(format!("ended with {status}: {}", self.why())))
    }

    fn why(&self) -> &str {
        self.failure.as_deref().unwrap_or("if it says why, then on the standard error")
    }

    /// Fails unless it was killed in the middle of its job. Called when it says nothing more.
    pub(super) async fn has_been_killed(&mut self, runtime: &dyn Runtime) -> Checked {
        let status = self.status(runtime).await?;
        if !self.ended && !status.success() && self.failure.is_none() {
            return Ok(());
        }
        Err(Failure::new(format!("ended with {status} before it was killed: {}", self.why())))
    }

    async fn status(&mut self, runtime: &dyn Runtime) -> Result<ExitStatus, Failure> {
        for _ in 0..WAIT_POLLS_MAX {
            if let Some(status) = locked(&self.child).try_wait()? {
                return Ok(status);
            }
            runtime.sleep(WAIT_POLL).await;
        }
        Err(Failure::new("the process says nothing more and does not end"))
    }

    /// From the first to the last line since it was told to go, in the order in which lines of all processes arrived.
    pub(super) fn span(&self) -> Option<(u64, u64)> {
        self.said.first().copied().zip(self.said.last().copied())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        kill(&self.child);
    }
}

/// Lets all begin at the same moment.
pub(super) async fn start_together(processes: &mut [Process]) -> Checked {
    are_ready(processes).await?;
    begin(processes)
}

/// Waits until each has opened its store.
pub(super) async fn are_ready(processes: &mut [Process]) -> Checked {
    for process in processes.iter_mut() {
        process.is_ready().await?;
    }
    Ok(())
}

/// Tells them all to go.
pub(super) fn begin(processes: &mut [Process]) -> Checked {
    processes.iter_mut().try_for_each(|process| process.tell(GO))
}

/// How many processes worked while another one did, too.
pub(super) fn worked_at_the_same_time(spans: &[Option<(u64, u64)>]) -> usize {
    let spans: Vec<(u64, u64)> = spans.iter().flatten().copied().collect();
    let overlaps = |n: usize| {
        let (first, last) = spans[n];
        spans.iter().enumerate().any(|(other, span)| other != n && span.0 < last && first < span.1)
    };
    (0..spans.len()).filter(|n| overlaps(*n)).count()
}

/// A process that has ended already cannot be killed, and is only waited for.
fn kill(child: &Mutex<Child>) {
    let mut child = locked(child);
    let _ = child.kill();
    let _ = child.wait();
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_that_follow_one_another_do_not_overlap() {
        assert_eq!(worked_at_the_same_time(&[Some((0, 5)), Some((6, 9)), None]), 0);
        assert_eq!(worked_at_the_same_time(&[Some((0, 5)), Some((4, 9)), Some((10, 12))]), 2);
    }
}
