//! What adapters over a pool of connections share: its options, and that whoever waits for a connection learns why there is none,
//! which bb8 does not tell.

use std::fmt;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bb8::{ManageConnection, PooledConnection, RunError};
use futures_channel::oneshot;
use futures_util::future::{Either, select};

/// A connection that was used so lately is taken for good: if it is not, that shows at once.
pub(super) const TRUSTED_FOR: Duration = Duration::from_secs(30);

/// How many connections a repository has at most, unless the builder says otherwise.
pub const POOL_SIZE_DEFAULT: u32 = 8;

/// How long a call waits for a connection unless the builder says otherwise.
pub const ACQUIRE_TIMEOUT_DEFAULT: Duration = Duration::from_secs(5);

/// How long a call waits for its answer unless the builder says otherwise.
pub const CALL_TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);

const IDLE_TIMEOUT_DEFAULT: Duration = Duration::from_secs(10 * 60);
const MAX_LIFETIME_DEFAULT: Duration = Duration::from_secs(30 * 60);

/// How long a caller waits before bb8 is asked once more.
const ASKED_AGAIN_AFTER: Duration = Duration::from_millis(50);

/// How late a connection is closed at most that was idle for too long, or is too old.
const LATE_MAX: Duration = Duration::from_secs(30);

/// What every one of these times is at least.
const SHORTEST: Duration = Duration::from_millis(10);

/// How long a call may take at most.
const CALL_TIMEOUT_MAX: Duration = Duration::from_secs(3_600);

/// Sizes and times of a pool and of the calls on its connections.
#[derive(Debug, Clone, Copy)]
pub(super) struct Options {
    pub(super) size: u32,
    pub(super) acquire_timeout: Duration,
    pub(super) call_timeout: Duration,
    pub(super) idle_timeout: Duration,
    pub(super) max_lifetime: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            size: POOL_SIZE_DEFAULT,
            acquire_timeout: ACQUIRE_TIMEOUT_DEFAULT,
            call_timeout: CALL_TIMEOUT_DEFAULT,
            idle_timeout: IDLE_TIMEOUT_DEFAULT,
            max_lifetime: MAX_LIFETIME_DEFAULT,
        }
    }
}

impl Options {
    /// The same within the bounds that the builders' setters document.
    pub(super) fn bounded(self) -> Self {
        Self {
            size: self.size.max(1),
            acquire_timeout: self.acquire_timeout.max(SHORTEST),
            call_timeout: self.call_timeout.clamp(SHORTEST, CALL_TIMEOUT_MAX),
            idle_timeout: self.idle_timeout.max(SHORTEST),
            max_lifetime: self.max_lifetime.max(SHORTEST),
        }
    }

    /// A pool of the connections that this makes.
    pub(super) fn pool<M: ManageConnection>(&self, manager: M) -> bb8::Pool<M> {
        bb8::Pool::builder()
            .max_size(self.size)
            .connection_timeout(self.acquire_timeout)
            .idle_timeout(Some(self.idle_timeout))
            .max_lifetime(Some(self.max_lifetime))
            .reaper_rate(self.idle_timeout.min(self.max_lifetime).clamp(SHORTEST, LATE_MAX))
            // Whoever waits is told why there is no connection, and tries again by itself.
            .retry_connection(false)
            .build_unchecked(manager)
    }
}

/// A pool. A clone is the same one.
pub(super) struct Pool<M: ManageConnection> {
    connections: bb8::Pool<M>,
    failures: Arc<Failures<M::Error>>,
}

impl<M: ManageConnection> Pool<M>
where
    M::Error: Clone,
{
    /// Over connections whose manager adds its failures to these.
    pub(super) fn new(connections: bb8::Pool<M>, failures: Arc<Failures<M::Error>>) -> Self {
        Self { connections, failures }
    }

    /// Takes a connection, or says why there is none; `None` when others kept all of them too long.
    pub(super) async fn take(&self) -> Result<PooledConnection<'_, M>, Option<M::Error>> {
        let (before, mut failed) = self.failures.listen();
        let mut taken = pin!(self.get());
        loop {
            match select(taken, failed).await {
                Either::Left((Ok(connection), _)) => return Ok(connection),
                Either::Left((Err(RunError::User(error)), _)) => return Err(Some(error)),
                Either::Left((Err(RunError::TimedOut), _)) => return Err(self.failures.after(before)),
                // As long as there are others, one of them may come back in time.
                Either::Right((_, waiting)) => match self.failures.after(before) {
                    Some(error) if self.connections.state().connections == 0 => return Err(Some(error)),
                    _ => (taken, failed) = (waiting, self.failures.listen().1),
                },
            }
        }
    }
}

impl<M: ManageConnection> Pool<M> {
    /// bb8 begins no connection for who asks while another's is just failing: where there is none after a while, it is asked once
    /// more, beside the first time.
    async fn get(&self) -> Result<PooledConnection<'_, M>, RunError<M::Error>> {
        match select(pin!(self.connections.get()), pin!(::tokio::time::sleep(ASKED_AGAIN_AFTER))).await {
            Either::Left((answer, _)) => answer,
            Either::Right((_, first)) if self.connections.state().connections == 0 => {
                let (Either::Left((answer, _)) | Either::Right((answer, _))) =
                    select(first, pin!(self.connections.get())).await;
                answer
            }
            Either::Right((_, first)) => first.await,
        }
    }
}

