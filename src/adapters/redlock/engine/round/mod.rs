//! One round: what many callers ask goes to every node at once, and each ask is decided as soon as its votes decide it.

mod aftermath;
mod decide;
mod tally;

use std::ops::Range;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_channel::oneshot;
use futures_util::FutureExt;

use self::tally::{Acquisition, Comparison};
use super::super::error::Vote;
use super::super::server::{Ask, Link, ServerError};
use super::Engine;
use super::node::{NoReply, Reply};
use super::verdict::{Answered, Verdict};
use crate::ports::BoxFuture;

pub(crate) use self::tally::quorum;

/// What one caller asks, and where the answer goes.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) asks: Vec<Ask>,
    pub(super) answer: oneshot::Sender<Answered>,
}

impl Request {
    /// Whether it is to be sent: whoever asked is still there, or something is to be given back.
    pub(super) fn is_wanted(&self) -> bool {
        !self.answer.is_canceled() || self.asks.iter().any(|ask| matches!(ask, Ask::Release { .. }))
    }
}

/// For how long a release goes on waiting for a node that does not answer: by then most locks have ended by themselves.
const RELEASE_PATIENCE: Duration = Duration::from_secs(10);

pub(super) struct Round {
    engine: Arc<Engine>,
    asks: Arc<[Ask]>,
    progress: Vec<Progress>,
    requests: Vec<Waiting>,
    /// Whose each ask is.
    request_of: Vec<usize>,
    started: Instant,
    /// What each node has still to answer.
    pending: Vec<Option<BoxFuture<'static, Result<Reply, NoReply>>>>,
    /// Where the answers of a node came from.
    links: Vec<Option<Arc<dyn Link>>>,
    /// Which nodes may have done what was asked, although they gave no answer.
    in_doubt: Vec<bool>,
    /// How many answers each node had given when the round began, and on which connection it was.
    answers_then: Vec<(u64, u64)>,
    timeout: Option<(BoxFuture<'static, ()>, Instant)>,
    was_stalled: bool,
    undecided: usize,
    /// What must be released where it was granted in vain, by node.
    in_vain: Vec<Vec<Ask>>,
}

/// How far one ask is.
enum Progress {
    Acquiring(Acquisition),
    Comparing(Comparison, Vec<(usize, Arc<dyn Link>)>),
    /// Decided. A lease that some node has not answered for is unsettled; one that is extended is so from the beginning.
    Decided {
        verdict: Option<Verdict>,
        holds: bool,
        unsettled: bool,
    },
}

struct Waiting {
    asks: Range<usize>,
    undecided: usize,
    answer: Option<oneshot::Sender<Answered>>,
}

impl Round {
    /// Nothing is sent before it is polled.
    pub(super) fn new(engine: Arc<Engine>, requests: Vec<Request>) -> Self {
        let nodes = engine.nodes.len();
        let mut asks = Vec::with_capacity(requests.iter().map(|request| request.asks.len()).sum());
        let mut waiting = Vec::with_capacity(requests.len());
        let mut request_of = Vec::with_capacity(asks.capacity());
        for (number, request) in requests.into_iter().enumerate() {
            let first = asks.len();
            asks.extend(request.asks);
            let range = first..asks.len();
            request_of.resize(asks.len(), number);
            let (undecided, answer) = (range.len(), Some(request.answer));
            waiting.push(Waiting { asks: range, undecided, answer });
        }
        let progress: Vec<Progress> = asks
            .iter()
            .map(|ask| match ask {
                Ask::Acquire { .. } => Progress::Acquiring(Acquisition::new(nodes)),
                Ask::Extend { .. } | Ask::Release { .. } => Progress::Comparing(Comparison::new(nodes), Vec::new()),
            })
            .collect();
        let asks: Arc<[Ask]> = Arc::from(asks);
        let started = engine.runtime.now();
        for ask in &*asks {
            match ask {
                Ask::Release { key, token } => engine.unsettled.released(token, key),
                // What is released from now on is not healed.
                Ask::Extend { token, .. } => engine.unsettled.open(*token),
                Ask::Acquire { .. } => {}
            }
        }
        let answers_then = engine.nodes.iter().map(|node| node.answers()).collect();
        let pending = engine
            .nodes
            .iter()
            .map(|node| -> Option<BoxFuture<'static, _>> { Some(Box::pin(Arc::clone(node).ask(Arc::clone(&asks)))) })
            .collect();
        let timeout = engine.node_timeout(longest_ttl(&asks));
        let timeout = Some((engine.runtime.sleep(timeout), started + timeout));
        Self {
            undecided: asks.len(),
            progress,
            requests: waiting,
            request_of,
            started,
            pending,
            links: vec![None; nodes],
            in_doubt: vec![false; nodes],
            answers_then,
            timeout,
            was_stalled: false,
            in_vain: vec![Vec::new(); nodes],
            asks,
            engine,
        }
    }

    /// Whether several callers wait for it.
    pub(super) fn is_shared(&self) -> bool {
        self.requests.len() > 1
    }

    /// Whether every ask is decided.
    pub(super) fn is_decided(&self) -> bool {
        self.undecided == 0
    }

    /// Whether every node has answered or failed.
    pub(super) fn is_over(&self) -> bool {
        self.pending.iter().all(Option::is_none)
    }

    /// Takes what answers there are, and decides what they decide.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) {
        for node in 0..self.pending.len() {
            let Some(pending) = &mut self.pending[node] else { continue };
            if let Poll::Ready(reply) = pending.poll_unpin(context) {
                self.pending[node] = None;
                self.replied(node, reply);
            }
        }
        while let Some((timeout, _)) = &mut self.timeout
            && !self.pending.iter().all(Option::is_none)
            && timeout.poll_unpin(context).is_ready()
        {
            self.timed_out();
        }
        self.release_what_was_granted_in_vain();
        self.answer_requests();
    }

