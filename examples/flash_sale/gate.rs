//! Holds buyers back while somebody is still to be killed, so that a sale is not over before that happens.

use std::sync::atomic::{AtomicU32, Ordering};

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::sale::Sale;

/// The entrance of one worker.
#[derive(Debug)]
pub(crate) struct Gate {
    next: AtomicU32,
    /// So many buyers come in freely.
    free: u32,
    /// The others come in a few at a time; closed as soon as everybody may come in.
    few: Semaphore,
}

impl Gate {
    /// Open, unless workers are to be killed. Then as many come in freely as make about half of all requests that the
    /// sale will have in the end, when the killed do not ask any more.
    pub(crate) fn of(sale: &Sale) -> Self {
        let buyers = sale.buyers / sale.processes;
        let few = Semaphore::new((sale.concurrency / 8).min(buyers / 10).max(1) as usize);
        if sale.kill_workers == 0 {
            few.close();
            return Self { next: AtomicU32::new(0), free: u32::MAX, few };
        }
        let share = f64::from(sale.processes - sale.kill_workers) / f64::from(sale.processes);
        Self { next: AtomicU32::new(0), free: (f64::from(buyers) * share / (1.0 + share)) as u32, few }
    }

    /// Everybody may come in.
    pub(crate) fn open(&self) {
        self.few.close();
    }

    /// Lets the next buyer in: its number among this worker's, and a place that it gives back when it is through.
    pub(crate) async fn enter(&self) -> (u32, Option<SemaphorePermit<'_>>) {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let place = if number < self.free { None } else { self.few.acquire().await.ok() };
        (number, place)
    }
}
