use std::time::{Duration, Instant};

use ::tokio::runtime::{Handle, TryCurrentError};

use super::randomness;
use crate::adapters::SystemClock;
use crate::domain::Timestamp;
use crate::ports::{BoxFuture, Clock, Runtime};

/// A tokio runtime of the host, with time enabled. Cloning it is cheap.
#[derive(Debug, Clone)]
pub struct TokioRuntime {
    handle: Handle,
}

impl TokioRuntime {
    /// On the given runtime.
    ///
    /// ```
    /// use ticket_reservation::adapters::tokio::{TokioRuntime, tokio};
    ///
    /// let host = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    /// let runtime = TokioRuntime::new(host.handle().clone());
    /// # let _ = runtime;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn new(handle: Handle) -> Self {
        Self { handle }
    }

    /// On the runtime that the caller runs in.
    ///
    /// # Errors
    ///
    /// When the caller does not run in a tokio runtime.
    ///
    /// # Example
    ///
    /// ```
    /// use ticket_reservation::adapters::tokio::{TokioRuntime, tokio};
    ///
    /// assert!(TokioRuntime::current().is_err());
    /// let host = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    /// host.block_on(async { TokioRuntime::current() })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn current() -> Result<Self, TryCurrentError> {
        Handle::try_current().map(Self::new)
    }
}

impl Clock for TokioRuntime {
    fn now(&self) -> Instant {
        // Tokio's clock, which tests can pause.
        ::tokio::time::Instant::now().into_std()
    }

    fn unix_time(&self) -> Timestamp {
        SystemClock.unix_time()
    }
}

impl Runtime for TokioRuntime {
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        let handle = self.handle.clone();
        Box::pin(async move {
            let sleep = {
                let _inside = handle.enter();
                ::tokio::time::sleep(duration)
            };
            sleep.await;
        })
    }

    fn spawn(&self, task: BoxFuture<'static, ()>) {
        drop(self.handle.spawn(task));
    }

    /// From the operating system's generator, drawn ahead by each thread. A process that forks and goes on in both without
    /// starting a program anew would draw the same bits twice.
    fn random(&self) -> u64 {
        randomness::next()
    }
}
