//! Until when a lease holds, and answers that come too late.

use std::time::{Duration, Instant};

use ticket_reservation::adapters::redlock::{Drift, RedlockError};
use ticket_reservation::ports::{Clock, Extended, Lock};

use crate::common::scripted_redis::{Servers, give_back, keys};
use crate::common::sim::{Sim, poll_once, simulate};
use crate::common::world::{millis, seconds};
use crate::{TTL, leases, start_taking, take, warm_up};

fn at(start: Instant, since: Duration) -> Instant {
    start + since
}

/// Lets everything happen that others do, and not what this process does: it stands still from now until then.
async fn while_it_stands_still(sim: &Sim, duration: Duration) {
    sim.idle().await;
    sim.stand_still(duration);
}

#[test]
fn a_lease_ends_a_drift_before_its_ttl_has_passed_since_before_it_was_asked_for() {
    simulate(async |sim| {
        let servers = Servers::new(&sim, 3);
        servers.delays_ms([10, 50, 90]);
        let (lock, start) = (servers.redlock(), sim.now());
        let held = take(&lock, &["seat"]).await;
        // 1 % and 2 ms.
        assert_eq!(held[0].deadline(), at(start, TTL - millis(102)));
        let (mut held, start) = (held, sim.now());
        assert_eq!(lock.extend(&mut held, seconds(20)).await.unwrap(), [Extended::Extended]);
        assert_eq!(held[0].deadline(), at(start, seconds(20) - millis(202)));
        assert!(sim.now() > start, "the extension took time");
        give_back(&lock, held).await;
        servers.assert_nothing_left(&lock).await;
    });
}

#[test]
fn the_drift_is_the_hosts_choice() {
    simulate(async |sim| {
        let servers = Servers::new(&sim, 1);
        let drift = Drift { per_mille: 100, besides: millis(30) };
        let (lock, start) = (servers.redlock_with(|builder| builder.drift(drift)), sim.now());
        let held = take(&lock, &["seat"]).await;
        assert_eq!(held[0].deadline(), at(start, TTL - millis(1_030)));
        give_back(&lock, held).await;
    });
}

#[test]
fn a_lease_ends_before_its_key_does_on_any_node() {
    simulate(async |sim| {
        let servers = Servers::new(&sim, 3);
        servers.delays_ms([0, 40, 20]);
        let lock = servers.redlock();
        let held = take(&lock, &["seat"]).await;
        sim.sleep_for(millis(100)).await;
        let left = held[0].deadline() - sim.now();
        for redis in &servers.all {
            assert!(redis.remaining("seat").unwrap() > left, "{redis:?}");
        }
        give_back(&lock, held).await;
    });
}

#[test]
fn a_majority_that_answers_when_nothing_of_the_ttl_is_left_grants_nothing() {
    simulate(async |sim| {
        let servers = Servers::new(&sim, 3);
        let lock = servers.redlock();
        warm_up(&sim, &lock).await;
        servers.delays_ms([5, 5, 20]);
        let (keys, ttl) = (keys(&["seat"]), millis(100));
        let mut taking = Box::pin(lock.try_acquire(&keys, ttl));
        assert!(poll_once(&mut taking).await.is_pending());
        sim.sleep_for(millis(6)).await;
        // The answers are there, and this process looks at them 93 ms after it asked: exactly at the end.
        sim.stand_still(millis(91));
        match taking.await {
            Err(error @ RedlockError::TooLate { .. }) => {
                assert_eq!(error, RedlockError::TooLate { took: millis(97), ttl });
            }
            other => panic!("{other:?}"),
        }
        assert!(servers.keys()[..2] == [1, 1], "they have not ended by themselves");
        servers.assert_nothing_left(&lock).await;
        assert!(sim.elapsed() < millis(150));
    });
}

#[test]
fn a_lease_is_granted_up_to_its_last_moment() {
    simulate(async |sim| {
        let servers = Servers::new(&sim, 3);
        let lock = servers.redlock();
        let (keys, ttl) = (keys(&["seat"]), millis(100));
        let mut taking = Box::pin(lock.try_acquire(&keys, ttl));
        assert!(poll_once(&mut taking).await.is_pending());
        while_it_stands_still(&sim, millis(96)).await;
        let held = leases(taking.await);
        assert_eq!(held[0].deadline(), sim.now() + millis(1));
        give_back(&lock, held).await;
        servers.assert_nothing_left(&lock).await;
    });
}

#[test]
fn who_is_answered_when_the_lease_has_ended_is_not_granted_it() {
    simulate(async |sim| {
        let servers = Servers::new(&sim, 3);
        servers.delays_ms([5, 5, 5]);
        let lock = servers.redlock();
        // Two ask together. The answers come to the first, and the second looks at its own when it is too late.
        let busy = start_taking(&sim, &lock, &["busy"]);
        sim.idle().await;
        let leader = start_taking(&sim, &lock, &["first"]);
        sim.step().await;
        let (keys, ttl) = (keys(&["second"]), millis(500));
        let mut second = Box::pin(lock.try_acquire(&keys, ttl));
        assert!(poll_once(&mut second).await.is_pending());
        for started in [busy, leader] {
            give_back(&lock, leases(started.answer().await)).await;
        }
        sim.stand_still(ttl);
        match second.await {
            Err(RedlockError::TooLate { .. }) => {}
            other => panic!("{other:?}"),
        }
        servers.assert_nothing_left(&lock).await;
    });
}

