//! What the benches share.

use criterion::async_executor::AsyncExecutor;
use tokio::runtime::Runtime;

/// Runs criterion's futures in a tokio runtime.
pub(crate) struct AsyncIn<'r>(pub(crate) &'r Runtime);

impl AsyncExecutor for AsyncIn<'_> {
    fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.0.block_on(future)
    }
}
