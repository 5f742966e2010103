//! The task that asks the lock again and again for those who wait in this process.

use std::sync::Arc;
use std::time::Duration;

use super::guard::LockGuard;
use super::hand_on::GivingBack;
use super::lanes::Shared;
use super::tenure::Tenure;
use crate::ports::{Attempt, Lease, LockKey, RuntimeExt};

/// How soon a lock that someone else holds is asked for again: twice as late each time, up to [`POLL_MAX`], each a little
/// earlier by chance, and never later than the lease ends that is in the way.
const POLL_MIN: Duration = Duration::from_millis(1);

/// The longest pause between two looks at a lock that someone else holds.
pub const POLL_MAX: Duration = Duration::from_millis(4);

/// The shortest rest after a tenure, for clients that leave no trace. It is that short when nobody else was seen lately.
pub const REST_MIN: Duration = Duration::from_millis(1);

/// The longest rest after a tenure: longer than others take to look again.
pub const REST_MAX: Duration = Duration::from_millis(8);

/// How soon a lock that has failed is asked again: twice as late each time, up to the most.
const FAILED_MIN: Duration = Duration::from_millis(10);
const FAILED_MAX: Duration = Duration::from_millis(500);

/// Goes on until the first who waits has the lock, or nobody waits any more.
pub(super) async fn compete(shared: Arc<Shared>, key: LockKey, rest: Duration) {
    let has_rested = !rest.is_zero();
    if has_rested {
        shared.runtime.sleep(shared.runtime.jittered(rest)).await;
    }
    let (mut poll, mut failed, mut is_first) = (POLL_MIN, FAILED_MIN, has_rested);
    while somebody_waits(&shared, &key) {
        let asked = shared.now();
        let attempt = shared.lock.acquire_all(std::slice::from_ref(&key), shared.settings.ttl).await;
        let pause = match attempt {
            Ok(Attempt::Granted(leases)) => {
                if std::mem::take(&mut is_first) {
                    // Nobody took it meanwhile.
                    remember_rest(&shared, &key, |rest| (rest / 2).max(REST_MIN));
                }
                return granted(&shared, &key, leases, asked).await;
            }
            Ok(Attempt::Contended { retry_after }) => {
                if std::mem::take(&mut is_first) {
                    remember_rest(&shared, &key, |_| REST_MAX);
                }
                let pause = shared.runtime.jittered(poll).min(retry_after);
                poll = (poll * 2).min(POLL_MAX);
                pause.max(POLL_MIN / 8)
            }
            Err(error) => {
                shared.observe_failure(&error);
                if let Some(lane) = shared.lanes().get(&key) {
                    lane.failure = Some(error);
                }
                let pause = shared.runtime.jittered(failed);
                failed = (failed * 2).min(FAILED_MAX);
                pause
            }
        };
        shared.runtime.sleep(pause).await;
    }
}

/// Whether there is somebody to compete for. If not, the key is nobody's here.
fn somebody_waits(shared: &Shared, key: &LockKey) -> bool {
    let mut lanes = shared.lanes();
    let Some(lane) = lanes.get(key) else { return false };
    lane.forget_those_gone();
    if lane.waiting.is_empty() {
        lanes.remove(key);
        return false;
    }
    true
}

fn remember_rest(shared: &Shared, key: &LockKey, rest: impl FnOnce(Duration) -> Duration) {
    if let Some(lane) = shared.lanes().get(key) {
        lane.rest = rest(lane.rest);
    }
}

/// The lease goes to the first who waits; if nobody does any more, back to the lock.
async fn granted(shared: &Arc<Shared>, key: &LockKey, leases: Vec<Lease>, asked: std::time::Instant) {
    let Some(lease) = leases.into_iter().next() else { return };
    let next = {
        let mut lanes = shared.lanes();
        let Some(lane) = lanes.get(key) else { return };
        lane.failure = None;
        let next = lane.next();
        next.map(|next| {
            let tenure = Arc::new(Tenure::new(lease.clone(), asked, shared.now()));
            lane.tenure = Some(Arc::clone(&tenure));
            (next, tenure)
        })
    };
    match next {
        Some((next, tenure)) => {
            shared.keep_alive();
            drop(next.send(LockGuard::new(Arc::clone(shared), key.clone(), tenure)));
        }
        None => {
            let giving_back =
                GivingBack { shared: Arc::clone(shared), key: key.clone(), lease: Some(lease), rest: Duration::ZERO };
            giving_back.run().await;
        }
    }
}
