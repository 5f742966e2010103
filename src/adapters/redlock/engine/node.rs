//! One node: its connection, one reconnect at a time, and when it is left alone.

use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_channel::oneshot;
use futures_util::future::{Either, select};

use super::super::check::Finding;
use super::super::config::Quarantine;
use super::super::server::{Answer, Ask, Connected, Link, Server, ServerError};
use super::breaker::Breaker;
use super::quarantine::quarantined_until;
use crate::ports::{LockError, Observation, Observer, Runtime, RuntimeExt};

/// A server and what is known about it.
#[derive(Debug)]
pub(super) struct Node {
    server: Arc<dyn Server>,
    name: Arc<str>,
    runtime: Arc<dyn Runtime>,
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
    /// How many requests were answered.
    answered: u64,
    run_id: Option<Arc<str>>,
    quarantined_until: Option<Instant>,
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

/// What is to be done to reach the node.
enum Way {
    Open(Up),
    Wait(oneshot::Receiver<()>),
    Closed(ServerError),
}

impl Node {
    pub(super) fn new(
        server: Arc<dyn Server>,
        runtime: Arc<dyn Runtime>,
        observer: Arc<dyn Observer>,
        quarantine: Quarantine,
        connect_timeout: Duration,
    ) -> Arc<Self> {
        let name = Arc::from(server.name());
        Arc::new(Self { server, name, runtime, observer, quarantine, connect_timeout, state: Mutex::default() })
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
    pub(super) async fn ask(self: Arc<Self>, asks: Arc<[Ask]>) -> Result<Reply, ServerError> {
        let mut again = true;
        let first = self.generation();
        loop {
            let Up { link, generation } = self.up().await?;
            match link.ask(Arc::clone(&asks)).await {
                Ok(answers) => {
                    let was_sent_at_once = first == Some(generation);
                    return Ok(Reply { was_sent_at_once, ..self.answered(answers, link, generation) });
                }
                Err(error @ ServerError::Closed(_)) => {
                    self.lost(generation, error.clone());
                    if !std::mem::take(&mut again) {
                        return Err(error);
                    }
                }
                Err(refused) => return Err(refused),
            }
        }
    }

    /// The node's connection, made if need be.
    async fn up(self: &Arc<Self>) -> Result<Up, ServerError> {
        loop {
            match self.way() {
                Way::Open(up) => return Ok(up),
                Way::Closed(error) => return Err(error),
                Way::Wait(connected) => {
                    // Whoever connects says when it has ended, in whatever way.
                    let _ = connected.await;
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
                checked => return checked,
            }
        }
    }

    /// The connection, also of a node that is left alone.
    async fn link(self: &Arc<Self>) -> Result<Up, ServerError> {
        let connected = {
            let mut state = self.state();
            match &state.up {
                Some(up) => return Ok(up.clone()),
                None => self.connected(&mut state),
            }
        };
        // Whoever connects says when it has ended, in whatever way.
        let _ = connected.await;
        let state = self.state();
        match (&state.up, &state.failure) {
            (Some(up), _) => Ok(up.clone()),
            (None, failure) => Err(failure.clone().unwrap_or_else(not_connected)),
        }
    }

    fn way(self: &Arc<Self>) -> Way {
        let now = self.runtime.now();
        let mut state = self.state();
        if let Some(up) = &state.up {
            return Way::Open(up.clone());
        }
        if state.breaker.is_closed() {
            return Way::Wait(self.connected(&mut state));
        }
        if state.connecting.is_none() && state.breaker.allows(now) {
            // Half open: someone tries, and nobody waits for it.
            drop(self.connected(&mut state));
        }
        Way::Closed(state.failure.clone().unwrap_or_else(not_connected))
    }

    /// Ends when the connection that is being made is there or has failed. Begins to make one if nobody does.
    fn connected(self: &Arc<Self>, state: &mut State) -> oneshot::Receiver<()> {
        let (sender, receiver) = oneshot::channel();
        match &mut state.connecting {
            Some(waiting) => waiting.push(sender),
            None => {
                state.connecting = Some(vec![sender]);
                let node = Arc::clone(self);
                self.runtime.spawn(Box::pin(async move { node.connect().await }));
            }
        }
        receiver
    }

    async fn connect(self: Arc<Self>) {
        let mut connecting = Connecting { node: &self, has_ended: false };
        let timeout = self.runtime.sleep(self.connect_timeout);
        let connected = match select(pin!(self.server.connect()), timeout).await {
            Either::Left((connected, _)) => connected,
            Either::Right(_) => Err(ServerError::Closed(Arc::from("connecting took too long"))),
        };
        match connected {
            Ok(connected) => self.is_up(connected),
            Err(error) => self.is_down(error),
        }
        connecting.has_ended = true;
    }

    fn is_up(&self, Connected { link, life }: Connected) {
        let now = self.runtime.now();
        let was_down = {
            let mut state = self.state();
            let until = quarantined_until(self.quarantine, now, state.run_id.as_deref(), life.as_ref());
            state.quarantined_until = state.quarantined_until.max(until);
            if let Some(life) = life {
                state.run_id = Some(life.run_id);
            }
            state.generation += 1;
            state.up = Some(Up { link, generation: state.generation });
            let was_down = !state.breaker.is_closed();
            state.breaker.succeeded();
            state.failure = None;
            was_down
        };
        if was_down {
            self.observer.observe(&Observation::LockNodeUp { node: &self.name });
        }
    }

    fn is_down(&self, error: ServerError) {
        let now = self.runtime.now();
        let was_closed = {
            let mut state = self.state();
            state.up = None;
            state.failure = Some(error.clone());
            let was_closed = state.breaker.is_closed();
            state.breaker.failed(now, |pause| self.runtime.jittered(pause));
            was_closed
        };
        if was_closed {
            let error = LockError::new(error);
            self.observer.observe(&Observation::LockNodeDown { node: &self.name, error: &error });
        }
    }

    /// A connection has ended. Of all who notice, the first makes a new one.
    fn lost(self: &Arc<Self>, generation: u64, error: ServerError) {
        let mut state = self.state();
        if state.up.as_ref().is_some_and(|up| up.generation == generation) {
            state.up = None;
            state.failure = Some(error);
            drop(self.connected(&mut state));
        }
    }

    fn answered(&self, answers: Vec<Answer>, link: Arc<dyn Link>, generation: u64) -> Reply {
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

    /// How many requests it has answered, and on which connection it is: the same later says that it has been silent since.
    pub(super) fn answers(&self) -> (u64, u64) {
        let state = self.state();
        (state.answered, state.generation)
    }

    /// A request timed out. If the node has answered nothing since the request was sent, it is left alone, until a new
    /// connection can be made. Who still waits for answers on the old one keeps that. A connection made since is not to blame.
    pub(super) fn timed_out(&self, answers_then: (u64, u64)) {
        let is_silent = {
            let state = self.state();
            state.up.is_some() && (state.answered, state.generation) == answers_then
        };
        if is_silent {
            self.is_down(ServerError::Closed(Arc::from("it does not answer")));
        }
    }

    /// The number of the connection that is in use, if there is one.
    pub(super) fn generation(&self) -> Option<u64> {
        self.state().up.as_ref().map(|up| up.generation)
    }
}

/// Tells those who wait that connecting has ended, also when its task is dropped.
struct Connecting<'n> {
    node: &'n Node,
    has_ended: bool,
}

impl Drop for Connecting<'_> {
    fn drop(&mut self) {
        if !self.has_ended {
            self.node.is_down(ServerError::Closed(Arc::from("connecting was given up")));
        }
        let waiting = self.node.state().connecting.take();
        for waiter in waiting.into_iter().flatten() {
            let _ = waiter.send(());
        }
    }
}

fn not_connected() -> ServerError {
    ServerError::Closed(Arc::from("it is not connected"))
}
