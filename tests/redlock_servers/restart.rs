//! Servers that come back with nothing in their memory.

use ticket_reservation::adapters::redlock::Quarantine;

use super::*;

/// Longer than any of these servers has been up.
const AGES: Duration = Duration::from_secs(3_600);

/// Short enough to wait for.
const SHORT: Duration = Duration::from_secs(4);

async fn tried(lock: &Redlock, ttl: Duration) -> Result<Acquisition, RedlockError> {
    soon("an attempt", lock.try_acquire(&[key("seat")], ttl)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_that_have_just_started_do_not_count_in_quarantine() {
    let servers = servers();
    let lock = builder(&servers).quarantine(Quarantine::For(AGES)).build().expect("a lock");
    let said = no_quorum(&lock, "seat").await;
    assert!(said.iter().filter(|vote| **vote == Vote::Quarantined).count() >= 2, "{said:?}");
    assert_nothing_is_left(&lock, &servers).await;
    // Without, they count.
    use_it(&open(&servers), "seat").await;
}

/// Two hold the lock, one of them forgets it: with the third, that would be a majority for another one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_quarantine_a_server_that_has_forgotten_a_lock_grants_it_again() {
    let servers = servers();
    let lock = open(&servers);
    servers[0].kill();
    let _held = granted(&lock, "seat").await;
    assert!(lock.shutdown(AT_MOST).await);
    servers[0].restart().expect("it starts again");
    servers[1].restart().expect("it starts again");
    let other = builder(&servers).quarantine(Quarantine::Off).build().expect("a lock");
    let _theirs = granted(&other, "seat").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_quarantine_a_server_that_has_forgotten_a_lock_does_not_count_until_that_has_ended() {
    let servers = servers();
    let lock = builder(&servers).quarantine(Quarantine::For(SHORT)).build().expect("a lock");
    eventually("all of them count", async || match tried(&lock, SHORT).await {
        Ok(Acquisition { attempt: Attempt::Granted(leases), .. }) => {
            lock.release(leases).await.expect("an answer");
            true
        }
        _ => false,
    })
    .await;
    assert!(lock.shutdown(AT_MOST).await);
    servers[1].kill();
    servers[0].restart().expect("it starts again");
    // Its new life is seen when it is asked next.
    let Err(RedlockError::NoQuorum(error)) = tried(&lock, SHORT).await else {
        panic!("one counts, of two that answer")
    };
    assert_eq!(error.nodes()[0].vote, Vote::Quarantined, "{error}");
    eventually("it counts again", async || tried(&lock, SHORT).await.is_ok()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_quarantine_no_lock_is_longer_than_it() {
    let servers = servers();
    let lock = builder(&servers).quarantine(Quarantine::For(SHORT)).build().expect("a lock");
    let too_long = SHORT + Duration::from_millis(1);
    let answer = tried(&lock, too_long).await;
    assert!(matches!(answer, Err(RedlockError::InvalidTtl { max: SHORT, .. })), "{answer:?}");
    let (all, each) = (lock.acquire_all(&[key("a")], too_long).await, lock.acquire_each(&[key("a")], too_long).await);
    all.expect_err("too long");
    each.expect_err("too long");
    lock.extend(&mut [], too_long).await.expect_err("too long");
    for server in servers.iter() {
        assert_eq!(server.commands_processed().unwrap(), 0, "nobody was asked");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_server_that_has_forgotten_a_lock_gets_it_back_when_that_is_extended() {
    let servers = servers();
    let lock = open(&servers);
    let mut lease = granted(&lock, "seat").await;
    assert!(lock.shutdown(AT_MOST).await);
    servers[1].restart().expect("it starts again");
    assert_eq!(extend(&lock, &mut lease).await, Extended::Extended);
    assert!(lock.shutdown(AT_MOST).await);
    assert_eq!(keys(&servers), [["redlock:seat"]; 3]);
    assert_eq!(release(&lock, lease).await, Released::Released);
    assert_nothing_is_left(&lock, &servers).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_that_most_servers_have_forgotten_is_lost_and_not_made_again() {
    let servers = servers();
    let lock = open(&servers);
    let mut lease = granted(&lock, "seat").await;
    assert!(lock.shutdown(AT_MOST).await);
    servers[0].restart().expect("it starts again");
    servers[2].restart().expect("it starts again");
    assert_eq!(extend(&lock, &mut lease).await, Extended::Lost);
    assert!(lock.shutdown(AT_MOST).await);
    assert_eq!(keys(&servers), [vec![], vec!["redlock:seat".to_owned()], vec![]]);
}
