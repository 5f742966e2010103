//! Servers that stand still, are dead, or say nothing.

use ticket_reservation::adapters::redlock::Refusal;

use super::redis_servers::SilentServer;
use super::*;

/// Short, so that it is soon noticed that a server does not answer; a busy machine may make the others seem so, too.
const TIMEOUT: Duration = Duration::from_millis(500);

#[derive(Debug, Clone, Copy, PartialEq)]
enum Fault {
    Frozen,
    Dead,
    Silent,
}

const FAULTS: [Fault; 3] = [Fault::Frozen, Fault::Dead, Fault::Silent];

/// A server that has a fault, until that is over.
struct Faulty<'s>(&'s RedisServer, Fault, Option<SilentServer>);

impl Fault {
    fn begin(self, server: &RedisServer) -> Faulty<'_> {
        match self {
            Self::Frozen => server.pause().expect("it stands still"),
            Self::Dead | Self::Silent => server.kill(),
        }
        let silent = (self == Self::Silent).then(|| SilentServer::on(server.port()).expect("its port"));
        Faulty(server, self, silent)
    }
}

impl Faulty<'_> {
    fn end(self) {
        drop(self.2);
        match self.1 {
            Fault::Frozen => self.0.resume().expect("it goes on"),
            Fault::Dead | Fault::Silent => self.0.restart().expect("it starts again"),
        }
    }
}

