//! A connection to a Redis server, and what goes over it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ::redis::aio::MultiplexedConnection;
use ::redis::{Cmd, InfoDict, Value, cmd};
use ::tokio::task::unconstrained;

use super::commands::{answers, lone_set, look, script, scripts};
use super::failure::{failure, word};
use crate::adapters::redlock::check::Finding;
use crate::adapters::redlock::error::RefusalKind;
use crate::adapters::redlock::server::{Answer, Ask, Link, ServerError};
use crate::ports::{BoxFuture, LockToken};

/// For how long a health check sets its key.
const CHECK_TTL: Duration = Duration::from_secs(1);

/// A connection on which the script is loaded.
#[derive(Clone)]
pub(super) struct RedisLink {
    connection: MultiplexedConnection,
    hash: Arc<str>,
}

impl RedisLink {
    /// On which the script has this hash.
    pub(super) fn new(connection: MultiplexedConnection, hash: Arc<str>) -> Self {
        Self { connection, hash }
    }
}

impl fmt::Debug for RedisLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisLink").finish_non_exhaustive()
    }
}

impl Link for RedisLink {
    fn ask(&self, asks: Arc<[Ask]>) -> BoxFuture<'static, Result<Vec<Answer>, ServerError>> {
        let mut link = self.clone();
        // Written in the order in which they are first polled: tokio must not put off a busy task's.
        Box::pin(unconstrained(async move {
            // A lone key needs no script, unless someone has it: then the script says for how long. It must not try again to
            // take the key: what was asked after this on the same connection may have been done meanwhile.
            if let Some(set) = lone_set(&asks) {
                if send(&mut link.connection, &set).await? == Value::Okay {
                    return Ok(vec![Answer::Done]);
                }
                let look = look(&link.hash, &asks);
                return answers(&asks, send(&mut link.connection, &look).await?);
            }
            let scripts: Vec<&[Ask]> = scripts(&asks).collect();
            if let [asks] = scripts[..] {
                let script = script(&link.hash, asks);
                let value = send(&mut link.connection, &script).await?;
                return answers(asks, value);
            }
            let mut pipeline = ::redis::pipe();
            for asks in &scripts {
                pipeline.add_command(script(&link.hash, asks));
            }
            let count = scripts.len();
            let values = link.connection.send_packed_commands(&pipeline, 0, count).await.map_err(failure)?;
            let mut all = Vec::with_capacity(asks.len());
            for (asks, value) in scripts.into_iter().zip(values) {
                match value.extract_error().map_err(failure).and_then(|value| answers(asks, value)) {
                    Ok(answers) => all.extend(answers),
                    // What other scripts have done stands.
                    Err(ServerError::Refused(refusal)) => {
                        all.extend(asks.iter().map(|_| Answer::Refused(refusal.clone())));
                    }
                    Err(closed) => return Err(closed),
                }
            }
            Ok(all)
        }))
    }

    fn check(&self, key: Arc<str>) -> BoxFuture<'static, Result<Vec<Finding>, ServerError>> {
        let mut link = self.clone();
        Box::pin(async move {
            let mut findings = Vec::new();
            match info(&mut link.connection, "replication").await? {
                None => findings.push(Finding::InfoNotPermitted),
                Some(info) if info.get::<String>("role").is_some_and(|role| role != "master") => {
                    findings.push(Finding::Replica);
                }
                Some(_) => {}
            }
            let memory = info(&mut link.connection, "memory").await?;
            if let Some(policy) = memory.and_then(|info| info.get::<String>("maxmemory_policy"))
                && policy != "noeviction"
            {
                findings.push(Finding::Eviction { policy: Arc::from(word(&policy)) });
            }
            let token = LockToken::from_bytes([0; 16]);
            let asks = [
                Ask::Acquire { keys: vec![Arc::clone(&key)], token, ttl: CHECK_TTL },
                // For longer than it has, so that it is really extended.
                Ask::Extend { key: Arc::clone(&key), token, ttl: CHECK_TTL * 2 },
                Ask::Release { key, token },
            ];
            let answers = match link.ask(Arc::from(asks)).await {
                Ok(answers) => answers,
                Err(ServerError::Refused(refusal)) => vec![Answer::Refused(refusal)],
                Err(closed) => return Err(closed),
            };
            let refusal = answers.into_iter().find_map(|answer| match answer {
                Answer::Refused(refusal) => Some(refusal),
                _ => None,
            });
            // A replica says so already.
            if let Some(refusal) = refusal.filter(|it| it.kind != RefusalKind::ReadOnly) {
                findings.push(Finding::Refused(refusal));
            }
            Ok(findings)
        })
    }
}

pub(super) async fn send(connection: &mut MultiplexedConnection, command: &Cmd) -> Result<Value, ServerError> {
    let value = connection.send_packed_command(command).await.and_then(Value::extract_error);
    value.map_err(failure)
}

/// A section of INFO. `None` when the user may not ask for it.
pub(super) async fn info(
    connection: &mut MultiplexedConnection,
    section: &str,
) -> Result<Option<InfoDict>, ServerError> {
    match send(connection, cmd("INFO").arg(section)).await {
        Ok(value) => Ok(::redis::from_redis_value(value).ok()),
        Err(ServerError::Refused(refusal)) if refusal.kind == RefusalKind::Permission => Ok(None),
        Err(error) => Err(error),
    }
}
