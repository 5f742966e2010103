//! What a server has seen, and what it is going to say.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::answer::Answer;
use super::login::Login;
use super::request::Request;
use super::script::LoginAnswer;
use super::server::Settings;

/// How long a test may wait for anything.
const AT_MOST: Duration = Duration::from_secs(30);

/// Answers what it knows.
pub(crate) type Rule = Arc<dyn Fn(&Request) -> Option<Answer> + Send + Sync>;

/// Of one server, for the test and for its connections.
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    state: Mutex<State>,
    changed: watch::Sender<()>,
}

#[derive(Default)]
pub(crate) struct State {
    /// Asked before the queue.
    pub(crate) rules: Vec<Rule>,
    pub(crate) answers: VecDeque<Answer>,
    /// Asked when the queue is empty.
    pub(crate) default: Option<Rule>,
    pub(crate) login_answers: VecDeque<LoginAnswer>,
    pub(crate) login_default: Option<LoginAnswer>,
    pub(crate) ignores_attention: bool,
    pub(crate) logins: Vec<Login>,
    pub(crate) requests: Vec<Request>,
    /// Answers that have been sent to their end.
    pub(crate) answers_sent: usize,
    /// Requests during which the connection was cut.
    pub(crate) cut_requests: usize,
    pub(crate) attentions: usize,
    pub(crate) opened: usize,
    pub(crate) open: BTreeMap<usize, AbortHandle>,
    /// Why connections have ended that neither the client nor the script has ended.
    pub(crate) errors: Vec<String>,
    /// What tests must not overlook.
    pub(crate) panics: Vec<String>,
}

impl State {
    pub(crate) fn closed(&self) -> usize {
        self.opened - self.open.len()
    }
}

impl Shared {
    pub(crate) fn new(settings: Settings) -> Self {
        Self { settings, state: Mutex::default(), changed: watch::Sender::new(()) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For the connections.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let changed = change(&mut self.lock());
        self.changed.send_replace(());
        changed
    }

    /// For the test, which panics here when a connection has.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        let state = self.lock();
        let panics = state.panics.clone();
        let seen = look(&state);
        drop(state);
        assert!(panics.is_empty(), "the scripted server: {}", panics.join("; "));
        seen
    }

    /// Waits until there is what is looked for.
    pub(crate) async fn until<T>(&self, what: &str, look: impl Fn(&State) -> Option<T>) -> T {
        let mut changes = self.changed.subscribe();
        let there = async {
            loop {
                changes.borrow_and_update();
                if let Some(seen) = self.look(&look) {
                    return seen;
                }
                changes.changed().await.expect("the server is here");
            }
        };
        match tokio::time::timeout(AT_MOST, there).await {
            Ok(seen) => seen,
            Err(_) => panic!("after {AT_MOST:?} there are not {what}"),
        }
    }

    /// After how many bytes of the request that has begun the connection ends, if the queue has it so.
    pub(crate) fn cut_reading(&self) -> Option<usize> {
        self.change(|state| {
            let bytes = state.answers.front()?.cuts_reading()?;
            state.answers.pop_front();
            Some(bytes)
        })
    }

    /// Notes a request, and finds its answer.
    pub(crate) fn asked(&self, request: &Request) -> Answer {
        let rules = self.change(|state| {
            state.requests.push(request.clone());
            state.rules.clone()
        });
        // A rule may look at the server, so that nothing is locked here.
        let ruled = rules.iter().find_map(|rule| rule(request));
        let answer = ruled.or_else(|| self.change(|state| state.answers.pop_front())).or_else(|| {
            let default = self.lock().default.clone();
            default.and_then(|rule| rule(request))
        });
        answer.unwrap_or_else(|| panic!("nothing is scripted for {request:?}"))
    }

    /// Notes an attention, and says whether it is to be heeded.
    pub(crate) fn attention(&self) -> bool {
        self.change(|state| {
            state.attentions += 1;
            !state.ignores_attention
        })
    }
}
