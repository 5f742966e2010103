use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::check::{Finding, NodeCheck, find_same_servers};
use super::config::{Quarantine, RedlockBuilder, Settings};
use super::engine::{Engine, Verdict, quorum};
use super::error::{NoQuorum, NodeReport, RedlockError, Vote};
use super::server::{Ask, Server, ServerError};
use crate::ports::{Attempt, Extended, Lease, Lock, LockError, LockKey, LockToken, Observer, Released, Runtime};

/// The longest TTL.
pub(super) const TTL_MAX: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// How many keys `acquire_all` takes at most. All or none is one script, and a server does nothing else while it runs: about
/// 3 µs for each key. `acquire_each` has no such bound.
pub const KEYS_AT_ONCE_MAX: usize = 1_024;

/// What must be left of a TTL after the drift.
const VALIDITY_MIN: Duration = Duration::from_millis(5);

/// A lock over a majority of independent Redis servers. Cloning it is cheap; clones share connections.
#[derive(Debug, Clone)]
pub struct Redlock {
    engine: Arc<Engine>,
    runtime: Arc<dyn Runtime>,
    settings: Settings,
}

/// What became of an attempt, and what each node had said by then.
#[derive(Debug)]
#[non_exhaustive]
pub struct Acquisition {
    /// The leases, or when to come back.
    pub attempt: Attempt<Vec<Lease>>,
    /// What each node had said when it was decided, in the order in which the nodes were given.
    pub nodes: Vec<NodeReport>,
}

impl Redlock {
    /// Starts with the runtime that tells the time, draws tokens and runs what goes on in the background.
    pub fn builder(runtime: Arc<dyn Runtime>) -> RedlockBuilder {
        RedlockBuilder::new(runtime)
    }

    pub(super) fn over(
        servers: Vec<Arc<dyn Server>>,
        settings: Settings,
        runtime: Arc<dyn Runtime>,
        observer: &Arc<dyn Observer>,
    ) -> Self {
        let engine = Engine::new(servers, &settings, Arc::clone(&runtime), observer);
        Self { engine, runtime, settings }
    }

    /// How many nodes must grant a lock.
    #[must_use]
    pub fn quorum(&self) -> usize {
        quorum(self.engine.names().count())
    }

    /// Takes all keys or none, [`KEYS_AT_ONCE_MAX`] at most, without waiting, and says what each node had said when it was decided.
    ///
    /// # Errors
    ///
    /// [`RedlockError`] when it could not be decided; nothing stays locked longer than the TTL.
    ///
    /// # Cancellation
    ///
    /// What was granted is released, in the background.
    pub async fn try_acquire(&self, keys: &[LockKey], ttl: Duration) -> Result<Acquisition, RedlockError> {
        self.check_ttl(ttl)?;
        if keys.is_empty() {
            return Ok(Acquisition { attempt: Attempt::Granted(Vec::new()), nodes: Vec::new() });
        }
        if keys.len() > KEYS_AT_ONCE_MAX {
            return Err(RedlockError::TooManyKeys { keys: keys.len(), max: KEYS_AT_ONCE_MAX });
        }
        let token = self.token();
        let ask = Ask::Acquire { keys: keys.iter().map(|key| self.redis_key(key)).collect(), token, ttl };
        let verdicts = self.engine.ask(vec![ask]).await.ok_or(RedlockError::ShutDown)?;
        let verdict = verdicts.into_iter().next().map_or(Verdict::Unknown, |(_, verdict)| verdict);
        self.acquired(keys, token, ttl, verdict)
    }

    /// Looks at every node: whether it is reachable, a master that keeps what it has, does what a lock needs, and is no other
    /// node under another name. For the start of a host and for its health probes; it may take as long as connecting may, and
    /// sets one key for a second.
    ///
    /// # Cancellation
    ///
    /// Dropping the future ends the check.
    pub async fn check(&self) -> Vec<NodeCheck> {
        let names: Vec<Arc<str>> = self.engine.names().cloned().collect();
        let checks = names
            .into_iter()
            .enumerate()
            .map(async |(number, node)| NodeCheck { findings: self.check_node(number).await, node });
        let mut checks = futures_util::future::join_all(checks).await;
        find_same_servers(&mut checks, &self.engine.run_ids());
        checks
    }

    async fn check_node(&self, number: usize) -> Vec<Finding> {
        let key: Arc<str> = format!("{}check:{:016x}", self.settings.key_prefix, self.runtime.random()).into();
        let checked = self.engine.check(number, key);
        let timeout = self.runtime.sleep(self.settings.connect_timeout * 2);
        match futures_util::future::select(std::pin::pin!(checked), timeout).await {
            futures_util::future::Either::Left((Ok(findings), _)) => findings,
            futures_util::future::Either::Left((Err(ServerError::Closed(why)), _)) => vec![Finding::Unreachable(why)],
            futures_util::future::Either::Left((Err(ServerError::Refused(refusal)), _)) => {
                vec![Finding::Refused(refusal)]
            }
            futures_util::future::Either::Right(_) => vec![Finding::Unreachable(Arc::from("it does not answer"))],
        }
    }

    /// Waits until everything is done that goes on in the background, at most so long: late answers, and what they have
    /// granted in vain. Says whether that was reached; what was not released ends with its TTL.
    ///
    /// # Cancellation
    ///
    /// Dropping the future stops the waiting alone.
    pub async fn shutdown(&self, at_most: Duration) -> bool {
        self.engine.idle(at_most).await
    }

