//! How a worker and the parent talk: lines on pipes between processes, a channel inside one.
//!
//! The parent writes the orders, then `go`. While workers are to be killed, buyers are held back: each `one` calls one
//! of them in, and `open` all the others; `halt` lets a worker come to the point where it is to be killed, and no further,
//! which it answers with `halted <point>`. The worker writes `ready`, then `progress <numbers>` ten times a second, or
//! far more often while workers are to be killed, and `done <numbers>` at its end.

use std::io::{self, BufRead, Write};
use std::sync::{Arc, mpsc};
use std::thread;

use clap::ValueEnum;

use crate::args::{KillPoint, name};
use crate::gate::Gate;
use crate::meter::{NUMBERS, Progress};
use crate::trap::Trap;

/// The line that starts everybody.
pub(crate) const GO: &str = "go";
/// The line that calls in one of those who are held back.
pub(crate) const ONE: &str = "one";
/// The line that lets everybody in.
pub(crate) const OPEN: &str = "open";

/// The line that makes a worker stand still at the point where it is to be killed.
pub(crate) const HALT: &str = "halt";

/// What a worker tells the parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Message {
    /// Its store is open.
    Ready,
    /// What it has counted so far.
    Progress(Progress),
    /// It stands still at the point where it is to be killed.
    Halted(KillPoint),
    /// What it has counted in all.
    Done(Progress),
    /// It ended.
    Gone,
}

impl Message {
    /// Reads one line.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        let kind = words.next()?;
        if kind == "ready" {
            return Some(Self::Ready);
        }
        if kind == "halted" {
            return KillPoint::from_str(words.next()?, false).ok().map(Self::Halted);
        }
        let mut numbers = [0; NUMBERS];
        for number in &mut numbers {
            *number = words.next()?.parse().ok()?;
        }
        match kind {
            "progress" => Some(Self::Progress(Progress::from_numbers(numbers))),
            "done" => Some(Self::Done(Progress::from_numbers(numbers))),
            _ => None,
        }
    }

    fn to_line(self) -> String {
        let (kind, progress) = match self {
            Self::Ready => return "ready\n".to_owned(),
            Self::Gone => return "gone\n".to_owned(),
            Self::Halted(point) => return format!("halted {}\n", name(point)),
            Self::Progress(progress) => ("progress", progress),
            Self::Done(progress) => ("done", progress),
        };
        let numbers = progress.to_numbers().map(|number| format!(" {number}")).concat();
        format!("{kind}{numbers}\n")
    }
}

/// A worker's end.
pub(crate) trait Link: Send {
    /// Tells the parent something.
    fn tell(&mut self, message: Message) -> io::Result<()>;
    /// Waits for the start.
    fn wait_for_go(&mut self) -> io::Result<()>;
    /// Works the gate and the trap as the parent says.
    fn work_gate(&mut self, gate: Arc<Gate>, trap: Arc<Trap>);
}

/// Standard input and output.
#[derive(Debug)]
pub(crate) struct Pipes;

impl Link for Pipes {
    fn tell(&mut self, message: Message) -> io::Result<()> {
        let mut out = io::stdout().lock();
        out.write_all(message.to_line().as_bytes())?;
        out.flush()
    }

    fn wait_for_go(&mut self) -> io::Result<()> {
        let mut line = String::new();
        io::stdin().lock().read_line(&mut line)?;
        if line.trim() == GO { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }

    fn work_gate(&mut self, gate: Arc<Gate>, trap: Arc<Trap>) {
        thread::spawn(move || {
            for line in io::stdin().lock().lines().map_while(Result::ok) {
                match line.as_str() {
                    ONE => gate.call_one(),
                    HALT => trap.set(),
                    _ => break,
                }
            }
            // Also when the parent is gone: whoever waits must not wait for ever.
            gate.open();
        });
    }
}

/// Channels, for a worker in the parent's process.
#[derive(Debug)]
pub(crate) struct Channels {
    /// Its number, from 0.
    pub(crate) worker: usize,
    pub(crate) to_parent: mpsc::Sender<(usize, Message)>,
    pub(crate) go: mpsc::Receiver<()>,
}

impl Link for Channels {
    fn tell(&mut self, message: Message) -> io::Result<()> {
        self.to_parent.send((self.worker, message)).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    fn wait_for_go(&mut self) -> io::Result<()> {
        self.go.recv().map_err(|_| io::ErrorKind::UnexpectedEof.into())
    }

    fn work_gate(&mut self, gate: Arc<Gate>, _: Arc<Trap>) {
        // Nobody is killed in the parent's own process.
        gate.open();
    }
}
