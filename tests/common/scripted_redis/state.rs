//! What a server has and has seen, and what it answers from that.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures_channel::oneshot;
use ticket_reservation::adapters::redlock::{Answer, Ask, Finding, Refusal, ServerError};
use ticket_reservation::ports::LockToken;

use super::{Connecting, Fault};

pub(super) struct State {
    /// With when they end; `None` is never.
    pub(super) keys: BTreeMap<String, (LockToken, Option<Duration>)>,
    pub(super) life: u64,
    pub(super) started: Duration,
    pub(super) says_life: bool,
    pub(super) delay: Duration,
    pub(super) is_frozen: bool,
    pub(super) connecting: Connecting,
    pub(super) connect_delay: Duration,
    /// Every single ask is refused with this code.
    pub(super) refuses: Option<&'static str>,
    pub(super) refuses_key: HashMap<String, &'static str>,
    pub(super) faults: VecDeque<Fault>,
    pub(super) findings: Vec<Finding>,
    /// What came while it was frozen.
    pub(super) backlog: Vec<Sent>,
    pub(super) thawed: Vec<oneshot::Sender<()>>,
    pub(super) connections: HashMap<u64, Connection>,
    pub(super) next_id: u64,
    pub(super) counts: Counts,
}

#[derive(Default)]
pub(super) struct Connection {
    pub(super) last_due: Duration,
    pub(super) is_silent: bool,
    pub(super) on_the_way: VecDeque<Sent>,
    pub(super) waiting: HashMap<u64, oneshot::Sender<Replied>>,
}

pub(super) type Replied = Result<Vec<Answer>, ServerError>;

#[derive(Clone)]
pub(super) struct Sent {
    pub(super) connection: u64,
    pub(super) id: u64,
    pub(super) asks: Arc<[Ask]>,
}

/// What a server has seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Requests that were sent to it, of any number of asks.
    pub(crate) requests: usize,
    pub(crate) acquisitions: usize,
    pub(crate) extensions: usize,
    pub(crate) releases: usize,
    /// Attempts to connect.
    pub(crate) connects: usize,
    pub(super) connecting: usize,
    /// Most attempts to connect at the same time.
    pub(crate) connecting_max: usize,
}

impl Counts {
    pub(super) fn saw(&mut self, asks: &[Ask]) {
        self.requests += 1;
        for ask in asks {
            match ask {
                Ask::Acquire { .. } => self.acquisitions += 1,
                Ask::Extend { .. } => self.extensions += 1,
                Ask::Release { .. } => self.releases += 1,
            }
        }
    }
}

impl State {
    pub(super) fn live(&self, now: Duration) -> impl Iterator<Item = (&String, &(LockToken, Option<Duration>))> {
        self.keys.iter().filter(move |(_, (_, end))| end.is_none_or(|end| end > now))
    }

    pub(super) fn answers(&mut self, asks: &[Ask], now: Duration) -> Vec<Answer> {
        self.keys.retain(|_, (_, end)| end.is_none_or(|end| end > now));
        asks.iter().map(|ask| self.answer(ask, now)).collect()
    }

    fn answer(&mut self, ask: &Ask, now: Duration) -> Answer {
        let of_key = ask.keys().iter().find_map(|key| self.refuses_key.get(&**key).copied());
        if let Some(code) = self.refuses.or(of_key) {
            return Answer::Refused(Refusal::from_code(code));
        }
        match ask {
            Ask::Acquire { keys, token, ttl } => self.acquire(keys, token, now, *ttl),
            Ask::Extend { key, token, ttl } => match self.keys.get_mut(&**key) {
                None => Answer::Absent,
                Some((owner, _)) if owner != token => Answer::NotOwner,
                Some((_, end)) => {
                    *end = Some(now + *ttl);
                    Answer::Done
                }
            },
            Ask::Release { key, token } => match self.keys.get(&**key) {
                None => Answer::Absent,
                Some((owner, _)) if owner != token => Answer::NotOwner,
                Some(_) => {
                    self.keys.remove(&**key);
                    Answer::Done
                }
            },
        }
    }

    fn acquire(&mut self, keys: &[Arc<str>], token: &LockToken, now: Duration, ttl: Duration) -> Answer {
        let others = keys.iter().filter_map(|key| self.keys.get(&**key)).filter(|(owner, _)| owner != token);
        let ends: Vec<Option<Duration>> = others.map(|(_, end)| *end).collect();
        if !ends.is_empty() {
            let last = ends.into_iter().collect::<Option<Vec<_>>>().and_then(|ends| ends.into_iter().max());
            return Answer::Held(last.map(|end| end - now));
        }
        for key in keys {
            self.keys.insert(key.to_string(), (*token, Some(now + ttl)));
        }
        Answer::Done
    }
}
