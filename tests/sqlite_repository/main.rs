//! The sqlite repository, beyond what the conformance suite asks of every repository.
#![cfg(feature = "sqlite")]

mod damage;
mod fixture;
mod lists;
mod opening;
mod processes;
mod records;
