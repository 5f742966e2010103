//! Kills at a named point: told to, a worker stands still when it comes to the point, says so, and is killed there.
//!
//! The crate's observer tells when a lock is held and when a commit is done; that a call is under way is seen by a
//! [store](crate::trapped_store) around the worker's own.

use std::io;
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use ticket_reservation::ports::{Observation, Observer};

use crate::args::KillPoint;
use crate::link::{Link, Message, Pipes};
use crate::meter::Meter;

/// A worker's one point, and whether it is to stand still there.
#[derive(Debug)]
pub(crate) struct Trap {
    at: Option<KillPoint>,
    is_set: AtomicBool,
}

impl Trap {
    pub(crate) fn new(at: Option<KillPoint>) -> Self {
        Self { at, is_set: AtomicBool::new(false) }
    }

    /// From now on the worker stands still when it comes to its point.
    pub(crate) fn set(&self) {
        self.is_set.store(true, Relaxed);
    }

    /// Whether the worker is to stand still at this point.
    pub(crate) fn is_set_at(&self, point: KillPoint) -> bool {
        self.at == Some(point) && self.is_set.load(Relaxed)
    }

    /// The worker has come to this point. If it is to stand still here, it does nothing more: all its work is on this
    /// one thread.
    pub(crate) fn reached(&self, point: KillPoint) {
        if !self.is_set_at(point) {
            return;
        }
        if Pipes.tell(Message::Halted(point)).is_ok() {
            // Ends with the parent, so that no process stays behind.
            let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        }
        process::exit(1);
    }
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
