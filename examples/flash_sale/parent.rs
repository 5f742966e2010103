//! The sale from start to end: prepares the store, lets the workers sell, and has the result audited.

use std::collections::hash_map::RandomState;
use std::fs;
use std::hash::BuildHasher;
use std::path::{Path, PathBuf, absolute};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use ticket_reservation::ports::Repository;
use tokio::runtime::Runtime;

use crate::args::{SaleArgs, StoreKind};
use crate::audit::audit;
use crate::crew::{Crew, State};
use crate::display::{Display, grouped};
use crate::failure::Failure;
use crate::killer::Killer;
use crate::prepare::prepare;
use crate::report::Report;
use crate::runtime::unix_time;
use crate::sale::{Orders, Sale};
use crate::{plan, stores, table};

/// How often the parent looks around, at ease and while somebody is to be killed.
const LOOK_EVERY: Duration = Duration::from_millis(100);
const LOOK_CLOSELY_EVERY: Duration = Duration::from_millis(2);

/// Where a sale's files are.
#[derive(Debug)]
struct Folder {
    path: PathBuf,
    /// Removes the folder in the end, unless it is kept.
    temporary: Option<TempDir>,
}

/// Sells. Answers whether the audit holds and every worker did its work.
pub(crate) fn sell(args: &SaleArgs) -> Result<bool, Failure> {
    stores::check(args.store, args.lock())?;
    args.check()?;
    let sale = sale(args)?;
    let folder = Folder::new(args.keep.as_deref())?;
    eprintln!("{}", table::heading(&sale));
    let tokio = tokio_runtime()?;
    let store = stores::open(&sale, &folder.path)?;
    tokio.block_on(prepare(&sale, Arc::clone(&store.repository)))?;
    sale.save(&folder.path)?;

    let mut crew = hire(&sale, &folder.path, &store.repository)?;
    let start = Instant::now();
    crew.go()?;
    watch(&sale, &mut crew, &folder.path)?;
    let took = start.elapsed();
    let progress = crew.progress();
    let (killed, lost) = (crew.count(State::Killed), crew.count(State::Lost));
    drop(crew);

    // The audit reads through its own connection, except what is only in this process.
    let store = match sale.store {
        StoreKind::Memory => store,
        _ => {
            tokio.block_on(store.close());
            stores::open_kept(&sale, &folder.path)?
        }
    };
    let audited = tokio.block_on(audit(&sale, &folder.path, &*store.repository))?;
    tokio.block_on(store.close());
    let report = Report::new(&sale, &audited, progress, killed, took);
    eprint!("\n{}\n", table::table(&report));
    eprintln!("{}", table::verdict(&audited));
    if lost > 0 {
        eprintln!("flash_sale: {lost} of {} workers ended before their work did", sale.processes);
    }
    folder.leave(audited.passed());
    if args.json {
        let line = serde_json::to_string(&report).map_err(|error| Failure::caused("the report", &error))?;
        println!("{line}");
    }
    Ok(audited.passed() && lost == 0)
}

/// Audits a kept sale again.
pub(crate) fn audit_kept(dir: &Path) -> Result<bool, Failure> {
    let sale = Sale::load(dir)?;
    let tokio = tokio_runtime()?;
    let store = stores::open_kept(&sale, dir)?;
    let audited = tokio.block_on(audit(&sale, dir, &*store.repository))?;
    tokio.block_on(store.close());
    eprintln!("{}", table::verdict(&audited));
    Ok(audited.passed())
}

fn sale(args: &SaleArgs) -> Result<Sale, Failure> {
    let hall = plan::read(args.plan.as_deref(), args.standing)?;
    // Short enough to be typed again.
    let seed = args.seed.unwrap_or_else(|| RandomState::new().hash_one(0) >> 32);
    let store_url = match &args.store_url {
        Some(url) => Some(stores::shared_url(args.store, url)?),
        None => None,
    };
    Ok(Sale {
        // Event ids are never used again, not even in a store that is.
        event: format!("sale-{seed}-{}", unix_time().as_micros()),
        seed,
        processes: args.processes,
        buyers: args.buyers,
        concurrency: args.concurrency,
        demand: args.demand,
        store: args.store,
        store_url,
        lock: args.lock(),
        lock_policy: args.lock_policy,
        contention: args.contention,
        wait_ms: args.wait_ms,
        pay_ms: args.pay_ms,
        combining: !args.no_combining,
        kill_workers: args.kill_workers,
        hall,
    })
}

fn hire(sale: &Sale, dir: &Path, repository: &Arc<dyn Repository>) -> Result<Crew, Failure> {
    let orders = |worker| Orders { worker, dir: dir.to_owned(), sale: sale.clone() };
    match sale.store {
        StoreKind::Memory => Ok(Crew::of_one_thread(orders(1), Arc::clone(repository))),
        _ => Crew::of_processes(&(1..=sale.processes).map(orders).collect::<Vec<_>>()),
    }
}

/// Shows how it goes, and kills whom it is told to, until nobody sells any more.
fn watch(sale: &Sale, crew: &mut Crew, dir: &Path) -> Result<(), Failure> {
    let mut killer = Killer::new(dir, sale);
    let mut display = Display::start();
    let mut shown = Instant::now();
    while !crew.is_through() {
        crew.listen(if killer.is_waiting() { LOOK_CLOSELY_EVERY } else { LOOK_EVERY });
        let killed = killer.look(crew).map_err(|error| Failure::caused("a worker cannot be killed", &error))?;
        if let Some(worker) = killed {
            let answered = grouped(crew.progress().requests);
            display.say(&format!("killed worker {worker} with a request in flight, after {answered} answers in all"));
            if !killer.is_waiting() {
                crew.open();
            }
        }
        if shown.elapsed() >= LOOK_EVERY {
            shown = Instant::now();
            display.show(crew.progress(), crew.buyers());
        }
    }
    if killer.is_waiting() {
        display.say("the sale was over before everybody was killed who should have been");
    }
    display.end();
    Ok(())
}

fn tokio_runtime() -> Result<Runtime, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    runtime.map_err(|error| Failure::caused("the runtime", &error))
}

impl Folder {
    fn new(keep: Option<&Path>) -> Result<Self, Failure> {
        let Some(keep) = keep else {
            let folder = TempDir::with_prefix("flash-sale-");
            let folder = folder.map_err(|error| Failure::caused("no temporary folder can be made", &error))?;
            return Ok(Self { path: folder.path().to_owned(), temporary: Some(folder) });
        };
        let shown = keep.display();
        let unusable = |error| Failure::usage(format!("--keep {shown} cannot be used: {error}"));
        fs::create_dir_all(keep).map_err(unusable)?;
        if fs::read_dir(keep).map_err(unusable)?.next().is_some() {
            let what = if Sale::is_in(keep) { "has a sale in it already" } else { "is not empty" };
            return Err(Failure::usage(format!("--keep {shown} {what}: name a new or empty folder")));
        }
        Ok(Self { path: absolute(keep).map_err(unusable)?, temporary: None })
    }

    /// Removes what is not to be kept. Evidence is.
    fn leave(self, passed: bool) {
        match self.temporary {
            Some(folder) if !passed => eprintln!("  store and logs are left in {}", folder.keep().display()),
            Some(folder) => drop(folder),
            None => eprintln!("  store and logs are kept: flash_sale audit {}", self.path.display()),
        }
    }
}
