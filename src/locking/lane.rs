use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_channel::oneshot;

use super::config::Config;
use super::error::AcquireError;
use super::guard::LockGuard;
use super::held::Held;
use crate::ports::LockError;

/// What somebody who waits is told.
pub(super) type Answer = Result<LockGuard, AcquireError>;

/// Everything about one key in this process. It exists only while somebody holds, wants or gives back the key.
#[derive(Debug)]
pub(super) struct Lane {
    /// Who waits, by arrival. Whoever gives up takes itself out.
    waiting: BTreeMap<u64, oneshot::Sender<Answer>>,
    arrivals: u64,
    pub(super) stage: Stage,
    tenure: Option<Tenure>,
    /// Since when the key has been wanted here without a break.
    pub(super) busy_since: Instant,
    /// Whether other processes were met lately.
    pub(super) contended: bool,
    /// How the lock's store failed, if it did when it was asked last.
    pub(super) failed: Option<LockError>,
}

/// Who has to do the next step. Exactly one does.
#[derive(Debug)]
pub(super) enum Stage {
    /// A caller or a task asks the lock.
    Asking,
    /// A guard is out.
    Held(Arc<Held>),
    /// The lease is on its way back.
    Leaving,
}

/// A stretch of time in which the lease stays here.
#[derive(Debug, Clone, Copy)]
struct Tenure {
    ends: Instant,
    handoffs_left: u64,
}

impl Lane {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            waiting: BTreeMap::new(),
            arrivals: 0,
            stage: Stage::Asking,
            tenure: None,
            busy_since: now,
            contended: false,
            failed: None,
        }
    }

    /// A place in the order of arrival.
    pub(super) fn arrive(&mut self) -> u64 {
        self.arrivals += 1;
        self.arrivals
    }

    pub(super) fn wait(&mut self, place: u64) -> oneshot::Receiver<Answer> {
        let (sender, receiver) = oneshot::channel();
        self.waiting.insert(place, sender);
        receiver
    }

    /// Takes somebody out who does not wait any longer.
    pub(super) fn leave(&mut self, place: u64) -> Option<oneshot::Sender<Answer>> {
        self.waiting.remove(&place)
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn take_waiting(&mut self) -> BTreeMap<u64, oneshot::Sender<Answer>> {
        std::mem::take(&mut self.waiting)
    }

    pub(super) fn holds(&self, held: &Arc<Held>) -> bool {
        matches!(&self.stage, Stage::Held(it) if Arc::ptr_eq(it, held))
    }

    /// A lease was granted. It may stay for `time_max`, if no tenure has begun before.
    pub(super) fn begin_tenure(&mut self, now: Instant, time_max: Duration, config: &Config) {
        let ends = now + time_max;
        self.tenure.get_or_insert(Tenure { ends, handoffs_left: config.handoffs_max });
    }

    /// Others had, or get, their turn: the next lease begins a new tenure.
    pub(super) fn end_tenure(&mut self) {
        self.tenure = None;
    }

    pub(super) fn is_tenure_over(&self, now: Instant) -> bool {
        self.tenure.is_some_and(|tenure| tenure.ends <= now || tenure.handoffs_left == 0)
    }

    /// Who is given the lease that was granted just now.
    pub(super) fn first(&mut self) -> Option<oneshot::Sender<Answer>> {
        self.waiting.pop_first().map(|(_, sender)| sender)
    }

    /// Who is handed the lease on, if it may stay.
    pub(super) fn next(&mut self, held: &Held, now: Instant, config: &Config) -> Option<oneshot::Sender<Answer>> {
        if self.waiting.is_empty() || self.is_tenure_over(now) || held.validity(now) < config.hand_on_above() {
            return None;
        }
        if let Some(tenure) = &mut self.tenure {
            tenure.handoffs_left -= 1;
        }
        self.first()
    }
}
