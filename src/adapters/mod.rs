//! Implementations of the [ports](crate::ports), one folder per technology, each behind its cargo feature.

#[cfg(any(feature = "mssql", feature = "postgres"))]
mod certificates;
#[cfg(any(feature = "mssql", feature = "postgres", feature = "sqlite"))]
mod found;
#[cfg(any(feature = "mssql", feature = "postgres"))]
mod gathered;
#[cfg(any(feature = "mssql", feature = "postgres"))]
mod pooling;
mod system_clock;

pub mod memory;
#[cfg(feature = "mssql")]
pub mod mssql;
#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg(feature = "redlock")]
pub mod redlock;
#[cfg(feature = "rslock")]
pub mod rslock;
#[cfg(feature = "sqlite")]
pub mod sqlite;
#[cfg(feature = "tokio")]
pub mod tokio;
#[cfg(feature = "tracing")]
pub mod tracing;

pub use system_clock::SystemClock;
