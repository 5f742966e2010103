//! A client that knows nothing of queues: `SET NX PX` on every server, again and again, until a majority has granted it.

use std::error::Error;
use std::io;
use std::path::PathBuf;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use ticket_reservation::adapters::redlock::redis::{Client, Connection, RedisError, Script, cmd};
use ticket_reservation::adapters::rslock::KEY_PREFIX_DEFAULT;

use crate::args::LockName;
use crate::holders::{self, Interval, now_ns};

/// How long it holds the key.
const HOLD: Duration = Duration::from_millis(1);

/// Its first turn comes when the key has been wanted for so many intervals, and between two it rests for fewer than
/// `REST_MAX`: by then the queues leave the key free now and then, and its turns fall on any part of that.
const AFTER: u32 = 110;
const REST_MAX: u32 = 100;

const DELETE: &str =
    "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) else return 0 end";

/// What it is to do.
#[derive(Debug, Clone)]
pub(crate) struct Foreign {
    pub(crate) lock: LockName,
    pub(crate) urls: Vec<String>,
    pub(crate) ttl: Duration,
    pub(crate) time: Duration,
    pub(crate) every: Duration,
    /// Where it writes down when it held the key, and as which process.
    pub(crate) folder: PathBuf,
    pub(crate) process: u32,
}

/// What it has seen.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// How long it waited, turn by turn, shortest first.
    waits: Vec<Duration>,
    /// For how long it had waited at the end.
    still_waits: Duration,
    /// What it has sent.
    pub(crate) commands: u64,
}

/// Begins, in a thread of its own.
pub(crate) fn start(foreign: Foreign) -> JoinHandle<Result<Seen, String>> {
    thread::spawn(move || {
        Asking::connect(&foreign).and_then(|client| client.run(&foreign)).map_err(|it| it.to_string())
    })
}

struct Asking {
    nodes: Vec<Connection>,
    key: String,
    delete: Script,
    seen: Seen,
}

impl Asking {
    fn connect(foreign: &Foreign) -> Result<Self, Box<dyn Error>> {
        let connect = |url: &String| Client::open(url.as_str())?.get_connection();
        let nodes = foreign.urls.iter().map(connect).collect::<Result<Vec<_>, RedisError>>()?;
        let prefix = match foreign.lock {
            LockName::Redlock => "redlock:",
            LockName::Rslock => KEY_PREFIX_DEFAULT,
            LockName::RslockRaw => "",
        };
        Ok(Self { nodes, key: format!("{prefix}duel-0"), delete: Script::new(DELETE), seen: Seen::default() })
    }

    fn run(mut self, foreign: &Foreign) -> Result<Seen, Box<dyn Error>> {
        let end = Instant::now() + foreign.time;
        let mut intervals = Vec::new();
        let mut rest = foreign.every * AFTER;
        'turns: loop {
            if Instant::now() + rest >= end {
                break;
            }
            thread::sleep(rest);
            let begun = Instant::now();
            let mut next = begun;
            let value = loop {
                let value: [u8; 16] = rand::random();
                if self.try_to_take(&value, foreign.ttl)? {
                    break value;
                }
                // At fixed times, however long an answer takes.
                next = (next + foreign.every).max(Instant::now());
                if next >= end {
                    self.seen.still_waits = begun.elapsed();
                    break 'turns;
                }
                thread::sleep(next.saturating_duration_since(Instant::now()));
            };
            let from_ns = now_ns();
            self.seen.waits.push(begun.elapsed());
            thread::sleep(HOLD);
            intervals.push(Interval { key: 0, from_ns, to_ns: now_ns() });
            self.give_back(&value)?;
            rest = foreign.every.mul_f64(rand::random::<f64>() * f64::from(REST_MAX));
        }
        holders::write(&foreign.folder, foreign.process, &intervals)?;
        self.seen.waits.sort_unstable();
        Ok(self.seen)
    }

    fn try_to_take(&mut self, value: &[u8], ttl: Duration) -> Result<bool, RedisError> {
        let mut granted = 0;
        for node in &mut self.nodes {
            let mut set = cmd("SET");
            set.arg(&self.key).arg(value).arg("NX").arg("PX").arg(u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX));
            granted += usize::from(set.query::<Option<String>>(node)?.is_some());
            self.seen.commands += 1;
        }
        if granted > self.nodes.len() / 2 {
            return Ok(true);
        }
        if granted > 0 {
            self.give_back(value)?;
        }
        Ok(false)
    }

    fn give_back(&mut self, value: &[u8]) -> Result<(), RedisError> {
        for node in &mut self.nodes {
            let _: u32 = self.delete.key(&self.key).arg(value).invoke(node)?;
            // Redis counts what a script calls.
            self.seen.commands += 2;
        }
        Ok(())
    }
}

impl Seen {
    /// Prints it beside what the queues promise.
    pub(crate) fn print(&self, foreign: &Foreign, hold: Duration) {
        let ms = |wait: Duration| format!("{:.0} ms", wait.as_secs_f64() * 1e3);
        let waited = match &self.waits[..] {
            [] => "had no turn".to_owned(),
            waits => {
                let at = |tenths: usize| ms(waits[(waits.len() - 1) * tenths / 10]);
                format!("had {} turns and waited {} (p50), {} (p90), {} at most", waits.len(), at(5), at(9), at(10))
            }
        };
        let still = match self.still_waits {
            Duration::ZERO => String::new(),
            wait => format!(", and {} in vain at the end", ms(wait)),
        };
        eprintln!(
            "lock_duel: beside {:?} a client that asked every {:?} {waited}{still}; {}",
            foreign.lock,
            foreign.every,
            bound(foreign, hold)
        );
    }
}

/// What the documentation of `locking` says: who asks often enough finds the key free in the next quiet window, of which
/// there is one a second and a longer one every ten, if no holder takes longer than the window lasts beyond one interval.
fn bound(foreign: &Foreign, hold: Duration) -> &'static str {
    let within =
        |every_ms, hold_ms| foreign.every <= Duration::from_millis(every_ms) && hold <= Duration::from_millis(hold_ms);
    match foreign.lock {
        LockName::RslockRaw => "no bound",
        _ if within(10, 2) => "bound 1,100 ms",
        _ if within(100, 20) => "bound 10,200 ms",
        _ => "no bound",
    }
}

/// A thread that panicked has said so.
pub(crate) fn join(foreign: JoinHandle<Result<Seen, String>>) -> io::Result<Seen> {
    foreign.join().unwrap_or_else(|_| Err("the foreign client panicked".to_owned())).map_err(io::Error::other)
}
