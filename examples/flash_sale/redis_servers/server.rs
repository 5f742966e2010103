//! One server, and what tests do to it.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::TcpListener;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::process::{Ended, Process};
use super::resp::{self, Connection};

/// Where ports are drawn from: below those that systems give to outgoing connections, which could take the port of a
/// server that is down, and even connect to themselves on it.
const PORTS: RangeInclusive<u16> = 10_240..=32_000;

/// How many ports are tried until a server has one of its own.
const PORTS_TRIED_MAX: usize = 64;

/// How long a server may take until it answers, and until it stands still.
const ANSWERS_WITHIN: Duration = Duration::from_secs(30);

/// How often it is looked at meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// The user of [`RedisServer::command`], whatever is done to the default user. Any password is right.
const USER: [&str; 7] = ["ACL", "SETUSER", resp::USER, "on", "nopass", "~*", "&*"];

/// A private server.
#[derive(Debug)]
pub(crate) struct RedisServer {
    port: u16,
    process: Mutex<Option<Process>>,
    /// What [`RedisServer::command`] has sent to this process, which does not count.
    own_commands: AtomicU64,
    own_connections: AtomicU64,
}

impl RedisServer {
    /// Starts one on a free port. It answers by then.
    pub(crate) fn start() -> io::Result<Self> {
        for _ in 0..PORTS_TRIED_MAX {
            let port = free_port()?;
            if let Some(process) = Self::try_start(port)? {
                return Self::new(port, process);
            }
        }
        Err(io::Error::new(io::ErrorKind::AddrInUse, format!("none of {PORTS_TRIED_MAX} ports was free for long")))
    }

    fn new(port: u16, process: Process) -> io::Result<Self> {
        let server = Self {
            port,
            process: Mutex::new(Some(process)),
            own_commands: AtomicU64::new(0),
            own_connections: AtomicU64::new(0),
        };
        server.begin()?;
        Ok(server)
    }

    /// `None` when somebody else has the port.
    fn try_start(port: u16) -> io::Result<Option<Process>> {
        let mut process = Process::start(port)?;
        let deadline = Instant::now() + ANSWERS_WITHIN;
        loop {
            match process.ended()? {
                Some(Ended::PortTaken) => return Ok(None),
                Some(Ended::Otherwise(error)) => return Err(error),
                None => {}
            }
            let answer = resp::process_id(port);
            // Another server may have the port, while ours is about to notice.
            if answer.as_ref().is_ok_and(|pid| *pid == process.pid().as_raw_nonzero().get()) {
                return Ok(Some(process));
            }
            if Instant::now() > deadline {
                let why = answer.err().map_or_else(|| "another one does".to_owned(), |error| error.to_string());
                let message = format!("a redis-server does not answer on port {port}: {why}");
                return Err(io::Error::new(io::ErrorKind::TimedOut, message));
            }
            thread::sleep(LOOK_EVERY);
        }
    }

    /// What the control connections of a new process need. They begin to count from zero.
    fn begin(&self) -> io::Result<()> {
        let mut connection = Connection::open(self.port)?;
        connection.send(&[USER.as_slice(), &["+@all"]].concat())?;
        connection.send(&["CONFIG", "RESETSTAT"])?;
        self.own_commands.store(1, Ordering::SeqCst);
        self.own_connections.store(0, Ordering::SeqCst);
        Ok(())
    }

    /// Its address: `redis://127.0.0.1:PORT`.
    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Its process, unless it was killed.
    pub(crate) fn pid(&self) -> Option<i32> {
        self.process().as_ref().map(|process| process.pid().as_raw_nonzero().get())
    }

    /// Kills it with SIGKILL, and waits until it is dead. Its port refuses connections from then on.
    pub(crate) fn kill(&self) {
        drop(self.process().take());
    }

    /// Starts it again on the same port, with nothing in its memory; kills it first if it runs.
    pub(crate) fn restart(&self) -> io::Result<()> {
        let mut process = self.process();
        drop(process.take());
        let deadline = Instant::now() + ANSWERS_WITHIN;
        while process.is_none() {
            *process = Self::try_start(self.port)?;
            if process.is_none() && Instant::now() > deadline {
                return Err(io::Error::new(io::ErrorKind::AddrInUse, format!("port {} is not given back", self.port)));
            }
        }
        drop(process);
        self.begin()
    }

