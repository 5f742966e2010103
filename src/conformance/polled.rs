//! Futures that are dropped after so many polls.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use super::check::Failure;

/// A call that is not through after so many polls or steps has failed: who knows what becomes of it if it is dropped later.
pub(super) const STEPS_MAX: u32 = 50;

/// What comes of a future that is dropped after so many polls, each made when it asked for it; `None` if it was not
/// through by then.
pub(super) async fn polled<T>(times: u32, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    let mut left = times;
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match future.as_mut().poll(context) {
            Poll::Ready(done) => Poll::Ready(Some(done)),
            // Nobody waits for one that has no polls left.
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

pub(super) fn not_through(what: &str, steps_max: u32) -> Failure {
    Failure::new(format!("{what} is not through after {steps_max} steps"))
}
