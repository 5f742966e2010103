//! Stand-ins for ports: a clock set by hand, an observer that remembers, locks without a store.

use std::fmt;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use ticket_reservation::domain::{OperationId, RecordKey, Rejection, Timestamp};
use ticket_reservation::ports::{
    Attempt, Clock, Extended, Lease, Lock, LockError, LockKey, LockToken, Observation, Observer, Released, Reply,
    StoreErrorKind,
};

use super::sim::Sim;

/// The store's wall clock: the simulation's, and as far off as the test says.
#[derive(Debug)]
pub(crate) struct StoreClock {
    sim: Sim,
    off_by_micros: AtomicI64,
}

impl StoreClock {
    pub(crate) fn new(sim: &Sim) -> Arc<Self> {
        Arc::new(Self { sim: sim.clone(), off_by_micros: AtomicI64::new(0) })
    }

    /// Steps by so many microseconds, forward or back.
    pub(crate) fn step(&self, micros: i64) {
        self.off_by_micros.fetch_add(micros, Ordering::SeqCst);
    }

    pub(crate) fn step_seconds(&self, seconds: i64) {
        self.step(seconds * 1_000_000);
    }

    /// Sets the time.
    pub(crate) fn set(&self, time: Timestamp) {
        self.step(time.as_micros() - self.unix_time().as_micros());
    }
}

impl Clock for StoreClock {
    fn now(&self) -> Instant {
        self.sim.now()
    }

    fn unix_time(&self) -> Timestamp {
        let micros = self.sim.unix_time().as_micros() + self.off_by_micros.load(Ordering::SeqCst);
        Timestamp::from_micros(micros)
    }
}

/// What an observer was told, without what no test asks for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Seen {
    Loaded {
        requests: usize,
        records: usize,
    },
    Committing {
        groups: usize,
        requests: usize,
    },
    Committed {
        committed: usize,
        conflicts: usize,
        requests: usize,
    },
    Conflict {
        stale: Vec<RecordKey>,
        requests: usize,
    },
    StoreFailed(StoreErrorKind),
    /// Done, or refused.
    Answered(OperationId, Option<Rejection>),
    Failed(OperationId),
    Unknown(OperationId),
    Locked {
        granted: usize,
        contended: usize,
    },
    LeaseLost(String),
    LockFailed,
    Adapted {
        locking: bool,
    },
    Swept {
        expired: usize,
    },
    Other,
}

/// Remembers everything it is told.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    seen: Mutex<Vec<Seen>>,
}

impl Recorder {
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn count(&self, matches: impl Fn(&Seen) -> bool) -> usize {
        self.seen().iter().filter(|seen| matches(seen)).count()
    }

    /// The operations that were done or refused, in the order of the answers.
    pub(crate) fn answered(&self) -> Vec<OperationId> {
        let answered = |seen| if let Seen::Answered(operation, _) = seen { Some(operation) } else { None };
        self.seen().into_iter().filter_map(answered).collect()
    }

    pub(crate) fn lost_leases(&self) -> Vec<String> {
        self.seen()
            .into_iter()
            .filter_map(|seen| if let Seen::LeaseLost(key) = seen { Some(key) } else { None })
            .collect()
    }
}

impl Observer for Recorder {
    fn observe(&self, observation: &Observation<'_>) {
        let seen = match observation {
            Observation::Loaded { requests, records, .. } => Seen::Loaded { requests: *requests, records: *records },
            Observation::Committing { groups, requests, .. } => {
                Seen::Committing { groups: *groups, requests: *requests }
            }
            Observation::Committed { committed, conflicts, requests, .. } => {
                Seen::Committed { committed: *committed, conflicts: *conflicts, requests: *requests }
            }
            Observation::Conflict { stale, requests, .. } => {
                Seen::Conflict { stale: stale.to_vec(), requests: *requests }
            }
            Observation::StoreFailed { error, .. } => Seen::StoreFailed(error.kind()),
            Observation::Answered { operation, reply, .. } => match reply {
                Reply::Rejected(why) => Seen::Answered(*operation, Some((*why).clone())),
                Reply::Failed(_) => Seen::Failed(*operation),
                Reply::OutcomeUnknown => Seen::Unknown(*operation),
                _ => Seen::Answered(*operation, None),
            },
            Observation::Locked { granted, contended, .. } => Seen::Locked { granted: *granted, contended: *contended },
            Observation::LeaseLost { key } => Seen::LeaseLost(key.to_string()),
            Observation::LockFailed { .. } => Seen::LockFailed,
            Observation::Adapted { locking, .. } => Seen::Adapted { locking: *locking },
            Observation::Swept { expired, .. } => Seen::Swept { expired: *expired },
            _ => Seen::Other,
        };
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).push(seen);
    }
}

/// A lock that always says yes, to everybody at once.
pub(crate) struct GrantsAll {
    sim: Sim,
    granted: AtomicU64,
}

impl GrantsAll {
    pub(crate) fn new(sim: &Sim) -> Arc<Self> {
        Arc::new(Self { sim: sim.clone(), granted: AtomicU64::new(0) })
    }

    fn grant(&self, key: &LockKey, ttl: Duration) -> Lease {
        let mut token = [0; 16];
        token[..8].copy_from_slice(&self.granted.fetch_add(1, Ordering::SeqCst).to_be_bytes());
        Lease::new(key.clone(), LockToken::from_bytes(token), self.sim.now() + ttl)
    }
}

impl fmt::Debug for GrantsAll {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GrantsAll")
    }
}

#[async_trait]
impl Lock for GrantsAll {
    async fn acquire_all(&self, keys: &[LockKey], ttl: Duration) -> Result<Attempt<Vec<Lease>>, LockError> {
        Ok(Attempt::Granted(keys.iter().map(|key| self.grant(key, ttl)).collect()))
    }

    async fn acquire_each(&self, keys: &[LockKey], ttl: Duration) -> Result<Vec<Attempt<Lease>>, LockError> {
        Ok(keys.iter().map(|key| Attempt::Granted(self.grant(key, ttl))).collect())
    }

    async fn extend(&self, leases: &mut [Lease], ttl: Duration) -> Result<Vec<Extended>, LockError> {
        for lease in leases.iter_mut() {
            lease.set_deadline(self.sim.now() + ttl);
        }
        Ok(vec![Extended::Extended; leases.len()])
    }

    async fn release(&self, leases: Vec<Lease>) -> Result<Vec<Released>, LockError> {
        Ok(vec![Released::Released; leases.len()])
    }
}
