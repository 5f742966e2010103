//! A process of the bench's own program, which is told what to do and answers line by line.

use std::error::Error;
use std::io::{BufRead, BufReader, Lines, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// Stopped when it is dropped, if it has not ended by then.
pub(crate) struct ChildProcess {
    child: Child,
    orders: Option<ChildStdin>,
    answers: Lines<BufReader<ChildStdout>>,
}

impl ChildProcess {
    /// Starts it with this variable set, which says what it is, and tells it a first line.
    pub(crate) fn start(variable: &str, first: &str) -> Result<Self, Box<dyn Error>> {
        let mut child = Command::new(std::env::current_exe()?)
            .env(variable, "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (orders, stdout) = (child.stdin.take(), child.stdout.take());
        let answers = BufReader::new(stdout.ok_or("a worker has no standard output")?).lines();
        let mut process = Self { child, orders, answers };
        process.tell(first)?;
        Ok(process)
    }

    pub(crate) fn tell(&mut self, line: &str) -> Result<(), Box<dyn Error>> {
        let orders = self.orders.as_mut().ok_or("a worker has no standard input")?;
        writeln!(orders, "{line}")?;
        Ok(orders.flush()?)
    }

    pub(crate) fn answer(&mut self) -> Result<String, Box<dyn Error>> {
        Ok(self.answers.next().ok_or("a worker has ended too early")??)
    }
}

impl Drop for ChildProcess {
    fn drop(&mut self) {
        // One that waits for its orders ends with them; one that does not is stopped.
        drop(self.orders.take());
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
