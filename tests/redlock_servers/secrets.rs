//! Users and passwords, and what must never be said.

use ticket_reservation::adapters::redlock::{Refusal, RefusalKind};
use ticket_reservation::locking::LockQueue;

use super::*;

const PASSWORD: &str = "hunter2-is-secret";
const WRONG: &str = "swordfish-is-wrong";

/// Servers that let in nobody but one user.
fn guarded() -> RedisServers {
    let servers = servers();
    for server in servers.iter() {
        send(server, &format!("ACL SETUSER box-office on >{PASSWORD} ~* &* +@all"));
        send(server, "ACL SETUSER default off");
    }
    servers
}

fn by_url(servers: &RedisServers, user_and_password: &str) -> RedlockBuilder {
    let urls = servers.iter().map(|it| format!("redis://{user_and_password}@127.0.0.1:{}", it.port()));
    let builder = Redlock::builder(TestRuntime::current()).nodes(urls);
    builder.node_timeout(NO_TIMEOUT).connect_timeout(NO_TIMEOUT)
}

fn assert_secret(texts: &[String]) {
    for text in texts {
        assert!(!text.contains(PASSWORD) && !text.contains(WRONG), "{text}");
        assert!(!text.contains("hunter2") && !text.contains("swordfish"), "{text}");
    }
}