    fn check_ttl(&self, ttl: Duration) -> Result<(), RedlockError> {
        let max = match self.settings.quarantine {
            Quarantine::Off => TTL_MAX,
            Quarantine::For(max_ttl) => max_ttl,
        };
        if ttl <= max && ttl.saturating_sub(self.settings.drift.of(ttl)) >= VALIDITY_MIN {
            return Ok(());
        }
        Err(RedlockError::InvalidTtl { ttl, min: self.settings.drift.ttl_for(VALIDITY_MIN), max })
    }

    /// Different keys have different names in Redis: all have the same prefix.
    fn redis_key(&self, key: &LockKey) -> Arc<str> {
        format!("{}{key}", self.settings.key_prefix).into()
    }

    fn token(&self) -> LockToken {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.runtime.random().to_be_bytes());
        bytes[8..].copy_from_slice(&self.runtime.random().to_be_bytes());
        LockToken::from_bytes(bytes)
    }

    fn reports(&self, votes: Vec<Vote>) -> Vec<NodeReport> {
        self.engine.names().cloned().zip(votes).map(|(node, vote)| NodeReport { node, vote }).collect()
    }

    fn acquired(
        &self,
        keys: &[LockKey],
        token: LockToken,
        ttl: Duration,
        verdict: Verdict,
    ) -> Result<Acquisition, RedlockError> {
        match verdict {
            Verdict::Granted { deadline, votes } => {
                let leases = keys.iter().map(|key| Lease::new(key.clone(), token, deadline)).collect();
                Ok(Acquisition { attempt: Attempt::Granted(leases), nodes: self.reports(votes) })
            }
            Verdict::Contended { retry_after, votes } => {
                Ok(Acquisition { attempt: Attempt::Contended { retry_after }, nodes: self.reports(votes) })
            }
            Verdict::NoQuorum { votes } => Err(RedlockError::NoQuorum(NoQuorum::new(self.reports(votes)))),
            Verdict::TooLate { took } => Err(RedlockError::TooLate { took, ttl }),
            Verdict::Extended { .. } | Verdict::Released | Verdict::Absent | Verdict::NotOwner | Verdict::Unknown => {
                Err(RedlockError::ShutDown)
            }
        }
    }
}

#[async_trait]
impl Lock for Redlock {
    async fn acquire_all(&self, keys: &[LockKey], ttl: Duration) -> Result<Attempt<Vec<Lease>>, LockError> {
        Ok(self.try_acquire(keys, ttl).await?.attempt)
    }

    /// An error for all when one key cannot be decided: what was granted of the others is released.
    async fn acquire_each(&self, keys: &[LockKey], ttl: Duration) -> Result<Vec<Attempt<Lease>>, LockError> {
        self.check_ttl(ttl)?;
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let tokens: Vec<LockToken> = keys.iter().map(|_| self.token()).collect();
        let ask =
            |(key, token): (&LockKey, &LockToken)| Ask::Acquire { keys: vec![self.redis_key(key)], token: *token, ttl };
        let asks = keys.iter().zip(&tokens).map(ask).collect();
        let verdicts = self.engine.ask(asks).await.ok_or(RedlockError::ShutDown)?;
        let mut attempts = Vec::with_capacity(keys.len());
        let mut failure = None;
        for ((key, token), (_, verdict)) in keys.iter().zip(tokens).zip(verdicts) {
            match self.acquired(std::slice::from_ref(key), token, ttl, verdict) {
                Ok(Acquisition { attempt: Attempt::Granted(leases), .. }) => {
                    attempts.extend(leases.into_iter().map(Attempt::Granted));
                }
                Ok(Acquisition { attempt: Attempt::Contended { retry_after }, .. }) => {
                    attempts.push(Attempt::Contended { retry_after });
                }
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        let Some(failure) = failure else { return Ok(attempts) };
        let granted = attempts.into_iter().filter_map(|attempt| match attempt {
            Attempt::Granted(lease) => Some(lease),
            Attempt::Contended { .. } => None,
        });
        let _ = self.release(granted.collect()).await;
        Err(failure.into())
    }

    async fn extend(&self, leases: &mut [Lease], ttl: Duration) -> Result<Vec<Extended>, LockError> {
        self.check_ttl(ttl)?;
        if leases.is_empty() {
            return Ok(Vec::new());
        }
        let ask = |lease: &Lease| Ask::Extend { key: self.redis_key(lease.key()), token: *lease.token(), ttl };
        let asks = leases.iter().map(ask).collect();
        let verdicts = self.engine.ask(asks).await.ok_or(RedlockError::ShutDown)?;
        let extend = |(lease, (_, verdict)): (&mut Lease, (Ask, Verdict))| match verdict {
            Verdict::Extended { deadline } => {
                lease.set_deadline(deadline.max(lease.deadline()));
                Extended::Extended
            }
            Verdict::Absent | Verdict::NotOwner => Extended::Lost,
            _ => Extended::Unknown,
        };
        Ok(leases.iter_mut().zip(verdicts).map(extend).collect())
    }

    async fn release(&self, leases: Vec<Lease>) -> Result<Vec<Released>, LockError> {
        if leases.is_empty() {
            return Ok(Vec::new());
        }
        let ask = |lease: &Lease| Ask::Release { key: self.redis_key(lease.key()), token: *lease.token() };
        let verdicts = self.engine.ask(leases.iter().map(ask).collect()).await.ok_or(RedlockError::ShutDown)?;
        let release = |(_, verdict)| match verdict {
            Verdict::Released => Released::Released,
            Verdict::Absent => Released::Expired,
            Verdict::NotOwner => Released::NotOwner,
            _ => Released::Unknown,
        };
        Ok(verdicts.into_iter().map(release).collect())
    }
}
