//! Releases that a node has missed: it is told when it is back.

use std::time::Duration;

use ticket_reservation::adapters::redlock::Redlock;
use ticket_reservation::ports::{Attempt, Extended, Lease, Lock, LockKey};

use crate::common::scripted_redis::{Connecting, Fault, Redis, Servers, give_back, keys};
use crate::common::sim::{Sim, poll_once, simulate};
use crate::common::world::{millis, seconds};
use crate::{TTL, retry_after, take, warm_up};

/// From now on nobody can connect to it; it forgets nothing.
fn cut_off(redis: &Redis) {
    redis.connecting(Connecting::Fails).lose_connections();
}

/// It can be connected to, and the next call makes someone try. Nobody waits for that.
async fn is_back(sim: &Sim, lock: &Redlock, redis: &Redis) {
    redis.connecting(Connecting::Works);
    sim.sleep_for(seconds(3)).await;
    let held = take(lock, &["back"]).await;
    sim.idle().await;
    give_back(lock, held).await;
    sim.idle().await;
}

/// The third one has the key, and cannot be reached.
async fn held_there(sim: &Sim, servers: &Servers, name: &str) -> (Redlock, Vec<Lease>) {
    let lock = servers.redlock();
    let held = take(&lock, &[name]).await;
    sim.idle().await;
    assert_eq!(servers.keys(), [1, 1, 1]);
    cut_off(&servers.all[2]);
    (lock, held)
}

#[test]
fn a_release_that_a_node_has_missed_is_made_when_it_is_back() {
    simulate(async |sim| {
        let servers = Servers::new(&sim, 3);
        let (lock, held) = held_there(&sim, &servers, "seat").await;
        give_back(&lock, held).await;
        assert!(lock.shutdown(seconds(1)).await, "nobody waits for a node that is down");
        assert_eq!(servers.keys(), [0, 0, 1]);
        is_back(&sim, &lock, &servers.all[2]).await;
        assert!(sim.elapsed() < TTL - seconds(1));
        servers.assert_nothing_left(&lock).await;
    });
}

/// It sets the key when it goes on, for a TTL that begins then.
#[test]
fn what_a_node_that_stood_still_past_the_ttl_sets_in_vain_is_deleted() {
    simulate(async |sim| {
        let servers = Servers::new(&sim, 3);
        let lock = servers.redlock();
        warm_up(&sim, &lock).await;
        let [a, b, c] = &servers.all[..] else { unreachable!() };
        [a, b].into_iter().for_each(|redis| redis.taken_by_another("seat", seconds(60)));
        c.freeze();
        retry_after(lock.try_acquire(&keys(&["seat", "beside"]), TTL).await);
        assert_eq!(goes_on_after(&sim, &lock, c, TTL * 3).await, ["beside", "seat"]);
        assert_eq!(c.keys(), [""; 0]);
    });
}

#[test]
fn what_is_held_while_a_node_stands_still_and_released_before_it_goes_on_does_not_stay_there() {
    for extensions in [0, 1, 9] {
        simulate(async |sim| {
            let servers = Servers::new(&sim, 3);
            let lock = servers.redlock();
            warm_up(&sim, &lock).await;
            servers.all[2].freeze();
            let mut held = take(&lock, &["seat", "beside"]).await;
            for _ in 0..extensions {
                sim.sleep_for(TTL / 3).await;
                assert_eq!(lock.extend(&mut held, TTL).await.unwrap(), [Extended::Extended; 2]);
            }
            give_back(&lock, held).await;
            // Released at once, it has the release behind the acquisition.
            let expected: &[&str] = if extensions == 0 { &[] } else { &["beside", "seat"] };
            assert_eq!(goes_on_after(&sim, &lock, &servers.all[2], TTL * 3).await, expected);
            servers.assert_nothing_left(&lock).await;
        });
    }
}

/// It goes on, and is reached again. Says what it has set by then.
async fn goes_on_after(sim: &Sim, lock: &Redlock, redis: &Redis, time: Duration) -> Vec<String> {
    sim.sleep_for(time).await;
    redis.thaw();
    let set = redis.keys();
    is_back(sim, lock, redis).await;
    set
}

#[test]
fn a_release_that_a_node_refuses_is_made_on_its_next_connection() {
    simulate(async |sim| {
        let servers = Servers::new(&sim, 3);
        let lock = servers.redlock();
        let held = take(&lock, &["seat"]).await;
        sim.idle().await;
        let node = &servers.all[2];
        node.refuses("NOPERM");
        give_back(&lock, held).await;
        sim.idle().await;
        assert_eq!(servers.keys(), [0, 0, 1]);
        node.refuses(None).lose_connections();
        let again = take(&lock, &["again"]).await;
        give_back(&lock, again).await;
        servers.assert_nothing_left(&lock).await;
        assert!(sim.elapsed() < TTL - seconds(1));
    });
}

