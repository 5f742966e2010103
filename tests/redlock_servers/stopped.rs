//! A holder whose process is stopped for longer than its lease.

use std::env;
use std::io::{BufRead, BufReader, Read, Write, stdin};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use ticket_reservation::locking::{LockQueue, Returned};

use super::*;

/// The servers of a holder, which is this program, run for this one test.
const HOLDER: &str = "REDLOCK_SERVERS_HOLDER";

/// For how long the holder takes its lease, which it extends as long as it runs.
const LEASE: Duration = Duration::from_secs(1);

/// What it says, after whatever the test harness has printed in the same line.
const SAYS: &str = "the holder says: ";

fn say(what: &str) {
    println!("\n{SAYS}{what}");
}

/// Waits for its parent.
fn told() -> bool {
    let mut line = String::new();
    stdin().read_line(&mut line).is_ok_and(|bytes| bytes > 0)
}

/// What the holder does.
async fn hold(urls: &str) {
    let runtime = TestRuntime::current();
    let lock = Redlock::builder(runtime.clone()).nodes(urls.split(' ')).build().expect("a lock");
    let queue = LockQueue::builder(Arc::new(lock), runtime).ttl(LEASE).build();
    let guard = queue.acquire(&key("seat"), AT_MOST).await.expect("it is free");
    say(if guard.is_lost() { "lost" } else { "held" });
    if !told() {
        return;
    }
    // It was stopped meanwhile, and goes on as if nothing had happened.
    say(if guard.is_lost() { "lost" } else { "held" });
    soon("the loss", guard.lost()).await;
    say("told");
    match guard.release().await {
        Returned::Released(Released::Released) => say("released"),
        Returned::Released(_) => say("not released"),
        other => say(&format!("{other:?}")),
    }
    say(&format!("left {}", queue.shutdown(AT_MOST).await));
}

/// Killed when the test ends.
struct Holder {
    child: Child,
    lines: BufReader<std::process::ChildStdout>,
}

impl Holder {
    fn start(urls: &str) -> Self {
        let mut child = Command::new(env::current_exe().expect("this program"))
            .args(["--exact", "stopped::a_holder_that_was_stopped_past_its_lease_learns_that_and_frees_nobody_elses"])
            .args(["--nocapture", "--test-threads", "1"])
            .env(HOLDER, urls)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it runs");
        let lines = BufReader::new(child.stdout.take().expect("its output"));
        Self { child, lines }
    }

    /// What it says next.
    fn says(&mut self) -> String {
        let mut line = String::new();
        while self.lines.read_line(&mut line).expect("its output") > 0 {
            if let Some(said) = line.strip_prefix(SAYS) {
                return said.trim().to_owned();
            }
            line.clear();
        }
        panic!("it has ended: {:?}", self.child.wait());
    }

    fn tell(&mut self) {
        writeln!(self.child.stdin.as_mut().expect("its input")).expect("it is there");
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("it is there");
    }

    fn ends(mut self) {
        drop(self.child.stdin.take());
        let mut rest = String::new();
        self.lines.read_to_string(&mut rest).expect("its output");
        assert!(self.child.wait().expect("its end").success(), "{rest}");
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_holder_that_was_stopped_past_its_lease_learns_that_and_frees_nobody_elses() {
    if let Ok(urls) = env::var(HOLDER) {
        return hold(&urls).await;
    }
    let servers = servers();
    let lock = open(&servers);
    let mut holder = Holder::start(&servers.urls().join(" "));
    assert_eq!(holder.says(), "held");
    holder.signal(Signal::STOP);
    let mut taken = None;
    eventually("its lease ends", async || {
        if let Attempt::Granted(lease) = take(&lock, "seat").await {
            taken = Some(lease);
        }
        taken.is_some()
    })
    .await;
    let mut lease = taken.expect("it was granted");
    assert!(lock.shutdown(AT_MOST).await);
    let value = String::from_utf8_lossy(lease.token().as_bytes()).into_owned();
    let is_ours = |server: &&RedisServer| send(server, "GET redlock:seat") == value;
    let ours: Vec<&RedisServer> = servers.iter().filter(is_ours).collect();
    assert!(ours.len() >= lock.quorum());
    holder.signal(Signal::CONT);
    holder.tell();
    assert_eq!(holder.says(), "lost", "at once");
    assert_eq!(holder.says(), "told");
    assert_eq!(holder.says(), "not released");
    assert_eq!(holder.says(), "left 0");
    holder.ends();
    assert!(ours.iter().all(is_ours), "the new owner's");
    assert_eq!(extend(&lock, &mut lease).await, Extended::Extended);
    assert_eq!(release(&lock, lease).await, Released::Released);
    assert_nothing_is_left(&lock, &servers).await;
}

/// As long as it runs, its lease is extended.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_holder_that_runs_keeps_its_lock_for_longer_than_its_lease() {
    let servers = servers();
    let queue =
        LockQueue::builder(Arc::new(open(&servers)), TestRuntime::current()).ttl(Duration::from_secs(6)).build();
    let guard = soon("a guard", queue.acquire(&key("seat"), AT_MOST)).await.expect("it is free");
    let first = guard.deadline();
    eventually("it is extended", async || guard.deadline() > first).await;
    assert!(!guard.is_lost());
    assert!(is_contended(&open(&servers), "seat").await);
    assert_eq!(guard.release().await, Returned::Released(Released::Released));
    assert_eq!(queue.shutdown(AT_MOST).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_of_a_queue_take_turns_over_one_server_of_three_that_is_dead() {
    let servers = servers();
    servers[1].kill();
    let lock = open(&servers);
    let queue = LockQueue::builder(Arc::new(lock.clone()), TestRuntime::current()).build();
    let inside = Arc::new(Mutex::new(()));
    let callers = (0..100).map(|_| {
        let (queue, inside) = (queue.clone(), inside.clone());
        tokio::spawn(async move {
            let guard = queue.acquire(&key("seat"), AT_MOST).await.expect("its turn");
            // Nobody else is here while it holds the lock.
            let alone = inside.try_lock().is_ok();
            tokio::task::yield_now().await;
            drop(guard);
            alone
        })
    });
    let callers: Vec<_> = callers.collect();
    for caller in callers {
        assert!(soon("its turn", caller).await.expect("no panic"));
    }
    assert_eq!(queue.shutdown(AT_MOST).await, 0);
    assert!(lock.shutdown(AT_MOST).await);
    assert_eq!((servers[0].keys().unwrap(), servers[2].keys().unwrap()), (vec![], vec![]));
}
