//! One process: sells on either side, turn by turn, as it is told.

use std::error::Error;
use std::io::{self, BufRead, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use ticket_reservation::adapters::postgres::PostgresRepository;
use ticket_reservation::adapters::tokio::TokioRuntime;
use ticket_reservation::booking::BookingService;
use ticket_reservation::domain::Policies;
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use crate::buyer::Buyer;
use crate::for_update;
use crate::meter::Meter;
use crate::orders::{Demand, Outcome, READY, Side, Turn, WORKER};
use crate::rounds::CONNECTIONS;

/// Buyers at once who come to the service.
const BUYERS: usize = 250;

/// No hold ends while it is measured.
const HOLD_TTL: Duration = Duration::from_secs(24 * 60 * 60);

/// Runs as a worker, if this is one.
pub(crate) fn run_if_ordered() -> Option<ExitCode> {
    std::env::var_os(WORKER)?;
    Some(match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("hot_pool: a worker failed: {error}");
            ExitCode::FAILURE
        }
    })
}

fn run() -> Result<(), Box<dyn Error>> {
    let mut lines = io::stdin().lock().lines();
    let url = lines.next().ok_or("a worker has no orders")??;
    // Each side runs on what it is fastest on. The service does on one thread, as in the flash sale: every worker is a process, and
    // its work is waiting.
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // By hand, two threads sell about a fifth more than one.
    let two_threads = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let by_hand = two_threads.block_on(connect_by_hand(&url));
    let seller = tokio.block_on(Seller::open(&url, by_hand, two_threads.handle().clone()))?;
    say(READY)?;
    for line in lines {
        let turn: Turn = serde_json::from_str(&line?)?;
        say(&serde_json::to_string(&tokio.block_on(seller.sell(&turn))?)?)?;
    }
    Ok(())
}

fn say(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}

/// As many connections as are ever used.
async fn connect_by_hand(url: &str) -> Vec<Arc<for_update::Buyer>> {
    let connections = CONNECTIONS.into_iter().max().unwrap_or_default();
    let mut buyers = Vec::new();
    for _ in 0..connections {
        buyers.push(Arc::new(for_update::Buyer::new(url).await));
    }
    buyers
}

/// Both sides, connected.
struct Seller {
    meter: Arc<Meter>,
    service: BookingService,
    by_hand: Vec<Arc<for_update::Buyer>>,
    /// What those run on.
    two_threads: Handle,
}

impl Seller {
    async fn open(
        url: &str,
        by_hand: Vec<Arc<for_update::Buyer>>,
        two_threads: Handle,
    ) -> Result<Self, Box<dyn Error>> {
        let runtime = Arc::new(TokioRuntime::current()?);
        let repository = PostgresRepository::builder(url, runtime.clone()).plain_on_loopback().build()?;
        repository.open().await?;
        let meter = Arc::new(Meter::default());
        let service = BookingService::builder(Arc::new(repository), runtime)
            .policies(Policies { hold_ttl: HOLD_TTL, hold_ttl_max: HOLD_TTL, ..Policies::default() })
            .observer(meter.clone())
            .build()?;
        Ok(Self { meter, service, by_hand, two_threads })
    }

    fn buyers(&self, side: Side) -> Vec<Buyer> {
        match side {
            Side::Service => vec![Buyer::Service(self.service.clone()); BUYERS],
            Side::ByHand { connections } => self.by_hand.iter().take(connections).cloned().map(Buyer::ByHand).collect(),
        }
    }

    async fn sell(&self, turn: &Turn) -> Result<Outcome, Box<dyn Error>> {
        let over = Arc::new(AtomicBool::new(false));
        let first = self.meter.counts();
        let runtime = match turn.side {
            Side::Service => Handle::current(),
            Side::ByHand { .. } => self.two_threads.clone(),
        };
        let mut buying = JoinSet::new();
        for buyer in self.buyers(turn.side) {
            buying.spawn_on(buyer.buy(turn.demand, Arc::clone(&self.meter), Arc::clone(&over)), &runtime);
        }
        tokio::time::sleep(turn.settle).await;
        let (from, started) = (self.meter.counts(), Instant::now());
        self.meter.take_waits();
        tokio::time::sleep(turn.time).await;
        let (to, seconds) = (self.meter.counts(), started.elapsed().as_secs_f64());
        let waits = self.meter.take_waits();
        over.store(true, Relaxed);
        while let Some(bought) = buying.join_next().await {
            bought??;
        }
        let last = self.meter.counts();
        let acknowledged = match turn.demand {
            Demand::Hold => to.held - from.held,
            Demand::Book => to.booked - from.booked,
        };
        Ok(Outcome {
            held: last.held - first.held,
            booked: last.booked - first.booked,
            per_second: acknowledged as f64 / seconds,
            commits: to.commits - from.commits,
            requests: to.requests - from.requests,
            conflicts: to.conflicts - from.conflicts,
            p95_ms: p95(waits).as_secs_f64() * 1e3,
        })
    }
}

fn p95(mut waits: Vec<Duration>) -> Duration {
    waits.sort_unstable();
    waits.get(waits.len() * 19 / 20).copied().unwrap_or_default()
}