#[test]
fn an_extension_that_is_confirmed_when_it_has_ended_is_none() {
    simulate(async |sim| {
        let servers = Servers::new(&sim, 3);
        servers.delays_ms([5, 5, 5]);
        let lock = servers.redlock();
        let mut held = take(&lock, &["seat"]).await;
        let old_deadline = held[0].deadline();
        {
            let mut extending = Box::pin(lock.extend(&mut held, TTL));
            assert!(poll_once(&mut extending).await.is_pending());
            sim.sleep_for(millis(6)).await;
            sim.stand_still(TTL);
            assert_eq!(extending.await.unwrap(), [Extended::Unknown]);
        }
        assert_eq!(held[0].deadline(), old_deadline);
    });
}

#[test]
fn answers_that_are_there_count_although_this_process_stood_still_past_their_time() {
    simulate(async |sim| {
        let servers = Servers::new(&sim, 3);
        servers.delays_ms([5, 5, 5]);
        let lock = servers.redlock();
        let keys = keys(&["seat"]);
        let mut taking = Box::pin(lock.try_acquire(&keys, TTL));
        assert!(poll_once(&mut taking).await.is_pending());
        sim.sleep_for(millis(6)).await;
        sim.stand_still(seconds(3));
        let held = leases(taking.await);
        assert_eq!(servers.seen.all(), Vec::<String>::new());
        give_back(&lock, held).await;
        servers.assert_nothing_left(&lock).await;
    });
}

#[test]
fn answers_that_are_read_a_little_after_this_process_stood_still_count_too() {
    simulate(async |sim| {
        let servers = Servers::new(&sim, 3);
        let lock = servers.redlock();
        let warm = take(&lock, &["warm"]).await;
        give_back(&lock, warm).await;
        servers.delays_ms([3_100, 3_100, 3_100]);
        let taking = start_taking(&sim, &lock, &["seat"]);
        sim.idle().await;
        sim.stand_still(seconds(3));
        let held = leases(taking.answer().await);
        assert_eq!(sim.elapsed(), millis(3_100));
        assert_eq!(servers.seen.all(), Vec::<String>::new(), "no node is to blame");
        servers.delays_ms([0, 0, 0]);
        give_back(&lock, held).await;
        servers.assert_nothing_left(&lock).await;
    });
}

#[test]
fn a_node_is_not_waited_for_twice_because_this_process_stood_still() {
    simulate(async |sim| {
        let servers = Servers::new(&sim, 1);
        let lock = servers.redlock();
        let warm = take(&lock, &["warm"]).await;
        give_back(&lock, warm).await;
        servers.all[0].freeze();
        let taking = start_taking(&sim, &lock, &["seat"]);
        sim.idle().await;
        sim.stand_still(seconds(1));
        crate::no_quorum(taking.answer().await);
        assert_eq!(sim.elapsed(), millis(1_125), "half the node's time more");
        servers.all[0].thaw();
        servers.assert_nothing_left(&lock).await;
    });
}

#[test]
fn a_ttl_of_which_nothing_useful_would_be_left_is_refused() {
    simulate(async |sim| {
        let servers = Servers::new(&sim, 1);
        let lock = servers.redlock();
        for ttl in [Duration::ZERO, millis(7), seconds(1_000 * 24 * 3_600)] {
            let error = lock.try_acquire(&keys(&["seat"]), ttl).await.unwrap_err();
            assert!(matches!(error, RedlockError::InvalidTtl { .. }), "{error:?}");
            assert!(lock.acquire_each(&keys(&["seat"]), ttl).await.is_err());
            assert!(lock.extend(&mut [], ttl).await.is_err());
        }
        assert_eq!(servers.all[0].counts().requests, 0);
        leases(lock.try_acquire(&keys(&["seat"]), millis(8)).await);
    });
}

#[test]
fn a_refused_ttl_is_never_within_the_bounds_that_are_told() {
    simulate(async |sim| {
        let servers = Servers::new(&sim, 1);
        for drift in [
            Drift::default(),
            Drift { per_mille: 500, besides: millis(2) },
            Drift { per_mille: 999, besides: millis(0) },
        ] {
            let lock = servers.redlock_with(|builder| builder.drift(drift));
            for ttl in (1..40).map(millis).chain([seconds(2), seconds(6)]) {
                if let Err(RedlockError::InvalidTtl { min, max, .. }) = lock.try_acquire(&keys(&["seat"]), ttl).await {
                    assert!(ttl < min || ttl > max, "{drift:?}: {ttl:?} is between {min:?} and {max:?}");
                    assert!(!matches!(
                        lock.try_acquire(&keys(&["other"]), min).await,
                        Err(RedlockError::InvalidTtl { .. })
                    ));
                }
            }
        }
    });
}
