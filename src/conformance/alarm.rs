//! Time that passes whatever the runtime does.

use std::pin::Pin;
use std::sync::mpsc;
use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;

use futures_channel::oneshot;

/// Ends after a while. It waits on a thread of its own, because the runtime under test may be what has stopped.
pub(super) struct Alarm {
    rings: oneshot::Receiver<()>,
    /// Dropping it ends the thread.
    _waiting: mpsc::Sender<()>,
}

impl Alarm {
    pub(super) fn after(duration: Duration) -> Self {
        let (ring, rings) = oneshot::channel();
        let (waiting, dropped) = mpsc::channel::<()>();
        let wait = move || {
            if dropped.recv_timeout(duration) == Err(mpsc::RecvTimeoutError::Timeout) {
                let _ = ring.send(());
            }
        };
        // A machine that cannot start a thread lets the alarm ring at once: the case fails, and nothing hangs.
        let _ = thread::Builder::new().name("conformance-alarm".to_owned()).spawn(wait);
        Self { rings, _waiting: waiting }
    }
}

impl Future for Alarm {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.rings).poll(context).map(drop)
    }
}
