use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};

use super::lease_set::LeaseSet;
use crate::ports::{Extended, Lock, Observation, Observer, Runtime};

/// Runs `work` to its end, and extends the leases meanwhile whenever two thirds of their TTL are left or less. Leases
/// that are lost are noted in the set and observed; the work goes on.
pub(crate) async fn keep_alive<T>(
    lock: &dyn Lock,
    leases: &LeaseSet,
    ttl: Duration,
    runtime: &dyn Runtime,
    observer: &dyn Observer,
    work: impl Future<Output = T>,
) -> T {
    let upkeep = pin!(upkeep(lock, leases, ttl, runtime, observer));
    match select(pin!(work), upkeep).await {
        Either::Left((done, _)) => done,
        Either::Right(((), work)) => work.await,
    }
}

/// Extends the leases again and again, until none is left.
async fn upkeep(lock: &dyn Lock, leases: &LeaseSet, ttl: Duration, runtime: &dyn Runtime, observer: &dyn Observer) {
    while let Some(deadline) = leases.earliest_deadline() {
        let due = deadline.checked_sub(ttl / 3 * 2).unwrap_or(deadline);
        runtime.sleep(due.saturating_duration_since(runtime.now())).await;
        // An extension that hangs does not hide that a lease has ended.
        let end = runtime.sleep(deadline.saturating_duration_since(runtime.now()));
        select(pin!(extend_all(lock, leases, ttl, observer)), end).await;
        for key in leases.drop_ended(runtime.now()) {
            observer.observe(&Observation::LeaseLost { key: &key });
        }
        // A store that cannot extend is asked again a little later, not in a tight loop.
        runtime.sleep(ttl / 10).await;
    }
}

async fn extend_all(lock: &dyn Lock, leases: &LeaseSet, ttl: Duration, observer: &dyn Observer) {
    #[cfg(planted_bugs)]
    if crate::planted::is(crate::planted::Bug::KeepAliveStops) {
        return;
    }
    let mut extending = leases.leases();
    match lock.extend(&mut extending, ttl).await {
        Ok(answers) => {
            for (lease, answer) in extending.iter().zip(answers) {
                match answer {
                    Extended::Extended => leases.extended(lease),
                    Extended::Lost => {
                        leases.lost(lease.key());
                        observer.observe(&Observation::LeaseLost { key: lease.key() });
                    }
                    Extended::Unknown => {}
                }
            }
        }
        Err(error) => observer.observe(&Observation::LockFailed { error: &error }),
    }
}
