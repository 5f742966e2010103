//! One pool that everybody wants, in PostgreSQL: four processes of 250 buyers through the service, beside the transaction for each
//! request that most would write, as ratios of one run.
//!
//! `cargo bench --features postgres,tokio --bench hot_pool -- --rounds 5 --seconds 2`
//!
//! The server is a private one that writes to the disk what it acknowledges. A *hold* is one place for a new customer; a *booking* is
//! a hold and its confirmation. By hand, each of the two is a transaction that takes the pool's row with `SELECT … FOR UPDATE` and
//! writes the same rows to the same tables, by plain prepared statements, one after the other (`../repository/for_update.rs`).
//!
//! Both sides are measured in turn, in the same processes. These make it exit 1:
//!
//! - a median over the rounds that misses its bound;
//! - a machine that others use: that costs by hand far more than the service, since all wait while whoever has the row waits for a
//!   processor, and the ratios would be better than they are;
//! - anything acknowledged that is not in the store at the end.
//!
//! Under `cargo test`, or with `--test`, it runs for a moment and has no bounds.

mod args;
mod audit;
mod buyer;
mod meter;
mod orders;
mod others;
mod parent;
mod process;
mod rounds;
mod verdict;
mod worker;

#[path = "../common/child.rs"]
mod child;
#[path = "../repository/for_update.rs"]
mod for_update;
#[path = "../../examples/flash_sale/postgres_server/mod.rs"]
mod postgres_server;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    if let Some(done) = worker::run_if_ordered() {
        return done;
    }
    match parent::run(&args::Args::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("hot_pool: {error}");
            ExitCode::from(2)
        }
    }
}
