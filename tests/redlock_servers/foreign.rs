//! Other clients that use the same keys.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use ticket_reservation::locking::LockQueue;
use tokio::task::JoinHandle;

use super::*;

/// A client of another kind, which knows the wire format and nothing else.
fn foreign_set(server: &RedisServer, text: &str) -> bool {
    send(server, &format!("SET redlock:{text} foreign NX PX 600000")) == "OK"
}

fn foreign_delete(server: &RedisServer, text: &str) {
    assert_eq!(send(server, &format!("DEL redlock:{text}")), "1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_foreign_client_that_has_a_majority_excludes_us_until_it_is_gone() {
    let servers = servers();
    let lock = open(&servers);
    assert!(foreign_set(&servers[0], "seat") && foreign_set(&servers[2], "seat"));
    assert!(is_contended(&lock, "seat").await);
    assert!(lock.shutdown(AT_MOST).await);
    assert_eq!(servers[1].keys().unwrap(), [""; 0], "what a refused attempt took is given back");
    assert_eq!(send(&servers[0], "GET redlock:seat"), "foreign");
    foreign_delete(&servers[0], "seat");
    let lease = granted(&lock, "seat").await;
    assert_eq!(release(&lock, lease).await, Released::Released);
    assert!(lock.shutdown(AT_MOST).await);
    assert_eq!(keys(&servers), [vec![], vec![], vec!["redlock:seat".to_owned()]], "a foreign lock stays");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_foreign_client_that_has_a_minority_excludes_nobody() {
    let servers = servers();
    let lock = open(&servers);
    assert!(foreign_set(&servers[1], "seat"));
    use_it(&lock, "seat").await;
    assert!(lock.shutdown(AT_MOST).await);
    assert_eq!(keys(&servers), [vec![], vec!["redlock:seat".to_owned()], vec![]]);
    assert_eq!(send(&servers[1], "GET redlock:seat"), "foreign");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_meets_a_foreign_client_learns_how_long_it_may_take_at_most() {
    let servers = servers();
    let lock = open(&servers);
    for server in servers.iter() {
        assert!(foreign_set(server, "seat"));
    }
    let longest = Duration::from_secs(600);
    let Acquisition { attempt, nodes, .. } = attempt(&lock, "seat").await.expect("an answer");
    let Attempt::Contended { retry_after } = attempt else { panic!("it is held: {attempt:?}") };
    assert!(!retry_after.is_zero() && retry_after <= longest, "{retry_after:?}");
    let of_node = votes(&nodes).into_iter().filter_map(|vote| match vote {
        Vote::Held { remaining } => Some(remaining.expect("it has a TTL")),
        _ => None,
    });
    let of_nodes: Vec<Duration> = of_node.collect();
    assert!(of_nodes.len() >= lock.quorum(), "{nodes:?}");
    assert!(of_nodes.iter().all(|remaining| !remaining.is_zero() && *remaining <= longest), "{nodes:?}");
    // The same from the script, which several keys need.
    let all = soon("an answer", lock.acquire_all(&[key("other"), key("seat")], LONG)).await.expect("an answer");
    let Attempt::Contended { retry_after } = all else { panic!("one is held: {all:?}") };
    assert!(!retry_after.is_zero() && retry_after <= longest, "{retry_after:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn we_exclude_a_foreign_client_until_we_release() {
    let servers = servers();
    let lock = open(&servers);
    let lease = granted(&lock, "seat").await;
    let got = servers.iter().filter(|server| foreign_set(server, "seat")).count();
    assert!(got < lock.quorum(), "we hold it, and a foreign client was granted {got} of 3");
    assert_eq!(release(&lock, lease).await, Released::Released);
    assert!(lock.shutdown(AT_MOST).await);
    let got_later = servers.iter().filter(|server| foreign_set(server, "seat")).count();
    assert_eq!(got + got_later, 3, "what it has, and the rest now");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_that_was_taken_away_is_neither_extended_nor_released() {
    let servers = servers();
    let lock = open(&servers);
    let mut lease = granted(&lock, "seat").await;
    assert!(lock.shutdown(AT_MOST).await);
    for server in servers.iter() {
        foreign_delete(server, "seat");
        assert!(foreign_set(server, "seat"));
    }
    assert_eq!(extend(&lock, &mut lease).await, Extended::Lost);
    assert_eq!(release(&lock, lease).await, Released::NotOwner);
    for server in servers.iter() {
        assert_eq!(send(server, "GET redlock:seat"), "foreign");
    }
}

/// Callers of one process that want a key again as soon as they have given it back.
struct Busy {
    queue: LockQueue,
    callers: Vec<JoinHandle<()>>,
    turns: Arc<AtomicU64>,
    goes_on: Arc<AtomicBool>,
}

impl Busy {
    fn start(servers: &RedisServers, callers: usize) -> Self {
        // A machine that stands still for a while must not end a lease.
        let queue = LockQueue::builder(Arc::new(open(servers)), TestRuntime::current()).ttl(LONG).build();
        let (turns, goes_on) = (Arc::<AtomicU64>::default(), Arc::new(AtomicBool::new(true)));
        let caller = || {
            let (queue, turns, goes_on) = (queue.clone(), Arc::clone(&turns), Arc::clone(&goes_on));
            tokio::spawn(async move {
                while goes_on.load(Ordering::SeqCst) {
                    let guard = queue.acquire(&key("seat"), LONG).await.expect("a turn");
                    turns.fetch_add(1, Ordering::SeqCst);
                    tokio::task::yield_now().await;
                    let _ = guard.release().await;
                }
            })
        };
        let callers = (0..callers).map(|_| caller()).collect();
        Self { queue, callers, turns, goes_on }
    }

    fn turns(&self) -> u64 {
        self.turns.load(Ordering::SeqCst)
    }

    /// Every caller that waits has its turn yet.
    async fn stop(self) {
        self.goes_on.store(false, Ordering::SeqCst);
        for caller in self.callers {
            soon("a last turn", caller).await.expect("a caller ends");
        }
        assert_eq!(self.queue.shutdown(AT_MOST).await, 0);
    }
}

/// How soon is measured by the bench `lock_duel`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_foreign_client_gets_its_turn_while_two_processes_never_stop_wanting_the_key() {
    let servers = servers();
    let busy = [Busy::start(&servers, 50), Busy::start(&servers, 50)];
    let lock = open(&servers);
    eventually("both are at it", async || busy.iter().all(|process| process.turns() > 0)).await;
    eventually("a foreign client has a majority", async || {
        let got: Vec<&RedisServer> = servers.iter().filter(|server| foreign_set(server, "seat")).collect();
        if got.len() < lock.quorum() {
            got.into_iter().for_each(|server| foreign_delete(server, "seat"));
            return false;
        }
        true
    })
    .await;
    let turns = || busy.iter().map(Busy::turns).sum::<u64>();
    let before = turns();
    assert!(is_contended(&lock, "seat").await);
    assert_eq!(turns(), before, "somebody had the key beside a foreign client");
    for server in servers.iter().filter(|server| send(server, "GET redlock:seat") == "foreign") {
        foreign_delete(server, "seat");
    }
    for process in busy {
        process.stop().await;
    }
    assert!(lock.shutdown(AT_MOST).await);
}

#[cfg(feature = "rslock")]
mod of_rslock {
    use ticket_reservation::adapters::rslock::{RslockLock, rslock};

    use super::*;

    /// Both find the same key in Redis: one has it in its name, or both add the same prefix.
    async fn exclude_each_other(prefix: &str) {
        let servers = servers();
        let lock = builder(&servers).key_prefix(prefix).build().expect("a lock");
        let manager = rslock::LockManager::new(servers.urls());
        let name = format!("{prefix}seat");
        let theirs = manager.lock(name.as_str(), LONG).await.expect("granted");
        assert!(is_contended(&lock, "seat").await, "{prefix}");
        theirs.release().await;
        let ours = granted(&lock, "seat").await;
        manager.lock(name.as_str(), LONG).await.expect_err("it is held");
        let adapter =
            RslockLock::builder(manager.clone(), TestRuntime::current()).key_prefix(prefix.to_owned()).build();
        let refused = adapter.acquire_all(&[key("seat")], LONG).await.expect("an answer");
        assert!(matches!(refused, Attempt::Contended { .. }), "{prefix}: {refused:?}");
        assert_eq!(release(&lock, ours).await, Released::Released);
        assert!(lock.shutdown(AT_MOST).await);
        manager.lock(name.as_str(), LONG).await.expect("it is free");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn with_no_prefix_rslock_and_we_exclude_each_other() {
        exclude_each_other("").await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn with_a_prefix_rslock_and_we_exclude_each_other() {
        exclude_each_other("redlock:").await;
    }
}
