use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};

use super::lease_set::LeaseSet;
use crate::ports::{Extended, Lock, Observation, Observer, Runtime};

/// Runs `work` to its end, and extends the leases meanwhile whenever two thirds of their TTL are left or less. Leases that
/// are lost are noted in the set and observed; the work goes on.
pub(crate) async fn keep_alive<T>(
    lock: &dyn Lock,
    leases: &LeaseSet,
    ttl: Duration,
    runtime: &dyn Runtime,
    observer: &dyn Observer,
    work: impl Future<Output = T>,
) -> T {
    let mut work = pin!(work);
    loop {
        let Some(deadline) = leases.earliest_deadline() else { return work.await };
        let due = deadline.checked_sub(ttl * 2 / 3).unwrap_or(deadline);
        let wait = due.saturating_duration_since(runtime.now());
        match select(work.as_mut(), runtime.sleep(wait)).await {
            Either::Left((done, _)) => return done,
            Either::Right(((), _)) => {}
        }
        let extension = pin!(extend_all(lock, leases, ttl, runtime, observer));
        match select(work.as_mut(), extension).await {
            Either::Left((done, _)) => return done,
            Either::Right(((), _)) => {}
        }
    }
}

async fn extend_all(lock: &dyn Lock, leases: &LeaseSet, ttl: Duration, runtime: &dyn Runtime, observer: &dyn Observer) {
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
    for key in leases.drop_ended(runtime.now()) {
        observer.observe(&Observation::LeaseLost { key: &key });
    }
    // A store that cannot extend is asked again a little later, not in a tight loop.
    runtime.sleep(ttl / 10).await;
}
