//! Nodes that have restarted, and may have forgotten locks.

use ticket_reservation::adapters::redlock::{Quarantine, Redlock, RedlockError, Vote};
use ticket_reservation::ports::{Extended, Lock, Runtime};

use crate::common::scripted_redis::{Servers, give_back, keys};
use crate::common::sim::simulate;
use crate::common::world::{millis, seconds};
use crate::{TTL, leases, no_quorum, retry_after, take, votes};

/// A lock over nodes that have been up for a minute.
fn quarantining(servers: &Servers) -> Redlock {
    servers.redlock_with(|builder| builder.quarantine(Quarantine::For(TTL)))
}

#[test]
fn without_quarantine_a_node_that_has_forgotten_everything_counts_at_once() {
    simulate(async |sim| {
        let servers = Servers::new(&sim, 3);
        let (here, there) = (servers.redlock(), servers.redlock());
        let held = take(&here, &["seat"]).await;
        sim.idle().await;
        servers.all[..2].iter().for_each(|redis| redis.restart(false));
        let theirs = take(&there, &["seat"]).await;
        assert_eq!(theirs.len() + held.len(), 2, "which is why there is a quarantine");
    });
}

#[test]
fn with_quarantine_a_lock_that_nodes_have_forgotten_is_not_granted_again_before_it_ends() {
    simulate(async |sim| {
        let servers = Servers::new(&sim, 3);
        sim.sleep(seconds(60)).await;
        let (here, there) = (quarantining(&servers), quarantining(&servers));
        let warm = take(&there, &["warm"]).await;
        give_back(&there, warm).await;
        let held = take(&here, &["seat"]).await;
        sim.idle().await;
        servers.all[..2].iter().for_each(|redis| redis.restart(false));
        while sim.elapsed() < seconds(60) + TTL - millis(200) {
            let votes = match there.try_acquire(&keys(&["seat"]), TTL).await {
                Err(RedlockError::NoQuorum(no_quorum)) => votes(no_quorum.nodes()),
                other => panic!("at {:?}: {other:?}", sim.elapsed()),
            };
            assert!(votes.contains(&Vote::Quarantined), "{votes:?}");
            sim.sleep_for(millis(100)).await;
        }
        assert!(held[0].deadline() < ticket_reservation::ports::Clock::now(&sim) + millis(200));
        sim.sleep_for(seconds(2)).await;
        let theirs = take(&there, &["seat"]).await;
        give_back(&there, theirs).await;
        servers.assert_nothing_left(&there).await;
    });
}

#[test]
fn what_a_quarantined_node_grants_in_vain_is_given_back() {
    simulate(async |sim| {
        let servers = Servers::new(&sim, 3);
        let lock = quarantining(&servers);
        assert_eq!(no_quorum(lock.try_acquire(&keys(&["seat"]), TTL).await)[0], Vote::Quarantined);
        servers.assert_nothing_left(&lock).await;
        sim.sleep_for(seconds(11)).await;
        let held = take(&lock, &["seat"]).await;
        give_back(&lock, held).await;
        servers.assert_nothing_left(&lock).await;
    });
}

#[test]
fn a_quarantined_node_keeps_what_a_majority_of_others_grants() {
    simulate(async |sim| {
        let servers = Servers::new(&sim, 3);
        sim.sleep(seconds(60)).await;
        servers.all[0].restart(false);
        servers.delays_ms([0, 5, 5]);
        let lock = quarantining(&servers);
        let acquisition = lock.try_acquire(&keys(&["seat"]), TTL).await.unwrap();
        assert_eq!(votes(&acquisition.nodes), [Vote::Quarantined, Vote::Granted, Vote::Granted]);
        sim.idle().await;
        assert_eq!(servers.keys(), [1, 1, 1]);
        give_back(&lock, leases(Ok(acquisition))).await;
        servers.assert_nothing_left(&lock).await;
    });
}

#[test]
fn a_quarantined_node_does_not_confirm_an_extension() {
    simulate(async |sim| {
        let servers = Servers::new(&sim, 3);
        sim.sleep(seconds(60)).await;
        let lock = quarantining(&servers);
        let mut held = take(&lock, &["seat"]).await;
        sim.idle().await;
        // It remembers, and nobody can know that.
        servers.all[0].restart(true);
        servers.all[1].refuses("OOM");
        assert_eq!(lock.extend(&mut held, TTL).await.unwrap(), [Extended::Unknown]);
        servers.all[1].refuses(None);
        assert_eq!(lock.extend(&mut held, TTL).await.unwrap(), [Extended::Extended]);
        give_back(&lock, held).await;
        servers.assert_nothing_left(&lock).await;
    });
}

#[test]
fn a_quarantined_node_that_says_held_counts() {
    simulate(async |sim| {
        let servers = Servers::new(&sim, 1);
        servers.all[0].taken_by_another("seat", seconds(3));
        let lock = quarantining(&servers);
        assert_eq!(retry_after(lock.try_acquire(&keys(&["seat"]), TTL).await), seconds(3));
        assert!(lock.shutdown(seconds(1)).await);
        sim.idle().await;
    });
}

#[test]
fn a_node_that_does_not_say_since_when_it_runs_has_started_just_now() {
    simulate(async |sim| {
        let servers = Servers::new(&sim, 1);
        servers.all[0].says_no_life();
        sim.sleep(seconds(600)).await;
        let lock = quarantining(&servers);
        assert_eq!(no_quorum(lock.try_acquire(&keys(&["seat"]), TTL).await), [Vote::Quarantined]);
        sim.sleep_for(TTL).await;
        let held = take(&lock, &["seat"]).await;
        give_back(&lock, held).await;
    });
}

#[test]
fn a_new_connection_to_the_same_process_is_no_restart() {
    simulate(async |sim| {
        let servers = Servers::new(&sim, 1);
        sim.sleep(seconds(60)).await;
        let lock = quarantining(&servers);
        let held = take(&lock, &["seat"]).await;
        servers.all[0].lose_connections();
        give_back(&lock, held).await;
        assert_eq!(servers.all[0].counts().connects, 2);
        let held = take(&lock, &["seat"]).await;
        give_back(&lock, held).await;
    });
}

#[test]
fn no_lock_lives_longer_than_a_quarantine() {
    simulate(async |sim| {
        let servers = Servers::new(&sim, 1);
        sim.sleep(seconds(60)).await;
        let lock = quarantining(&servers);
        let mut held = take(&lock, &["seat"]).await;
        let ttl = TTL + millis(1);
        match lock.try_acquire(&keys(&["other"]), ttl).await {
            Err(RedlockError::InvalidTtl { max, .. }) => assert_eq!(max, TTL),
            other => panic!("{other:?}"),
        }
        lock.acquire_each(&keys(&["other"]), ttl).await.unwrap_err();
        lock.extend(&mut held, ttl).await.unwrap_err();
        give_back(&lock, held).await;
        assert_eq!(servers.all[0].counts().acquisitions, 1);
    });
}

#[test]
fn a_quarantine_may_be_for_ever() {
    simulate(async |sim| {
        let servers = Servers::new(&sim, 1);
        let for_ever = Quarantine::For(std::time::Duration::MAX);
        let lock = servers.redlock_with(|builder| builder.quarantine(for_ever));
        assert_eq!(no_quorum(lock.try_acquire(&keys(&["seat"]), TTL).await), [Vote::Quarantined]);
        servers.assert_nothing_left(&lock).await;
    });
}
