//! Both sides, measured one after the other, again and again.

use std::error::Error;
use std::time::Duration;

use crate::orders::{Demand, Outcome, PROCESSES, Side, Turn};
use crate::others;
use crate::process::Workers;

/// How many connections each process has by hand: for each demand the faster of these counts. More connections only wait for the row
/// longer. The same processes have them as sell on the other side; one process with four sells about as much as four with one.
pub(crate) const CONNECTIONS: [usize; 2] = [1, 4];

/// How often each is tried.
const TRIES: usize = 2;

/// What all processes have done in one turn.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sold {
    pub(crate) per_second: f64,
    pub(crate) commits: u64,
    pub(crate) requests: u64,
    pub(crate) conflicts: u64,
    /// Of the slowest process.
    pub(crate) p95_ms: f64,
    /// What the process that sold least has sold, of an equal share.
    pub(crate) least_share: f64,
}

/// One demand in one round.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pair {
    pub(crate) demand: Demand,
    pub(crate) service: Sold,
    pub(crate) by_hand: Sold,
    /// Which share of the processors others used just before.
    pub(crate) others: f64,
}

impl Pair {
    pub(crate) fn ratio(&self) -> f64 {
        self.service.per_second / self.by_hand.per_second
    }
}

/// What one side has acknowledged from the beginning to the end.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Acknowledged {
    pub(crate) held: u64,
    pub(crate) booked: u64,
}

impl Acknowledged {
    fn add(&mut self, outcomes: &[Outcome]) {
        self.held += outcomes.iter().map(|it| it.held).sum::<u64>();
        self.booked += outcomes.iter().map(|it| it.booked).sum::<u64>();
    }
}

/// Measures.
pub(crate) struct Rounds {
    workers: Workers,
    time: Duration,
    /// By hand, for each demand.
    connections: [usize; 2],
    pub(crate) acknowledged_by_service: Acknowledged,
    pub(crate) acknowledged_by_hand: Acknowledged,
}

impl Rounds {
    pub(crate) fn new(workers: Workers, time: Duration) -> Self {
        let [acknowledged_by_service, acknowledged_by_hand] = [Acknowledged::default(); 2];
        Self { workers, time, connections: [CONNECTIONS[0]; 2], acknowledged_by_service, acknowledged_by_hand }
    }

    /// Finds out how many connections are best by hand, before anything else has been written.
    pub(crate) fn calibrate(&mut self) -> Result<(), Box<dyn Error>> {
        for demand in Demand::ALL {
            let mut best = 0.0;
            for connections in [CONNECTIONS; TRIES].concat() {
                let sold = self.by_hand(connections, demand, self.time / 2)?;
                let all = connections * PROCESSES;
                println!("{} by hand, {all} connections: {:.0}/s", demand.name(), sold.per_second);
                if sold.per_second > best {
                    best = sold.per_second;
                    self.connections[demand as usize] = connections;
                }
            }
        }
        Ok(())
    }

    /// Each demand on both sides.
    pub(crate) fn round(&mut self) -> Result<[Pair; 2], Box<dyn Error>> {
        Ok([self.pair(Demand::Hold)?, self.pair(Demand::Book)?])
    }

    fn pair(&mut self, demand: Demand) -> Result<Pair, Box<dyn Error>> {
        let others = others::share().unwrap_or_default();
        let service = self.service(demand, self.time)?;
        let by_hand = self.by_hand(self.connections[demand as usize], demand, self.time)?;
        Ok(Pair { demand, service, by_hand, others })
    }

    fn service(&mut self, demand: Demand, time: Duration) -> Result<Sold, Box<dyn Error>> {
        let outcomes = self.turn(Side::Service, demand, time)?;
        self.acknowledged_by_service.add(&outcomes);
        Ok(together(&outcomes))
    }

    fn by_hand(&mut self, connections: usize, demand: Demand, time: Duration) -> Result<Sold, Box<dyn Error>> {
        let outcomes = self.turn(Side::ByHand { connections }, demand, time)?;
        self.acknowledged_by_hand.add(&outcomes);
        Ok(together(&outcomes))
    }

    fn turn(&mut self, side: Side, demand: Demand, time: Duration) -> Result<Vec<Outcome>, Box<dyn Error>> {
        self.workers.run(&Turn { side, demand, settle: time / 8, time })
    }
}

fn together(outcomes: &[Outcome]) -> Sold {
    let mut sold = Sold { least_share: f64::INFINITY, ..Sold::default() };
    for outcome in outcomes {
        sold.per_second += outcome.per_second;
        sold.commits += outcome.commits;
        sold.requests += outcome.requests;
        sold.conflicts += outcome.conflicts;
        sold.p95_ms = sold.p95_ms.max(outcome.p95_ms);
        sold.least_share = sold.least_share.min(outcome.per_second);
    }
    sold.least_share *= outcomes.len() as f64 / sold.per_second;
    sold
}
