//! A lock of which every call is written down.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::super::executor::ProcessId;
use super::World;
use crate::adapters::redlock::Redlock;
use crate::ports::{Attempt, Extended, Lease, Lock, LockError, LockKey, Released};

/// What one process has.
#[derive(Debug, Clone)]
pub(super) struct NotedLock {
    pub(super) world: Arc<World>,
    pub(super) process: ProcessId,
    pub(super) lock: Redlock,
}

impl NotedLock {
    /// Each of some leases in a few words.
    fn note(&self, what: &str, words: impl IntoIterator<Item = String>) {
        let mut line = format!("{:?} {} {what}", self.world.executor.elapsed(), self.process);
        for word in words {
            let _ = write!(line, " {word}");
        }
        self.world.ledger().note(&line);
    }

    fn words(&self, lease: &Lease) -> String {
        let until = lease.deadline().saturating_duration_since(self.world.executor.base());
        format!("{} {:x?} {until:?}", lease.key(), &lease.token().as_bytes()[..4])
    }

    fn attempted(&self, key: &LockKey, attempt: &Attempt<Lease>) -> String {
        match attempt {
            Attempt::Granted(lease) => self.words(lease),
            Attempt::Contended { retry_after } => format!("{key} {retry_after:?}"),
        }
    }
}

#[async_trait]
impl Lock for NotedLock {
    async fn acquire_all(&self, keys: &[LockKey], ttl: Duration) -> Result<Attempt<Vec<Lease>>, LockError> {
        let answer = self.lock.acquire_all(keys, ttl).await;
        match &answer {
            Ok(Attempt::Granted(leases)) => {
                leases.iter().for_each(|lease| self.world.ledger().granted(lease));
                self.note("has", leases.iter().map(|lease| self.words(lease)));
            }
            Ok(Attempt::Contended { retry_after }) => {
                let asked = keys.iter().map(ToString::to_string);
                self.note("waits", asked.chain([format!("{retry_after:?}")]));
            }
            Err(error) => self.note("fails", keys.iter().map(|key| format!("{key} {error}"))),
        }
        answer
    }

    async fn acquire_each(&self, keys: &[LockKey], ttl: Duration) -> Result<Vec<Attempt<Lease>>, LockError> {
        let answer = self.lock.acquire_each(keys, ttl).await;
        match &answer {
            Ok(attempts) => {
                for attempt in attempts {
                    if let Attempt::Granted(lease) = attempt {
                        self.world.ledger().granted(lease);
                    }
                }
                self.note("asks", keys.iter().zip(attempts).map(|(key, attempt)| self.attempted(key, attempt)));
            }
            Err(error) => self.note("fails", keys.iter().map(|key| format!("{key} {error}"))),
        }
        answer
    }

    async fn extend(&self, leases: &mut [Lease], ttl: Duration) -> Result<Vec<Extended>, LockError> {
        let answer = self.lock.extend(leases, ttl).await;
        self.note("extends", leases.iter().map(|lease| self.words(lease)).chain([format!("{answer:?}")]));
        answer
    }

    async fn release(&self, leases: Vec<Lease>) -> Result<Vec<Released>, LockError> {
        let now = self.world.executor.elapsed();
        leases.iter().for_each(|lease| self.world.ledger().gives_back(lease, now));
        self.note("gives back", leases.iter().map(|lease| self.words(lease)));
        let answer = self.lock.release(leases).await;
        self.note("gave back", [format!("{answer:?}")]);
        answer
    }
}
