//! What the lock over a majority of Redis servers costs beside the least that could do it and beside rslock, and with one
//! server out of order beside all in order: ratios of one run, on private servers.
//!
//! `cargo bench --features redlock,rslock --bench lock_ratios`
//!
//! Each ratio is the median of turns that are measured one after the other, again and again. A bar that is missed makes it
//! exit 1.
//!
//! - *bare*: to each node `SET key value NX PX ttl`, and then a script that deletes the key if it has the value, on one
//!   multiplexed connection of the redis crate to each node, sent to all of them at once; either is done when a majority
//!   has agreed. The third answer is read in the background, as the lock does it.
//! - *rslock*: `LockManager::acquire` and `LockGuard::release`, as its own users call them.
//! - *one out of order*: one of three stands still (SIGSTOP), is dead (SIGKILL), or accepts connections and says nothing.
//!   The p99 of an acquire, once that has been noticed, beside the p99 of the same lock on the same servers before.

use std::process::ExitCode;

#[cfg(not(all(feature = "redlock", feature = "rslock")))]
fn main() -> ExitCode {
    println!("lock_ratios: not compiled in; it needs --features redlock,rslock");
    ExitCode::SUCCESS
}

#[cfg(all(feature = "redlock", feature = "rslock"))]
mod bare;
#[cfg(all(feature = "redlock", feature = "rslock"))]
mod faults;
#[cfg(all(feature = "redlock", feature = "rslock"))]
mod ratio;
#[cfg(all(feature = "redlock", feature = "rslock"))]
#[path = "../../examples/flash_sale/redis_servers/mod.rs"]
mod redis_servers;
#[cfg(all(feature = "redlock", feature = "rslock"))]
#[path = "../../examples/flash_sale/runtime.rs"]
mod runtime;
#[cfg(all(feature = "redlock", feature = "rslock"))]
mod turns;

#[cfg(all(feature = "redlock", feature = "rslock"))]
fn main() -> ExitCode {
    let tokio = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a tokio runtime");
    // In a task: what is polled by `block_on` itself is woken from another thread each time.
    let is_met = tokio.block_on(async {
        tokio::spawn(async { turns::run().await & faults::run().await }).await.expect("no turn panics")
    });
    if is_met { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