    /// Stops it with SIGSTOP, and waits until it stands still: connections are accepted and nothing is answered, until
    /// it is resumed.
    pub(crate) fn pause(&self) -> io::Result<()> {
        let process = self.process();
        let process = process.as_ref().ok_or_else(is_dead)?;
        process.signal(Signal::STOP)?;
        let deadline = Instant::now() + ANSWERS_WITHIN;
        while process.stands_still() == Some(false) {
            if Instant::now() > deadline {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "a redis-server does not stand still"));
            }
            thread::sleep(LOOK_EVERY);
        }
        Ok(())
    }

    /// Lets it go on after [`pause`](Self::pause) with SIGCONT. It answers what it was asked meanwhile.
    pub(crate) fn resume(&self) -> io::Result<()> {
        self.process().as_ref().ok_or_else(is_dead)?.signal(Signal::CONT)
    }

    /// Sends a command on a connection of its own, and answers with the text of the reply: of a list, its items in a line
    /// each; of nothing, `(nil)`, as redis-cli does. A reply that is an error is one here. Whatever is done to the default
    /// user, this may do anything.
    pub(crate) fn command<W: AsRef<[u8]>>(&self, words: &[W]) -> io::Result<String> {
        let mut connection = Connection::open(self.port)?;
        self.own_connections.fetch_add(1, Ordering::SeqCst);
        connection.send(&["AUTH", resp::USER, "-"])?;
        self.own_commands.fetch_add(2, Ordering::SeqCst);
        connection.send(words)
    }

    /// The keys it has, sorted.
    pub(crate) fn keys(&self) -> io::Result<Vec<String>> {
        let mut keys: Vec<String> = self.command(&["KEYS", "*"])?.lines().map(ToOwned::to_owned).collect();
        keys.sort();
        Ok(keys)
    }

    /// How many commands others have sent, as Redis counts them: those that a script calls count too, and those that it
    /// refused do not. Since its process began.
    pub(crate) fn commands_processed(&self) -> io::Result<u64> {
        let all = self.info("stats", "total_commands_processed")?;
        // The one that asks is not over while it is answered.
        Ok(all.saturating_sub(self.own_commands.load(Ordering::SeqCst) - 1))
    }

    /// How many connections others have made. Since its process began.
    pub(crate) fn connections_received(&self) -> io::Result<u64> {
        let all = self.info("stats", "total_connections_received")?;
        Ok(all.saturating_sub(self.own_connections.load(Ordering::SeqCst)))
    }

    /// How often each command was called, the ones of [`command`](Self::command) included: `INFO commandstats`.
    pub(crate) fn calls(&self) -> io::Result<BTreeMap<String, u64>> {
        let text = self.command(&["INFO", "commandstats"])?;
        let calls = text.lines().filter_map(|line| {
            let (name, figures) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
            Some((name.to_owned(), figures.split(',').next()?.parse().ok()?))
        });
        Ok(calls.collect())
    }

    /// A number that `INFO` knows.
    pub(crate) fn info(&self, section: &str, field: &str) -> io::Result<u64> {
        let text = self.command(&["INFO", section])?;
        resp::field(&text, field).ok_or_else(|| io::Error::other(format!("INFO {section} has no number {field}")))
    }

    fn process(&self) -> MutexGuard<'_, Option<Process>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_dead() -> io::Error {
    io::Error::new(io::ErrorKind::NotConnected, "the redis-server was killed")
}

/// A port that nobody listens on at this moment.
fn free_port() -> io::Result<u16> {
    let count = u64::from(PORTS.end() - PORTS.start()) + 1;
    let mut error = io::ErrorKind::AddrInUse.into();
    for draw in 0..PORTS_TRIED_MAX {
        let port = PORTS.start() + (RandomState::new().hash_one(draw) % count) as u16;
        match TcpListener::bind(("127.0.0.1", port)) {
            Ok(_) => return Ok(port),
            Err(refused) => error = refused,
        }
    }
    Err(error)
}
