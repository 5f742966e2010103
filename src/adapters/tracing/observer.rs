use std::error::Error;

use ::tracing::{debug, trace, warn};

use crate::ports::{Observation, Observer, Reply};

const TARGET: &str = "ticket_reservation";

/// Writes every observation to `tracing`.
///
/// ```
#[doc = doc_on_sale!()]
/// use ticket_reservation::adapters::tracing::TracingObserver;
///
/// let service = BookingService::builder(Arc::new(MemoryRepository::new()), runtime)
///     .observer(Arc::new(TracingObserver))
///     .build()?;
/// # let _ = service;
#[doc = doc_end!()]
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct TracingObserver;

impl Observer for TracingObserver {
    fn observe(&self, observation: &Observation<'_>) {
        match observation {
            Observation::Queued { event, kind, waiting } => {
                trace!(target: TARGET, %event, kind = kind.name(), waiting, "queued");
            }
            Observation::Loaded { event, requests, records, took } => {
                trace!(target: TARGET, %event, requests, records, ?took, "loaded");
            }
            Observation::Committing { event, groups, requests } => {
                trace!(target: TARGET, %event, groups, requests, "committing");
            }
            Observation::Committed { event, committed, conflicts, requests, took } => {
                trace!(target: TARGET, %event, committed, conflicts, requests, ?took, "committed");
            }
            Observation::Conflict { event, stale, requests } => {
                debug!(target: TARGET, %event, stale = stale.len(), requests, "conflict");
            }
            Observation::StoreFailed { event, error } => {
                warn!(target: TARGET, %event, error = *error as &dyn Error, "the store failed");
            }
            Observation::Answered { event, operation, kind, reply } => {
                let (event, kind) = (*event, kind.name());
                match reply {
                    Reply::Done => trace!(target: TARGET, %event, %operation, kind, "done"),
                    Reply::Rejected(why) => {
                        trace!(target: TARGET, %event, %operation, kind, rejection = why.kind(), "rejected");
                    }
                    Reply::Failed(_) => debug!(target: TARGET, %event, %operation, kind, "failed"),
                    Reply::OutcomeUnknown => warn!(target: TARGET, %event, %operation, kind, "the outcome is unknown"),
                }
            }
            Observation::Locked { event, granted, contended, took } => {
                trace!(target: TARGET, %event, granted, contended, ?took, "locked");
            }
            Observation::LeaseLost { key } => warn!(target: TARGET, %key, "a lease was lost"),
            Observation::LockNodeDown { node, error } => {
                warn!(target: TARGET, node, error = *error as &dyn Error, "a node of the lock is down");
            }
            Observation::LockNodeUp { node } => debug!(target: TARGET, node, "a node of the lock is back"),
            Observation::LockFailed { error } => {
                warn!(target: TARGET, error = *error as &dyn Error, "the lock failed");
            }
            Observation::Adapted { event, locking, conflict_share } => {
                debug!(target: TARGET, %event, locking, conflict_share, "adapted");
            }
            Observation::Swept { expired, operations, changes } => {
                debug!(target: TARGET, expired, operations, changes, "swept");
            }
        }
    }
}
