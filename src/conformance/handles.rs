//! Handles on one store, and the order in which they go.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;

use super::check::Failure;
use super::harness::Store;
use super::patient::Patient;
use crate::ports::{Repository, Runtime};

/// How long the last tasks of a case may keep their handles, and how often they are looked after.
const POLL: Duration = Duration::from_millis(2);
const POLLS_MAX: usize = 2_000;

/// Opens handles on a store and knows whether any of them are still open.
pub(super) struct Handles {
    store: Box<dyn Store>,
    runtime: Arc<dyn Runtime>,
    open: Arc<AtomicUsize>,
    retries: Arc<AtomicU32>,
}

/// Counts a handle as open for as long as it lives. Whoever has both drops the handle first: while its destructor runs it is open.
pub(super) struct Open(Arc<AtomicUsize>);

impl Open {
    fn count(open: &Arc<AtomicUsize>) -> Self {
        open.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(open))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        // What was done before is seen by whoever finds that nothing is open.
        self.0.fetch_sub(1, Ordering::Release);
    }
}

impl Handles {
    pub(super) fn new(store: Box<dyn Store>, runtime: Arc<dyn Runtime>) -> Self {
        Self { store, runtime, open: Arc::default(), retries: Arc::default() }
    }

    pub(super) async fn open(&self) -> Result<Arc<dyn Repository>, Failure> {
        let opened = self.store.open().await;
        let opened = opened.map_err(|error| Failure::of_harness("opening the store", &error))?;
        Ok(Arc::new(Patient::new(opened, &self.runtime, &self.retries, Open::count(&self.open))))
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
            if self.open.load(Ordering::Acquire) == 0 {
                return true;
            }
            self.runtime.sleep(POLL).await;
        }
        false
    }
}
