//! Time, sleep, spawn and randomness, which the host injects.

use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::domain::{OperationId, ReservationId, Timestamp};

/// A boxed future that may move between threads.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The clocks of one process.
///
/// ```
/// use std::time::Instant;
/// use ticket_reservation::domain::Timestamp;
/// use ticket_reservation::ports::Clock;
///
/// /// A wall clock that stands still, for tests.
/// #[derive(Debug)]
/// struct Stopped(Timestamp);
///
/// impl Clock for Stopped {
///     fn now(&self) -> Instant {
///         Instant::now()
///     }
///     fn unix_time(&self) -> Timestamp {
///         self.0
///     }
/// }
/// # assert_eq!(Stopped(Timestamp::EPOCH).unix_time(), Timestamp::EPOCH);
/// ```
pub trait Clock: Send + Sync + Debug {
    /// The monotonic clock. It MUST never step back. Leases, deadlines and waits are measured with it.
    fn now(&self) -> Instant;

    /// The wall clock, UTC. It MAY step; nothing that must hold depends on it. Ids are made with it.
    fn unix_time(&self) -> Timestamp;
}

/// What runs the library's tasks. Nothing in the crate starts a runtime or a timer of its own.
///
/// # Contract
///
/// [`Runtime::spawn`] MUST run the task to its end without being polled by the caller, also when the caller's own
/// future is dropped. [`Runtime::sleep`] MUST not end early; dropping it MUST be free of effects. Both MUST agree with
/// [`Clock::now`] on how fast time passes.
///
/// # Example
///
/// ```
#[doc = doc_on_sale!()]
/// let (done, answer) = futures_channel::oneshot::channel();
/// let sleep = runtime.sleep(Duration::from_millis(1));
/// runtime.spawn(Box::pin(async move {
///     sleep.await;
///     let _ = done.send("done");
/// }));
/// assert_eq!(answer.await?, "done");
/// assert_ne!(runtime.random(), runtime.random());
#[doc = doc_end!()]
/// ```
pub trait Runtime: Clock {
    /// Ends when `duration` has passed.
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()>;

    /// Runs `task` in the background.
    fn spawn(&self, task: BoxFuture<'static, ()>);

    /// 64 random bits. For ids, lock values and jitter; it SHOULD come from the operating system's generator or
    /// one seeded by it, except in tests, where a seed makes runs repeatable.
    fn random(&self) -> u64;
}

impl<T: Clock + ?Sized> Clock for Arc<T> {
    fn now(&self) -> Instant {
        (**self).now()
    }
    fn unix_time(&self) -> Timestamp {
        (**self).unix_time()
    }
}

impl<T: Runtime + ?Sized> Runtime for Arc<T> {
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        (**self).sleep(duration)
    }
    fn spawn(&self, task: BoxFuture<'static, ()>) {
        (**self).spawn(task);
    }
    fn random(&self) -> u64 {
        (**self).random()
    }
}

/// Conveniences on every [`Runtime`].
///
/// ```
#[doc = doc_on_sale!()]
/// let (operation, reservation) = (runtime.operation_id(), runtime.reservation_id());
/// assert_ne!(operation.as_uuid(), reservation.as_uuid());
/// let wait = runtime.jittered(Duration::from_millis(100));
/// assert!(wait >= Duration::from_millis(50) && wait <= Duration::from_millis(100));
#[doc = doc_end!()]
/// ```
pub trait RuntimeExt: Runtime {
    /// A new operation id, from this runtime's wall clock and randomness.
    fn operation_id(&self) -> OperationId {
        OperationId::from_parts(self.unix_time(), ten_random_bytes(self))
    }

    /// A new reservation id, from this runtime's wall clock and randomness.
    fn reservation_id(&self) -> ReservationId {
        ReservationId::from_parts(self.unix_time(), ten_random_bytes(self))
    }

    /// A random duration in `[duration / 2, duration]`, so that those who wait do not come back together.
    fn jittered(&self, duration: Duration) -> Duration {
        let half = duration / 2;
        let nanos = u64::try_from(half.as_nanos()).unwrap_or(u64::MAX);
        half + Duration::from_nanos(if nanos == 0 { 0 } else { self.random() % nanos })
    }
}

impl<T: Runtime + ?Sized> RuntimeExt for T {}

fn ten_random_bytes<R: Runtime + ?Sized>(runtime: &R) -> [u8; 10] {
    let mut bytes = [0; 10];
    bytes[..8].copy_from_slice(&runtime.random().to_be_bytes());
    bytes[8..].copy_from_slice(&runtime.random().to_be_bytes()[..2]);
    bytes
}
