//! Servers on sockets that say what they are told to, and note what they were asked and what they said.

use std::collections::{HashSet, VecDeque};
use std::io::ErrorKind;
use std::os::unix::net::UnixListener as Listener;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use ticket_reservation::adapters::redlock::redis::{Parser, Value};
use ticket_reservation::ports::LockKey;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};

use crate::says::Say;

pub(crate) const NODES: usize = 3;

/// The sockets, for all runs: to make them takes longer than the rest.
static SOCKETS: LazyLock<Sockets> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a folder");
    let listen = |node: usize| {
        let listener = Listener::bind(folder.path().join(node.to_string())).expect("a socket");
        listener.set_nonblocking(true).expect("a socket that does not block");
        listener
    };
    let listeners = std::array::from_fn(listen);
    Sockets { folder, listeners }
});

struct Sockets {
    folder: tempfile::TempDir,
    listeners: [Listener; NODES],
}

/// What is asked of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    Acquire,
    Extend,
    Release,
}

pub(crate) struct Servers([Arc<Mutex<Node>>; NODES]);

struct Node {
    is_welcoming: bool,
    says: VecDeque<Say>,
    connections: Vec<Connection>,
}

#[derive(Default)]
struct Connection {
    requests: Vec<Vec<Vec<u8>>>,
    said: Vec<u8>,
    /// More was said than was asked at that time. The client may have dropped it, so later replies may answer earlier requests.
    is_ahead: bool,
}

impl Servers {
    /// Must be called in a runtime.
    pub(crate) fn start(nodes: [(bool, Vec<Say>); NODES]) -> Self {
        let mut listeners = SOCKETS.listeners.iter();
        Self(nodes.map(|(is_welcoming, says)| {
            let node = Node { is_welcoming, says: says.into(), connections: Vec::new() };
            let node = Arc::new(Mutex::new(node));
            let listener = listeners.next().expect("a socket for each node");
            // Those who called during an earlier run have gone.
            while !matches!(listener.accept(), Err(error) if error.kind() == ErrorKind::WouldBlock) {}
            let listener = UnixListener::from_std(listener.try_clone().expect("a socket")).expect("a socket");
            tokio::spawn(serve(listener, Arc::clone(&node)));
            node
        }))
    }

    pub(crate) fn urls(&self) -> [String; NODES] {
        std::array::from_fn(|node| format!("redis+unix://{}/{node}", SOCKETS.folder.path().display()))
    }

    /// What servers have said that they did. They do not know keys or tokens: whoever asked for it asked in this run.
    pub(crate) fn done(&self, asked: Asked) -> Done {
        Done(std::array::from_fn(|node| {
            let mut keys = HashSet::new();
            for connection in &lock(&self.0[node]).connections {
                connection.add_done(asked, &mut keys);
            }
            keys
        }))
    }
}

/// The keys with which each node has said that it did what was asked.
pub(crate) struct Done([HashSet<Vec<u8>>; NODES]);

impl Done {
    pub(crate) fn by(&self, node: usize, key: &LockKey) -> bool {
        self.0[node].contains(format!("redlock:{key}").as_bytes())
    }

    pub(crate) fn by_majority(&self, key: &LockKey) -> bool {
        (0..NODES).filter(|node| self.by(*node, key)).count() > NODES / 2
    }
}

fn lock(node: &Mutex<Node>) -> MutexGuard<'_, Node> {
    node.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn serve(listener: UnixListener, node: Arc<Mutex<Node>>) {
    while let Ok((stream, _)) = listener.accept().await {
        let connection = {
            let mut node = lock(&node);
            node.connections.push(Connection::default());
            node.connections.len() - 1
        };
        tokio::spawn(talk(stream, Arc::clone(&node), connection));
    }
}

async fn talk(mut stream: UnixStream, node: Arc<Mutex<Node>>, connection: usize) {
    let mut heard = Vec::new();
    let mut chunk = [0; 4_096];
    while let Ok(count @ 1..) = stream.read(&mut chunk).await {
        heard.extend(&chunk[..count]);
        let mut said = Vec::new();
        let mut ends = false;
        while let Some((request, bytes)) = request(&heard) {
            heard.drain(..bytes);
            let mut node = lock(&node);
            ends = node.say(&request, &mut said);
            node.connections[connection].requests.push(request);
            if ends {
                break;
            }
        }
        lock(&node).connections[connection].says(&said);
        if stream.write_all(&said).await.is_err() || ends {
            return;
        }
    }
}

impl Connection {
    fn add_done(&self, asked: Asked, keys: &mut HashSet<Vec<u8>>) {
        let (replies, all) = replies(&self.said);
        for (nth, request) in self.requests.iter().enumerate() {
            let (skipped, taken) = match (all, self.is_ahead) {
                (All::OfThem, false) => (nth, 1),
                (All::OfThem, true) => (nth, usize::MAX),
                (All::ThereMayBe, _) => (0, usize::MAX),
            };
            replies.iter().skip(skipped).take(taken).for_each(|reply| add_done(request, reply, asked, keys));
        }
    }

    fn says(&mut self, said: &[u8]) {
        self.said.extend(said);
        self.is_ahead |= replies(&self.said).0.len() > self.requests.len();
    }
}

