//! A repository and a lock in the memory of one process.
//!
//! **What it is.** The reference model: the shortest code that keeps the contracts of the [ports](crate::ports). For
//! tests, for trying things out, and for sales that one process runs and that may be lost with it.
//!
//! **Start it.** `MemoryRepository::new()`; a clone is another handle on the same store.
//!
//! ```
//! use ticket_reservation::adapters::memory::MemoryRepository;
//! use ticket_reservation::domain::EventId;
//! use ticket_reservation::ports::{LoadRequest, Repository};
//!
//! # futures_util::future::FutureExt::now_or_never(async {
//! let repository = MemoryRepository::new();
//! let event = EventId::new("concert")?;
//! let snapshot = repository.load(&LoadRequest { event, records: Vec::new(), free_in: Vec::new() }).await?;
//! assert!(snapshot.clock().as_micros() > 0);
//! # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap().unwrap();
//! ```
//!
//! **Options.** [`MemoryRepository::with_clock`] sets the store's clock; the default is
//! [`SystemClock`](crate::adapters::SystemClock). [`MemoryLock`] takes clock and randomness from a
//! [`Runtime`](crate::ports::Runtime).
//!
//! **What it does not guarantee.** Durability: `Committed` means written to memory, and the process takes it along when
//! it ends. Sharing between processes: there is none.

mod area;
mod availability;
mod load;
mod lock;
mod repository;
mod tables;

pub use lock::MemoryLock;
pub use repository::MemoryRepository;
