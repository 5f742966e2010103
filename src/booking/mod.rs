//! The application service: one pipeline from request to answer.
//!
//! ```text
//! request -> check -> the event's queue -> (locks, if they earn it) -> load -> decide all that wait -> commit -> answer all
//! ```
//!
//! One [`BookingService`] is shared by all tasks of a process. Each event that has requests waiting gets one task, its
//! *batcher*: it takes everything that waits, reads the union of what it needs once, decides in arrival order, commits
//! once and answers everybody. While it commits, the next batch gathers. The store has the last word: what it finds
//! changed since it was read is decided again.

mod actions;
mod adaptive;
mod answer;
mod backoff;
mod batcher;
mod blocks;
mod builder;
mod config;
mod core;
mod decisions;
mod error;
mod follow;
mod grouping;
mod import;
mod lock_plan;
mod locks;
mod queue;
mod registry;
mod request;
mod seat_map;
mod service;
mod settle;
mod slots;
mod sweeper;

pub use blocks::{BlockReport, RefusedTicket};
pub use builder::{BookingServiceBuilder, InvalidConfig};
pub use config::{Contention, Limits, LockOutage, LockPolicy, LockScope};
pub use error::{BookingError, OutcomeUnknown};
pub use import::{ImportReport, InventoryConflict, RefusedInventory};
pub use registry::Drained;
pub use seat_map::{Applied, SeatMap};
pub use service::BookingService;
pub use sweeper::Swept;
