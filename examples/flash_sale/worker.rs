//! One of the sale's processes: serves its share of the buyers with the crate embedded.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ticket_reservation::booking::{BookingService, Contention, Drained, Limits, LockPolicy, LockScope};
use ticket_reservation::ports::{Repository, Runtime};
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use crate::args::{ContentionKind, LockPolicyKind};
use crate::buyer::Buyer;
use crate::demand::Demand;
use crate::desk::Desk;
use crate::failure::Failure;
use crate::gate::Gate;
use crate::link::{Link, Message};
use crate::locks;
use crate::log::{self, Log};
use crate::meter::Meter;
use crate::runtime::TokioRuntime;
use crate::sale::Orders;
use crate::stores;
use crate::trap::{Trap, TrappedMeter};
use crate::trapped_store::TrappedStore;

/// How long a lock lasts when its holder is killed: far longer than any batch, far shorter than anybody waits.
const LOCK_TTL: Duration = Duration::from_secs(2);
/// How often, and how much at once, the first worker settles holds that lapsed. The sale does not depend on it.
const SWEEP_EVERY: Duration = Duration::from_secs(1);
const SWEEP_MAX: usize = 256;
/// How long the last answers may take.
const SHUTDOWN: Duration = Duration::from_secs(10);

/// Works through the orders. Brings its own store, unless it is given one.
pub(crate) fn run(orders: &Orders, shared: Option<Arc<dyn Repository>>, link: &mut dyn Link) -> Result<(), Failure> {
    // One thread: every worker is a process, and the crate's work is waiting.
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let tokio = tokio.map_err(|error| Failure::caused("the runtime", &error))?;
    tokio.block_on(serve(orders, shared, link))
}

async fn serve(orders: &Orders, shared: Option<Arc<dyn Repository>>, link: &mut dyn Link) -> Result<(), Failure> {
    let sale = &orders.sale;
    let trap = Arc::new(Trap::new(sale.kill_at, orders.worker));
    let desk = Arc::new(open_desk(orders, shared, &trap).await?);
    let parent_is_gone = |error: io::Error| Failure::caused("the parent process does not answer", &error);
    link.tell(Message::Ready).map_err(parent_is_gone)?;
    link.wait_for_go().map_err(parent_is_gone)?;
    desk.log.begin().map_err(|error| Failure::caused("the log", &error))?;

    if orders.worker == 1 {
        tokio::spawn(sweep(desk.service.clone()));
    }
    let gate = Arc::new(Gate::of(sale));
    link.work_gate(Arc::clone(&gate), trap);
    let mut buyers = let_buyers_in(&desk, &gate, orders);
    // A parent that waits for the moment to kill somebody looks more often.
    let mut tick = tokio::time::interval(Duration::from_millis(if sale.kill_workers > 0 { 2 } else { 100 }));
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            _ = tick.tick() => link.tell(Message::Progress(desk.meter.progress())).map_err(parent_is_gone)?,
            served = buyers.join_next() => match served {
                None => break,
                Some(Ok(())) => {}
                Some(Err(error)) => return Err(Failure::caused("a buyer's task", &error)),
            },
        }
    }
    if desk.service.shutdown(SHUTDOWN).await != Drained::Completely {
        return Err(Failure::broken("the service does not come to rest"));
    }
    desk.log.ended().map_err(|error| Failure::caused("the log", &error))?;
    link.tell(Message::Done(desk.meter.progress())).map_err(parent_is_gone)
}

/// Starts as many buyers as may be there at once; whoever is through makes room for the next.
fn let_buyers_in(desk: &Arc<Desk>, gate: &Arc<Gate>, orders: &Orders) -> JoinSet<()> {
    let Orders { worker, sale, .. } = orders;
    let (first, step, all) = (u64::from(*worker - 1), u64::from(sale.processes), u64::from(sale.buyers));
    let mut buyers = JoinSet::new();
    for _ in 0..sale.concurrency.min(sale.buyers.div_ceil(sale.processes)) {
        let (desk, gate) = (Arc::clone(desk), Arc::clone(gate));
        buyers.spawn(async move {
            loop {
                let index = first + u64::from(gate.enter().await) * step;
                if index >= all {
                    break;
                }
                Buyer::new(&desk, index).buy().await;
            }
        });
    }
    buyers
}

async fn open_desk(orders: &Orders, shared: Option<Arc<dyn Repository>>, trap: &Arc<Trap>) -> Result<Desk, Failure> {
    let Orders { worker, dir, sale, .. } = orders;
    let repository = match shared {
        Some(repository) => repository,
        None => stores::open(sale, dir, &orders.database).await?.repository,
    };
    let meter = Arc::new(Meter::default());
    let path = log::path(dir, *worker);
    Ok(Desk {
        service: service(orders, repository, TrappedMeter { meter: Arc::clone(&meter), trap: Arc::clone(trap) })?,
        event: sale.event()?,
        demand: Demand::new(&sale.hall, sale.demand).map_err(|error| Failure::caused("the plan", &error))?,
        log: Log::create(&path).map_err(|error| Failure::caused(format!("the log {}", path.display()), &error))?,
        meter,
        uncertain: Mutex::default(),
        seed: sale.seed,
        pay: Duration::from_millis(sale.pay_ms),
        hold_ttl: sale.hold_ttl(),
    })
}

fn service(
    orders: &Orders,
    repository: Arc<dyn Repository>,
    observer: TrappedMeter,
) -> Result<BookingService, Failure> {
    let Orders { dir, redis, sale, .. } = orders;
    let runtime: Arc<dyn Runtime> = Arc::new(TokioRuntime::new(Handle::current()));
    let mut limits = Limits::default().lock_ttl(LOCK_TTL);
    if !sale.combining {
        limits = limits.batch_max(1);
    }
    let lock = locks::open(sale, dir, redis, &runtime)?;
    let repository: Arc<dyn Repository> = match sale.kill_at {
        Some(_) => Arc::new(TrappedStore::new(repository, Arc::clone(&observer.trap))),
        None => repository,
    };
    let mut builder = BookingService::builder(repository, runtime)
        .policies(sale.policies())
        .contention(match sale.contention {
            ContentionKind::Reject => Contention::Reject,
            ContentionKind::Wait => Contention::Wait(Duration::from_millis(sale.wait_ms)),
        })
        .limits(limits)
        .observer(Arc::new(observer));
    if let Some(lock) = lock {
        builder = builder.lock(lock).lock_policy(match sale.lock_policy {
            LockPolicyKind::Never => LockPolicy::Never,
            LockPolicyKind::Ticket => LockPolicy::Always(LockScope::Ticket),
            LockPolicyKind::Area => LockPolicy::Always(LockScope::Area),
            LockPolicyKind::Event => LockPolicy::Always(LockScope::Event),
            LockPolicyKind::Adaptive => LockPolicy::Adaptive,
        });
    }
    builder.build().map_err(|error| Failure::caused("the booking service", &error))
}

/// Settles lapsed holds now and then, as a host would.
async fn sweep(service: BookingService) {
    loop {
        tokio::time::sleep(SWEEP_EVERY).await;
        // What fails now is swept the next time.
        let _ = service.sweep(SWEEP_MAX).await;
    }
}
