//! A Redis server on a machine of its own, as the quorum engine sees it: what can happen to it, and its connections.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures_channel::oneshot;

use super::clock::MachineClock;
use super::executor::{Executor, ProcessId, locked};
use super::fault::{Fault, Trouble};
use super::lock_keys::{Kept, Keys, Moment};
use crate::adapters::redlock::{Answer, Ask, Connected, Finding, Life, Link, Server, ServerError};
use crate::ports::BoxFuture;

/// How long a process waits before it takes a connection that says nothing for one that has ended.
const SILENCE_MAX: Duration = Duration::from_secs(5);

/// What time it is when everything begins: far enough from none for all jumps back.
const TIME_OF_DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The machine. A clone is the same one.
#[derive(Clone)]
pub(super) struct LockNode(Arc<Inner>);

struct Inner {
    name: String,
    executor: Executor,
    process: ProcessId,
    clock: MachineClock,
    trouble: Arc<Trouble>,
    state: Mutex<State>,
}

struct State {
    keys: Keys,
    life: u64,
    started: Duration,
    /// Its time of day when everything began, and by how much that has jumped ahead since.
    ahead: Duration,
    /// By how much it has jumped back, and is to be put right.
    behind: Duration,
    hears_nothing: bool,
    says_nothing: bool,
    /// Those that are open.
    connections: BTreeMap<u64, Wire>,
    last_connection: u64,
}

impl Default for State {
    fn default() -> Self {
        Self {
            keys: Keys::default(),
            life: 0,
            started: Duration::ZERO,
            ahead: TIME_OF_DAY,
            behind: Duration::ZERO,
            hears_nothing: false,
            says_nothing: false,
            connections: BTreeMap::new(),
            last_connection: 0,
        }
    }
}

/// A connection, on which nothing overtakes what was sent before.
#[derive(Default)]
struct Wire {
    /// When what was sent last arrives.
    last: Duration,
    on_the_way: VecDeque<Message>,
}

type Answering = oneshot::Sender<Vec<Answer>>;

struct Message {
    /// When it arrives.
    due: Duration,
    asks: Arc<[Ask]>,
    answer: Answering,
    is_lost: bool,
    is_doubled: bool,
}

impl LockNode {
    pub(super) fn new(executor: &Executor, name: String, clock: MachineClock, trouble: Arc<Trouble>) -> Self {
        let (executor, process) = (executor.clone(), executor.process());
        Self(Arc::new(Inner { name, executor, process, clock, trouble, state: Mutex::default() }))
    }

    /// It ends and starts again, with its keys or without.
    pub(super) fn restart(&self, remembers: bool) {
        let now = self.0.clock.elapsed();
        let mut state = locked(&self.0.state);
        state.life += 1;
        state.started = now;
        let gone = std::mem::take(&mut state.connections);
        if !remembers {
            state.keys.clear();
        }
        drop(state);
        drop(gone);
        self.0.executor.crash(self.0.process);
    }

    /// It stands still for so long.
    pub(super) fn freeze(&self, for_so_long: Duration) {
        self.0.executor.stop(self.0.process, for_so_long);
    }

    /// Messages to it are lost, or those from it, or both.
    pub(super) fn cut_off(&self, hears_nothing: bool, says_nothing: bool) {
        let mut state = locked(&self.0.state);
        (state.hears_nothing, state.says_nothing) = (hears_nothing, says_nothing);
    }

    pub(super) fn jump_ahead(&self, by: Duration) {
        locked(&self.0.state).ahead += by;
    }

    pub(super) fn jump_back(&self, by: Duration) {
        let mut state = locked(&self.0.state);
        let by = by.min(state.ahead);
        state.ahead -= by;
        state.behind += by;
    }

    /// Its clock is no longer behind.
    pub(super) fn put_right(&self) {
        let mut state = locked(&self.0.state);
        let behind = std::mem::take(&mut state.behind);
        state.ahead += behind;
    }

    /// The keys that it has, and how long yet.
    pub(super) fn keys(&self) -> Vec<Kept> {
        let (state, now) = (locked(&self.0.state), self.0.clock.elapsed());
        state.keys.at(now + state.ahead)
    }

    /// Does what a message asks, as one script does.
    fn does(&self, message: &Message) -> Vec<Answer> {
        let mut state = locked(&self.0.state);
        let now = Moment { there: self.0.clock.elapsed() + state.ahead, of_all: self.0.executor.elapsed() };
        let answers = state.keys.answers(&message.asks, now);
        // At once: on one connection nothing overtakes what was sent after it.
        if message.is_doubled {
            state.keys.arrive_again(&message.asks, now);
        }
        answers
    }

