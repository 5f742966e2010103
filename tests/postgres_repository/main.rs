//! The PostgreSQL adapter, beyond what the conformance suite asks of every repository: on real servers of its own.
#![cfg(feature = "postgres")]

#[path = "../common/authority.rs"]
mod authority;
mod check;
mod errors;
mod names;
mod plans;
mod pool;
#[path = "../postgres_support/mod.rs"]
mod postgres_support;
mod tables;
mod tls;
mod waiting;

use postgres_support::groups::load_event;
use ticket_reservation::adapters::postgres::PostgresRepositoryBuilder;
use ticket_reservation::ports::{Repository, StoreError};

async fn refused(builder: PostgresRepositoryBuilder) -> StoreError {
    builder.build().expect("an address").load(&load_event()).await.expect_err("it cannot be used")
}
