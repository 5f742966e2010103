//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};
use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::nodes;

/// How many buyers each worker has at least where some are killed: fewer are through before anybody could be.
const KILLED_BUYERS_MIN: u32 = 10;

/// Sell a hall in a flash sale, from many processes, without selling a place twice.
#[derive(Debug, Parser)]
#[command(name = "flash_sale", version, about, args_conflicts_with_subcommands = true, args_override_self = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) sale: SaleArgs,
}

/// What else the program can do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Audit a kept store and its logs again
    Audit {
        /// The folder that a sale was told to --keep
        dir: PathBuf,
        /// The store's address, where it is on a server
        #[arg(long, value_name = "URL")]
        store_url: Option<String>,
        /// Speak to that server without TLS
        #[arg(long)]
        insecure: bool,
        /// Write a page about the sale and its audit to this file
        #[arg(long, value_name = "FILE")]
        report: Option<PathBuf>,
    },
    /// Be one of the sale's processes; orders come on standard input
    #[command(hide = true)]
    Worker,
}

/// How the sale goes.
#[derive(Debug, clap::Args)]
pub(crate) struct SaleArgs {
    /// A seating plan in pretix's open format [default: Riethsporthalle Erfurt, built in]
    #[arg(long, value_name = "FILE")]
    pub(crate) plan: Option<PathBuf>,
    /// Standing places beside the seats
    #[arg(long, value_name = "N", default_value_t = 248)]
    pub(crate) standing: u32,
    /// Worker processes
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=256))]
    pub(crate) processes: u32,
    /// Buyers in all
    #[arg(long, value_name = "N", default_value_t = 5_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub(crate) buyers: u32,
    /// Buyers at once in each process
    #[arg(long, value_name = "N", default_value_t = 250, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) concurrency: u32,
    /// What the buyers want
    #[arg(long, value_enum, default_value_t = DemandKind::Skewed)]
    pub(crate) demand: DemandKind,
    /// Where the inventory lives
    #[arg(long, value_enum, default_value_t = StoreKind::Sqlite)]
    pub(crate) store: StoreKind,
    /// The store's address: for sqlite the database file [default: in the sale's folder], for postgres the server and its database
    /// [default: a private server], for mssql a connection string
    #[arg(long, value_name = "URL")]
    pub(crate) store_url: Option<String>,
    /// Speak to the store's server without TLS: for servers on this machine, in Docker too
    #[arg(long)]
    pub(crate) insecure: bool,
    /// The lock between the processes [default: sqlite with the sqlite store, else none]
    #[arg(long, value_enum)]
    pub(crate) lock: Option<LockKind>,
    /// A Redis server of the lock; repeat it for each [default: three private ones, with redlock and rslock]
    #[arg(long, value_name = "URL")]
    pub(crate) redis: Vec<String>,
    /// When the lock is taken
    #[arg(long, value_enum, default_value_t = LockPolicyKind::Adaptive)]
    pub(crate) lock_policy: LockPolicyKind,
    /// What happens to a request that others are in the way of
    #[arg(long, value_enum, default_value_t = ContentionKind::Wait)]
    pub(crate) contention: ContentionKind,
    /// How long a request waits at most, in milliseconds
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..=3_600_000))]
    pub(crate) wait_ms: u64,
    /// How long paying takes on average, in milliseconds; 0 is at once
    #[arg(long, value_name = "N", default_value_t = 800, value_parser = clap::value_parser!(u64).range(0..=600_000))]
    pub(crate) pay_ms: u64,
    /// Decide and commit one request at a time
    #[arg(long)]
    pub(crate) no_combining: bool,
    /// Kill so many workers with SIGKILL on the way
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) kill_workers: u32,
    /// Kill them at this point of their work [default: at any, with a request in flight]
    #[arg(long, value_name = "POINT", value_enum)]
    pub(crate) kill_at: Option<KillPoint>,
    /// The seed of everything random [default: a new one, printed]
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    /// Print the result as one JSON object on standard output
    #[arg(long)]
    pub(crate) json: bool,
    /// Write a page about the sale to this file, to be read in a browser
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,
    /// How long it may take, beyond what a buyer may wait for, that nothing happens at all, in seconds
    #[arg(long, value_name = "N", default_value_t = 60, hide = true)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(crate) stall_s: u64,
    /// Keep the store and the logs in this folder, new or empty
    #[arg(long, value_name = "DIR")]
    pub(crate) keep: Option<PathBuf>,
}

/// What the buyers want.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum DemandKind {
    /// Mostly 1 to 4 neighbouring seats in the front rows of the popular blocks
    Skewed,
    /// One of very few seats
    HotSeat,
    /// One standing place
    HotPool,
    /// 1 to 4 neighbouring seats anywhere
    Spread,
}

/// Where the inventory lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum StoreKind {
    /// In the memory of one process
    Memory,
    /// In a file shared by the processes
    Sqlite,
    /// In a PostgreSQL database
    Postgres,
    /// In a SQL Server database
    Mssql,
}

/// The lock between the processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum LockKind {
    /// No lock
    None,
    /// Leases in a file shared by the processes
    Sqlite,
    /// Redlock over independent Redis servers
    Redlock,
    /// The rslock crate, over the same servers
    Rslock,
    /// A lock that always says yes
    GrantsAll,
}

