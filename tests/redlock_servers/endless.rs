//! A server whose answer never ends. The driver keeps what it has read of an answer, so a connection must not be kept for long.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::*;

/// For how long an attempt counts, and so for how long a node is listened to at most.
const TTL: Duration = Duration::from_millis(500);

/// It sends that much at a time, and as often as this: nobody's memory is to be tried here.
const BLOCK: [u8; 4_096] = [b'0'; 4_096];
const PACE: Duration = Duration::from_millis(1);

#[derive(Debug, Clone, Copy, PartialEq)]
enum Endless {
    /// The first answer on every connection.
    TheFirst,
    /// The first that is about a lock.
    TheLock,
}

/// Says how long its answer will be, and never comes to the end of it.
struct EndlessServer {
    url: String,
    begun: Arc<AtomicUsize>,
    over: Arc<AtomicUsize>,
}

impl EndlessServer {
    /// It goes on until nobody listens to it, and accepts connections as long as the process lives.
    fn start(since: Endless) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let url = format!("redis://{}", listener.local_addr().expect("an address"));
        let (begun, over) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let server = Self { url, begun: Arc::clone(&begun), over: Arc::clone(&over) };
        thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let (begun, over) = (Arc::clone(&begun), Arc::clone(&over));
                thread::spawn(move || {
                    if welcome(&connection, since).is_ok() {
                        begun.fetch_add(1, Ordering::SeqCst);
                        let _ = go_on(connection);
                        over.fetch_add(1, Ordering::SeqCst);
                    }
                });
            }
        });
        server
    }

    fn begun(&self) -> usize {
        self.begun.load(Ordering::SeqCst)
    }

    fn over(&self) -> usize {
        self.over.load(Ordering::SeqCst)
    }
}

/// Answers what comes before.
fn welcome(mut connection: &TcpStream, since: Endless) -> io::Result<()> {
    let mut requests = BufReader::new(connection);
    loop {
        let request = request(&mut requests)?;
        let answer = match request.first().map(Vec::as_slice) {
            Some(b"SET" | b"EVALSHA") => return Ok(()),
            _ if since == Endless::TheFirst => return Ok(()),
            Some(b"SCRIPT") => format!("$40\r\n{}\r\n", "0".repeat(40)),
            Some(b"INFO") => "$0\r\n\r\n".to_owned(),
            _ => "+OK\r\n".to_owned(),
        };
        connection.write_all(answer.as_bytes())?;
    }
}

/// A request, as clients send them: an array of texts.
fn request(requests: &mut impl BufRead) -> io::Result<Vec<Vec<u8>>> {
    let mut words = Vec::new();
    for _ in 0..number(requests)? {
        let mut word = vec![0; number(requests)?];
        requests.read_exact(&mut word)?;
        requests.read_exact(&mut [0; 2])?;
        words.push(word);
    }
    Ok(words)
}

/// A line of a sign and a number.
fn number(requests: &mut impl BufRead) -> io::Result<usize> {
    let mut line = String::new();
    requests.read_line(&mut line)?;
    let number = line.get(1..).and_then(|number| number.trim_end().parse().ok());
    number.ok_or_else(|| io::Error::other("no number"))
}

fn go_on(mut connection: TcpStream) -> io::Result<()> {
    write!(connection, "${}\r\n", i64::MAX / 2)?;
    loop {
        connection.write_all(&BLOCK)?;
        thread::sleep(PACE);
    }
}

async fn nobody_listens_for_ever(since: Endless) {
    let others = servers();
    let endless = EndlessServer::start(since);
    let urls = others.urls().into_iter().take(2).chain([endless.url.clone()]);
    let lock = Redlock::builder(TestRuntime::current()).nodes(urls).node_timeout(TTL).connect_timeout(TTL);
    let lock = lock.build().expect("a lock");
    eventually("it has begun an answer", async || {
        // The others decide, if the machine lets them.
        if let Ok(Acquisition { attempt: Attempt::Granted(leases), .. }) = lock.try_acquire(&[key("seat")], TTL).await {
            lock.release(leases).await.expect("an answer");
        }
        endless.begun() > 0
    })
    .await;
    // Without any other call, and whatever was connected meanwhile.
    eventually("nobody listens any more", async || endless.over() == endless.begun()).await;
    assert!(lock.shutdown(AT_MOST).await, "something goes on in the background");
    eventually("nobody listens any more", async || endless.over() == endless.begun()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_without_an_end_is_listened_to_for_as_long_as_a_lock_lasts() {
    nobody_listens_for_ever(Endless::TheLock).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_whose_first_answer_has_no_end_is_given_up() {
    nobody_listens_for_ever(Endless::TheFirst).await;
}
