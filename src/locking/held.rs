use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_channel::oneshot;

use crate::ports::{Lease, LockKey};

/// A lease on its way from holder to holder. Once lost it stays lost, whatever an extension that was late says.
#[derive(Debug)]
pub(super) struct Held {
    key: LockKey,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    lease: Lease,
    /// Since when the present holder has it.
    since: Instant,
    lost: bool,
    listeners: Vec<oneshot::Sender<()>>,
}

/// What [`Held::listen`] finds.
pub(super) enum Watched {
    /// It is lost.
    Lost,
    /// It is valid until then; the signal comes when it is lost before.
    Until(Instant, oneshot::Receiver<()>),
}

impl Held {
    pub(super) fn new(lease: Lease, now: Instant) -> Self {
        let inner = Inner { lease, since: now, lost: false, listeners: Vec::new() };
        Self { key: inner.lease.key().clone(), inner: Mutex::new(inner) }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // Nothing under this lock can leave it half-done.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn key(&self) -> &LockKey {
        &self.key
    }

    pub(super) fn lease(&self) -> Lease {
        self.inner().lease.clone()
    }

    pub(super) fn deadline(&self) -> Instant {
        self.inner().lease.deadline()
    }

    /// Whether it was found lost. Whether its deadline has passed unnoticed is not looked at.
    pub(super) fn is_marked_lost(&self) -> bool {
        self.inner().lost
    }

    /// How long it is valid; not at all once it is lost.
    pub(super) fn validity(&self, now: Instant) -> Duration {
        let inner = self.inner();
        if inner.lost { Duration::ZERO } else { inner.lease.deadline().saturating_duration_since(now) }
    }

    /// The next holder has it.
    pub(super) fn handed_on(&self, now: Instant) {
        let mut inner = self.inner();
        inner.since = now;
        inner.listeners.clear();
    }

    /// Since when the present holder has it.
    pub(super) fn since(&self) -> Instant {
        self.inner().since
    }

    /// Notes an extension, unless it came too late.
    pub(super) fn extended(&self, extended: &Lease, now: Instant) {
        let mut inner = self.inner();
        if !inner.lost && now < inner.lease.deadline() {
            inner.lease.set_deadline(extended.deadline());
        }
    }

    /// Notes that it is lost, and tells who listens. Whether that is news.
    pub(super) fn lose(&self) -> bool {
        let (was_lost, listeners) = {
            let mut inner = self.inner();
            (std::mem::replace(&mut inner.lost, true), std::mem::take(&mut inner.listeners))
        };
        for listener in listeners {
            // Whoever listened may have left.
            let _ = listener.send(());
        }
        !was_lost
    }

    /// Listens for its loss.
    pub(super) fn listen(&self) -> Watched {
        let mut inner = self.inner();
        if inner.lost {
            return Watched::Lost;
        }
        inner.listeners.retain(|listener| !listener.is_canceled());
        let (sender, receiver) = oneshot::channel();
        inner.listeners.push(sender);
        Watched::Until(inner.lease.deadline(), receiver)
    }
}
