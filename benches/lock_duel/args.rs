//! The command line.

use clap::{Parser, ValueEnum};
use serde::{Deserialize, Serialize};

/// Locks against each other, on real Redis servers.
#[derive(Debug, Clone, Parser)]
#[command(name = "lock_duel", about)]
pub(crate) struct Args {
    /// Processes
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub(crate) processes: u32,
    /// Waiters in each process
    #[arg(long, value_name = "N", default_value_t = 250, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) waiters: u32,
    /// Keys that they want, each waiter one of them
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) keys: u32,
    /// How long a key is held, in microseconds
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=1_000_000))]
    pub(crate) hold_us: u64,
    /// Redis servers
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=15))]
    pub(crate) nodes: u32,
    /// What happens to one of the servers when a fifth of the time has passed
    #[arg(long, value_enum, default_value_t = Fault::None)]
    pub(crate) fault: Fault,
    /// How long each lock has
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    pub(crate) seconds: u64,
    /// This lock only; repeat it for more
    #[arg(long, value_enum)]
    pub(crate) lock: Vec<LockName>,
    /// Beside the waiters, a client that knows nothing of queues asks for the first key every so many microseconds; how long
    /// it waits is printed on standard error
    #[arg(long, value_name = "N", conflicts_with = "fault", value_parser = clap::value_parser!(u64).range(100..=1_000_000))]
    pub(crate) foreign_us: Option<u64>,
    /// Hold redlock to its bars, and exit 1 if one is missed; what each bar came to, or why it does not apply, is printed on
    /// standard error. For one key and no fault. With no hold: redlock at least 100 times as often as rslock-raw, fewer
    /// than 1 command for each acquisition, and no process with less than a tenth of the mean. With a hold: the key held for
    /// at least 0.9 of the time, by what the holders measured
    #[arg(long)]
    pub(crate) judge: bool,
    /// Print one JSON object per lock on standard output
    #[arg(long)]
    pub(crate) json: bool,
    /// Cargo says it to every bench
    #[arg(long, hide = true)]
    pub(crate) bench: bool,
}

/// Who competes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum LockName {
    /// This crate's engine
    Redlock,
    /// The adapter over rslock, through the port
    Rslock,
    /// rslock's own `acquire`
    RslockRaw,
}

/// What happens to the first server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Fault {
    /// Nothing
    None,
    /// It stands still (SIGSTOP)
    FrozenNode,
    /// It is killed
    DeadNode,
    /// It is killed, and whoever has its port accepts connections and says nothing
    SilentNode,
    /// It is killed and started again, with nothing in its memory; redlock runs with its quarantine, and waits before the
    /// start until its servers are old enough to count
    Restart,
}

impl Args {
    /// The locks that compete.
    pub(crate) fn locks(&self) -> Vec<LockName> {
        match &self.lock[..] {
            [] => vec![LockName::Redlock, LockName::Rslock, LockName::RslockRaw],
            some => some.to_vec(),
        }
    }
}
