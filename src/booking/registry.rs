use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_channel::oneshot;

use super::queue::EventQueue;
use crate::domain::EventId;

/// Most queues of events without requests that are kept.
const IDLE_QUEUES_MAX: usize = 1_024;

/// What a shutdown achieved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Drained {
    /// Every request that had been taken in was answered.
    Completely,
    /// The deadline came first. Requests that waited are refused as shutting down; batches at work go on until the
    /// host's runtime ends, and what they would decide again is refused then.
    DeadlinePassed,
}

/// The queues of all events, and whether new requests are taken in.
#[derive(Debug, Default)]
pub(super) struct Registry {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    queues: BTreeMap<EventId, Arc<EventQueue>>,
    /// Batchers, releases of locks, and callers about to put a request into a queue.
    tasks: usize,
    closed: bool,
    /// The deadline of a shutdown has passed: whoever still waits is refused.
    overdue: bool,
    idle_waiters: Vec<oneshot::Sender<()>>,
}

impl Registry {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing under this lock can leave it half-done.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The event's queue, for one request; `None` when no more are taken in. It counts as a task until
    /// [`task_ended`](Self::task_ended), so that no shutdown is complete between taking a request in and working on it.
    pub(super) fn enter(&self, event: &EventId) -> Option<Arc<EventQueue>> {
        let mut inner = self.lock();
        if inner.closed {
            return None;
        }
        inner.tasks += 1;
        if let Some(queue) = inner.queues.get(event) {
            return Some(Arc::clone(queue));
        }
        if inner.queues.len() >= IDLE_QUEUES_MAX {
            // Someone who got a queue and has not pushed yet holds it too.
            inner.queues.retain(|_, queue| Arc::strong_count(queue) > 1 || !queue.is_idle());
        }
        let queue = Arc::new(EventQueue::new(event.clone()));
        inner.queues.insert(event.clone(), Arc::clone(&queue));
        Some(queue)
    }

    pub(super) fn task_started(&self) {
        self.lock().tasks += 1;
    }

    pub(super) fn task_ended(&self) {
        let mut inner = self.lock();
        inner.tasks = inner.tasks.saturating_sub(1);
        if inner.tasks == 0 {
            for waiter in inner.idle_waiters.drain(..) {
                let _ = waiter.send(());
            }
        }
    }

    /// Takes no more requests in.
    pub(super) fn close(&self) {
        self.lock().closed = true;
    }

    /// Ends when nothing is at work.
    pub(super) fn idle(&self) -> oneshot::Receiver<()> {
        let (sender, receiver) = oneshot::channel();
        let mut inner = self.lock();
        if inner.tasks == 0 {
            let _ = sender.send(());
        } else {
            inner.idle_waiters.retain(|waiter| !waiter.is_canceled());
            inner.idle_waiters.push(sender);
        }
        receiver
    }

    /// From now on whoever still waits is refused.
    pub(super) fn refuse_waiting(&self) {
        self.lock().overdue = true;
    }

    pub(super) fn refuses_waiting(&self) -> bool {
        self.lock().overdue
    }

    pub(super) fn queues(&self) -> Vec<Arc<EventQueue>> {
        self.lock().queues.values().cloned().collect()
    }
}
