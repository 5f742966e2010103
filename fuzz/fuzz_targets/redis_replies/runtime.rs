//! The runtime port on tokio's virtual time: what waits for nothing but time does not wait.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ticket_reservation::domain::Timestamp;
use ticket_reservation::ports::{BoxFuture, Clock, Runtime};

#[derive(Debug, Default)]
pub(crate) struct Virtual(AtomicU64);

impl Clock for Virtual {
    fn now(&self) -> Instant {
        tokio::time::Instant::now().into_std()
    }

    fn unix_time(&self) -> Timestamp {
        Timestamp::from_micros(2_000_000_000_000_000)
    }
}

impl Runtime for Virtual {
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(duration))
    }

    fn spawn(&self, task: BoxFuture<'static, ()>) {
        drop(tokio::spawn(task));
    }

    fn random(&self) -> u64 {
        // SplitMix64, without its last step: every number is another one.
        self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed).wrapping_mul(0xbf58_476d_1ce4_e5b9)
    }
}