/// Whoever waited for the one that does not answer would wait for longer than the test may take.
async fn nobody_waits_for_one(fault: Fault) {
    let servers = servers();
    let (warm, cold) = (open(&servers), open(&servers));
    let mut lease = granted(&warm, "held").await;
    assert!(warm.shutdown(AT_MOST).await);
    let faulty = fault.begin(&servers[0]);
    assert_eq!(extend(&warm, &mut lease).await, Extended::Extended);
    for lock in [&warm, &cold] {
        use_it(lock, "seat").await;
        let each = soon("an answer", lock.acquire_each(&[key("a"), key("b")], LONG)).await.expect("an answer");
        assert!(each.iter().all(|attempt| matches!(attempt, Attempt::Granted(_))), "{each:?}");
        for attempt in each {
            let Attempt::Granted(lease) = attempt else { continue };
            assert_eq!(release(lock, lease).await, Released::Released);
        }
        assert!(is_contended(&cold, "held").await);
    }
    assert_eq!(release(&warm, lease).await, Released::Released);
    use_it(&cold, "held").await;
    faulty.end();
    for lock in [&warm, &cold] {
        assert!(lock.shutdown(AT_MOST).await);
    }
    // One that stood still does what it was told meanwhile.
    eventually("nothing is left", async || keys(&servers).iter().all(Vec::is_empty)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_waits_for_one_server_of_three_that_stands_still() {
    nobody_waits_for_one(Fault::Frozen).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_waits_for_one_server_of_three_that_is_dead() {
    nobody_waits_for_one(Fault::Dead).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_waits_for_one_server_of_three_that_is_silent() {
    nobody_waits_for_one(Fault::Silent).await;
}

pub(crate) fn impatient(servers: &RedisServers, notes: &Arc<Notes>) -> Redlock {
    builder(servers).node_timeout(TIMEOUT).connect_timeout(TIMEOUT).observer(notes.clone()).build().expect("a lock")
}

/// Calls until it is so. A busy machine may have it that no quorum is found now and then.
pub(crate) async fn called_until(lock: &Redlock, what: &str, mut is_so: impl FnMut() -> bool) {
    eventually(what, async || {
        if let Ok(Acquisition { attempt: Attempt::Granted(leases), .. }) = attempt(lock, "tried").await {
            lock.release(leases).await.expect("an answer");
        }
        is_so()
    })
    .await;
}

async fn a_faulty_server_is_left_alone_and_comes_back(fault: Fault) {
    let servers = servers();
    let notes = Notes::new();
    let lock = impatient(&servers, &notes);
    called_until(&lock, "it takes part", || servers[0].calls().unwrap().get("set") > Some(&0)).await;
    assert!(lock.shutdown(AT_MOST).await);
    let faulty = fault.begin(&servers[0]);
    called_until(&lock, "it is noticed", || notes.count_of("down", &servers[0]) > 0).await;
    for number in 0..20 {
        // Only the others are asked, and say yes.
        if let Ok(Acquisition { attempt: Attempt::Granted(leases), nodes, .. }) =
            attempt(&lock, &format!("later{number}")).await
        {
            assert!(matches!(votes(&nodes)[0], Vote::Unreachable(_)), "it is not asked: {nodes:?}");
            lock.release(leases).await.expect("an answer");
        }
    }
    faulty.end();
    called_until(&lock, "it is back", || notes.count_of("up", &servers[0]) > 0).await;
    eventually("it holds keys again", async || {
        let Ok(Acquisition { attempt: Attempt::Granted(leases), .. }) = attempt(&lock, "again").await else {
            return false;
        };
        let has_it = has_key(&servers[0], "again");
        lock.release(leases).await.expect("an answer");
        has_it
    })
    .await;
    assert!(lock.shutdown(AT_MOST).await);
    eventually("nothing is left", async || keys(&servers).iter().all(Vec::is_empty)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stands_still_is_left_alone_and_comes_back() {
    a_faulty_server_is_left_alone_and_comes_back(Fault::Frozen).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_dead_is_left_alone_and_comes_back() {
    a_faulty_server_is_left_alone_and_comes_back(Fault::Dead).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_silent_is_left_alone_and_comes_back() {
    a_faulty_server_is_left_alone_and_comes_back(Fault::Silent).await;
}

/// It reads everything that it was sent while it stood still.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_was_found_to_stand_still_is_sent_no_more() {
    let servers = servers();
    let notes = Notes::new();
    let lock = impatient(&servers, &notes);
    called_until(&lock, "it takes part", || servers[0].calls().unwrap().get("set") > Some(&0)).await;
    servers[0].pause().expect("it stands still");
    called_until(&lock, "it is noticed", || notes.count_of("down", &servers[0]) > 0).await;
    for _ in 0..50 {
        let _ = attempt(&lock, "later").await;
    }
    // In the order in which it was sent: nothing but the first key may have been set.
    servers[0].resume().expect("it goes on");
    assert!(!has_key(&servers[0], "later"), "{:?}", keys(&servers));
    assert!(has_key(&servers[1], "later") || has_key(&servers[2], "later"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_two_of_three_down_it_is_said_why_of_each_and_works_again_later() {
    for fault in FAULTS {
        let servers = servers();
        let notes = Notes::new();
        let lock = impatient(&servers, &notes);
        called_until(&lock, "all take part", || servers.iter().all(|it| it.calls().unwrap().contains_key("set"))).await;
        let (one, other) = (fault.begin(&servers[0]), fault.begin(&servers[1]));
        for number in 0..10 {
            // More than one cannot be granted, however long it takes.
            let said = no_quorum(&lock, "seat").await;
            for vote in &said[..2] {
                assert!(matches!(vote, Vote::TimedOut | Vote::Unreachable(_)), "{fault:?} {number}: {said:?}");
            }
            // What it granted before may not be given back yet, when the machine is busy.
            let third = !matches!(said[2], Vote::Refused(_) | Vote::Quarantined);
            assert!(third, "{fault:?} {number}: {said:?}");
        }
        let error = attempt(&lock, "seat").await.expect_err("no quorum").to_string();
        assert!(error.starts_with("no quorum of 3 nodes: "), "{error}");
        for server in servers.iter() {
            assert!(error.contains(&format!("127.0.0.1:{} ", server.port())), "{error}");
        }
        soon("an answer", lock.acquire_each(&[key("seat")], LONG)).await.expect_err("no quorum");
        one.end();
        other.end();
        eventually("it works again", async || {
            let Ok(Acquisition { attempt: Attempt::Granted(leases), .. }) = attempt(&lock, "seat").await else {
                return false;
            };
            lock.release(leases).await.expect("an answer") == [Released::Released]
        })
        .await;
        assert!(lock.shutdown(AT_MOST).await);
        eventually("nothing is left", async || keys(&servers).iter().all(Vec::is_empty)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_that_no_majority_answers_is_unknown_and_an_extension_too() {
    let servers = servers();
    let lock = open(&servers);
    let mut lease = granted(&lock, "seat").await;
    assert!(lock.shutdown(AT_MOST).await);
    servers[0].kill();
    servers[1].kill();
    let before = lease.deadline();
    assert_eq!(extend(&lock, &mut lease).await, Extended::Unknown);
    assert_eq!(lease.deadline(), before, "the old deadline stands");
    assert_eq!(release(&lock, lease).await, Released::Unknown);
    assert!(lock.shutdown(AT_MOST).await);
    assert_eq!(servers[2].keys().unwrap(), [""; 0]);
}

/// The servers take its greeting for the beginning of a command, and wait for more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_never_falls_back_to_a_plain_connection() {
    let servers = servers();
    let urls = servers.iter().map(|it| format!("rediss://user:hunter2@127.0.0.1:{}", it.port()));
    let runtime = TestRuntime::current();
    let lock = Redlock::builder(runtime).nodes(urls).connect_timeout(TIMEOUT).node_timeout(NO_TIMEOUT);
    let lock = lock.build().expect("a lock");
    for _ in 0..3 {
        let said = no_quorum(&lock, "seat").await;
        let refused = said.iter().filter(|vote| matches!(vote, Vote::Unreachable(_))).count();
        assert!(refused >= 2, "{said:?}");
    }
    assert!(lock.shutdown(AT_MOST).await);
    for server in servers.iter() {
        assert_eq!(server.commands_processed().unwrap(), 0);
        assert!(server.connections_received().unwrap() > 0, "it was tried");
    }
}

// ---- servers that refuse

/// What most of them say, in the end: some may not have been waited for.
async fn refusals(lock: &Redlock, wanted: &[LockKey]) -> Vec<Refusal> {
    let answer = soon("an answer", lock.try_acquire(wanted, LONG)).await;
    let Err(RedlockError::NoQuorum(error)) = answer else { panic!("a quorum: {answer:?}") };
    let refused = votes(error.nodes()).into_iter().filter_map(|vote| match vote {
        Vote::Refused(refusal) => Some(refusal),
        _ => None,
    });
    let refused: Vec<Refusal> = refused.collect();
    assert!(refused.len() >= lock.quorum(), "{error}");
    refused
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_whose_memory_is_full_says_so() {
    let servers = servers();
    let lock = open(&servers);
    use_it(&lock, "seat").await;
    for server in servers.iter() {
        send(server, "CONFIG SET maxmemory 1");
    }
    for wanted in [&[key("a")][..], &[key("a"), key("b")]] {
        let refused = refusals(&lock, wanted).await;
        assert!(refused.iter().all(|it| *it == Refusal::from_code("OOM")), "{refused:?}");
    }
    for server in servers.iter() {
        send(server, "CONFIG SET maxmemory 0");
    }
    use_it(&lock, "seat").await;
    assert_nothing_is_left(&lock, &servers).await;
}

/// What is held is given back all the same: a release takes no memory.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_whose_memory_is_full_release() {
    let servers = servers();
    let lock = open(&servers);
    let mut lease = granted(&lock, "seat").await;
    for server in servers.iter() {
        send(server, "CONFIG SET maxmemory 1");
    }
    assert_eq!(extend(&lock, &mut lease).await, Extended::Extended);
    assert_eq!(release(&lock, lease).await, Released::Released);
    assert_nothing_is_left(&lock, &servers).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_says_that_it_is_read_only() {
    let servers = servers();
    let lock = open(&servers);
    use_it(&lock, "seat").await;
    assert!(lock.shutdown(AT_MOST).await);
    let master = RedisServer::start().expect("a server");
    for server in servers.iter() {
        checks::make_replica(server, &master).await;
    }
    for wanted in [&[key("a")][..], &[key("a"), key("b")]] {
        let refused = refusals(&lock, wanted).await;
        assert!(refused.iter().all(|it| *it == Refusal::from_code("READONLY")), "{refused:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_who_may_not_use_the_key_is_told_so() {
    let servers = servers();
    for server in servers.iter() {
        send(server, "ACL SETUSER default resetkeys ~other:*");
    }
    let lock = open(&servers);
    for wanted in [&[key("a")][..], &[key("a"), key("b")]] {
        let refused = refusals(&lock, wanted).await;
        assert!(refused.iter().all(|it| *it == Refusal::from_code("NOPERM")), "{refused:?}");
    }
    let theirs = builder(&servers).key_prefix("other:").build().expect("a lock");
    use_it(&theirs, "seat").await;
}
