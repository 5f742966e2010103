//! What happened, for metrics, logs and tests.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use crate::domain::{ActionKind, EventId, OperationId, RecordKey, Rejection};
use crate::ports::{LockError, LockKey, StoreError};

/// Something that happened in the booking service.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Observation<'a> {
    /// A request was taken into an event's queue.
    Queued {
        /// The event.
        event: &'a EventId,
        /// What it asks for.
        kind: ActionKind,
        /// How many wait now, this one included.
        waiting: usize,
    },
    /// A batch was loaded and is about to be decided.
    Loaded {
        /// The event.
        event: &'a EventId,
        /// How many requests it has.
        requests: usize,
        /// How many records were read.
        records: usize,
        /// How long the load took.
        took: Duration,
    },
    /// Groups of decisions are about to be sent to the store.
    Committing {
        /// The event.
        event: &'a EventId,
        /// How many groups.
        groups: usize,
        /// How many requests are decided in them.
        requests: usize,
    },
    /// The store answered a commit.
    Committed {
        /// The event.
        event: &'a EventId,
        /// How many groups were written.
        committed: usize,
        /// How many groups were not, because a record had changed.
        conflicts: usize,
        /// How many requests are decided in the groups written.
        requests: usize,
        /// How long the commit took.
        took: Duration,
    },
    /// A group was not written: these records had changed since they were read.
    Conflict {
        /// The event.
        event: &'a EventId,
        /// The records.
        stale: &'a [RecordKey],
        /// How many requests were decided in it; they are decided again, or refused as contended.
        requests: usize,
    },
    /// The store failed.
    StoreFailed {
        /// The event.
        event: &'a EventId,
        /// How.
        error: &'a StoreError,
    },
    /// A caller was answered. Each call is, in whatever way, once; except one whose future was dropped.
    Answered {
        /// The event.
        event: &'a EventId,
        /// The operation.
        operation: OperationId,
        /// What it asked for.
        kind: ActionKind,
        /// What it was told.
        reply: Reply<'a>,
    },
    /// Locks were asked for.
    Locked {
        /// The event.
        event: &'a EventId,
        /// How many were granted.
        granted: usize,
        /// How many are held by others.
        contended: usize,
        /// How long the answer took.
        took: Duration,
    },
    /// A lease ended before its work did. The work goes on without it.
    LeaseLost {
        /// The key.
        key: &'a LockKey,
    },
    /// The lock's store failed. The work goes on without the lock.
    LockFailed {
        /// How.
        error: &'a LockError,
    },
    /// A node of a lock cannot be reached, or does not answer. It is tried again now and then.
    LockNodeDown {
        /// Its name.
        node: &'a str,
        /// Why.
        error: &'a LockError,
    },
    /// A node of a lock that was down is back.
    LockNodeUp {
        /// Its name.
        node: &'a str,
    },
    /// Locking of contended records was switched on or off by how often they conflict.
    Adapted {
        /// The event.
        event: &'a EventId,
        /// Whether contended records are locked from now on.
        locking: bool,
        /// The share of conflicting commits that led to it, 0 to 1.
        conflict_share: f64,
    },
    /// The sweeper did a step.
    Swept {
        /// How many expired reservations were settled.
        expired: usize,
        /// How many operation records were purged.
        operations: usize,
        /// How many feed rows were purged.
        changes: usize,
    },
}

/// What a caller was told.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Reply<'a> {
    /// It took effect.
    Done,
    /// A business "no".
    Rejected(&'a Rejection),
    /// The store failed, and nothing was changed.
    Failed(&'a StoreError),
    /// Whether it took effect is not known.
    OutcomeUnknown,
}

/// Who is told. Called from the service's tasks and from its callers' own: it MUST NOT block, MUST NOT panic, and SHOULD
/// be quick. One observer is shared by all of them.
///
/// ```
#[doc = doc_on_sale!()]
/// use std::sync::atomic::{AtomicU64, Ordering};
///
/// #[derive(Debug, Default)]
/// struct Refusals(AtomicU64);
///
/// impl Observer for Refusals {
///     fn observe(&self, observation: &Observation<'_>) {
///         if let Observation::Answered { reply: Reply::Rejected(_), .. } = observation {
///             self.0.fetch_add(1, Ordering::Relaxed);
///         }
///     }
/// }
///
/// let refusals = Arc::new(Refusals::default());
/// let service =
///     BookingService::builder(Arc::new(MemoryRepository::new()), runtime).observer(refusals.clone()).build()?;
/// let nothing = service.new_reservation_id();
/// assert!(service.confirm(&event, service.new_operation_id(), nothing, alice).await.is_err());
/// assert_eq!(refusals.0.load(Ordering::Relaxed), 1);
#[doc = doc_end!()]
/// ```
pub trait Observer: Send + Sync + Debug {
    /// Something happened.
    fn observe(&self, observation: &Observation<'_>);
}

impl<T: Observer + ?Sized> Observer for Arc<T> {
    fn observe(&self, observation: &Observation<'_>) {
        (**self).observe(observation);
    }
}

/// Tells nobody.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoObserver;

impl Observer for NoObserver {
    fn observe(&self, _: &Observation<'_>) {}
}
