//! Holds buyers back while somebody is still to be killed, so that a sale is not over before that happens.

use std::sync::atomic::{AtomicU32, Ordering};

use tokio::sync::Semaphore;

use crate::sale::Sale;

/// Of all requests that a sale will have in the end, about so many are made by those who come in freely: more than
/// have to be answered before the last worker is killed (see [`Killer`](crate::killer::Killer)), and not many more.
const FREE_SHARE: f64 = 0.48;

/// The entrance of one worker.
#[derive(Debug)]
pub(crate) struct Gate {
    next: AtomicU32,
    /// So many buyers come in freely.
    free: u32,
    /// The others when they are called, one at a time; closed as soon as everybody may come in.
    others: Semaphore,
}

impl Gate {
    /// Open, unless workers are to be killed.
    pub(crate) fn of(sale: &Sale) -> Self {
        let gate = Self { next: AtomicU32::new(0), free: u32::MAX, others: Semaphore::new(0) };
        if sale.kill_workers == 0 {
            gate.open();
            return gate;
        }
        // The killed do not ask any more: of each worker's buyers the share x comes in freely, where
        // x = FREE_SHARE * (killed * x + survivors) / all.
        let survivors = f64::from(sale.processes - sale.kill_workers) / f64::from(sale.processes);
        let share = FREE_SHARE * survivors / (1.0 - FREE_SHARE * (1.0 - survivors));
        let buyers = f64::from(sale.buyers / sale.processes);
        Self { free: (buyers * share).max(1.0) as u32, ..gate }
    }

    /// Everybody may come in.
    pub(crate) fn open(&self) {
        self.others.close();
    }

    /// One of those who wait may come in.
    pub(crate) fn call_one(&self) {
        self.others.add_permits(1);
    }

    /// Lets the next buyer in, and answers its number among this worker's.
    pub(crate) async fn enter(&self) -> u32 {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        if number >= self.free
            && let Ok(call) = self.others.acquire().await
        {
            call.forget();
        }
        number
    }
}
