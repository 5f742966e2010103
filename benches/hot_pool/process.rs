//! The workers, as the parent sees them.

use std::error::Error;
use std::io::{BufRead, BufReader, Lines, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use crate::orders::{Outcome, PROCESSES, READY, Turn, WORKER};

/// All of them.
pub(crate) struct Workers(Vec<Worker>);

impl Workers {
    /// Starts them. They are connected by then.
    pub(crate) fn start(url: &str) -> Result<Self, Box<dyn Error>> {
        let mut workers = Vec::new();
        for _ in 0..PROCESSES {
            workers.push(Worker::start(url)?);
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

struct Worker {
    child: Child,
    orders: Option<ChildStdin>,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Worker {
    fn start(url: &str) -> Result<Self, Box<dyn Error>> {
        let mut child = Command::new(std::env::current_exe()?)
            .env(WORKER, "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let answers = BufReader::new(stdout.ok_or("a worker has no standard output")?).lines();
        let mut worker = Self { child, orders: stdin, answers };
        worker.tell(url)?;
        Ok(worker)
    }

    fn tell(&mut self, line: &str) -> Result<(), Box<dyn Error>> {
        let orders = self.orders.as_mut().ok_or("a worker has no standard input")?;
        writeln!(orders, "{line}")?;
        Ok(orders.flush()?)
    }

    fn answer(&mut self) -> Result<String, Box<dyn Error>> {
        Ok(self.answers.next().ok_or("a worker has ended too early")??)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // One that waits for its orders ends with them; one that does not is stopped.
        drop(self.orders.take());
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
