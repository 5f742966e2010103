//! The sale from start to end: prepares the store, lets the workers sell, and has the result audited.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ticket_reservation::ports::Repository;
use tokio::runtime::Runtime;

use crate::args::{SaleArgs, StoreKind};
use crate::audit::audit;
use crate::course::CourseLog;
use crate::crew::Crew;
use crate::database::{Database, Server};
use crate::failure::Failure;
use crate::folder::Folder;
use crate::meter::Progress;
use crate::nodes::{Nodes, Urls};
use crate::page::{Page, Target};
use crate::prepare::prepare;
use crate::report::Report;
use crate::runtime::unix_time;
use crate::sale::{Orders, Sale};
use crate::terminal::{Stream, tell};
use crate::watch::{Sold, watch};
use crate::{locks, plan, stores, table};

/// Sells. Answers whether the audit holds and everything went as ordered.
pub(crate) fn sell(args: &SaleArgs) -> Result<bool, Failure> {
    stores::check(args.store)?;
    locks::check(args.lock())?;
    args.check()?;
    let sale = sale(args)?;
    let folder = Folder::new(args.keep.as_deref())?;
    let target = args.report.as_deref().map(Target::check).transpose()?;
    let all_is_well = sell_in(folder.path(), &sale, args, target.as_ref());
    folder.leave(&sale, matches!(all_is_well, Ok(true)));
    all_is_well
}

fn sell_in(dir: &Path, sale: &Sale, args: &SaleArgs, target: Option<&Target>) -> Result<bool, Failure> {
    tell(table::heading(sale));
    let tokio = tokio_runtime()?;
    // Private servers end with this function.
    let nodes = Nodes::of(args)?;
    let server = Server::of(args)?;
    let database = &server.database;
    let store = tokio.block_on(stores::open(sale, dir, database))?;
    tokio.block_on(prepare(sale, dir, &nodes.urls, Arc::clone(&store.repository)))?;
    sale.save(dir)?;
    let course = CourseLog::create(dir)?;
    let sold = watch(sale, hire(sale, dir, &nodes.urls, database, &store.repository)?, dir, &course)?;
    course.ended()?;

    // The audit reads through its own connection, except what is only in this process.
    let memory = (sale.store == StoreKind::Memory).then(|| Arc::clone(&store.repository));
    tokio.block_on(store.close());
    let audited = tokio.block_on(audit(sale, dir, database, memory.as_deref()))?;
    let Sold { progress, took, kills, .. } = &sold;
    let report = Report::new(sale, &audited, *progress, kills.len(), *took);
    let stream = if args.json { Stream::Error } else { Stream::Output };
    stream.write(&format!("\n{}\n{}", table::table(&report), table::verdict(&audited, stream)))?;
    let complaints = sold.complaints(sale);
    let untimely = sold.untimely(report.requests);
    complaints.iter().chain(&untimely).for_each(|line| tell(format_args!("flash_sale: {line}")));
    if args.json {
        let line = serde_json::to_string(&report).map_err(|error| Failure::caused("the report", &error))?;
        Stream::Output.write(&(line + "\n"))?;
    }
    if let Some(target) = target {
        target.write(&Page { sale, audited: &audited, report: &report, complaints: &complaints })?;
    }
    Ok(audited.passed() && complaints.is_empty())
}

/// Audits a kept sale again.
pub(crate) fn audit_kept(
    dir: &Path,
    store_url: Option<&str>,
    insecure: bool,
    report: Option<&Path>,
) -> Result<bool, Failure> {
    let sale = Sale::load(dir)?;
    stores::check(sale.store)?;
    let target = report.map(Target::check).transpose()?;
    let database = store_url.map(|url| Database::named(url, insecure)).unwrap_or_default();
    let audited = tokio_runtime()?.block_on(audit(&sale, dir, &database, None))?;
    Stream::Output.write(&table::verdict(&audited, Stream::Output))?;
    if let Some(target) = target {
        // What the workers counted is gone; the last answer in their logs says how long it took.
        let took = Duration::from_micros(audited.journal.answers.iter().map(|it| it.at_us).max().unwrap_or(0));
        let report = Report::new(&sale, &audited, Progress::default(), audited.killed.len(), took);
        target.write(&Page { sale: &sale, audited: &audited, report: &report, complaints: &[] })?;
    }
    Ok(audited.passed())
}

fn sale(args: &SaleArgs) -> Result<Sale, Failure> {
    let hall = plan::read(args.plan.as_deref(), args.standing)?;
    // Short enough to be typed again.
    let seed = args.seed.unwrap_or_else(|| RandomState::new().hash_one(0) >> 32);
    let store_url = match &args.store_url {
        Some(url) if args.store == StoreKind::Sqlite => Some(stores::shared_url(args.store, url)?),
        _ => None,
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
        store_named: args.store != StoreKind::Sqlite && args.store_url.is_some(),
        lock: args.lock(),
        redis_named: args.redis.len(),
        lock_policy: args.lock_policy,
        contention: args.contention,
        wait_ms: args.wait_ms,
        pay_ms: args.pay_ms,
        combining: !args.no_combining,
        kill_workers: args.kill_workers,
        kill_at: args.kill_at,
        stall_s: args.stall_s,
        prepared_at_s: unix_time().as_micros().unsigned_abs() / 1_000_000,
        plan: args.plan.clone(),
        hall,
    })
}

fn hire(
    sale: &Sale,
    dir: &Path,
    redis: &Urls,
    database: &Database,
    repository: &Arc<dyn Repository>,
) -> Result<Crew, Failure> {
    let orders = |worker| Orders {
        worker,
        dir: dir.to_owned(),
        redis: redis.clone(),
        database: database.clone(),
        sale: sale.clone(),
    };
    match sale.store {
        StoreKind::Memory => Ok(Crew::of_one_thread(orders(1), Arc::clone(repository))),
        _ => Crew::of_processes(&(1..=sale.processes).map(orders).collect::<Vec<_>>()),
    }
}

fn tokio_runtime() -> Result<Runtime, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| Failure::caused("the runtime", &error))
}
