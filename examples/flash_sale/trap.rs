//! Kills at a named point: told to, a worker says that it has come to the point, stands still as a whole, and is killed there.
//!
//! The crate's observer tells when a lock is held and when a commit is done; that a call is under way is seen by a
//! [store](crate::trapped_store) around the worker's own.

use std::io;
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

#[cfg(target_os = "linux")]
use rustix::process::set_parent_process_death_signal;
use rustix::process::{Signal, getpid, kill_process};
use ticket_reservation::ports::{Observation, Observer};

use crate::args::KillPoint;
use crate::link::{Link, Message, Pipes};
use crate::meter::Meter;

/// A worker's one point, and whether it is to stand still there.
#[derive(Debug)]
pub(crate) struct Trap {
    at: Option<KillPoint>,
    is_set: AtomicBool,
    /// Whether it lets the store do a commit first.
    is_late: bool,
}

impl Trap {
    /// The trap of worker number `worker`.
    pub(crate) fn new(at: Option<KillPoint>, worker: u32) -> Self {
        Self { at, is_set: AtomicBool::new(false), is_late: worker.is_multiple_of(2) }
    }

    /// From now on the worker stands still when it comes to its point.
    pub(crate) fn set(&self) {
        self.is_set.store(true, Relaxed);
    }

    /// Whether the worker is to stand still at this point.
    pub(crate) fn is_set_at(&self, point: KillPoint) -> bool {
        self.at == Some(point) && self.is_set.load(Relaxed)
    }

    /// Whether the worker, with a commit sent, stands still when the store has done it and the crate does not know that yet, and
    /// not as soon as it is sent. Every other worker does: an embedded store answers so soon after a commit is done that kills
    /// in between would be rare.
    pub(crate) fn is_late(&self) -> bool {
        self.is_late
    }

    /// The worker has come to this point. If it is to stand still here, its process stops, for the store and the lock may have
    /// threads of their own that would go on.
    pub(crate) fn reached(&self, point: KillPoint) {
        if !self.is_set_at(point) {
            return;
        }
        // Without a parent nobody would ever kill it. (Off Linux it stays behind then.)
        if end_with_parent().is_ok() && Pipes.tell(Message::Halted(point)).is_ok() {
            let _ = kill_process(getpid(), Signal::STOP);
        }
        // It was not stopped, or somebody else let it go on.
        process::exit(1);
    }
}

/// Has the process killed when its parent ends: one that stands still cannot see to it.
#[cfg(target_os = "linux")]
fn end_with_parent() -> io::Result<()> {
    Ok(set_parent_process_death_signal(Some(Signal::KILL))?)
}

#[cfg(not(target_os = "linux"))]
fn end_with_parent() -> io::Result<()> {
    Ok(())
}

/// Counts what the crate reports, and knows the points that it tells of.
#[derive(Debug)]
pub(crate) struct TrappedMeter {
    pub(crate) meter: Arc<Meter>,
    pub(crate) trap: Arc<Trap>,
}

impl Observer for TrappedMeter {
    fn observe(&self, observation: &Observation<'_>) {
        self.meter.observe(observation);
        match observation {
            Observation::Locked { granted: 1.., .. } => self.trap.reached(KillPoint::HoldingALease),
            Observation::Committed { requests: 1.., .. } => self.trap.reached(KillPoint::BeforeAnswering),
            _ => {}
        }
    }
}
