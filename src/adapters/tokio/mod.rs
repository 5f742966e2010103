//! The [`Runtime`](crate::ports::Runtime) port on tokio.
//!
//! # Start it
//!
//! Call [`TokioRuntime::current`] inside a tokio runtime, or hand in a runtime's handle.
//!
//! There are no options.
//!
//! # What it does not guarantee
//!
//! Tasks end when the tokio runtime does. Call [`BookingService::shutdown`](crate::booking::BookingService::shutdown)
//! first.

mod randomness;
mod runtime;

pub use ::tokio;
pub use runtime::TokioRuntime;
