//! Whole sales in simulated worlds, in which processes, locks, clocks and the store fail.
//!
//! **What it is.** The real booking service, domain and quorum engine, in several processes at once, over a simulated store, simulated
//! lock nodes and simulated clocks: one thread, virtual time, and one seed that decides everything. Messages are late, lost and
//! doubled, processes stand still, crash and start again, nodes forget, clocks drift and jump, and the store does not say what it has
//! done. At the end everything heals, and a checker looks whether every promise was kept.
//!
//! **Start it.**
//!
//! ```
//! use ticket_reservation::simulation::{Trace, run_world};
//!
//! let world = run_world(7, Trace::off());
//! assert!(world.requests > 0);
//! assert_eq!(world.violations, []);
//! // The same seed is the same world.
//! assert_eq!(run_world(7, Trace::off()).digest, world.digest);
//! ```
//!
//! **Options.** [`run`] goes through many worlds, on as many threads as it may, [`run_until`] until something is found; [`Trace::to`] tells what happens in one.
//!
//! **What it does not guarantee.** The SQL of the adapters, files and real networks are not part of it: the suites of
//! `conformance` and the flash sale's audit look at those.

mod check;
mod clock;
mod customer;
mod dice;
mod digest;
mod evidence;
mod executor;
mod experiment;
mod fault;
mod grants_all;
mod hall;
mod history;
mod invariant;
mod lock_keys;
mod lock_node;
mod lock_world;
mod nemesis;
mod odd;
#[cfg(planted_bugs)]
mod planted_store;
mod process;
mod reader;
mod report;
mod settings;
mod shop;
mod skew;
mod store_client;
mod store_log;
mod store_server;
mod trace;
mod world;

pub use experiment::{Booked, Experiment, lock_experiment};
pub use fault::{Fault, Fired};
pub use invariant::{Invariant, Violation};
pub use report::{Report, run, run_until, seed_of};
pub use trace::Trace;
pub use world::{WorldReport, run_world};
