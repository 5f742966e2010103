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
//! So does a bar that is missed, with `--judge`. With `--foreign-us` a client of another kind asks for the same key.

#[cfg(all(feature = "redlock", feature = "rslock"))]
mod args;
#[cfg(all(feature = "redlock", feature = "rslock"))]
mod contender;
#[cfg(all(feature = "redlock", feature = "rslock"))]
mod fault;
#[cfg(all(feature = "redlock", feature = "rslock"))]
mod foreign;
#[cfg(all(feature = "redlock", feature = "rslock"))]
mod holders;
#[cfg(all(feature = "redlock", feature = "rslock"))]
mod judge;
#[cfg(all(feature = "redlock", feature = "rslock"))]
mod orders;
#[cfg(all(feature = "redlock", feature = "rslock"))]
mod parent;
#[cfg(all(feature = "redlock", feature = "rslock"))]
mod report;
#[cfg(all(feature = "redlock", feature = "rslock"))]
mod worker;

#[cfg(all(feature = "redlock", feature = "rslock"))]
#[path = "../common/child.rs"]
mod child;
#[cfg(all(feature = "redlock", feature = "rslock"))]
#[path = "../../examples/flash_sale/redis_servers/mod.rs"]
mod redis_servers;
#[cfg(all(feature = "redlock", feature = "rslock"))]
#[path = "../../examples/flash_sale/runtime.rs"]
mod runtime;

use std::process::ExitCode;

#[cfg(not(all(feature = "redlock", feature = "rslock")))]
fn main() -> ExitCode {
    println!("lock_duel: not compiled in; it needs --features redlock,rslock");
    ExitCode::SUCCESS
}

#[cfg(all(feature = "redlock", feature = "rslock"))]
fn main() -> ExitCode {
    use clap::Parser;
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