    /// A new connection, if whoever asks for one can be heard and answered.
    fn accept(&self) -> Option<(u64, Life)> {
        let mut state = locked(&self.0.state);
        if state.hears_nothing || state.says_nothing {
            return None;
        }
        state.last_connection += 1;
        let connection = state.last_connection;
        state.connections.insert(connection, Wire::default());
        let run_id = Arc::from(format!("{} {}", self.0.name, state.life));
        Some((connection, Life { run_id, uptime: self.0.clock.elapsed() - state.started }))
    }

    /// What has arrived first is done, on whichever connection: also after the node stood still. Says whom to answer where.
    fn arrives(&self) -> Option<(u64, Answering, Option<Vec<Answer>>)> {
        let now = self.0.executor.elapsed();
        let mut state = locked(&self.0.state);
        let is_deaf = state.hears_nothing;
        let first = |(connection, wire): (&u64, &Wire)| Some((wire.on_the_way.front()?.due, *connection));
        let (due, connection) = state.connections.iter().filter_map(first).min()?;
        let wire = state.connections.get_mut(&connection).filter(|_| due <= now)?;
        let message = wire.on_the_way.pop_front()?;
        drop(state);
        let done = if message.is_lost || is_deaf { None } else { Some(self.does(&message)) };
        Some((connection, message.answer, done))
    }

    /// On its way for so long, or lost.
    fn transit(&self) -> Option<Duration> {
        let trouble = &self.0.trouble;
        if trouble.strikes(Fault::MessageLost) {
            return None;
        }
        let mut takes = trouble.with_dice(|dice| dice.millis(0, 1));
        if trouble.strikes(Fault::MessageDelayed) {
            takes += trouble.with_dice(|dice| dice.millis(10, 3_000));
        }
        Some(takes)
    }
}

#[async_trait]
impl Server for LockNode {
    fn name(&self) -> &str {
        &self.0.name
    }

    async fn connect(&self) -> Result<Connected, ServerError> {
        let (connected, waiting) = oneshot::channel();
        let node = self.clone();
        let life = self.0.executor.life(self.0.process);
        // The server's own part, which it does when it does not stand still.
        let accepts = async move {
            node.0.executor.sleep(Duration::from_micros(500)).await;
            match node.accept() {
                Some(accepted) => drop(connected.send(accepted)),
                None => node.0.executor.sleep(SILENCE_MAX).await,
            }
        };
        self.0.executor.spawn(self.0.process, life, Box::pin(accepts));
        let (connection, life) = waiting.await.map_err(|_| ServerError::Closed(Arc::from("nobody listens")))?;
        let link = Arc::new(NodeLink { node: self.clone(), connection });
        Ok(Connected { link, life: Some(life) })
    }
}

#[derive(Debug)]
struct NodeLink {
    node: LockNode,
    connection: u64,
}

impl NodeLink {
    /// Sends, and answers what will come back.
    fn send(node: &LockNode, connection: u64, asks: Arc<[Ask]>) -> oneshot::Receiver<Vec<Answer>> {
        let (answer, answered) = oneshot::channel();
        let inner = &node.0;
        let (there, now) = (node.transit(), inner.executor.elapsed());
        let is_doubled = inner.trouble.strikes(Fault::MessageDuplicated);
        let arrives = {
            let mut state = locked(&inner.state);
            let Some(wire) = state.connections.get_mut(&connection) else { return answered };
            wire.last = wire.last.max(now + there.unwrap_or_default());
            let (due, is_lost) = (wire.last, there.is_none());
            wire.on_the_way.push_back(Message { due, asks, answer, is_lost, is_doubled });
            due - now
        };
        let (node, life) = (node.clone(), inner.executor.life(inner.process));
        let task: BoxFuture<'static, ()> = Box::pin(async move {
            let inner = &node.0;
            inner.executor.sleep(arrives).await;
            // Which may be another one that was due before.
            let Some((connection, answer, done)) = node.arrives() else { return };
            let back = node.transit().filter(|_| !locked(&inner.state).says_nothing);
            if let (Some(done), Some(back)) = (done, back) {
                inner.executor.sleep(back).await;
                let _ = answer.send(done);
                return;
            }
            // Nothing comes back, and the connection seems to be there, for a while.
            inner.executor.sleep(SILENCE_MAX).await;
            let gone = locked(&inner.state).connections.remove(&connection);
            drop(gone);
        });
        inner.executor.spawn(inner.process, life, task);
        answered
    }
}

impl Link for NodeLink {
    fn ask(&self, asks: Arc<[Ask]>) -> BoxFuture<'static, Result<Vec<Answer>, ServerError>> {
        let (node, connection) = (self.node.clone(), self.connection);
        Box::pin(async move {
            let answered = Self::send(&node, connection, asks);
            answered.await.map_err(|_| ServerError::Closed(Arc::from("the connection has ended")))
        })
    }

    fn check(&self, _: Arc<str>) -> BoxFuture<'static, Result<Vec<Finding>, ServerError>> {
        Box::pin(async { Ok(Vec::new()) })
    }
}

impl fmt::Debug for LockNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LockNode").field(&self.0.name).finish()
    }
}
