use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::adaptive::Adaptive;
use super::locks::LockMemory;
use super::request::Request;
use crate::domain::EventId;

/// Most tickets and pools that the requests of one batch name together, unless one alone names more.
const BATCH_SIZE_MAX: usize = 16_384;

/// The requests that wait for one event, in arrival order.
#[derive(Debug)]
pub(super) struct EventQueue {
    event: EventId,
    inner: Mutex<Inner>,
    adaptive: Mutex<Adaptive>,
    locks: Mutex<LockMemory>,
    /// Whether the event limits what a customer may take, as last read: saves asking for allowances in a second load.
    has_limit: AtomicBool,
}

#[derive(Debug, Default)]
struct Inner {
    waiting: VecDeque<Request>,
    /// How many requests have been taken in.
    arrivals: u64,
    /// How many requests in a row were refused because the queue was full.
    refused: usize,
    /// Whether a batcher takes requests out. Exactly one does, as long as there are any.
    running: bool,
}

/// What [`EventQueue::push`] did.
#[derive(Debug)]
pub(super) enum Pushed {
    /// A batcher is at work already. So many wait now.
    Waiting(usize),
    /// It is the first: start a batcher.
    First,
    /// The queue is full.
    Full,
}

impl EventQueue {
    pub(super) fn new(event: EventId) -> Self {
        Self {
            event,
            inner: Mutex::default(),
            adaptive: Mutex::default(),
            locks: Mutex::default(),
            has_limit: AtomicBool::new(false),
        }
    }

    pub(super) fn event(&self) -> &EventId {
        &self.event
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing under this lock can leave it half-done.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn push(&self, mut request: Request, queue_max: usize) -> Pushed {
        let mut inner = self.lock();
        if inner.waiting.len() >= queue_max {
            // Looking through a long queue for every refusal would cost most when there is most to do.
            if inner.refused.is_multiple_of(queue_max / 64 + 1) {
                inner.waiting.retain(|waiting| !waiting.is_abandoned());
            }
            if inner.waiting.len() >= queue_max {
                inner.refused = inner.refused.wrapping_add(1);
                return Pushed::Full;
            }
        }
        inner.refused = 0;
        request.arrival = inner.arrivals;
        inner.arrivals += 1;
        inner.waiting.push_back(request);
        if inner.running {
            Pushed::Waiting(inner.waiting.len())
        } else {
            inner.running = true;
            Pushed::First
        }
    }

    pub(super) fn has_limit(&self) -> bool {
        self.has_limit.load(Ordering::Relaxed)
    }

    pub(super) fn set_has_limit(&self, has_limit: bool) {
        self.has_limit.store(has_limit, Ordering::Relaxed);
    }

    /// What the event's batchers have learned about conflicts. Only the one at work looks at it.
    pub(super) fn adaptive(&self) -> MutexGuard<'_, Adaptive> {
        self.adaptive.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the event's batchers leave to one another about their locks.
    pub(super) fn lock_memory(&self) -> MutexGuard<'_, LockMemory> {
        self.locks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next requests, in arrival order; `None` when nothing waits, and then the batcher MUST end.
    pub(super) fn take_or_stop(&self, most: usize) -> Option<Vec<Request>> {
        let mut inner = self.lock();
        while !inner.waiting.is_empty() {
            let taken = inner.take(most);
            if !taken.is_empty() {
                return Some(taken);
            }
        }
        inner.running = false;
        None
    }

    /// The next requests, in arrival order, for a batcher that has work left in any case.
    pub(super) fn take(&self, most: usize) -> Vec<Request> {
        self.lock().take(most)
    }

    /// Everything that waits, taken out for good; for a batcher that ended before its time.
    pub(super) fn stop(&self) -> Vec<Request> {
        let mut inner = self.lock();
        inner.running = false;
        inner.waiting.drain(..).collect()
    }

    /// Everything that waits, while the batcher goes on with what it has.
    pub(super) fn drain(&self) -> Vec<Request> {
        self.lock().waiting.drain(..).collect()
    }

    /// Calls `look` on each of the first `most` requests that somebody waits for.
    pub(super) fn peek(&self, most: usize, look: impl FnMut(&Request)) {
        self.lock().waiting.iter().take(most).filter(|request| !request.is_abandoned()).for_each(look);
    }

    pub(super) fn is_idle(&self) -> bool {
        let inner = self.lock();
        !inner.running && inner.waiting.is_empty()
    }
}

impl Inner {
    /// At most `most`, and of large ones fewer, but one in any case.
    fn take(&mut self, most: usize) -> Vec<Request> {
        let mut size = 0;
        let fits = |request: &&Request| {
            size += request.command.size();
            size <= BATCH_SIZE_MAX
        };
        let count = self.waiting.iter().take(most).take_while(fits).count();
        let count = count.max(most.min(1)).min(self.waiting.len());
        self.waiting.drain(..count).filter(|request| !request.is_abandoned()).collect()
    }
}
