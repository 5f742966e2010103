//! The workers, as the parent sees them.

use std::error::Error;

use crate::child::ChildProcess;
use crate::orders::{Outcome, PROCESSES, READY, Turn, WORKER};

/// All of them.
pub(crate) struct Workers(Vec<ChildProcess>);

impl Workers {
    /// Starts them. They are connected by then.
    pub(crate) fn start(url: &str) -> Result<Self, Box<dyn Error>> {
        let mut workers = Vec::new();
        for _ in 0..PROCESSES {
            workers.push(ChildProcess::start(WORKER, url)?);
        }
        for worker in &mut workers {
            if worker.answer()? != READY {
                return Err("a worker is not ready".into());
            }
        }
        Ok(Self(workers))
    }

    /// Lets all of them have this turn at once.
    pub(crate) fn run(&mut self, turn: &Turn) -> Result<Vec<Outcome>, Box<dyn Error>> {
        let line = serde_json::to_string(turn)?;
        for worker in &mut self.0 {
            worker.tell(&line)?;
        }
        let mut outcomes = Vec::new();
        for worker in &mut self.0 {
            outcomes.push(serde_json::from_str(&worker.answer()?)?);
        }
        Ok(outcomes)
    }
}
