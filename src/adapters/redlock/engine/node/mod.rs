//! One node: what it is asked and answers, on the connection that it has.

mod breaker;
mod owed;
mod quarantine;
mod reach;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_channel::oneshot;

use self::breaker::Breaker;
use super::super::check::Finding;
use super::super::config::Quarantine;
use super::super::server::{Answer, Ask, Link, Server, ServerError};
use super::background::Background;
use crate::ports::{Observer, Runtime};

pub(super) use self::owed::Owed;

/// A server and what is known about it.
#[derive(Debug)]
pub(super) struct Node {
    server: Arc<dyn Server>,
    name: Arc<str>,
    runtime: Arc<dyn Runtime>,
    background: Background,
    observer: Arc<dyn Observer>,
    quarantine: Quarantine,
    connect_timeout: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    up: Option<Up>,
    /// Counts connections.
    generation: u64,
    /// A connection is being made, and these wait for what becomes of it.
    connecting: Option<Vec<oneshot::Sender<()>>>,
    breaker: Breaker,
    failure: Option<ServerError>,
    /// How many connections in a row were good for nothing.
    unanswered: u32,
    /// How many requests were answered.
    answered: u64,
    run_id: Option<Arc<str>>,
    quarantined_until: Option<Instant>,
    owed: Owed,
    /// The last connection on which the node did not do what it was owed: it is not asked for that again there.
    unpaid_on: Option<u64>,
}

#[derive(Debug, Clone)]
struct Up {
    link: Arc<dyn Link>,
    generation: u64,
}

/// A node's answers, and where they came from.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) answers: Vec<Answer>,
    pub(super) link: Arc<dyn Link>,
    pub(super) generation: u64,
    /// It was sent as soon as it was asked, and once.
    pub(super) was_sent_at_once: bool,
    /// Whether its grants count.
    pub(super) counts: bool,
}

/// Why a node gave no answers.
#[derive(Debug)]
pub(super) struct NoReply {
    pub(super) error: ServerError,
    /// It was sent, so that it may have been done.
    pub(super) was_sent: bool,
}

impl Node {
    pub(super) fn new(
        server: Arc<dyn Server>,
        runtime: Arc<dyn Runtime>,
        background: Background,
        observer: Arc<dyn Observer>,
        quarantine: Quarantine,
        connect_timeout: Duration,
    ) -> Arc<Self> {
        let name = Arc::from(server.name());
        let state = Mutex::default();
        Arc::new(Self { server, name, runtime, background, observer, quarantine, connect_timeout, state })
    }

    pub(super) fn name(&self) -> &Arc<str> {
        &self.name
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing under this lock can leave it half-done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks, on the connection that is there or is being made. When it ends before the answer, once more on the next one:
    /// whatever is asked may be asked twice.
    pub(super) async fn ask(self: Arc<Self>, asks: Arc<[Ask]>) -> Result<Reply, NoReply> {
        let mut was_sent = false;
        let first = self.generation();
        loop {
            let Up { link, generation } = self.up().await.map_err(|error| NoReply { error, was_sent })?;
            match link.ask(Arc::clone(&asks)).await {
                Ok(answers) => {
                    let was_sent_at_once = first == Some(generation);
                    return Ok(Reply { was_sent_at_once, ..self.answered(answers, link, generation) });
                }
                Err(error @ ServerError::Closed(_)) => {
                    self.lost(generation, error.clone());
                    if std::mem::replace(&mut was_sent, true) {
                        return Err(NoReply { error, was_sent });
                    }
                }
                Err(error) => {
                    self.heard(generation);
                    return Err(NoReply { error, was_sent });
                }
            }
        }
    }

    /// Looks for what makes the node unfit, also of one that is left alone: for health checks, which may wait. A connection
    /// that turns out to have ended is made anew, once.
    pub(super) async fn check(self: &Arc<Self>, key: Arc<str>) -> Result<Vec<Finding>, ServerError> {
        let mut again = true;
        loop {
            let Up { link, generation } = self.link().await?;
            match link.check(Arc::clone(&key)).await {
                Err(error @ ServerError::Closed(_)) => {
                    self.lost(generation, error.clone());
                    if !std::mem::take(&mut again) {
                        return Err(error);
                    }
                }
                checked => {
                    self.heard(generation);
                    return checked;
                }
            }
        }
    }

    fn answered(&self, answers: Vec<Answer>, link: Arc<dyn Link>, generation: u64) -> Reply {
        self.heard(generation);
        let mut state = self.state();
        state.answered += 1;
        let counts = match state.quarantined_until {
            None => true,
            Some(until) if until <= self.runtime.now() => {
                state.quarantined_until = None;
                true
            }
            Some(_) => false,
        };
        Reply { answers, link, generation, was_sent_at_once: false, counts }
    }

    pub(super) fn run_id(&self) -> Option<Arc<str>> {
        self.state().run_id.clone()
    }

    /// How many requests it has answered, and on which connection it is: the same later says that it has been silent since.
    pub(super) fn answers(&self) -> (u64, u64) {
        let state = self.state();
        (state.answered, state.generation)
    }

    /// The number of the connection that is in use, if there is one.
    pub(super) fn generation(&self) -> Option<u64> {
        self.state().up.as_ref().map(|up| up.generation)
    }
}
