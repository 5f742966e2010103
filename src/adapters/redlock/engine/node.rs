//! One node: its connection, one reconnect at a time, and when it is left alone.

use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_channel::oneshot;
use futures_util::future::{Either, select};

use super::super::check::Finding;
use super::super::config::Quarantine;
use super::super::server::{Answer, Ask, Connected, Link, Server, ServerError};
use super::background::Background;
use super::breaker::Breaker;
use super::owed::Owed;
use super::quarantine::quarantined_until;
use crate::ports::{LockError, Observation, Observer, Runtime, RuntimeExt};

/// How many connections in a row may end, or stay silent, before anything was answered on them: then the node is left alone,
/// although it can be connected to.
const UNANSWERED_MAX: u32 = 3;

/// For how long a node is waited for that is given back what it has missed.
const PATIENCE: Duration = Duration::from_secs(10);

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
                checked => {
                    self.heard(generation);
                    return checked;
                }
            }
        }
    }

    /// The connection, also of a node that is left alone.
    async fn link(self: &Arc<Self>) -> Result<Up, ServerError> {
        let (connected, begun) = {
            let mut state = self.state();
            match &state.up {
                Some(up) => return Ok(up.clone()),
                None => self.connected(&mut state),
            }
        };
        self.begin(begun);
        // Whoever connects says when it has ended, in whatever way.
        let _ = connected.await;
        let state = self.state();
        match (&state.up, &state.failure) {
            (Some(up), _) => Ok(up.clone()),
            (None, failure) => Err(failure.clone().unwrap_or_else(not_connected)),
        }
    }

    fn way(self: &Arc<Self>) -> Way {
        if let Some(up) = &self.state().up {
            return Way::Open(up.clone());
        }
        let now = self.runtime.now();
        let (way, begun) = {
            let mut state = self.state();
            if let Some(up) = &state.up {
                return Way::Open(up.clone());
            }
            if state.breaker.is_closed() {
                let (connected, begun) = self.connected(&mut state);
                (Way::Wait(connected), begun)
            } else {
                let is_tried = state.connecting.is_none() && state.breaker.allows(now);
                // Half open: someone tries, and nobody waits for it.
                let begun = if is_tried { self.connected(&mut state).1 } else { None };
                (Way::Closed(state.failure.clone().unwrap_or_else(not_connected)), begun)
            }
        };
        self.begin(begun);
        way
    }

    /// Ends when the connection that is being made is there or has failed. When nobody makes one, the caller begins.
    fn connected(self: &Arc<Self>, state: &mut State) -> (oneshot::Receiver<()>, Option<Connecting>) {
        let (sender, receiver) = oneshot::channel();
        match &mut state.connecting {
            Some(waiting) => {
                waiting.push(sender);
                (receiver, None)
            }
            None => {
                state.connecting = Some(vec![sender]);
                (receiver, Some(Connecting { node: Arc::clone(self), has_ended: false }))
            }
        }
    }

    /// Not while the state is locked: a runtime that has ended drops the task at once, and that locks it.
    fn begin(&self, begun: Option<Connecting>) {
        if let Some(connecting) = begun {
            self.runtime.spawn(Box::pin(connecting.run()));
        }
    }

    fn is_up(self: &Arc<Self>, Connected { link, life }: Connected) {
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
            // After others that were good for nothing, this connection has to show first that it is better.
            if state.unanswered < UNANSWERED_MAX { state.succeeded() } else { false }
        };
        self.tell_up(was_down);
        self.pay();
    }

    /// The node has missed these releases, and is told when it is reached again, unless their keys have ended by then.
    pub(super) fn owe(self: &Arc<Self>, releases: Vec<(Ask, Instant)>) {
        if releases.is_empty() {
            return;
        }
        let now = self.runtime.now();
        self.state().owed.add(releases, now);
        // It may be up again by now.
        self.pay();
    }

    /// Tells the node what it has missed, in the background. What it does not answer it is owed until its next connection.
    fn pay(self: &Arc<Self>) {
        let now = self.runtime.now();
        let (Up { link, generation }, owed) = {
            let mut state = self.state();
            let Some(up) = state.up.clone().filter(|up| state.unpaid_on != Some(up.generation)) else { return };
            (up, state.owed.take(now))
        };
        if owed.is_empty() {
            return;
        }
        let node = Arc::clone(self);
        let patience = self.runtime.sleep(PATIENCE);
        self.background.spawn(async move {
            let asks = owed.iter().map(|(release, _)| release.clone()).collect();
            let error = match select(link.ask(asks), patience).await {
                Either::Left((Ok(_), _)) => return node.heard(generation),
                Either::Left((Err(error), _)) => Some(error),
                Either::Right(_) => None,
            };
            {
                let mut state = node.state();
                state.owed.add(owed, node.runtime.now());
                state.unpaid_on = Some(generation);
            }
            if let Some(error @ ServerError::Closed(_)) = error {
                node.lost(generation, error);
            }
            // Another connection may have come too early for that.
            node.pay();
        });
    }

    fn is_down(&self, error: ServerError) {
        let is_news = self.down(&mut self.state(), error.clone());
        self.tell_down(is_news.then_some(error));
    }

    /// Leaves the node alone for a while. Says whether it was not before.
    fn down(&self, state: &mut State, error: ServerError) -> bool {
        state.up = None;
        state.failure = Some(error);
        let was_closed = state.breaker.is_closed();
        state.breaker.failed(self.runtime.now(), |pause| self.runtime.jittered(pause));
        was_closed
    }

    fn tell_down(&self, error: Option<ServerError>) {
        if let Some(error) = error {
            let error = LockError::new(error);
            self.observer.observe(&Observation::LockNodeDown { node: &self.name, error: &error });
        }
    }

    /// A connection has ended. Of all who notice, the first makes a new one, unless several have ended without any answer.
    fn lost(self: &Arc<Self>, generation: u64, error: ServerError) {
        let (begun, news) = {
            let mut state = self.state();
            if state.up.as_ref().is_none_or(|up| up.generation != generation) {
                return;
            }
            state.unanswered = state.unanswered.saturating_add(1);
            if state.unanswered < UNANSWERED_MAX {
                state.up = None;
                state.failure = Some(error);
                (self.connected(&mut state).1, None)
            } else {
                let is_news = self.down(&mut state, error.clone());
                (None, is_news.then_some(error))
            }
        };
        self.begin(begun);
        self.tell_down(news);
    }

    /// A connection is good for something.
    fn heard(&self, generation: u64) {
        let was_down = self.state().heard(generation);
        self.tell_up(was_down);
    }

    fn tell_up(&self, was_down: bool) {
        if was_down {
            self.observer.observe(&Observation::LockNodeUp { node: &self.name });
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

    /// How many requests it has answered, and on which connection it is: the same later says that it has been silent since.
    pub(super) fn answers(&self) -> (u64, u64) {
        let state = self.state();
        (state.answered, state.generation)
    }

    /// A request timed out. If the node has answered nothing since the request was sent, it is left alone, until a new
    /// connection can be made. Who still waits for answers on the old one keeps that. A connection made since is not to blame.
    pub(super) fn timed_out(&self, answers_then: (u64, u64)) {
        let error = ServerError::Closed(Arc::from("it does not answer"));
        let is_news = {
            let mut state = self.state();
            let is_silent = state.up.is_some() && (state.answered, state.generation) == answers_then;
            if !is_silent {
                return;
            }
            state.unanswered = state.unanswered.saturating_add(1);
            self.down(&mut state, error.clone())
        };
        self.tell_down(is_news.then_some(error));
    }

    /// The number of the connection that is in use, if there is one.
    pub(super) fn generation(&self) -> Option<u64> {
        self.state().up.as_ref().map(|up| up.generation)
    }
}

impl State {
    /// The node is up. Says whether it was down before.
    fn succeeded(&mut self) -> bool {
        let was_down = !self.breaker.is_closed();
        self.breaker.succeeded();
        self.failure = None;
        was_down
    }

    /// Something was answered on a connection. Says whether the node was down before.
    fn heard(&mut self, generation: u64) -> bool {
        if self.up.as_ref().is_none_or(|up| up.generation != generation) {
            return false;
        }
        self.unanswered = 0;
        self.succeeded()
    }
}

/// Makes a connection, and tells those who wait that this has ended, also when its task is dropped.
struct Connecting {
    node: Arc<Node>,
    has_ended: bool,
}

impl Connecting {
    async fn run(mut self) {
        let node = Arc::clone(&self.node);
        let timeout = node.runtime.sleep(node.connect_timeout);
        let connected = match select(pin!(node.server.connect()), timeout).await {
            Either::Left((connected, _)) => connected,
            Either::Right(_) => Err(ServerError::Closed(Arc::from("connecting took too long"))),
        };
        match connected {
            Ok(connected) => node.is_up(connected),
            Err(error) => node.is_down(error),
        }
        self.has_ended = true;
    }
}

impl Drop for Connecting {
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
