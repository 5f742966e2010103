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