    /// Goes on until every node has answered, or until nothing that was asked can still be in effect.
    pub(super) async fn run_out(mut self: Box<Self>) {
        let mut end = None;
        std::future::poll_fn(|context| {
            self.poll(context);
            if self.is_over() {
                return Poll::Ready(());
            }
            if self.timeout.is_some() {
                // Most nodes answer in time: no second timer for those.
                return Poll::Pending;
            }
            end.get_or_insert_with(|| self.engine.runtime.sleep(self.patience_left())).poll_unpin(context)
        })
        .await;
        for node in (0..self.pending.len()).filter(|node| self.pending[*node].is_some()) {
            self.owe_releases(node);
            self.owe_what_is_in_doubt(node);
        }
    }

    /// For how long what was asked can still be in effect.
    fn patience_left(&self) -> Duration {
        let patience = longest_ttl(&self.asks).unwrap_or(RELEASE_PATIENCE);
        (self.started + patience).saturating_duration_since(self.engine.runtime.now())
    }

    fn replied(&mut self, node: usize, reply: Result<Reply, NoReply>) {
        match reply {
            Ok(reply) if reply.answers.len() == self.asks.len() => {
                self.links[node] = Some(Arc::clone(&reply.link));
                for (ask, answer) in reply.answers.iter().enumerate() {
                    self.answered(node, ask, answer, &reply);
                }
                self.owe_what_was_refused(node, &reply.answers);
            }
            Ok(_) => self.no_reply(node, &Vote::Unreachable(Arc::from("it gave another number of answers")), true),
            Err(NoReply { error: ServerError::Closed(why), was_sent }) => {
                self.no_reply(node, &Vote::Unreachable(why), was_sent);
            }
            Err(NoReply { error: ServerError::Refused(refusal), was_sent }) => {
                self.no_reply(node, &Vote::Refused(refusal), was_sent);
            }
        }
    }

    fn no_reply(&mut self, node: usize, vote: &Vote, may_be_done: bool) {
        self.failed(node, vote);
        self.owe_releases(node);
        self.in_doubt[node] = may_be_done;
        if may_be_done {
            self.owe_what_is_in_doubt(node);
        }
    }

    /// The nodes that have not answered count as failed. What they answer later is still looked at.
    fn timed_out(&mut self) {
        let Some((_, due)) = self.timeout.take() else { return };
        let now = self.engine.runtime.now();
        let patience = due.saturating_duration_since(self.started);
        if !self.was_stalled && now.saturating_duration_since(due) > patience / 2 {
            // It was this process that stood still. The answers may be here, and are read now.
            self.was_stalled = true;
            self.timeout = Some((self.engine.runtime.sleep(patience / 2), now + patience / 2));
            return;
        }
        // A short TTL leaves a node little time to vote, and does not make it a silent one.
        let until_silent = self.engine.node_timeout.saturating_sub(patience);
        for node in 0..self.pending.len() {
            if self.pending[node].is_some() {
                self.failed(node, &Vote::TimedOut);
                if until_silent.is_zero() {
                    self.engine.nodes[node].timed_out(self.answers_then[node]);
                }
            }
        }
        if !until_silent.is_zero() {
            self.timeout = Some((self.engine.runtime.sleep(until_silent), now + until_silent));
        }
    }

    fn answer_requests(&mut self) {
        for request in &mut self.requests {
            if request.undecided > 0 {
                continue;
            }
            let Some(answer) = request.answer.take() else { continue };
            let asks = &self.asks[request.asks.clone()];
            let verdicts = self.progress[request.asks.clone()].iter_mut().filter_map(|progress| match progress {
                Progress::Decided { verdict, .. } => verdict.take(),
                _ => None,
            });
            // Who has gone meanwhile gives back what it drops with the answer.
            let _ = answer.send(Answered::new(Arc::clone(&self.engine), asks.iter().cloned().zip(verdicts).collect()));
        }
    }
}

impl Drop for Round {
    fn drop(&mut self) {
        for (ask, progress) in self.asks.iter().zip(&self.progress) {
            if matches!(progress, Progress::Decided { unsettled: true, .. }) || matches!(ask, Ask::Extend { .. }) {
                self.engine.unsettled.close(ask.token());
            }
        }
    }
}

fn longest_ttl(asks: &[Ask]) -> Option<Duration> {
    asks.iter()
        .filter_map(|ask| match ask {
            Ask::Acquire { ttl, .. } | Ask::Extend { ttl, .. } => Some(*ttl),
            Ask::Release { .. } => None,
        })
        .max()
}