async fn refusal_kinds(lock: &Redlock) -> Vec<RefusalKind> {
    let said = no_quorum(lock, "seat").await;
    let kinds = said.iter().filter_map(|vote| match vote {
        Vote::Refused(refusal) => Some(refusal.kind),
        _ => None,
    });
    let kinds: Vec<RefusalKind> = kinds.collect();
    assert!(kinds.len() >= lock.quorum(), "{said:?}");
    kinds
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn user_and_password_are_those_of_the_urls() {
    let servers = guarded();
    use_it(&by_url(&servers, &format!("box-office:{PASSWORD}")).build().expect("a lock"), "seat").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn user_and_password_are_those_that_were_given_where_urls_have_none() {
    let servers = guarded();
    use_it(&builder(&servers).credentials(Some("box-office"), PASSWORD).build().expect("a lock"), "seat").await;
    let theirs = by_url(&servers, &format!("box-office:{PASSWORD}")).credentials(Some("nobody"), WRONG);
    use_it(&theirs.build().expect("a lock"), "seat").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_without_a_user_is_that_of_the_default_user() {
    let servers = servers();
    for server in servers.iter() {
        send(server, &format!("ACL SETUSER default resetpass >{PASSWORD}"));
    }
    use_it(&builder(&servers).credentials(None, PASSWORD).build().expect("a lock"), "seat").await;
    use_it(&by_url(&servers, &format!(":{PASSWORD}")).build().expect("a lock"), "seat").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_not_let_in_is_told_so_by_each_server() {
    let servers = guarded();
    let locks = [
        by_url(&servers, &format!("box-office:{WRONG}")),
        by_url(&servers, &format!("{WRONG}:{PASSWORD}")),
        builder(&servers).credentials(Some("box-office"), WRONG),
        builder(&servers).credentials(None, PASSWORD),
        builder(&servers),
    ];
    for (number, lock) in locks.into_iter().enumerate() {
        let lock = lock.build().expect("a lock");
        // The first one connects, and those after it are told what that has met.
        for _ in 0..3 {
            let kinds = refusal_kinds(&lock).await;
            assert!(kinds.iter().all(|kind| *kind == RefusalKind::Authentication), "{number}: {kinds:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_that_is_changed_counts_from_the_next_connection_on() {
    let servers = guarded();
    let lock = by_url(&servers, &format!("box-office:{PASSWORD}")).build().expect("a lock");
    use_it(&lock, "seat").await;
    assert!(lock.shutdown(AT_MOST).await);
    for server in servers.iter() {
        send(server, &format!("ACL SETUSER box-office resetpass >{WRONG}"));
        send(server, "CLIENT KILL TYPE normal");
    }
    let kinds = refusal_kinds(&lock).await;
    assert!(kinds.iter().all(|kind| *kind == RefusalKind::Authentication), "{kinds:?}");
    for server in servers.iter() {
        send(server, &format!("ACL SETUSER box-office resetpass >{PASSWORD}"));
    }
    eventually("it is let in", async || attempt(&lock, "seat").await.is_ok()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn passwords_are_never_said() {
    let servers = guarded();
    let notes = Notes::new();
    for builder in [
        by_url(&servers, &format!("box-office:{PASSWORD}")),
        by_url(&servers, &format!("box-office:{WRONG}")),
        by_url(&servers, &format!("{WRONG}:{PASSWORD}")),
        builder(&servers).credentials(Some("box-office"), PASSWORD),
        builder(&servers).credentials(Some("box-office"), WRONG),
    ] {
        let builder = builder.observer(notes.clone());
        let mut texts = vec![debug(&builder)];
        let lock = builder.build().expect("a lock");
        texts.push(debug(&lock));
        match attempt(&lock, "seat").await {
            Ok(acquired) => {
                texts.push(debug(&acquired));
                let Attempt::Granted(leases) = acquired.attempt else { panic!("it is free") };
                texts.push(debug(&lock.release(leases).await));
            }
            Err(error) => texts.extend([chain(&error), debug(&error)]),
        }
        match soon("an answer", lock.acquire_each(&[key("seat")], LONG)).await {
            Ok(attempts) => texts.push(debug(&attempts)),
            Err(error) => texts.extend([chain(&error), debug(&error)]),
        }
        for node in soon("a check", lock.check()).await {
            texts.push(debug(&node));
            texts.extend(node.findings.iter().map(ToString::to_string));
        }
        texts.push(debug(&LockQueue::builder(Arc::new(lock.clone()), TestRuntime::current())));
        texts.push(debug(&LockQueue::builder(Arc::new(lock.clone()), TestRuntime::current()).build()));
        texts.push(debug(&lock));
        assert!(lock.shutdown(AT_MOST).await);
        for server in servers.iter() {
            send(server, "FLUSHALL");
        }
        assert_secret(&texts);
    }
    assert!(notes.count("down") > 0);
    assert_secret(&notes.all());
}

#[test]
fn what_is_wrong_with_a_url_is_said_without_its_password() {
    let tokio = tokio::runtime::Runtime::new().expect("a runtime");
    let _inside = tokio.enter();
    for url in [
        format!("http://box-office:{PASSWORD}@127.0.0.1"),
        format!("redis://box-office:{PASSWORD}@127.0.0.1:port"),
        format!("redis://box-office:{PASSWORD}@127.0.0.1/name"),
        format!("redis://box-office:{PASSWORD}@:6379"),
        format!("box-office:{PASSWORD}@127.0.0.1"),
        format!("rediss://box-office:{PASSWORD}@127.0.0.1/#insecure"),
    ] {
        let builder = Redlock::builder(TestRuntime::current()).node(url.as_str());
        let mut texts = vec![debug(&builder)];
        match builder.build() {
            Ok(lock) => texts.push(debug(&lock)),
            Err(error) => texts.extend([chain(&error), debug(&error)]),
        }
        assert_secret(&texts);
    }
    let twice = format!("redis://box-office:{PASSWORD}@127.0.0.1");
    let error = Redlock::builder(TestRuntime::current()).nodes([twice.as_str(); 2]).build().expect_err("twice");
    assert_secret(&[chain(&error), debug(&error)]);
}

/// The bytes, in every way in which somebody might print them.
fn spellings(bytes: &[u8]) -> Vec<String> {
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let list = format!("{bytes:?}").replace(['[', ']'], "");
    let lines = format!("{bytes:#?}").replace(['[', ']'], "").trim().to_owned();
    let escaped = bytes.escape_ascii().to_string();
    vec![hex.to_uppercase(), hex, list, lines, escaped, String::from_utf8_lossy(bytes).into_owned()]
}

/// Whoever knows a lock's value can give the lock back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_of_locks_are_never_said() {
    let servers = servers();
    let lock = open(&servers);
    let Ok(acquired) = attempt(&lock, "seat").await else { panic!("it is free") };
    let mut texts = vec![debug(&acquired)];
    let Attempt::Granted(mut leases) = acquired.attempt else { panic!("it is free") };
    let lease = leases.remove(0);
    texts.extend([debug(&lease), debug(lease.token()), debug(&lock)]);
    assert!(lock.shutdown(AT_MOST).await);
    let stored = send(&servers[0], "GET redlock:seat");
    assert_eq!(stored, String::from_utf8_lossy(lease.token().as_bytes()), "it is this value that counts");
    texts.push(debug(&attempt(&lock, "seat").await));
    // Most servers fail while it is held: the errors say which, and no more.
    servers[0].kill();
    servers[1].kill();
    let error = attempt(&lock, "seat").await.expect_err("no quorum");
    texts.extend([chain(&error), debug(&error)]);
    let error = lock.acquire_all(&[key("seat")], LONG).await.expect_err("no quorum");
    texts.extend([chain(&error), debug(&error)]);
    for spelling in spellings(lease.token().as_bytes()) {
        for text in &texts {
            assert!(!text.contains(&spelling), "{text}");
        }
    }
}

#[test]
fn a_refusal_says_the_code_alone() {
    let texts = [Refusal::from_code("WRONGPASS").to_string(), Refusal::from_code("NOAUTH").to_string()];
    assert_eq!(texts, ["WRONGPASS", "NOAUTH"]);
}
