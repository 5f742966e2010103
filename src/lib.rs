//! Sell limited inventory in flash sales, from many server processes, without ever selling one place twice.
#![doc(html_root_url = "https://docs.rs/ticket-reservation")]

pub mod domain;
pub mod ports;
