//! Buyers who fight over a small inventory, without a lock, and write down what they were told.

mod buyer;
mod dice;
mod line;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::bench::{event_id, side_by_side};
use super::check::{Checked, Failure};
use super::service;
use crate::domain::{EventId, LatePayment, Policies};
use crate::ports::{BoxFuture, Observation, Observer, Repository, Runtime};

use buyer::Buyer;
pub(super) use dice::Dice;
pub(super) use line::{Asked, Line, Word};

pub(super) const TICKETS: u32 = 24;
pub(super) const POOL: (&str, u32) = ("floor", 30);
pub(super) const LIMIT: u32 = 12;

/// What one instance does: how many buyers try how often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Job {
    pub(super) event: EventId,
    pub(super) instance: u32,
    pub(super) buyers: u32,
    pub(super) rounds: u32,
    pub(super) seed: u64,
    /// After so many lines, it says nothing more and waits to be killed.
    pub(super) pause_after: Option<u32>,
}

impl fmt::Display for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pause_after = self.pause_after.unwrap_or(0);
        write!(f, "{} {} {} {} {} {pause_after}", self.event, self.instance, self.buyers, self.rounds, self.seed)
    }
}

impl FromStr for Job {
    type Err = Failure;

    fn from_str(text: &str) -> Result<Self, Failure> {
        let fields: Vec<&str> = text.split(' ').collect();
        let [event, instance, buyers, rounds, seed, pause_after] = fields[..] else {
            return Err(Failure::new(format!("not a job: {text:?}")));
        };
        Ok(Self {
            event: EventId::new(event)?,
            instance: instance.parse()?,
            buyers: buyers.parse()?,
            rounds: rounds.parse()?,
            seed: seed.parse()?,
            pause_after: Some(pause_after.parse()?).filter(|lines| *lines > 0),
        })
    }
}

/// Where lines go.
pub(super) type Log = Arc<dyn Fn(Line) + Send + Sync>;

/// Counts how often requests met those of other instances.
#[derive(Debug, Default)]
struct Conflicts(AtomicU32);

impl Observer for Conflicts {
    fn observe(&self, observation: &Observation<'_>) {
        if matches!(observation, Observation::Conflict { .. }) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Runs all buyers of one instance side by side. Answers how many conflicts its service had.
pub(super) async fn run(
    repository: Arc<dyn Repository>,
    runtime: Arc<dyn Runtime>,
    job: &Job,
    log: Log,
) -> Result<u32, Failure> {
    let late_payment = if job.instance.is_multiple_of(2) { LatePayment::Refuse } else { LatePayment::RebookIfFree };
    let policies = Policies { late_payment, ..Policies::default() };
    let conflicts = Arc::new(Conflicts::default());
    let service = service::observed(&runtime, repository, policies, Arc::clone(&conflicts) as Arc<dyn Observer>)?;
    let mut tasks: Vec<BoxFuture<'static, Checked>> = Vec::new();
    for n in 0..job.buyers {
        let buyer = Buyer {
            service: service.clone(),
            runtime: Arc::clone(&runtime),
            event: job.event.clone(),
            name: format!("customer {}", (job.instance * job.buyers + n) % 20),
            dice: Dice::new(job.seed ^ (u64::from(job.instance) << 40) ^ (u64::from(n) << 20)),
            log: Arc::clone(&log),
        };
        tasks.push(Box::pin(buyer.buy(job.rounds)));
    }
    side_by_side(&runtime, tasks).await?;
    Ok(conflicts.0.load(Ordering::Relaxed))
}

/// The event of a contest.
pub(super) fn event() -> EventId {
    event_id("contest")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_survive_their_way_through_text() {
        for pause_after in [None, Some(9)] {
            let job = Job { event: event(), instance: 3, buyers: 8, rounds: 9, seed: u64::MAX, pause_after };
            assert_eq!(job.to_string().parse::<Job>().ok(), Some(job));
        }
    }
}
