use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use std::task::Poll;

use futures_channel::oneshot;
use futures_util::future::{Either, select};

/// Where work goes step by step. A step is a moment before a poll of the work, or between its end and the answer.
#[derive(Default)]
pub(super) struct Gate(Mutex<Option<Halt>>);

/// Where the work stands still, whom it tells, and what it waits for.
struct Halt {
    steps_before: u32,
    reached: oneshot::Sender<()>,
    go_on: oneshot::Receiver<()>,
}

impl Gate {
    /// What comes of a call that is dropped when the work has come to that step on its way, counted from 0; `None` if it
    /// was dropped. Then the work goes on, with nobody waiting.
    pub(super) async fn dropped_at<T>(&self, step: u32, call: impl Future<Output = T> + Send) -> Option<T> {
        let ((reached, is_reached), (go, go_on)) = (oneshot::channel(), oneshot::channel());
        self.set(Some(Halt { steps_before: step, reached, go_on }));
        let answer = match select(Box::pin(call), is_reached).await {
            Either::Left((answer, _)) => Some(answer),
            Either::Right((_, call)) => {
                drop(call);
                None
            }
        };
        self.set(None);
        drop(go);
        answer
    }

    fn set(&self, halt: Option<Halt>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = halt;
    }

    /// Whether it stood still.
    async fn step(&self) -> bool {
        let halt = {
            let mut halt = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            match &mut *halt {
                Some(Halt { steps_before: 0, .. }) => halt.take(),
                Some(halt) => {
                    halt.steps_before -= 1;
                    None
                }
                None => None,
            }
        };
        let Some(Halt { reached, go_on, .. }) = halt else { return false };
        if reached.send(()).is_err() {
            return false;
        }
        // Nothing is sent: the other end goes when the caller has gone.
        let _ = go_on.await;
        true
    }

    /// What the work answers, and whether it stood still on its way.
    pub(super) async fn stepped<T>(&self, work: impl Future<Output = T> + Send) -> (T, bool) {
        let mut work = pin!(work);
        let mut stood_still = false;
        loop {
            stood_still |= self.step().await;
            let mut is_polled = false;
            let done = poll_fn(|context| {
                // It asks to be polled again, which is a step of its own.
                if is_polled {
                    return Poll::Ready(None);
                }
                is_polled = true;
                work.as_mut().poll(context).map(Some)
            });
            if let Some(done) = done.await {
                stood_still |= self.step().await;
                return (done, stood_still);
            }
        }
    }
}
