//! Servers that miss a release, and have forgotten nothing when they are back.

use super::down::{called_until, impatient};
use super::*;

#[derive(Debug, Clone, Copy)]
enum Gone {
    /// It stands still.
    Stopped,
    /// Its connections end, and it lets nobody in.
    Closed,
}

impl Gone {
    fn begin(self, server: &RedisServer) {
        match self {
            Self::Stopped => server.pause().expect("it stands still"),
            Self::Closed => {
                send(server, "ACL SETUSER default off");
                send(server, "CLIENT KILL TYPE normal");
            }
        }
    }

    fn end(self, server: &RedisServer) {
        match self {
            Self::Stopped => server.resume().expect("it goes on"),
            Self::Closed => drop(send(server, "ACL SETUSER default on")),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_that_a_server_has_missed_is_made_when_it_is_back() {
    for gone in [Gone::Stopped, Gone::Closed] {
        let (servers, notes) = (servers(), Notes::new());
        let lock = impatient(&servers, &notes);
        let lease = granted(&lock, "seat").await;
        assert!(lock.shutdown(AT_MOST).await);
        let server = &servers[0];
        assert!(has_key(server, "seat"));
        gone.begin(server);
        called_until(&lock, "it is known to be down", || notes.count_of("down", server) > 0).await;
        assert_eq!(release(&lock, lease).await, Released::Released);
        gone.end(server);
        // For an hour, if nobody told it.
        called_until(&lock, "it is told", || !has_key(server, "seat")).await;
        assert!(lock.shutdown(AT_MOST).await);
        eventually("nothing is left", async || keys(&servers).iter().all(Vec::is_empty)).await;
    }
}

/// It has a request to set a key, and sets it when it goes on: for a TTL that begins then.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stood_still_past_the_ttl_does_not_keep_what_nobody_wants_any_more() {
    // Longer than a server that answers needs.
    const TTL: Duration = Duration::from_secs(5);
    let (servers, notes) = (servers(), Notes::new());
    let lock = impatient(&servers, &notes);
    called_until(&lock, "it takes part", || servers[0].calls().unwrap().get("set") > Some(&0)).await;
    assert!(lock.shutdown(AT_MOST).await);
    for other in [&servers[1], &servers[2]] {
        assert_eq!(send(other, "SET redlock:refused foreign"), "OK");
    }
    let stopped = &servers[0];
    stopped.pause().expect("it stands still");
    let began = Instant::now();
    let refused = soon("an answer", lock.try_acquire(&[key("refused")], TTL)).await.expect("two say no");
    assert!(matches!(refused.attempt, Attempt::Contended { .. }));
    let taken = soon("an answer", lock.try_acquire(&[key("released")], TTL)).await.expect("two say yes");
    called_until(&lock, "it is left alone", || notes.count_of("down", stopped) > 0).await;
    // So this is not sent to it.
    let Attempt::Granted(leases) = taken.attempt else { panic!("not granted: {taken:?}") };
    assert_eq!(lock.release(leases).await.expect("an answer"), [Released::Released]);
    tokio::time::sleep_until((began + TTL + Duration::from_millis(100)).into()).await;
    stopped.resume().expect("it goes on");
    let sets = || stopped.calls().unwrap().get("set").copied().unwrap_or_default();
    eventually("it sets them", async || sets() >= 3).await;
    let theirs = ["redlock:refused", "redlock:released"];
    // From now on they do not end by themselves.
    for key in theirs {
        send(stopped, &format!("PERSIST {key}"));
    }
    called_until(&lock, "it is told", || stopped.keys().unwrap().iter().all(|key| !theirs.contains(&&**key))).await;
}
