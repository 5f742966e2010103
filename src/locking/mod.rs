//! What makes any lock safe to hold while work is done: which leases are held, keeping them alive, and learning that
//! one was lost.

mod keep_alive;
mod lease_set;

pub(crate) use keep_alive::keep_alive;
pub(crate) use lease_set::LeaseSet;
