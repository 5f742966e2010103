use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use crate::ports::Runtime;

/// The answer of `work`, or nothing when `time` has passed before. No timer is made for work that is ready at once.
pub(super) async fn within<T>(runtime: &dyn Runtime, time: Duration, work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    let mut sleep = None;
    poll_fn(|context| {
        if let Poll::Ready(answer) = work.as_mut().poll(context) {
            return Poll::Ready(Some(answer));
        }
        sleep.get_or_insert_with(|| runtime.sleep(time)).as_mut().poll(context).map(|()| None)
    })
    .await
}
