//! What every case is given, whatever it tests.

use std::sync::{Arc, Mutex, PoisonError};

use super::process::Children;
use crate::ports::Runtime;

#[derive(Clone)]
pub(super) struct Common {
    pub(super) runtime: Arc<dyn Runtime>,
    /// Of everything random in the case.
    pub(super) seed: u64,
    pub(super) children: Children,
    notes: Arc<Mutex<Vec<String>>>,
}

impl Common {
    pub(super) fn new(runtime: &Arc<dyn Runtime>, seed: u64, suite: Option<&str>) -> Self {
        Self { runtime: Arc::clone(runtime), seed, children: Children::new(suite), notes: Arc::default() }
    }

    /// For another run of the same case, of which no process is there yet. The notes are those of all runs.
    pub(super) fn again(&self) -> Self {
        Self { children: self.children.again(), ..self.clone() }
    }

    pub(super) fn note(&self, note: impl Into<String>) {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).push(note.into());
    }

    pub(super) fn notes(&self) -> Vec<String> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
