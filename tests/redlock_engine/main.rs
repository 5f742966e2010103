//! The quorum engine over scripted servers in virtual time: what it decides, what it leaves behind, and whom it waits for.
#![cfg(feature = "redlock")]

#[path = "../common/mod.rs"]
mod common;

mod combining;
mod config;
mod decisions;
mod drops;
mod extending;
mod late;
mod nodes;
mod owed;
mod quarantine;
mod schedules;
mod validity;

use std::time::Duration;

use common::scripted_redis::{give_back, keys};
use common::sim::{Sim, Started};
use ticket_reservation::adapters::redlock::{Acquisition, NodeReport, Redlock, RedlockError, Vote};
use ticket_reservation::ports::{Attempt, Lease};

/// How long locks are taken for where it does not matter.
const TTL: Duration = Duration::from_secs(10);

type Tried = Result<Acquisition, RedlockError>;

fn leases(tried: Tried) -> Vec<Lease> {
    match tried {
        Ok(Acquisition { attempt: Attempt::Granted(leases), .. }) => leases,
        other => panic!("not granted: {other:?}"),
    }
}

fn retry_after(tried: Tried) -> Duration {
    match tried {
        Ok(Acquisition { attempt: Attempt::Contended { retry_after }, .. }) => retry_after,
        other => panic!("not contended: {other:?}"),
    }
}

/// The votes of an attempt that found no quorum.
fn no_quorum(tried: Tried) -> Vec<Vote> {
    match tried {
        Err(RedlockError::NoQuorum(no_quorum)) => votes(no_quorum.nodes()),
        other => panic!("a quorum: {other:?}"),
    }
}

fn votes(reports: &[NodeReport]) -> Vec<Vote> {
    reports.iter().map(|report| report.vote.clone()).collect()
}

async fn take(lock: &Redlock, names: &[&str]) -> Vec<Lease> {
    leases(lock.try_acquire(&keys(names), TTL).await)
}

/// Connects all nodes.
async fn warm_up(sim: &Sim, lock: &Redlock) {
    let warm = take(lock, &["warm"]).await;
    give_back(lock, warm).await;
    sim.idle().await;
}

/// Tries to acquire in the background.
fn start_taking(sim: &Sim, lock: &Redlock, names: &[&str]) -> Started<Tried> {
    let (lock, keys) = (lock.clone(), keys(names));
    sim.start(async move { lock.try_acquire(&keys, TTL).await })
}
