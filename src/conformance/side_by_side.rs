//! Tasks of one case that run at the same time.

use std::sync::Arc;

use futures_channel::oneshot;
use futures_util::StreamExt;
use futures_util::future::{Either, select};
use futures_util::stream::FuturesUnordered;

use super::check::Failure;
use super::suite::caught;
use crate::ports::{BoxFuture, Runtime};

/// Runs tasks side by side on the runtime and collects what they return, in their order. When one of them fails, or when
/// nobody waits any more, the others are dropped; none of them outlives the call.
pub(super) async fn side_by_side<T: Send + 'static>(
    runtime: &Arc<dyn Runtime>,
    tasks: Vec<BoxFuture<'static, Result<T, Failure>>>,
) -> Result<Vec<T>, Failure> {
    let mut stops = Vec::with_capacity(tasks.len());
    let mut answers = FuturesUnordered::new();
    for (n, task) in tasks.into_iter().enumerate() {
        let (stop, stopped) = oneshot::channel::<()>();
        let (sender, receiver) = oneshot::channel();
        runtime.spawn(Box::pin(async move {
            let answer = match select(Box::pin(caught(task)), stopped).await {
                Either::Left((answer, _)) => Some(answer),
                Either::Right(_) => None,
            };
            // Nobody listens any more when the case was stopped.
            let _ = sender.send((n, answer));
        }));
        stops.push(stop);
        answers.push(receiver);
    }
    let mut results: Vec<(usize, T)> = Vec::with_capacity(answers.len());
    let mut failure = None;
    while let Some(answer) = answers.next().await {
        match answer {
            Ok((n, Some(Ok(result)))) => results.push((n, result)),
            Ok((_, Some(Err(first)))) => {
                failure.get_or_insert(first);
                stops.clear();
            }
            Ok((_, None)) => {}
            Err(_) => {
                failure.get_or_insert(Failure::new("the runtime dropped a task that ran beside others"));
                stops.clear();
            }
        }
    }
    if let Some(failure) = failure {
        return Err(failure);
    }
    results.sort_unstable_by_key(|(n, _)| *n);
    Ok(results.into_iter().map(|(_, result)| result).collect())
}
