use std::time::Duration;

use futures_channel::oneshot;
use futures_util::future::{Either, select};

use super::error::{BookingError, OutcomeUnknown};
use super::request::{Answer, Phase};
use crate::domain::{OperationId, Rejection};
use crate::ports::{Runtime, StoreError};

/// The caller's side of a request. Dropping it takes the request back if nothing was sent to the store yet;
/// afterwards only the answer is lost.
pub(super) struct Waiting {
    pub(super) operation: OperationId,
    pub(super) phase: Phase,
    pub(super) receiver: Option<oneshot::Receiver<Answer>>,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.phase.abandon();
    }
}

impl Waiting {
    /// The answer, at the latest after `wait`.
    pub(super) async fn answer(mut self, runtime: &dyn Runtime, wait: Duration) -> Answer {
        let Some(receiver) = self.receiver.take() else {
            return Err(OutcomeUnknown::new(self.operation, None).into());
        };
        match select(receiver, runtime.sleep(wait)).await {
            Either::Left((Ok(answer), _)) => answer,
            Either::Left((Err(oneshot::Canceled), _)) if self.phase.may_happen() => {
                Err(OutcomeUnknown::new(self.operation, None).into())
            }
            Either::Left((Err(oneshot::Canceled), _)) => {
                Err(BookingError::Failed(StoreError::transient("the event's task ended")))
            }
            Either::Right(((), mut receiver)) => {
                if self.phase.abandon() {
                    return Err(Rejection::DeadlinePassed.into());
                }
                match receiver.try_recv() {
                    Ok(Some(answer)) => answer,
                    _ => Err(OutcomeUnknown::new(self.operation, None).into()),
                }
            }
        }
    }
}
