//! Implementations of the [ports](crate::ports), one folder per technology, each behind its cargo feature.

mod system_clock;

pub mod memory;
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
