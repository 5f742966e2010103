//! The SQL Server adapter against a scripted server: what it says, and what it makes of answers and of trouble.
#![cfg(feature = "mssql")]

mod answers;
#[path = "../common/authority.rs"]
mod authority;
#[path = "../common/chain.rs"]
mod chain;
mod check;
mod conflicts;
mod connecting;
mod cuts;
mod errors;
mod migration;
mod moments;
mod nonsense;
mod queries;
mod redirects;
mod requests;
mod reuse;
mod rows;
#[path = "../common/runtime.rs"]
mod runtime;
#[path = "../common/scripted_tds/mod.rs"]
mod scripted_tds;
mod secrets;
mod snapshots;
mod stage;
mod tls;
#[path = "../common/wrong_strings.rs"]
mod wrong_strings;
