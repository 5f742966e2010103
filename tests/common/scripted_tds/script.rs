//! What becomes of a login, and what answers wait for.

use std::time::Duration;

use tokio::sync::watch;

use super::tokens::Message;

/// How a login goes.
#[derive(Debug, Clone)]
pub(crate) enum LoginAnswer {
    /// The client is let in.
    Accept,
    /// The client is let in when the test says so, or later.
    AcceptAfter(Wait),
    Refuse(Message),
    /// The client has said who it is, and hears nothing.
    Hang,
    /// The client has said who it is, and the connection ends.
    Close,
    /// The client has connected, and hears nothing at all.
    Mute,
}

/// What an answer waits for before it goes on.
#[derive(Debug, Clone)]
pub(crate) enum Wait {
    /// By tokio's time.
    For(Duration),
    /// A gate that the test opens.
    Until(Gate),
    Forever,
}

impl Wait {
    pub(crate) async fn over(&self) {
        match self {
            Self::For(time) => tokio::time::sleep(*time).await,
            Self::Until(gate) => gate.opened().await,
            Self::Forever => std::future::pending().await,
        }
    }
}

/// Keeps answers back until the test opens it. A clone is the same one.
#[derive(Debug, Clone)]
pub(crate) struct Gate(watch::Sender<bool>);

impl Gate {
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(false))
    }

    pub(crate) fn open(&self) {
        self.0.send_replace(true);
    }

    async fn opened(&self) {
        self.0.subscribe().wait_for(|is_open| *is_open).await.expect("the gate is here");
    }
}
