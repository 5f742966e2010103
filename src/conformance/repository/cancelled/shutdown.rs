//! Who shuts a service down, and does not wait for it.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use futures_util::future::maybe_done;

use super::{CALL_STEPS, dropped_at, is_through};
use crate::booking::{BookingError, BookingService, Drained};
use crate::conformance::audit;
use crate::conformance::bench::{RepositoryBench, event_id, lines, nth_ticket};
use crate::conformance::check::{Checked, Failure, ensure, ensure_eq};
use crate::conformance::halting::Halting;
use crate::conformance::service;
use crate::domain::Rejection;

/// What was taken in is answered, nothing else is taken in, and who asks again waits for the end.
pub(in crate::conformance::repository) async fn a_shutdown_dropped_at_any_moment_loses_nothing(
    bench: &RepositoryBench,
) -> Checked {
    let store = Halting::new(bench.open().await?);
    shutdowns(bench, &store, || service::on(bench, Arc::clone(&store) as _), |_| Ok(())).await
}

/// Shuts a service down, dropped at every step until it is through, and looks at what is left after each.
pub(super) async fn shutdowns(
    bench: &RepositoryBench,
    store: &Halting,
    open: impl Fn() -> Result<BookingService, Failure>,
    after: impl Fn(u32) -> Checked,
) -> Checked {
    let event = event_id("concert");
    bench.stage(&event, 2 * CALL_STEPS.max, &[], None).await?;
    let elsewhere = service::on(bench, Arc::clone(&bench.repository))?;
    for step in 0..CALL_STEPS.max {
        let service = open()?;
        let [taken, late] =
            [2 * step, 2 * step + 1].map(|seat| service::hold(bench, &event, "ada", lines(&[nth_ticket(seat)], &[])));
        let mut taken_in = pin!(maybe_done(service.submit(taken.clone())));
        let shutdown = async {
            // Once polled, it is taken in.
            let _ = poll_fn(|context| Poll::Ready(taken_in.as_mut().poll(context))).await;
            service.shutdown(service::WAIT_MAX).await
        };
        let answer = dropped_at(store, step, shutdown).await;

        let refused = service.submit(late.clone()).await;
        let is_refused = matches!(refused, Err(BookingError::Rejected(Rejection::ShuttingDown)));
        ensure!(is_refused, "taken in after a shutdown that was dropped at step {step}: {refused:?}");
        taken_in.as_mut().await;
        let receipt = taken_in.take_output().ok_or_else(|| Failure::new("an answer that is not there"))??;
        for drained in answer.into_iter().chain([service.shutdown(service::WAIT_MAX).await]) {
            ensure_eq!(drained, Drained::Completely, "a shutdown after one that was dropped at step {step}");
        }
        after(step)?;
        let again = elsewhere.submit(taken).await?;
        ensure!(again.repeated, "what was taken in has not happened, dropped at step {step}");
        ensure_eq!(again.outcome, receipt.outcome, "what was taken in, asked for elsewhere");
        let after = elsewhere.submit(late).await?;
        ensure!(!after.repeated, "what was refused has happened all the same, dropped at step {step}");
        if is_through(bench, "shutdown", CALL_STEPS, step, answer.is_some())? {
            break;
        }
    }
    audit::tables(bench, &event).await?;
    audit::feed(bench, &event).await
}