impl Node {
    /// Adds what is said to `to`, and whether that was the last.
    fn say(&mut self, request: &[Vec<u8>], to: &mut Vec<u8>) -> bool {
        let is_lock = matches!(&request[0][..], b"SET" | b"EVALSHA");
        let say = if self.is_welcoming && !is_lock { None } else { self.says.pop_front() };
        match say.unwrap_or(Say::AsItShould) {
            Say::AsItShould => as_it_should(request, to),
            Say::Value(value) => value.write(to),
            Say::Numbers(numbers) => {
                let numbers = numbers.into_iter().map(crate::says::Value::Number).collect();
                crate::says::Value::Array(numbers).write(to);
            }
            Say::Bytes(bytes) => to.extend(bytes),
            Say::Nothing => {}
            Say::End(bytes) => {
                to.extend(bytes);
                return true;
            }
        }
        false
    }
}

/// The first request of what was heard: a list of words, and how many bytes it has.
fn request(heard: &[u8]) -> Option<(Vec<Vec<u8>>, usize)> {
    fn number(heard: &[u8], at: &mut usize) -> Option<usize> {
        let rest = heard.get(*at + 1..)?;
        let end = rest.windows(2).position(|pair| pair == b"\r\n")?;
        *at += end + 3;
        Some(std::str::from_utf8(&rest[..end]).expect("a number").parse().expect("a number"))
    }
    let mut at = 0;
    let count = number(heard, &mut at)?;
    let mut words = Vec::with_capacity(count);
    for _ in 0..count {
        let length = number(heard, &mut at)?;
        words.push(heard.get(at..at + length)?.to_vec());
        at += length + 2;
    }
    (at <= heard.len()).then_some((words, at))
}

/// As a server in which no other lock is.
fn as_it_should(request: &[Vec<u8>], to: &mut Vec<u8>) {
    use crate::says::Value;
    let reply = match &request[0][..] {
        b"SCRIPT" => Value::Bulk(b"0123456789abcdef0123456789abcdef01234567".to_vec()),
        b"INFO" => Value::Bulk(
            b"run_id:1\r\nuptime_in_seconds:100000\r\nrole:master\r\nmaxmemory_policy:noeviction\r\n".to_vec(),
        ),
        b"EVALSHA" => Value::Array(asks(request).map(|ask| Value::Number(done(ask.what))).collect()),
        _ => Value::Okay,
    };
    reply.write(to);
}

fn done(asked: Asked) -> i64 {
    match asked {
        Asked::Acquire => 0,
        Asked::Extend | Asked::Release => 1,
    }
}

/// One ask of a script.
struct Ask<'r> {
    what: Asked,
    keys: &'r [Vec<u8>],
}

/// `EVALSHA hash count keys…`, and for each ask its name, its number of keys, its token and its TTL.
fn asks(request: &[Vec<u8>]) -> impl Iterator<Item = Ask<'_>> {
    let number = |word: &[u8]| -> usize { std::str::from_utf8(word).expect("a number").parse().expect("a number") };
    let (mut keys, asks) = request[3..].split_at(number(&request[2]));
    asks.chunks(4).map(move |ask| {
        let mine;
        (mine, keys) = keys.split_at(number(&ask[1]));
        // To look how a key is held is the end of an acquisition.
        let what = match &ask[0][..] {
            b"A" | b"L" => Asked::Acquire,
            b"E" => Asked::Extend,
            b"R" => Asked::Release,
            other => panic!("{other:?} is no ask"),
        };
        Ask { what, keys: mine }
    })
}

/// Adds the keys with which this well-formed reply says that it was done.
fn add_done(request: &[Vec<u8>], reply: &Value, asked: Asked, keys: &mut HashSet<Vec<u8>>) {
    match (&request[0][..], reply) {
        (b"SET", Value::Okay) if asked == Asked::Acquire => drop(keys.insert(request[1].clone())),
        (b"EVALSHA", Value::Array(answers)) if asks(request).count() == answers.len() => {
            let is_done = |(ask, answer): &(Ask<'_>, &Value)| ask.what == asked && **answer == Value::Int(done(asked));
            keys.extend(asks(request).zip(answers).filter(is_done).flat_map(|(ask, _)| ask.keys.iter().cloned()));
        }
        _ => {}
    }
}

/// Whether what was said are replies and nothing else.
#[derive(Debug, Clone, Copy)]
enum All {
    OfThem,
    /// There is something between them that is none, or is pushed. What the client makes of it is its own business: it may give
    /// the connection up, or take the next reply for the answer to this request or to the next one.
    ThereMayBe,
}

/// The replies among what was said.
fn replies(said: &[u8]) -> (Vec<Value>, All) {
    let (mut parser, mut rest) = (Parser::new(), said);
    let mut values = Vec::new();
    loop {
        match parser.parse_value(&mut rest) {
            Ok(Value::Push { .. }) => break,
            Ok(value) => values.push(value),
            Err(error) if error.is_io_error() => return (values, All::OfThem),
            Err(_) => break,
        }
    }
    // What might say that something was done. A list in a list never does.
    let is_start = |at: &usize| match said[*at] {
        b'+' => true,
        b'*' => said[*at..].windows(3).find(|it| it.starts_with(b"\r\n")).is_some_and(|it| it[2] != b'*'),
        _ => false,
    };
    let starts = (0..said.len()).filter(is_start);
    (starts.filter_map(|at| Parser::new().parse_value(&said[at..]).ok()).collect(), All::ThereMayBe)
}
