//! Redis servers in memory and virtual time, which do what `script.lua` does, over connections that can be slow, frozen and
//! lost, and which count what they are asked.

mod servers;
mod state;
mod wire;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ticket_reservation::adapters::redlock::Finding;
use ticket_reservation::ports::LockToken;

#[allow(unused_imports, reason = "each test file uses its own part")]
pub(crate) use self::servers::{Servers, give_back, keys};
use self::state::{Counts, State};
use super::sim::Sim;

/// Whom a key belongs to that no `Redlock` has taken.
const FOREIGN: [u8; 16] = [0xf0; 16];

/// A server. A clone is the same one.
#[derive(Clone)]
pub(crate) struct Redis(Arc<Inner>);

struct Inner {
    name: String,
    sim: Sim,
    state: Mutex<State>,
}

/// What goes wrong with one of the next requests.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// The connection ends before it is done.
    LostBefore,
    /// It is done, and the connection ends before the answer.
    LostAfter,
    /// All of it is refused.
    Refused(&'static str),
    /// It is not done, and nobody says so.
    Ignored,
}

/// How connecting goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Connecting {
    Works,
    /// Nobody listens.
    Fails,
    /// Someone listens and says nothing.
    Hangs,
    /// The server answers with this code.
    Refused(&'static str),
    /// The client has a bug.
    Panics,
}

impl Redis {
    pub(crate) fn new(sim: &Sim, name: impl Into<String>) -> Self {
        let state = State {
            keys: BTreeMap::new(),
            life: 1,
            started: sim.elapsed(),
            says_life: true,
            delay: Duration::ZERO,
            is_frozen: false,
            connecting: Connecting::Works,
            connect_delay: Duration::ZERO,
            refuses: None,
            refuses_key: HashMap::new(),
            faults: VecDeque::new(),
            findings: Vec::new(),
            backlog: Vec::new(),
            thawed: Vec::new(),
            connections: HashMap::new(),
            next_id: 0,
            counts: Counts::default(),
        };
        Self(Arc::new(Inner { name: name.into(), sim: sim.clone(), state: Mutex::new(state) }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long a request is on its way. What is on its way already is not overtaken.
    pub(crate) fn delay_ms(&self, ms: u64) -> &Self {
        self.state().delay = Duration::from_millis(ms);
        self
    }

    /// From now on nothing is done and nobody is answered.
    pub(crate) fn freeze(&self) -> &Self {
        self.state().is_frozen = true;
        self
    }

    /// Everything that came meanwhile is done, in order.
    pub(crate) fn thaw(&self) {
        let (backlog, thawed) = {
            let mut state = self.state();
            state.is_frozen = false;
            (std::mem::take(&mut state.backlog), std::mem::take(&mut state.thawed))
        };
        backlog.into_iter().for_each(|sent| self.arrived(sent));
        for waiter in thawed {
            let _ = waiter.send(());
        }
    }

    pub(crate) fn connecting(&self, how: Connecting) -> &Self {
        self.state().connecting = how;
        self
    }

    /// How long connecting takes.
    pub(crate) fn connect_delay_ms(&self, ms: u64) -> &Self {
        self.state().connect_delay = Duration::from_millis(ms);
        self
    }

    /// Every ask is refused with this code, or none any more.
    pub(crate) fn refuses(&self, code: impl Into<Option<&'static str>>) -> &Self {
        self.state().refuses = code.into();
        self
    }

    /// Every ask about this key is refused with this code.
    pub(crate) fn fails_with(&self, key: &str, code: &'static str) {
        self.state().refuses_key.insert(key.to_owned(), code);
    }

    /// What goes wrong with the next requests, one after another.
    pub(crate) fn faults(&self, faults: impl IntoIterator<Item = Fault>) -> &Self {
        self.state().faults.extend(faults);
        self
    }

    /// Nothing goes wrong with the next requests.
    pub(crate) fn no_faults(&self) {
        self.state().faults.clear();
    }

    pub(crate) fn finds(&self, findings: impl IntoIterator<Item = Finding>) -> &Self {
        self.state().findings.extend(findings);
        self
    }

    /// It does not say who it is and since when it runs.
    pub(crate) fn says_no_life(&self) -> &Self {
        self.state().says_life = false;
        self
    }

    /// All connections end. What was on its way to it is not done, except for what it has received while frozen.
    pub(crate) fn lose_connections(&self) {
        let lost = std::mem::take(&mut self.state().connections);
        drop(lost);
    }

    /// Nothing that is sent on the connections of now arrives any more, and nobody notices. New connections are not concerned.
    pub(crate) fn silence_connections(&self) {
        self.state().connections.values_mut().for_each(|open| open.is_silent = true);
    }

    /// Its process ends and starts again, with the keys or without.
    pub(crate) fn restart(&self, remembers: bool) {
        {
            let mut state = self.state();
            state.life += 1;
            state.started = self.0.sim.elapsed();
            state.backlog.clear();
            if !remembers {
                state.keys.clear();
            }
        }
        self.lose_connections();
        self.thaw();
    }

    /// Someone else sets a key, as any Redlock client does.
    pub(crate) fn taken_by_another(&self, key: &str, ttl: impl Into<Option<Duration>>) {
        let end = ttl.into().map(|ttl| self.0.sim.elapsed() + ttl);
        self.state().keys.insert(key.to_owned(), (LockToken::from_bytes(FOREIGN), end));
    }

    /// The keys that it has now.
    pub(crate) fn keys(&self) -> Vec<String> {
        let now = self.0.sim.elapsed();
        self.state().live(now).map(|(key, _)| key.clone()).collect()
    }

    /// For how long it still has a key.
    pub(crate) fn remaining(&self, key: &str) -> Option<Duration> {
        let now = self.0.sim.elapsed();
        self.state().live(now).find(|(it, _)| *it == key).and_then(|(_, (_, end))| end.map(|end| end - now))
    }

    /// It forgets a key.
    pub(crate) fn forget(&self, key: &str) {
        assert!(self.state().keys.remove(key).is_some(), "{} has no {key}", self.0.name);
    }

    pub(crate) fn counts(&self) -> Counts {
        self.state().counts
    }

    /// How many connections are open.
    pub(crate) fn connections(&self) -> usize {
        self.state().connections.len()
    }
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Redis").field(&self.0.name).finish()
    }
}
