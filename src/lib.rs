//! Sell limited inventory in flash sales, from many server processes, without ever selling one place twice.
#![doc(html_root_url = "https://docs.rs/ticket-reservation")]

pub mod adapters;
pub mod booking;
pub mod domain;
mod locking;
pub mod ports;
