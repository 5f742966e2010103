//! Handles on one store, and the order in which they go.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use super::check::Failure;
use super::harness::Store;
use super::patient::Patient;
use crate::ports::{Repository, Runtime};

/// How long the last tasks of a case may keep their handles, and how often they are looked after.
const POLL: Duration = Duration::from_millis(2);
const POLLS_MAX: usize = 2_000;

/// Opens handles on a store and knows which of them are still open.
pub(super) struct Handles {
    store: Box<dyn Store>,
    runtime: Arc<dyn Runtime>,
    open: Mutex<Vec<Weak<dyn Repository>>>,
    retries: Arc<AtomicU32>,
}

impl Handles {
    pub(super) fn new(store: Box<dyn Store>, runtime: Arc<dyn Runtime>) -> Self {
        Self { store, runtime, open: Mutex::default(), retries: Arc::default() }
    }

    pub(super) async fn open(&self) -> Result<Arc<dyn Repository>, Failure> {
        let opened = self.store.open().await;
        let opened = opened.map_err(|error| Failure::of_harness("opening the store", &error))?;
        let handle: Arc<dyn Repository> = Arc::new(Patient::new(opened, &self.runtime, &self.retries));
        self.open.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::downgrade(&handle));
        Ok(handle)
    }

    pub(super) fn worker(&self) -> Option<std::process::Command> {
        self.store.worker()
    }

    /// How many calls were repeated because the store was busy.
    pub(super) fn retries(&self) -> u32 {
        self.retries.load(Ordering::Relaxed)
    }

    /// Waits until nobody has a handle any more: a service's last task may still be ending. Whether that came about.
    pub(super) async fn are_dropped(&self) -> bool {
        for _ in 0..POLLS_MAX {
            let is_open = |handle: &Weak<dyn Repository>| handle.strong_count() > 0;
            if !self.open.lock().unwrap_or_else(PoisonError::into_inner).iter().any(is_open) {
                return true;
            }
            self.runtime.sleep(POLL).await;
        }
        false
    }
}
