//! The quorum engine: over any servers, on any runtime.
//!
//! ```text
//! ask ─► those that are ready together leave together ─► a round: every node at once, decided at quorum ─► verdicts
//!                                                            └─► in the background: late answers, clean-up, healing
//! ```

mod background;
mod cleanup;
mod node;
mod round;
mod unsettled;
mod verdict;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

use futures_channel::oneshot;
use futures_util::FutureExt;

use self::background::Background;
use self::node::Node;
use self::round::{Request, Round};
use self::unsettled::Unsettled;
use super::check::Finding;
use super::config::{Drift, Settings};
use super::server::{Ask, Server, ServerError};
use crate::ports::{Observer, Runtime, yield_once};

pub(super) use self::round::quorum;
pub(super) use self::verdict::Verdict;

/// How many turns the runtime's other tasks get to come along, when there are such that ask. Measured: with 64 tasks on keys
/// of their own, these do a fifth more than none.
const GATHERING_TURNS: usize = 2;

/// Nodes and what is under way with them.
#[derive(Debug)]
pub(super) struct Engine {
    nodes: Vec<Arc<Node>>,
    runtime: Arc<dyn Runtime>,
    drift: Drift,
    node_timeout: Duration,
    gate: Mutex<Gate>,
    /// How many rounds are not decided yet.
    undecided: AtomicUsize,
    unsettled: Unsettled,
    background: Background,
}

/// Where requests wait for those that are ready at the same time.
#[derive(Debug, Default)]
struct Gate {
    waiting: Vec<Request>,
    /// Someone is about to send what waits.
    is_led: bool,
    /// How many requests the last round had.
    last: usize,
}

impl Engine {
    pub(super) fn new(
        servers: Vec<Arc<dyn Server>>,
        settings: &Settings,
        runtime: Arc<dyn Runtime>,
        observer: &Arc<dyn Observer>,
    ) -> Arc<Self> {
        let background = Background::new(Arc::clone(&runtime));
        let node = |server| {
            let (runtime, observer) = (Arc::clone(&runtime), Arc::clone(observer));
            Node::new(server, runtime, background.clone(), observer, settings.quarantine, settings.connect_timeout)
        };
        Arc::new(Self {
            nodes: servers.into_iter().map(node).collect(),
            drift: settings.drift,
            node_timeout: settings.node_timeout,
            gate: Mutex::default(),
            undecided: AtomicUsize::new(0),
            unsettled: Unsettled::default(),
            background,
            runtime,
        })
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.nodes.iter().map(|node| node.name())
    }

    /// Asks every node, and answers when each ask is decided: in the same order. `None` when the runtime has ended. A node that
    /// misses a release is told later.
    ///
    /// Dropped before that, what it asked for is given back.
    pub(super) async fn ask(self: &Arc<Self>, asks: Vec<Ask>) -> Option<Vec<(Ask, Verdict)>> {
        let (answer, mut answered) = oneshot::channel();
        let mut lead = self.enter(Request { asks, answer });
        if let Some(lead) = lead.as_mut().filter(|lead| !lead.is_crowded) {
            lead.set_off();
        }
        // Others have come along or will: they must not depend on this caller, who may look at its answer at any time.
        let mut lead = lead.filter(|lead| !lead.serves_others());
        let answered = std::future::poll_fn(|context| {
            if let Some(lead) = &mut lead {
                lead.poll(context);
            }
            answered.poll_unpin(context)
        })
        .await;
        answered.ok().map(verdict::Answered::take)
    }

    fn release_in_background(self: &Arc<Self>, releases: Vec<Ask>) {
        let engine = Arc::clone(self);
        self.background.spawn(async move { drop(engine.ask(releases).await) });
    }

    /// Looks for what makes a node unfit, on a new connection if need be, with a key of that name.
    pub(super) async fn check(&self, node: usize, key: Arc<str>) -> Result<Vec<Finding>, ServerError> {
        self.nodes[node].check(key).await
    }

    /// What each node called its life when it was connected to, if it did.
    pub(super) fn run_ids(&self) -> Vec<Option<Arc<str>>> {
        self.nodes.iter().map(|node| node.run_id()).collect()
    }

    /// Waits until nothing is under way, at most so long. Says whether that was reached.
    pub(super) async fn idle(&self, at_most: Duration) -> bool {
        self.background.idle(at_most).await
    }

    /// When a lock that was asked for at `started` is over for its holder, which is before it is over on any node.
    fn deadline(&self, started: Instant, ttl: Duration) -> Instant {
        #[cfg(planted_bugs)]
        if crate::planted::is(crate::planted::Bug::LeasePastDeadline) {
            return started + ttl * 2;
        }
        started + self.validity(ttl)
    }

