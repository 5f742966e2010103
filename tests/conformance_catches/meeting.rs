use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

/// A place where two wait for one another, so that what they do next happens at the same time.
#[derive(Debug, Default)]
pub(crate) struct Meeting(Mutex<Option<oneshot::Sender<()>>>);

impl Meeting {
    /// Whether somebody else came within that time.
    pub(crate) async fn meet(&self, at_most: Duration) -> bool {
        let wait = {
            let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            match waiting.take().map(|other| other.send(())) {
                Some(Ok(())) => None,
                _ => {
                    let (sender, receiver) = oneshot::channel();
                    *waiting = Some(sender);
                    Some(receiver)
                }
            }
        };
        match wait {
            None => true,
            Some(receiver) => matches!(tokio::time::timeout(at_most, receiver).await, Ok(Ok(()))),
        }
    }
}
