//! What the parent tells a worker, and what the worker answers.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::args::{Fault, LockName};

/// Set in a worker's environment.
pub(crate) const WORKER: &str = "LOCK_DUEL_WORKER";

/// What a worker does. A JSON line on its standard input; it answers `ready`, and begins at the next line.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Orders {
    pub(crate) lock: LockName,
    pub(crate) urls: Vec<String>,
    pub(crate) waiters: u32,
    pub(crate) keys: u32,
    pub(crate) hold: Duration,
    pub(crate) ttl: Duration,
    pub(crate) time: Duration,
    pub(crate) fault: Fault,
    /// Its number, from 0.
    pub(crate) process: u32,
    /// Where it writes down who held what, or counts.
    pub(crate) folder: PathBuf,
    /// Each holder counts in a file, instead of writing down when it held the key.
    pub(crate) count: bool,
}

/// A JSON line on its standard output when it is done.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Outcome {
    pub(crate) acquisitions: u64,
    pub(crate) failures: u64,
    /// How long each acquisition was waited for, in microseconds; of many, an even sample.
    pub(crate) waits_us: Vec<u32>,
    pub(crate) longest_wait_us: u64,
    /// How long the keys were held, all in all, in microseconds.
    pub(crate) held_us: u64,
}
