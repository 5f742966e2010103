//! Redis servers, reached with the redis crate. No other folder of this adapter names it.

mod commands;
mod failure;
mod link;
mod server;

pub use ::redis;
pub(super) use server::server;