    /// How much of a TTL is of use.
    fn validity(&self, ttl: Duration) -> Duration {
        ttl.saturating_sub(self.drift.of(ttl))
    }

    /// How long a node has for its answer: a small part of the TTL at most.
    fn node_timeout(&self, ttl: Option<Duration>) -> Duration {
        ttl.map_or(self.node_timeout, |ttl| self.node_timeout.min(ttl / 4))
    }

    fn gate(&self) -> MutexGuard<'_, Gate> {
        // Nothing under this lock can leave it half-done.
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a request with those that wait. Whoever comes first leads them.
    fn enter(self: &Arc<Self>, request: Request) -> Option<Lead> {
        let mut gate = self.gate();
        gate.waiting.push(request);
        if std::mem::replace(&mut gate.is_led, true) {
            return None;
        }
        let is_crowded = self.undecided.load(Ordering::Relaxed) > 0 || gate.last > 1;
        Some(Lead { engine: Arc::clone(self), is_crowded, is_in_background: false, course: Course::Gathering })
    }

    /// Takes out all that wait.
    fn leave(&self) -> Vec<Request> {
        let mut gate = self.gate();
        gate.is_led = false;
        let requests: Vec<Request> = std::mem::take(&mut gate.waiting).into_iter().filter(Request::is_wanted).collect();
        gate.last = requests.len();
        requests
    }
}

/// Sends what one caller asks, or several. A caller that asks alone has its own; when it goes, and for several callers, it is
/// done in the background.
#[derive(Debug)]
struct Lead {
    engine: Arc<Engine>,
    is_crowded: bool,
    is_in_background: bool,
    course: Course,
}

enum Course {
    Gathering,
    /// Not decided yet.
    Under {
        round: Box<Round>,
        _counted: Undecided,
    },
    /// Decided; some nodes may not have answered.
    Decided(Option<Box<Round>>),
}

/// Counts a round until it is decided, or dropped.
struct Undecided(Arc<Engine>);

impl Undecided {
    fn new(engine: &Arc<Engine>) -> Self {
        engine.undecided.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(engine))
    }
}

impl Drop for Undecided {
    fn drop(&mut self) {
        self.0.undecided.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Lead {
    fn serves_others(&self) -> bool {
        match &self.course {
            Course::Gathering => true,
            Course::Under { round, .. } => round.is_shared(),
            Course::Decided(_) => false,
        }
    }

    fn set_off(&mut self) {
        let requests = self.engine.leave();
        let round = Box::new(Round::new(Arc::clone(&self.engine), requests));
        // Whoever asked may have gone meanwhile.
        self.course = if round.is_decided() {
            Course::Decided(None)
        } else {
            Course::Under { round, _counted: Undecided::new(&self.engine) }
        };
    }

    fn poll(&mut self, context: &mut std::task::Context<'_>) {
        if let Course::Under { round, .. } = &mut self.course {
            round.poll(context);
            if round.is_decided() {
                self.decided();
            }
        }
    }

    fn decided(&mut self) {
        let course = std::mem::replace(&mut self.course, Course::Decided(None));
        if let Course::Under { round, .. } = course {
            self.course = Course::Decided(Some(round));
        }
    }
}

impl Drop for Lead {
    fn drop(&mut self) {
        match std::mem::replace(&mut self.course, Course::Decided(None)) {
            Course::Decided(round) => {
                if let Some(round) = round.filter(|round| !round.is_over()) {
                    self.engine.background.spawn(round.run_out());
                }
            }
            // The runtime has ended, and nobody is answered any more.
            Course::Gathering if self.is_in_background => {
                let mut gate = self.engine.gate();
                gate.is_led = false;
                gate.waiting.clear();
            }
            Course::Under { .. } if self.is_in_background => {}
            // Others have come along, or what has begun must be ended.
            gathering_or_under => {
                let mut lead = Self {
                    engine: Arc::clone(&self.engine),
                    is_crowded: self.is_crowded,
                    is_in_background: true,
                    course: gathering_or_under,
                };
                self.engine.background.spawn(async move {
                    if matches!(lead.course, Course::Gathering) {
                        for _ in 0..GATHERING_TURNS {
                            yield_once().await;
                        }
                        lead.set_off();
                    }
                    std::future::poll_fn(|context| {
                        lead.poll(context);
                        if matches!(lead.course, Course::Decided(_)) { Poll::Ready(()) } else { Poll::Pending }
                    })
                    .await;
                });
            }
        }
    }
}

impl std::fmt::Debug for Course {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Gathering => "Gathering",
            Self::Under { .. } => "Under",
            Self::Decided(_) => "Decided",
        })
    }
}
