//! The conformance suites notice what they are there for: each of these stores and locks breaks one promise, and the case
//! about that promise fails.
#![cfg(feature = "conformance")]

mod drawn_early;
mod dropped_locks;
mod fault;
mod faulty;
mod locks;
mod meeting;
#[cfg(feature = "sqlite")]
mod processes;
#[cfg(target_os = "linux")]
mod processes_end;
mod single_process;
mod stores;
mod suites;

#[path = "../common/runtime.rs"]
mod runtime;
