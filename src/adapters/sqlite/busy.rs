use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rusqlite::Connection;

/// Naps between two attempts at a lock that another process has are of random length: at least the first of these, at
/// most the second and as much more for each nap before, but never more than the third.
///
/// Measured with 4 and 16 processes that write all the time: SQLite's own handler (1, 2, 5, ... 100 ms) let some
/// processes commit a hundred times as often as others; longer first naps cost throughput with few processes, and
/// naps that stay short cost it with many. An advisory file lock in front, as a fair queue, gained nothing.
const NAP_MIN: Duration = Duration::from_micros(50);
const NAP_STEP: Duration = Duration::from_micros(100);
const NAP_MAX: Duration = Duration::from_micros(1_000);

/// How long a connection waits for other processes, at most.
#[derive(Debug, Clone)]
pub(super) struct Patience(Arc<AtomicU64>);

impl Patience {
    pub(super) fn new(timeout: Duration) -> Self {
        Self(Arc::new(AtomicU64::new(micros(timeout))))
    }

    /// From now on at most `timeout`.
    pub(super) fn set(&self, timeout: Duration) {
        self.0.store(micros(timeout), Ordering::Relaxed);
    }

    fn get(&self) -> Duration {
        Duration::from_micros(self.0.load(Ordering::Relaxed))
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// Makes the connection wait for other processes, in short naps of random length.
pub(super) fn wait_for_others(connection: &mut Connection, patience: Patience) -> rusqlite::Result<()> {
    let mut naps = Naps::new();
    let mut since = Instant::now();
    connection.busy_handler(Some(move |count| {
        if count == 0 {
            since = Instant::now();
        }
        let left = patience.get().saturating_sub(since.elapsed());
        if left.is_zero() {
            return false;
        }
        std::thread::sleep(naps.next(u32::try_from(count).unwrap_or(0)).min(left));
        true
    }))
}

/// Naps of random length. The randomness shares out a file among processes and decides nothing, so it is not injected.
struct Naps {
    state: u64,
}

impl Naps {
    fn new() -> Self {
        Self { state: RandomState::new().hash_one(std::process::id()) | 1 }
    }

    /// The next nap, after `naps` others for the same lock.
    fn next(&mut self, naps: u32) -> Duration {
        // Xorshift (Marsaglia, 2003).
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        let longest = NAP_STEP.saturating_mul(naps.saturating_add(1)).saturating_add(NAP_MIN).min(NAP_MAX);
        let span = u64::try_from((longest - NAP_MIN).as_nanos()).unwrap_or(u64::MAX);
        NAP_MIN + Duration::from_nanos(self.state % span)
    }
}

/// Repeats `attempt` while it fails with BUSY, for at most `timeout`: some steps never ask the busy handler.
pub(super) fn retry_while_busy<T>(
    timeout: Duration,
    mut attempt: impl FnMut() -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    let started = Instant::now();
    let mut naps = Naps::new();
    let mut count: u32 = 0;
    loop {
        match attempt() {
            Err(error) if is_busy(&error) && started.elapsed() < timeout => std::thread::sleep(naps.next(count)),
            answer => return answer,
        }
        count = count.saturating_add(1);
    }
}

pub(super) fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn naps_grow_up_to_their_bound_and_are_never_shorter_than_the_least() {
        let mut naps = Naps::new();
        for count in [0, 1, 5, 1_000, u32::MAX] {
            for _ in 0..1_000 {
                let nap = naps.next(count);
                assert!(nap >= NAP_MIN && nap < NAP_MAX, "{nap:?}");
                assert!(count > 0 || nap < NAP_MIN + NAP_STEP, "{nap:?}");
            }
        }
    }
}
