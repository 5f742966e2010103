//! How a node is reached: one connection, one attempt at a time to make a new one, and when it is left alone.

use std::pin::pin;
use std::sync::Arc;

use futures_channel::oneshot;
use futures_util::future::{Either, select};

use super::super::super::server::{Connected, ServerError};
use super::quarantine::quarantined_until;
use super::{Node, State, Up};
use crate::ports::{LockError, Observation, RuntimeExt};

/// How many connections in a row may end, or stay silent, before anything was answered on them: then the node is left alone,
/// although it can be connected to.
const UNANSWERED_MAX: u32 = 3;

/// What is to be done to reach the node.
enum Way {
    Open(Up),
    Wait(oneshot::Receiver<()>),
    Closed(ServerError),
}

impl Node {
    /// The node's connection, made if need be.
    pub(super) async fn up(self: &Arc<Self>) -> Result<Up, ServerError> {
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

    /// The connection, also of a node that is left alone.
    pub(super) async fn link(self: &Arc<Self>) -> Result<Up, ServerError> {
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
    pub(super) fn lost(self: &Arc<Self>, generation: u64, error: ServerError) {
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
    pub(super) fn heard(&self, generation: u64) {
        let was_down = self.state().heard(generation);
        self.tell_up(was_down);
    }

    fn tell_up(&self, was_down: bool) {
        if was_down {
            self.observer.observe(&Observation::LockNodeUp { node: &self.name });
        }
    }

    /// A request timed out. If the node has answered nothing since the request was sent, it is left alone, until a new
    /// connection can be made. Who still waits for answers on the old one keeps that. A connection made since is not to blame.
    pub(in super::super) fn timed_out(&self, answers_then: (u64, u64)) {
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
