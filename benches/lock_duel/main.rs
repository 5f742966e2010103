//! Locks against each other: processes full of waiters that want the same keys again and again, on real Redis servers.
//!
//! ```sh
//! cargo bench --features redlock,rslock --bench lock_duel -- --processes 4 --waiters 250 --keys 1 --hold-us 0 --nodes 3
//! ```
//!
//! Each lock has its turn, on fresh servers: `redlock` and `rslock` through the lock port, with the hand-off inside each process
//! that hosts would use; `rslock-raw` is `LockManager::acquire` as its own users call it. All waiters begin at
//! once and ask again as soon as they have released.
//!
//! Whether two ever held one key at once is found in two ways: from the intervals that the holders write down, and in a
//! run of its own, in which each holder reads a number from a file and writes it back, one higher. Either makes it exit 1.

mod args;
mod contender;
mod fault;
mod holders;
mod orders;
mod parent;
mod report;
mod worker;

#[path = "../../examples/flash_sale/redis_servers/mod.rs"]
mod redis_servers;
#[path = "../../examples/flash_sale/runtime.rs"]
mod runtime;

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
            eprintln!("lock_duel: {error}");
            ExitCode::from(2)
        }
    }
}