/// When the lock is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum LockPolicyKind {
    /// Never
    Never,
    /// Always, on each ticket and pool
    Ticket,
    /// Always, on the areas
    Area,
    /// Always, on the whole event
    Event,
    /// While conflicts are frequent
    Adaptive,
}

/// Where a worker is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum KillPoint {
    /// A lock was granted, and nothing is done under it yet
    HoldingALease,
    /// The store was asked for records, and has not answered
    MidLoad,
    /// The store was sent a commit, and its answer has not come in
    CommitSent,
    /// A commit is done, and nobody was told
    BeforeAnswering,
}

/// What happens to a request that others are in the way of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ContentionKind {
    /// It is refused at once
    Reject,
    /// It waits
    Wait,
}

/// The name of a choice, as the command line spells it.
pub(crate) fn name<T: ValueEnum>(choice: T) -> String {
    choice.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

impl StoreKind {
    /// The lock that goes with it unless another is chosen.
    pub(crate) fn usual_lock(self) -> LockKind {
        if self == Self::Sqlite { LockKind::Sqlite } else { LockKind::None }
    }
}

impl LockKind {
    /// Whether it needs Redis servers.
    pub(crate) fn is_on_redis(self) -> bool {
        matches!(self, Self::Redlock | Self::Rslock)
    }
}

/// How a sale goes when nothing is asked for. `None` cannot be: every argument has a default.
pub(crate) fn defaults() -> Option<SaleArgs> {
    Args::try_parse_from(["flash_sale"]).ok().map(|args| args.sale)
}

impl SaleArgs {
    /// The lock, chosen or by default.
    pub(crate) fn lock(&self) -> LockKind {
        self.lock.unwrap_or_else(|| self.store.usual_lock())
    }

    /// Refuses what no sale can be made of.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        if self.store == StoreKind::Memory && self.processes > 1 {
            return Err(Failure::usage("a memory store lives in one process: use --processes 1, or another --store"));
        }
        if self.store == StoreKind::Memory && self.store_url.is_some() {
            return Err(Failure::usage("a memory store has no address: leave out --store-url"));
        }
        if self.store == StoreKind::Mssql && self.store_url.is_none() {
            return Err(Failure::usage(
                "--store mssql needs --store-url: the connection string of a SQL Server, such as \
                 \"Server=tcp:127.0.0.1,1433;Database=tickets;User ID=sa;Password=...\"",
            ));
        }
        let has_server = matches!(self.store, StoreKind::Postgres | StoreKind::Mssql);
        if self.insecure && !(has_server && self.store_url.is_some()) {
            return Err(Failure::usage("--insecure goes with --store postgres or mssql, and --store-url"));
        }
        self.check_kills()?;
        if self.demand == DemandKind::HotPool && self.standing == 0 {
            return Err(Failure::usage("--demand hot-pool needs standing places: --standing must be at least 1"));
        }
        if !self.redis.is_empty() && !self.lock().is_on_redis() {
            return Err(Failure::usage("--redis goes with --lock redlock or --lock rslock"));
        }
        self.redis.iter().try_for_each(|url| nodes::check(url, self.lock()))?;
        if self.lock() == LockKind::None && self.always_locks() {
            let policy = name(self.lock_policy);
            return Err(Failure::usage(format!("--lock-policy {policy} needs a lock, and there is none: see --lock")));
        }
        Ok(())
    }

    /// Somebody must survive, and whoever is killed must have had something to do before.
    fn check_kills(&self) -> Result<(), Failure> {
        let (kill, all) = (self.kill_workers, self.processes);
        if kill == 0 {
            return match self.kill_at {
                Some(_) => Err(Failure::usage("--kill-at goes with --kill-workers: say how many")),
                None => Ok(()),
            };
        }
        if kill >= all {
            return Err(Failure::usage(format!("--kill-workers {kill} of {all} leaves nobody to end the sale")));
        }
        if self.buyers / all < KILLED_BUYERS_MIN {
            let least = u64::from(all) * u64::from(KILLED_BUYERS_MIN);
            return Err(Failure::usage(format!("--kill-workers with --processes {all} needs at least {least} buyers")));
        }
        if self.kill_at == Some(KillPoint::HoldingALease) && !(self.always_locks() && self.lock() != LockKind::None) {
            return Err(Failure::usage(
                "--kill-at holding-a-lease needs a lock that is always taken: --lock-policy ticket, area or event",
            ));
        }
        Ok(())
    }

    /// Whether nothing is done without a lock.
    fn always_locks(&self) -> bool {
        !matches!(self.lock_policy, LockPolicyKind::Adaptive | LockPolicyKind::Never)
    }
}

/// Reads the command line. `Err(None)` when it asked for help or the version, which is printed.
pub(crate) fn parse() -> Result<Args, Option<Failure>> {
    Args::try_parse().map_err(|error| {
        if !error.use_stderr() {
            // Nothing is left to do when standard output is closed.
            let _ = error.print();
            return None;
        }
        let text = error.render().to_string();
        let said: Vec<&str> = text.lines().map(str::trim).take_while(|line| !line.starts_with("Usage:")).collect();
        let line = said.iter().filter(|line| !line.is_empty()).copied().collect::<Vec<_>>().join(" ");
        Some(Failure::usage(line.trim_start_matches("error: ").to_owned()))
    })
}
