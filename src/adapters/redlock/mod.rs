//! A lock over a majority of independent Redis servers.

mod check;
mod config;
mod engine;
mod error;
mod lock;
mod redis_server;
mod server;

pub use ::redis;
pub use check::{Finding, NodeCheck};
pub use config::{Drift, InvalidConfig, Quarantine, RedlockBuilder};
pub use error::{NoQuorum, NodeReport, RedlockError, Refusal, RefusalKind, Vote};
pub use lock::{Acquisition, Redlock};
pub use server::{Answer, Ask, Connected, Life, Link, Server, ServerError};
