//! Redis servers in memory and virtual time, which do what `script.lua` does, over connections that can be slow, frozen and
//! lost, and which count what they are asked.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_channel::oneshot;
use ticket_reservation::adapters::redlock::{
    Answer, Ask, Connected, Finding, Life, Link, Redlock, RedlockBuilder, Refusal, Server, ServerError,
};
use ticket_reservation::ports::{BoxFuture, Lease, Lock, LockKey, LockToken, Observation, Observer, Released, Runtime};

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

struct State {
    /// With when they end; `None` is never.
    keys: BTreeMap<String, (LockToken, Option<Duration>)>,
    life: u64,
    started: Duration,
    says_life: bool,
    delay: Duration,
    is_frozen: bool,
    connecting: Connecting,
    connect_delay: Duration,
    /// Every single ask is refused with this code.
    refuses: Option<&'static str>,
    refuses_key: HashMap<String, &'static str>,
    faults: VecDeque<Fault>,
    findings: Vec<Finding>,
    /// What came while it was frozen.
    backlog: Vec<Sent>,
    thawed: Vec<oneshot::Sender<()>>,
    connections: HashMap<u64, Connection>,
    next_id: u64,
    counts: Counts,
}

#[derive(Default)]
struct Connection {
    last_due: Duration,
    is_silent: bool,
    on_the_way: VecDeque<Sent>,
    waiting: HashMap<u64, oneshot::Sender<Replied>>,
}

type Replied = Result<Vec<Answer>, ServerError>;

#[derive(Clone)]
struct Sent {
    connection: u64,
    id: u64,
    asks: Arc<[Ask]>,
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
    connecting: usize,
    /// Most attempts to connect at the same time.
    pub(crate) connecting_max: usize,
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

    /// A request is sent; it is done when it arrives, after what was sent before on the same connection.
    fn send(&self, connection: u64, asks: Arc<[Ask]>) -> Option<oneshot::Receiver<Replied>> {
        let now = self.0.sim.elapsed();
        let (sender, receiver) = oneshot::channel();
        let due = {
            let mut state = self.state();
            state.counts.saw(&asks);
            let due = now + state.delay;
            state.next_id += 1;
            let id = state.next_id;
            let open = state.connections.get_mut(&connection)?;
            open.last_due = open.last_due.max(due);
            open.waiting.insert(id, sender);
            open.on_the_way.push_back(Sent { connection, id, asks });
            open.last_due
        };
        let (redis, sleep) = (self.clone(), self.0.sim.sleep(due.saturating_sub(now)));
        drop(self.0.sim.start(async move {
            sleep.await;
            // The first of its connection, which is this one or was due with it.
            let arrives = redis.state().connections.get_mut(&connection).and_then(|open| open.on_the_way.pop_front());
            if let Some(sent) = arrives.filter(|_| !redis.is_silent(connection)) {
                redis.arrived(sent);
            }
        }));
        Some(receiver)
    }

    fn is_silent(&self, connection: u64) -> bool {
        self.state().connections.get(&connection).is_none_or(|open| open.is_silent)
    }

    fn arrived(&self, sent: Sent) {
        let mut state = self.state();
        if state.is_frozen {
            state.backlog.push(sent);
            return;
        }
        let now = self.0.sim.elapsed();
        let replied = match state.faults.pop_front() {
            Some(Fault::LostBefore) => None,
            Some(Fault::Ignored) => return,
            Some(Fault::LostAfter) => {
                state.answers(&sent.asks, now);
                None
            }
            Some(Fault::Refused(code)) => Some(Err(ServerError::Refused(Refusal::from_code(code)))),
            None => Some(Ok(state.answers(&sent.asks, now))),
        };
        let Some(replied) = replied else {
            let lost = state.connections.remove(&sent.connection);
            drop(state);
            drop(lost);
            return;
        };
        // Nobody hears it when the connection has ended.
        let open = state.connections.get_mut(&sent.connection).filter(|open| !open.is_silent);
        let waiter = open.and_then(|open| open.waiting.remove(&sent.id));
        drop(state);
        if let Some(waiter) = waiter {
            let _ = waiter.send(replied);
        }
    }
}

