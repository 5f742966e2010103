//! A flash sale of a real hall, from several processes of the operating system, and its audit.
//!
//! ```text
//! cargo run --release --features sqlite --example flash_sale
//! cargo run --release --features sqlite --example flash_sale -- --help
//! ```
//!
//! The parent process prepares a store, starts workers that embed the crate and serve buyers, and afterwards compares
//! the store with the workers' logs. The result goes to standard output, everything else to standard error. Exit code:
//! 0 when the audit holds, 1 when it does not or something broke or did not go as ordered, 2 when what was asked for
//! cannot be done.

mod args;
mod audit;
mod buyer;
mod course;
mod crew;
mod database;
mod demand;
mod desk;
mod display;
mod failure;
mod folder;
mod gate;
mod grants_all;
mod hall;
mod in_flight;
mod killer;
mod link;
mod locks;
mod log;
mod meter;
mod nodes;
mod page;
mod parent;
mod plan;
#[cfg(feature = "postgres")]
mod postgres_server;
mod prepare;
#[cfg(any(feature = "redlock", feature = "rslock"))]
mod redis_servers;
mod report;
mod runtime;
mod sale;
mod stores;
mod table;
mod terminal;
mod trap;
mod trapped_store;
mod watch;
mod worker;

use std::io::{self, BufRead};
use std::process::ExitCode;

use crate::args::{Args, Command};
use crate::failure::Failure;
use crate::link::Pipes;
use crate::terminal::tell;

fn main() -> ExitCode {
    let done = match args::parse() {
        Ok(args) => run(args),
        Err(None) => Ok(true),
        Err(Some(failure)) => Err(failure),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            tell(format_args!("flash_sale: {failure}"));
            ExitCode::from(failure.code())
        }
    }
}

fn run(args: Args) -> Result<bool, Failure> {
    match args.command {
        None => parent::sell(&args.sale),
        Some(Command::Audit { dir, store_url, insecure, report }) => {
            parent::audit_kept(&dir, store_url.as_deref(), insecure, report.as_deref())
        }
        Some(Command::Worker) => work().map(|()| true),
    }
}

/// The orders are the first line of standard input.
fn work() -> Result<(), Failure> {
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line).map_err(|error| Failure::caused("the orders", &error))?;
    let orders = serde_json::from_str(&line).map_err(|error| Failure::usage(format!("the orders: {error}")))?;
    worker::run(&orders, None, &mut Pipes)
}
