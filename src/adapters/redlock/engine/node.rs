//! One node: its connection, one reconnect at a time, and when it is left alone.

use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use futures_channel::oneshot;
use futures_util::future::{Either, select};

use super::super::config::Quarantine;
use super::super::server::{Answer, Ask, Connected, Link, Server, ServerError};
use super::breaker::Breaker;
use super::quarantine::quarantined_until;
use crate::ports::{BoxFuture, LockError, Observation, Observer, Runtime, RuntimeExt};

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
    /// A connection is being made.
    connecting: Option<Connecting>,
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
    /// Whether it was asked a second time, so that later requests may have been done before.
    pub(super) resent: bool,
    /// Whether its grants count.
    pub(super) counts: bool,
}

/// Who waits for the connection that is being made.
#[derive(Debug, Default)]
struct Connecting {
    waiting: Vec<(Arc<[Ask]>, oneshot::Sender<Sent>)>,
    told: Vec<oneshot::Sender<()>>,
}

/// Asks that are on their way.
struct Sent {
    answers: BoxFuture<'static, Result<Vec<Answer>, ServerError>>,
    link: Arc<dyn Link>,
    generation: u64,
}

/// What is to be done to reach the node.
enum Way {
    Open(Up),
    Wait(oneshot::Receiver<Sent>),
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
        let mut resent = false;
        loop {
            let Sent { answers, link, generation } = match self.way(&asks) {
                Way::Open(Up { link, generation }) => Sent { answers: link.ask(Arc::clone(&asks)), link, generation },
                Way::Wait(sent) => sent.await.map_err(|_| self.failure())?,
                Way::Closed(error) => return Err(error),
            };
            match answers.await {
                Ok(answers) => return Ok(self.answered(answers, link, generation, resent)),
                Err(error @ ServerError::Closed(_)) => {
                    self.lost(generation, error.clone());
                    if std::mem::replace(&mut resent, true) {
                        return Err(error);
                    }
                }
                Err(refused) => return Err(refused),
            }
        }
    }

    /// The connection, also of a node that is left alone: for health checks, which may wait.
    pub(super) async fn link(self: &Arc<Self>) -> Result<Arc<dyn Link>, ServerError> {
        let connected = {
            let mut state = self.state();
            if let Some(up) = &state.up {
                return Ok(Arc::clone(&up.link));
            }
            let (sender, connected) = oneshot::channel();
            self.connecting(&mut state).told.push(sender);
            connected
        };
        // Whoever connects says when it has ended, in whatever way.
        let _ = connected.await;
        let up = self.state().up.clone();
        up.map(|up| up.link).ok_or_else(|| self.failure())
    }

    fn way(self: &Arc<Self>, asks: &Arc<[Ask]>) -> Way {
        let now = self.runtime.now();
        let mut state = self.state();
        if let Some(up) = &state.up {
            return Way::Open(up.clone());
        }
        if state.breaker.is_closed() {
            let (sender, sent) = oneshot::channel();
            self.connecting(&mut state).waiting.push((Arc::clone(asks), sender));
            return Way::Wait(sent);
        }
        if state.connecting.is_none() && state.breaker.allows(now) {
            // Half open: someone tries, and nobody waits for it.
            self.connecting(&mut state);
        }
        Way::Closed(state.failure.clone().unwrap_or_else(not_connected))
    }

    fn failure(&self) -> ServerError {
        self.state().failure.clone().unwrap_or_else(not_connected)
    }

    /// The attempt to connect that is under way. It begins now if there is none.
    fn connecting<'s>(self: &Arc<Self>, state: &'s mut State) -> &'s mut Connecting {
        state.connecting.get_or_insert_with(|| {
            let node = Arc::clone(self);
            self.runtime.spawn(Box::pin(async move { node.connect().await }));
            Connecting::default()
        })
    }

    async fn connect(self: Arc<Self>) {
        let mut attempt = Attempt { node: &self, is_over: false };
        let timeout = self.runtime.sleep(self.connect_timeout);
        let connected = match select(pin!(self.server.connect()), timeout).await {
            Either::Left((connected, _)) => connected,
            Either::Right(_) => Err(ServerError::Closed(Arc::from("connecting took too long"))),
        };
        attempt.is_over = true;
        match connected {
            Ok(connected) => self.is_up(connected),
            Err(error) => {
                self.is_down(error);
                let connecting = self.state().connecting.take();
                tell(connecting);
            }
        }
    }

    fn is_up(&self, Connected { link, life }: Connected) {
        let now = self.runtime.now();
        let (was_down, generation) = {
            let mut state = self.state();
            let until = quarantined_until(self.quarantine, now, state.run_id.as_deref(), life.as_ref());
            state.quarantined_until = state.quarantined_until.max(until);
            if let Some(life) = life {
                state.run_id = Some(life.run_id);
            }
            state.generation += 1;
            let was_down = !state.breaker.is_closed();
            state.breaker.succeeded();
            state.failure = None;
            (was_down, state.generation)
        };
        self.send_what_waits(&Up { link, generation });
        if was_down {
            self.observer.observe(&Observation::LockNodeUp { node: &self.name });
        }
    }

    /// What has waited for the connection goes first, in the order in which it came.
    fn send_what_waits(&self, up: &Up) {
        loop {
            let waiting = {
                let mut state = self.state();
                let waiting = state.connecting.as_mut().map(|it| std::mem::take(&mut it.waiting)).unwrap_or_default();
                if waiting.is_empty() {
                    state.up = Some(up.clone());
                    let connecting = state.connecting.take();
                    drop(state);
                    return tell(connecting);
                }
                waiting
            };
            for (asks, sender) in waiting {
                if sender.is_canceled() {
                    continue;
                }
                let mut answers = up.link.ask(asks);
                let polled = answers.as_mut().poll(&mut Context::from_waker(Waker::noop()));
                if let Poll::Ready(answered) = polled {
                    answers = Box::pin(std::future::ready(answered));
                }
                let _ = sender.send(Sent { answers, link: Arc::clone(&up.link), generation: up.generation });
            }
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
            self.connecting(&mut state);
        }
    }

    fn answered(&self, answers: Vec<Answer>, link: Arc<dyn Link>, generation: u64, resent: bool) -> Reply {
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
        Reply { answers, link, generation, resent, counts }
    }

    /// How many requests it has answered: the same number later says that it has been silent since.
    pub(super) fn answers(&self) -> u64 {
        self.state().answered
    }

    /// A request timed out. If the node has answered nothing since the request was sent, it is left alone, until a new
    /// connection can be made. Who still waits for answers on the old one keeps that.
    pub(super) fn timed_out(&self, answers_then: u64) {
        let is_silent = {
            let state = self.state();
            state.up.is_some() && state.answered == answers_then
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

/// An attempt to connect. If its task is dropped half-way, nobody waits for it any more.
struct Attempt<'n> {
    node: &'n Node,
    is_over: bool,
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            let connecting = self.node.state().connecting.take();
            tell(connecting);
        }
    }
}

/// Those who asked are told by being sent away, or were served before.
fn tell(connecting: Option<Connecting>) {
    for told in connecting.into_iter().flat_map(|it| it.told) {
        let _ = told.send(());
    }
}

fn not_connected() -> ServerError {
    ServerError::Closed(Arc::from("it is not connected"))
}
