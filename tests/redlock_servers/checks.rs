//! What the health check finds.

use ticket_reservation::adapters::redlock::{Finding, KEYS_AT_ONCE_MAX, Refusal};

use super::*;

/// Makes a server a replica, and waits until it has what its master has.
pub(crate) async fn make_replica(server: &RedisServer, master: &RedisServer) {
    send(master, "CONFIG SET repl-diskless-sync-delay 0");
    send(server, &format!("REPLICAOF 127.0.0.1 {}", master.port()));
    eventually("it follows its master", async || {
        server.command(&["INFO", "replication"]).is_ok_and(|text| text.contains("master_link_status:up"))
    })
    .await;
}

async fn findings(lock: &Redlock) -> Vec<Vec<Finding>> {
    soon("a check", lock.check()).await.into_iter().map(|node| node.findings).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fit_servers_have_no_findings_and_no_key_afterwards() {
    let servers = servers();
    let lock = open(&servers);
    let checked = soon("a check", lock.check()).await;
    let names: Vec<&str> = checked.iter().map(|node| &*node.node).collect();
    let expected: Vec<String> = servers.iter().map(|it| format!("127.0.0.1:{}", it.port())).collect();
    assert_eq!(names, expected);
    assert!(checked.iter().all(|node| node.findings.is_empty()), "{checked:?}");
    assert_nothing_is_left(&lock, &servers).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_may_forget_keys_is_found() {
    let servers = servers();
    send(&servers[1], "CONFIG SET maxmemory-policy allkeys-lru");
    let policy = "allkeys-lru".into();
    assert_eq!(findings(&open(&servers)).await, [vec![], vec![Finding::Eviction { policy }], vec![]]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_is_found() {
    let servers = servers();
    let master = RedisServer::start().expect("a server");
    make_replica(&servers[2], &master).await;
    assert_eq!(findings(&open(&servers)).await, [vec![], vec![], vec![Finding::Replica]]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_who_may_not_ask_for_info_is_found_and_gets_locks() {
    let servers = servers();
    for server in servers.iter() {
        send(server, "ACL SETUSER default -info");
    }
    let lock = open(&servers);
    assert_eq!(findings(&lock).await, vec![vec![Finding::InfoNotPermitted]; 3]);
    use_it(&lock, "seat").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_who_lacks_a_command_that_locks_need_is_found() {
    for command in ["set", "get", "pexpire", "del", "evalsha"] {
        let servers = servers();
        send(&servers[0], &format!("ACL SETUSER default -{command}"));
        let refused = Finding::Refused(Refusal::from_code("NOPERM"));
        assert_eq!(findings(&open(&servers)).await, [vec![refused], vec![], vec![]], "{command}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_who_may_not_use_the_keys_is_found() {
    let servers = servers();
    send(&servers[0], "ACL SETUSER default resetkeys ~other:*");
    let refused = Finding::Refused(Refusal::from_code("NOPERM"));
    assert_eq!(findings(&open(&servers)).await, [vec![refused], vec![], vec![]]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_memory_is_found() {
    let servers = servers();
    send(&servers[0], "CONFIG SET maxmemory 1");
    let refused = Finding::Refused(Refusal::from_code("OOM"));
    assert_eq!(findings(&open(&servers)).await, [vec![refused], vec![], vec![]]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_password_is_found_and_a_missing_one_too() {
    let servers = servers();
    send(&servers[0], "ACL SETUSER default resetpass >correct");
    let [first, others @ ..] = &findings(&open(&servers)).await[..] else { panic!("three") };
    assert_eq!(*first, [Finding::Refused(Refusal::from_code("NOAUTH"))]);
    assert_eq!(others, [vec![], vec![]]);
    let mut urls = servers.urls();
    urls[0] = format!("redis://:wrong@127.0.0.1:{}", servers[0].port());
    let lock = Redlock::builder(TestRuntime::current()).nodes(urls).connect_timeout(NO_TIMEOUT);
    let wrong = findings(&lock.build().expect("a lock")).await;
    assert_eq!(wrong, [vec![Finding::Refused(Refusal::from_code("WRONGPASS"))], vec![], vec![]]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_dead_is_found_and_one_that_is_back_is_not() {
    let servers = servers();
    let lock = open(&servers);
    use_it(&lock, "seat").await;
    servers[1].kill();
    // Its connection is found to be gone when it is used.
    let _ = findings(&lock).await;
    eventually("it is found", async || {
        let found = findings(&lock).await;
        matches!(&found[..], [a, b, c] if a.is_empty() && c.is_empty() && matches!(b[..], [Finding::Unreachable(_)]))
    })
    .await;
    servers[1].restart().expect("it starts again");
    eventually("it is well", async || findings(&lock).await.iter().all(Vec::is_empty)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stands_still_is_found() {
    let servers = servers();
    servers[0].pause().expect("it stands still");
    let lock = builder(&servers).connect_timeout(Duration::from_secs(5)).build().expect("a lock");
    let found = findings(&lock).await;
    assert!(matches!(found[0][..], [Finding::Unreachable(_)]), "{found:?}");
    assert_eq!(found[1..], [vec![], vec![]]);
}

/// `build` compares addresses, and two names of one server are two.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_two_nodes_is_found() {
    let servers = servers();
    let port = servers[0].port();
    let nodes = [servers[0].url(), servers[1].url(), format!("redis://localhost:{port}")];
    let builder = Redlock::builder(TestRuntime::current()).nodes(nodes).connect_timeout(NO_TIMEOUT);
    let lock = builder.build().expect("a lock");
    let same = |name: &str| vec![Finding::SameServer { node: format!("{name}:{port}").into() }];
    assert_eq!(findings(&lock).await, [same("localhost"), vec![], same("127.0.0.1")]);
    assert_eq!(findings(&lock).await[1], [], "it says so every time");
}

/// What `docs/backends/redlock.md` says that a user needs.
const NEEDED: &str = "+set +get +pttl +pexpire +del +evalsha +script|load +select +info";

fn box_office(server: &RedisServer, may: &str) -> String {
    let port = server.port();
    send(server, &format!("ACL SETUSER box-office reset on >pw resetchannels ~redlock:* {may}"));
    format!("redis://box-office:pw@127.0.0.1:{port}/3")
}

fn of_box_office(servers: &RedisServers, may: &str) -> Redlock {
    let urls: Vec<String> = servers.iter().map(|server| box_office(server, may)).collect();
    let builder = Redlock::builder(TestRuntime::current()).nodes(urls);
    builder.node_timeout(NO_TIMEOUT).connect_timeout(NO_TIMEOUT).build().expect("a lock")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_documented_permissions_are_enough_and_each_is_needed() {
    assert!(
        include_str!("../../docs/backends/redlock.md")
            .contains("`+set +get +pttl +pexpire +del +evalsha +script|load`")
    );
    let servers = servers();
    let lock = of_box_office(&servers, NEEDED);
    assert_eq!(findings(&lock).await, [[], [], []]);
    use_it(&lock, "seat").await;
    let wanted = [key("a"), key("b")];
    let Ok(Attempt::Granted(mut leases)) = lock.acquire_all(&wanted, LONG).await else { panic!("they are free") };
    assert!(matches!(lock.acquire_all(&wanted, LONG).await, Ok(Attempt::Contended { .. })));
    assert_eq!(lock.extend(&mut leases, LONG * 2).await.expect("an answer"), [Extended::Extended; 2]);
    assert_eq!(lock.release(leases).await.expect("an answer"), [Released::Released; 2]);
    for lacking in NEEDED.split(' ') {
        let may: Vec<&str> = NEEDED.split(' ').filter(|permission| *permission != lacking).collect();
        let expected = match lacking {
            "+info" => Finding::InfoNotPermitted,
            _ => Finding::Refused(Refusal::from_code("NOPERM")),
        };
        assert_eq!(findings(&of_box_office(&servers, &may.join(" "))).await, vec![vec![expected]; 3], "{lacking}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_keys_than_are_taken_in_one_step_are_refused() {
    let servers = servers();
    let lock = open(&servers);
    let wanted: Vec<LockKey> = (0..=KEYS_AT_ONCE_MAX).map(|number| key(&number.to_string())).collect();
    let refused = lock.try_acquire(&wanted, LONG).await;
    let max = KEYS_AT_ONCE_MAX;
    assert!(matches!(refused, Err(RedlockError::TooManyKeys { keys, max: it }) if (keys, it) == (max + 1, max)));
    assert_eq!(keys(&servers), [[""; 0]; 3]);
    let Ok(Attempt::Granted(leases)) = lock.acquire_all(&wanted[..max], LONG).await else { panic!("they are free") };
    assert_eq!(lock.release(leases).await.expect("an answer"), vec![Released::Released; max]);
    assert_eq!(
        lock.acquire_each(&wanted, LONG).await.expect("an answer").len(),
        max + 1,
        "each by itself has no bound"
    );
}