impl Counts {
    fn saw(&mut self, asks: &[Ask]) {
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
    fn live(&self, now: Duration) -> impl Iterator<Item = (&String, &(LockToken, Option<Duration>))> {
        self.keys.iter().filter(move |(_, (_, end))| end.is_none_or(|end| end > now))
    }

    fn answers(&mut self, asks: &[Ask], now: Duration) -> Vec<Answer> {
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

fn closed() -> ServerError {
    ServerError::Closed(Arc::from("the connection has ended"))
}

/// Counts an attempt to connect for as long as it goes on, also when it is dropped.
struct Attempting(Redis);

impl Attempting {
    fn new(redis: &Redis) -> Self {
        let mut state = redis.state();
        state.counts.connects += 1;
        state.counts.connecting += 1;
        state.counts.connecting_max = state.counts.connecting_max.max(state.counts.connecting);
        Self(redis.clone())
    }
}

impl Drop for Attempting {
    fn drop(&mut self) {
        self.0.state().counts.connecting -= 1;
    }
}

#[async_trait]
impl Server for Redis {
    fn name(&self) -> &str {
        &self.0.name
    }

    async fn connect(&self) -> Result<Connected, ServerError> {
        let _attempting = Attempting::new(self);
        let delay = self.state().connect_delay;
        self.0.sim.sleep(delay).await;
        let how = self.state().connecting;
        match how {
            Connecting::Works => {}
            Connecting::Fails => return Err(ServerError::Closed(Arc::from("nobody listens"))),
            Connecting::Hangs => std::future::pending().await,
            Connecting::Panics => panic!("a bug of the client's"),
            Connecting::Refused(code) => return Err(ServerError::Refused(Refusal::from_code(code))),
        }
        loop {
            let (thawed, waiting) = oneshot::channel();
            {
                let mut state = self.state();
                if !state.is_frozen {
                    break;
                }
                state.thawed.push(thawed);
            }
            let _ = waiting.await;
        }
        let mut state = self.state();
        state.next_id += 1;
        let connection = state.next_id;
        state.connections.insert(connection, Connection::default());
        let life = Life {
            run_id: Arc::from(format!("{} {}", self.0.name, state.life)),
            uptime: self.0.sim.elapsed() - state.started,
        };
        let link = Arc::new(RedisLink { redis: self.clone(), connection });
        Ok(Connected { link, life: state.says_life.then_some(life) })
    }
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Redis").field(&self.0.name).finish()
    }
}

#[derive(Debug, Clone)]
struct RedisLink {
    redis: Redis,
    connection: u64,
}

impl Link for RedisLink {
    fn ask(&self, asks: Arc<[Ask]>) -> BoxFuture<'static, Replied> {
        let link = self.clone();
        Box::pin(async move {
            let answered = link.redis.send(link.connection, asks).ok_or_else(closed)?;
            answered.await.unwrap_or_else(|_| Err(closed()))
        })
    }

    fn check(&self, _: Arc<str>) -> BoxFuture<'static, Result<Vec<Finding>, ServerError>> {
        let findings = self.redis.state().findings.clone();
        Box::pin(async move { Ok(findings) })
    }
}

/// What an engine says about its nodes.
#[derive(Debug, Default)]
pub(crate) struct NodesSeen(Mutex<Vec<String>>);

impl NodesSeen {
    /// `name down` and `name up`, in order.
    pub(crate) fn all(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Observer for NodesSeen {
    fn observe(&self, observation: &Observation<'_>) {
        let seen = match observation {
            Observation::LockNodeDown { node, .. } => format!("{node} down"),
            Observation::LockNodeUp { node } => format!("{node} up"),
            other => panic!("{other:?}"),
        };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(seen);
    }
}

/// Independent servers, named `a`, `b` and so on.
#[derive(Debug, Clone)]
pub(crate) struct Servers {
    pub(crate) sim: Sim,
    pub(crate) all: Vec<Redis>,
    pub(crate) seen: Arc<NodesSeen>,
}

impl Servers {
    pub(crate) fn new(sim: &Sim, count: usize) -> Self {
        let all = ('a'..).take(count).map(|name| Redis::new(sim, name)).collect();
        Self { sim: sim.clone(), all, seen: Arc::default() }
    }

    /// One process's lock over all of them.
    pub(crate) fn redlock(&self) -> Redlock {
        self.redlock_with(|builder| builder)
    }

    pub(crate) fn redlock_with(&self, options: impl FnOnce(RedlockBuilder) -> RedlockBuilder) -> Redlock {
        let builder = Redlock::builder(Arc::new(self.sim.clone())).key_prefix("").observer(self.seen.clone());
        let servers = self.all.iter().cloned();
        options(servers.fold(builder, |builder, redis| builder.server(Arc::new(redis)))).build().unwrap()
    }

    /// How long a request to each is on its way.
    pub(crate) fn delays_ms<const N: usize>(&self, delays: [u64; N]) {
        assert_eq!(N, self.all.len());
        self.all.iter().zip(delays).for_each(|(redis, ms)| {
            redis.delay_ms(ms);
        });
    }

    /// How many keys each has.
    pub(crate) fn keys(&self) -> Vec<usize> {
        self.all.iter().map(|redis| redis.keys().len()).collect()
    }

    /// Waits for everything in the background, and makes sure that nothing stays locked.
    pub(crate) async fn assert_nothing_left(&self, lock: &Redlock) {
        assert!(lock.shutdown(Duration::from_secs(60)).await, "something goes on for ever");
        self.assert_no_key();
    }

    pub(crate) fn assert_no_key(&self) {
        let left: Vec<Vec<String>> = self.all.iter().map(Redis::keys).collect();
        assert!(left.iter().all(Vec::is_empty), "keys are left: {left:?}");
        assert_eq!(self.sim.panics(), 0);
    }
}

pub(crate) fn keys(names: &[&str]) -> Vec<LockKey> {
    names.iter().map(|name| LockKey::new(name).unwrap()).collect()
}

/// Gives leases back that are still held.
pub(crate) async fn give_back(lock: &Redlock, leases: Vec<Lease>) {
    let count = leases.len();
    assert_eq!(lock.release(leases).await.unwrap(), vec![Released::Released; count]);
}
