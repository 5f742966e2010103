//! What it costs to acquire and release each lock that is compiled in: nobody else, one hot key that 10 to 10,000 waiters
//! want at once, many keys.
//!
//! ```text
//! cargo bench --bench lock_contention                                   the lock in memory
//! cargo bench --features sqlite,redlock,rslock --bench lock_contention  all of them, those on Redis on private servers
//! ```
//!
//! One iteration is a round: all waiters want their key, and each acquires it once, holds it across one yield of its task,
//! and releases it. A hot key is held until all have asked for it; then the round begins. Throughput counts these passes.
//!
//! - `asking` is the lock port alone: whoever is refused asks again, at the latest after a millisecond. What refusals cost
//!   grows with the waiters, so that only the lock in memory has more than 100 of them here.
//! - `queue` is `LockQueue` in front of the same lock, as hosts use it. Its rests between tenures are part of its times.
//!
//! A round in which the waiters did not come together, or two held a key at once, ends the bench.

#[path = "../common/mod.rs"]
mod common;
mod crowd;
mod locks;
#[cfg(any(feature = "redlock", feature = "rslock"))]
#[path = "../../examples/flash_sale/redis_servers/mod.rs"]
mod redis_servers;
#[path = "../../examples/flash_sale/runtime.rs"]
mod runtime;

use std::sync::Arc;
use std::time::Duration;

use common::AsyncIn;
use criterion::{BenchmarkId, Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use crowd::{Crowd, Way};
use locks::Locks;
use runtime::TokioRuntime;
use ticket_reservation::locking::LockQueue;
use ticket_reservation::ports::Runtime;

/// How many want one key at once.
const WAITERS: [usize; 4] = [10, 100, 1_000, 10_000];

fn contention(criterion: &mut Criterion) {
    let tokio = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a tokio runtime");
    let runtime: Arc<dyn Runtime> = Arc::new(TokioRuntime::new(tokio.handle().clone()));
    for named in Locks::start(&runtime).iter() {
        let asking = Way::Asking { lock: Arc::clone(&named.lock), runtime: Arc::clone(&runtime) };
        measure(criterion, &tokio, &format!("lock/{}/asking", named.name), &asking, named.asking_max);
        let queue = LockQueue::builder(Arc::clone(&named.lock), Arc::clone(&runtime)).build();
        measure(criterion, &tokio, &format!("lock/{}/queue", named.name), &Way::Queue(queue), usize::MAX);
    }
}

fn measure(criterion: &mut Criterion, tokio: &tokio::runtime::Runtime, name: &str, way: &Way, waiters_max: usize) {
    let mut group = criterion.benchmark_group(name);
    group.sample_size(10).sampling_mode(SamplingMode::Flat);
    group.measurement_time(Duration::from_secs(2)).warm_up_time(Duration::from_millis(300));
    group.throughput(Throughput::Elements(1));
    group.bench_function("uncontended", |bencher| {
        let key = crowd::key(name, 0);
        bencher.to_async(AsyncIn(tokio)).iter(|| async { way.acquire(&key).await.release().await });
    });
    for waiters in WAITERS.into_iter().filter(|waiters| *waiters <= waiters_max) {
        group.throughput(Throughput::Elements(waiters as u64));
        group.bench_function(BenchmarkId::new("one hot key", waiters), |bencher| {
            let crowd = Crowd::new(way, name, waiters, 1);
            bencher.to_async(AsyncIn(tokio)).iter_custom(|rounds| crowd.rounds(rounds));
        });
    }
    group.throughput(Throughput::Elements(64));
    group.bench_function("64 tasks, a key each", |bencher| {
        let crowd = Crowd::new(way, name, 64, 64);
        bencher.to_async(AsyncIn(tokio)).iter_custom(|rounds| crowd.rounds(rounds));
    });
    group.finish();
}

criterion_group!(benches, contention);
criterion_main!(benches);
