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
    pub(super) receiver: oneshot::Receiver<Answer>,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.phase.abandon();
    }
}

impl Waiting {
    /// The answer, at the latest after `wait`.
    pub(super) async fn answer(&mut self, runtime: &dyn Runtime, wait: Duration) -> Answer {
        match select(&mut self.receiver, runtime.sleep(wait)).await {
            Either::Left((Ok(answer), _)) => return answer,
            Either::Left((Err(oneshot::Canceled), _)) if self.phase.may_happen() => {}
            Either::Left((Err(oneshot::Canceled), _)) => {
                return Err(BookingError::Failed(StoreError::transient("the event's task ended")));
            }
            Either::Right(_) if self.phase.abandon() => return Err(Rejection::DeadlinePassed.into()),
            Either::Right(_) => {
                if let Ok(Some(answer)) = self.receiver.try_recv() {
                    return answer;
                }
            }
        }
        Err(OutcomeUnknown::new(self.operation, None).into())
    }
}