impl<M: ManageConnection> Clone for Pool<M> {
    fn clone(&self) -> Self {
        Self { connections: self.connections.clone(), failures: Arc::clone(&self.failures) }
    }
}

impl<M: ManageConnection> fmt::Debug for Pool<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("connections", &self.connections.state().connections).finish_non_exhaustive()
    }
}

/// Why connections could not be made.
#[derive(Debug)]
pub(super) struct Failures<E>(Mutex<LastFailure<E>>);

#[derive(Debug)]
struct LastFailure<E> {
    count: u64,
    error: Option<E>,
    listeners: Vec<oneshot::Sender<()>>,
}

impl<E> Default for Failures<E> {
    fn default() -> Self {
        Self(Mutex::new(LastFailure { count: 0, error: None, listeners: Vec::new() }))
    }
}

impl<E: Clone> Failures<E> {
    fn state(&self) -> MutexGuard<'_, LastFailure<E>> {
        // Nothing under this lock can leave it half-done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add(&self, error: E) {
        let listeners = {
            let mut state = self.state();
            state.count += 1;
            state.error = Some(error);
            std::mem::take(&mut state.listeners)
        };
        for listener in listeners {
            // Whoever listened may have a connection by now.
            let _ = listener.send(());
        }
    }

    /// How many there have been, and word of the next one.
    fn listen(&self) -> (u64, oneshot::Receiver<()>) {
        let (sender, receiver) = oneshot::channel();
        let mut state = self.state();
        state.listeners.retain(|listener| !listener.is_canceled());
        state.listeners.push(sender);
        (state.count, receiver)
    }

    /// The last one, if it came after so many.
    fn after(&self, count: u64) -> Option<E> {
        let state = self.state();
        state.error.clone().filter(|_| state.count > count)
    }
}

/// No answer, when the time is over before. The server gives up after that time by itself, and says so a little later.
pub(super) async fn within<T>(timeout: Duration, answer: impl Future<Output = T>) -> Option<T> {
    ::tokio::time::timeout(timeout + Duration::from_millis(500), answer).await.ok()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use ::tokio::task::yield_now;
    use ::tokio::time::Instant;

    use super::*;

    #[derive(Debug, Clone, PartialEq)]
    struct Refused;

    /// Every connection is refused, and a while passes before bb8 knows.
    #[derive(Debug)]
    struct Refusing(Arc<Failures<Refused>>);

    impl ManageConnection for Refusing {
        type Connection = ();
        type Error = Refused;

        async fn connect(&self) -> Result<(), Refused> {
            self.0.add(Refused);
            for _ in 0..100 {
                yield_now().await;
            }
            Err(Refused)
        }

        async fn is_valid(&self, (): &mut ()) -> Result<(), Refused> {
            Ok(())
        }

        fn has_broken(&self, (): &mut ()) -> bool {
            false
        }
    }

    /// A connection that is counted as long as it is open.
    struct Counted(Arc<AtomicUsize>);

    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::SeqCst);
        }
    }

    struct Opening(Arc<AtomicUsize>);

    impl ManageConnection for Opening {
        type Connection = Counted;
        type Error = Refused;

        async fn connect(&self) -> Result<Counted, Refused> {
            self.0.fetch_add(1, Ordering::SeqCst);
            Ok(Counted(Arc::clone(&self.0)))
        }

        async fn is_valid(&self, _: &mut Counted) -> Result<(), Refused> {
            Ok(())
        }

        fn has_broken(&self, _: &mut Counted) -> bool {
            false
        }
    }

    async fn used_once(options: Options) -> (bb8::Pool<Opening>, Arc<AtomicUsize>) {
        let open = Arc::<AtomicUsize>::default();
        let pool = options.pool(Opening(Arc::clone(&open)));
        drop(pool.get().await.unwrap());
        (pool, open)
    }

    #[::tokio::test]
    async fn connections_that_are_idle_for_too_long_or_too_old_are_closed() {
        let short = Duration::from_millis(20);
        for options in [
            Options { idle_timeout: short, ..Options::default() },
            Options { max_lifetime: short, ..Options::default() },
        ] {
            let (_pool, open) = used_once(options).await;
            let closed = async {
                while open.load(Ordering::SeqCst) > 0 {
                    ::tokio::time::sleep(Duration::from_millis(1)).await;
                }
            };
            ::tokio::time::timeout(Duration::from_secs(20), closed)
                .await
                .expect("it is closed, and not after half a minute");
        }
    }

    #[::tokio::test(start_paused = true)]
    async fn who_asks_while_a_connection_is_failing_is_told_why_as_well() {
        let failures = Arc::default();
        let pool = Pool::new(Options::default().pool(Refusing(Arc::clone(&failures))), failures);
        let began = Instant::now();
        for _ in 0..10 {
            assert_eq!(pool.take().await.err(), Some(Some(Refused)));
        }
        assert!(began.elapsed() < ACQUIRE_TIMEOUT_DEFAULT, "{:?} by the clock of the test", began.elapsed());
    }
}
