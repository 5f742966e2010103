//! What it costs to acquire and release each lock that is compiled in: nobody else, one hot key with 10 to 10,000 waiters,
//! many keys.
//!
//! `cargo bench --features sqlite --bench lock_contention`
//!
//! Waiters ask again, at the latest when they were told that the lock is free: that is all that the lock port has. How
//! they wait for one another inside a process is not measured here.

mod common;
#[path = "../examples/flash_sale/runtime.rs"]
mod runtime;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::AsyncIn;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use runtime::TokioRuntime;
use ticket_reservation::adapters::memory::MemoryLock;
use ticket_reservation::ports::{Attempt, Lease, Lock, LockKey, Runtime};

const TTL: Duration = Duration::from_secs(10);
/// The longest that a waiter waits before it asks again.
const ASK_AGAIN: Duration = Duration::from_millis(1);

type Named = (&'static str, Arc<dyn Lock>);

/// Every lock that is compiled in, by name. The folder keeps their files while they are measured.
fn locks(runtime: &Arc<dyn Runtime>, folder: &Path) -> Vec<Named> {
    let memory: Named = ("memory", Arc::new(MemoryLock::new(Arc::clone(runtime))));
    [memory].into_iter().chain(sqlite(runtime, folder)).collect()
}

#[cfg(feature = "sqlite")]
fn sqlite(runtime: &Arc<dyn Runtime>, folder: &Path) -> Option<Named> {
    use ticket_reservation::adapters::sqlite::SqliteLock;
    let lock = SqliteLock::builder(folder.join("leases.db"), Arc::clone(runtime)).open().expect("a lock file");
    Some(("sqlite", Arc::new(lock)))
}

#[cfg(not(feature = "sqlite"))]
fn sqlite(_: &Arc<dyn Runtime>, _: &Path) -> Option<Named> {
    None
}

fn key(number: usize) -> LockKey {
    LockKey::new(format!("ticket:4:gala:A-{number}")).expect("a key")
}

/// Asks until the key is granted.
async fn acquire(lock: &dyn Lock, runtime: &dyn Runtime, key: &LockKey) -> Lease {
    loop {
        // A lock that has too many calls to answer at once says so.
        let attempt =
            lock.acquire_each(std::slice::from_ref(key), TTL).await.ok().and_then(|mut answers| answers.pop());
        match attempt {
            Some(Attempt::Granted(lease)) => return lease,
            Some(Attempt::Contended { retry_after }) => runtime.sleep(retry_after.min(ASK_AGAIN)).await,
            _ => runtime.sleep(ASK_AGAIN).await,
        }
    }
}

async fn pass(lock: &dyn Lock, runtime: &dyn Runtime, key: &LockKey) {
    let lease = acquire(lock, runtime, key).await;
    // One that is not taken back here ends with its TTL, far beyond the measurement.
    while lock.release(vec![lease.clone()]).await.is_err() {
        runtime.sleep(ASK_AGAIN).await;
    }
}

/// `waiters` tasks want `keys` keys at once, `passes` times in all.
async fn contend(
    lock: &Arc<dyn Lock>,
    runtime: &Arc<dyn Runtime>,
    waiters: usize,
    keys: usize,
    passes: u64,
) -> Duration {
    let started = Instant::now();
    let tasks: Vec<_> = (0..waiters)
        .map(|waiter| {
            let (lock, runtime, key) = (Arc::clone(lock), Arc::clone(runtime), key(waiter % keys));
            let waiters = waiters as u64;
            let mine = passes / waiters + u64::from((waiter as u64) < passes % waiters);
            tokio::spawn(async move {
                for _ in 0..mine {
                    pass(&*lock, &*runtime, &key).await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("no waiter panics");
    }
    started.elapsed()
}

fn contention(criterion: &mut Criterion) {
    let tokio = tokio::runtime::Builder::new_multi_thread().enable_time().build().expect("a tokio runtime");
    let runtime: Arc<dyn Runtime> = Arc::new(TokioRuntime::new(tokio.handle().clone()));
    let folder = tempfile::tempdir().expect("a folder");
    for (name, lock) in locks(&runtime, folder.path()) {
        let mut group = criterion.benchmark_group(format!("lock/{name}"));
        group.sample_size(10).measurement_time(Duration::from_secs(2)).warm_up_time(Duration::from_millis(500));
        group.throughput(Throughput::Elements(1));
        group.bench_function("uncontended", |bencher| {
            let key = key(0);
            bencher.to_async(AsyncIn(&tokio)).iter(|| pass(&*lock, &*runtime, &key));
        });
        for waiters in [10, 100, 1_000, 10_000] {
            group.bench_function(BenchmarkId::new("one hot key", waiters), |bencher| {
                bencher.to_async(AsyncIn(&tokio)).iter_custom(|passes| contend(&lock, &runtime, waiters, 1, passes));
            });
        }
        group.bench_function("64 tasks, a key each", |bencher| {
            bencher.to_async(AsyncIn(&tokio)).iter_custom(|passes| contend(&lock, &runtime, 64, 64, passes));
        });
        group.finish();
    }
}

criterion_group!(benches, contention);
criterion_main!(benches);