#[test]
fn a_node_that_is_gone_for_long_is_owed_so_many_releases_at_most_and_the_oldest_are_left_to_the_ttl() {
    simulate(async |sim| {
        let servers = Servers::new(&sim, 3);
        let lock = servers.redlock();
        let names: Vec<LockKey> = (0..1_100).map(|number| LockKey::new(format!("{number:04}")).unwrap()).collect();
        let mut held = Vec::new();
        for attempt in lock.acquire_each(&names, TTL).await.unwrap() {
            match attempt {
                Attempt::Granted(lease) => held.push(lease),
                other => panic!("{other:?}"),
            }
        }
        sim.idle().await;
        cut_off(&servers.all[2]);
        for some in held.chunks(100) {
            give_back(&lock, some.to_vec()).await;
        }
        assert_eq!(servers.keys(), [0, 0, 1_100]);
        is_back(&sim, &lock, &servers.all[2]).await;
        let left: Vec<String> = (0..76).map(|number| format!("{number:04}")).collect();
        assert_eq!(servers.all[2].keys(), left);
        sim.sleep_for(TTL).await;
        servers.assert_nothing_left(&lock).await;
    });
}

#[test]
fn what_a_node_has_granted_in_vain_without_saying_so_is_given_back_when_it_is_back() {
    simulate(async |sim| {
        for delays in [[0, 0, 5], [5, 5, 0]] {
            let servers = Servers::new(&sim, 3);
            let lock = servers.redlock();
            let warm = take(&lock, &["warm"]).await;
            give_back(&lock, warm).await;
            sim.sleep_for(millis(50)).await;
            servers.delays_ms(delays);
            let [a, b, c] = &servers.all[..] else { unreachable!() };
            [a, b].into_iter().for_each(|redis| redis.taken_by_another("seat", seconds(3)));
            c.faults([Fault::LostAfter]).connecting(Connecting::Fails);
            retry_after(lock.try_acquire(&keys(&["seat"]), TTL).await);
            sim.sleep_for(millis(50)).await;
            assert_eq!(c.keys(), ["seat"]);
            is_back(&sim, &lock, c).await;
            servers.assert_nothing_left(&lock).await;
        }
    });
}

#[test]
fn what_is_held_is_not_taken_from_a_node_that_never_said_that_it_granted_it() {
    simulate(async |sim| {
        let servers = Servers::new(&sim, 3);
        let lock = servers.redlock();
        warm_up(&sim, &lock).await;
        let node = &servers.all[2];
        node.faults([Fault::LostAfter]).connecting(Connecting::Fails);
        let held = take(&lock, &["seat"]).await;
        sim.idle().await;
        assert_eq!(node.keys(), ["seat"]);
        is_back(&sim, &lock, node).await;
        assert_eq!(node.keys(), ["seat"]);
        give_back(&lock, held).await;
        servers.assert_nothing_left(&lock).await;
    });
}

#[test]
fn what_a_node_is_owed_is_not_forgotten_when_its_connection_ends_once_more() {
    for fault in [Fault::LostBefore, Fault::LostAfter, Fault::Refused("LOADING")] {
        simulate(async |sim| {
            let servers = Servers::new(&sim, 3);
            let (lock, held) = held_there(&sim, &servers, "seat").await;
            give_back(&lock, held).await;
            let node = &servers.all[2];
            // What comes first on the new connection.
            node.faults([fault.clone()]);
            is_back(&sim, &lock, node).await;
            if matches!(fault, Fault::Refused(_)) {
                assert_eq!(node.keys(), ["seat"], "nobody insists");
                node.lose_connections();
                let held = take(&lock, &["again"]).await;
                give_back(&lock, held).await;
                sim.idle().await;
            }
            assert!(sim.elapsed() < TTL - seconds(1));
            servers.assert_nothing_left(&lock).await;
        });
    }
}

#[test]
fn a_caller_who_goes_away_leaves_nothing_on_a_node_that_is_down_meanwhile() {
    simulate(async |sim| {
        let servers = Servers::new(&sim, 3);
        let (lock, held) = held_there(&sim, &servers, "seat").await;
        let mut releasing = lock.release(held);
        assert!(poll_once(&mut releasing).await.is_pending());
        drop(releasing);
        sim.idle().await;
        assert_eq!(servers.keys(), [0, 0, 1]);
        is_back(&sim, &lock, &servers.all[2]).await;
        assert!(sim.elapsed() < TTL - seconds(1));
        servers.assert_nothing_left(&lock).await;
    });
}
