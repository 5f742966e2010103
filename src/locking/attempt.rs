use std::sync::Arc;
use std::time::Duration;

use super::core::Core;
use super::within::within;
use crate::ports::{Attempt, BoxFuture, Lease, LockError, LockKey};

/// One call to the lock. It owns what it needs, so that a task can go on with it when its caller is gone: not every
/// lock's store forgets a call that was dropped.
pub(super) type Call = BoxFuture<'static, Result<Attempt<Vec<Lease>>, LockError>>;

/// What one call to the lock led to.
pub(super) enum Outcome {
    Granted(Lease),
    Contended { retry_after: Duration },
    Failed(LockError),
}

pub(super) fn call(core: &Core, key: LockKey) -> Call {
    let (lock, ttl) = (core.lock.clone(), core.config.ttl);
    Box::pin(async move { lock.acquire_all(&[key], ttl).await })
}

/// The call's outcome. One that takes longer than the TTL grants nothing any more.
pub(super) async fn outcome(core: &Arc<Core>, call: Call) -> Outcome {
    judge(core, within(&*core.runtime, core.config.ttl, call).await)
}

/// Makes an outcome of an answer, or of none.
pub(super) fn judge(core: &Core, answer: Option<Result<Attempt<Vec<Lease>>, LockError>>) -> Outcome {
    match answer {
        Some(Ok(Attempt::Contended { retry_after })) => Outcome::Contended { retry_after },
        Some(Ok(Attempt::Granted(mut leases))) => match leases.pop() {
            Some(lease) if lease.deadline() > core.runtime.now() => Outcome::Granted(lease),
            _ => Outcome::Failed(LockError::new("the lease had ended before it was granted")),
        },
        Some(Err(error)) => Outcome::Failed(error),
        None => Outcome::Failed(LockError::new("no answer within the TTL")),
    }
}
