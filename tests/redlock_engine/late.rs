//! What nodes answer after the decision.

use std::task::Poll;

use ticket_reservation::ports::{Lock, Released};

use crate::common::scripted_redis::{Connecting, Fault, Servers, give_back, keys};
use crate::common::sim::{poll_once, simulate};
use crate::common::world::{millis, seconds};
use crate::{TTL, leases, no_quorum, retry_after, start_taking, take, warm_up};

#[test]
fn what_is_granted_late_to_a_holder_is_kept() {
    simulate(async |sim| {
        let servers = Servers::new(&sim, 3);
        servers.delays_ms([1, 1, 200]);
        let lock = servers.redlock();
        let held = take(&lock, &["seat"]).await;
        assert!(lock.shutdown(seconds(1)).await);
        assert_eq!(servers.keys(), [1, 1, 1]);
        assert_eq!(servers.all[2].counts().releases, 0);
        give_back(&lock, held).await;
        servers.assert_nothing_left(&lock).await;
    });
}

#[test]
fn what_is_granted_after_it_timed_out_is_kept_by_a_holder_too() {
    simulate(async |sim| {
        let servers = Servers::new(&sim, 3);
        let lock = servers.redlock();
        warm_up(&sim, &lock).await;
        servers.all[2].freeze();
        let held = take(&lock, &["seat"]).await;
        sim.sleep_for(seconds(1)).await;
        servers.all[2].thaw();
        sim.idle().await;
        assert_eq!(servers.keys(), [1, 1, 1]);
        give_back(&lock, held).await;
        servers.all[2].lose_connections();
    });
}

#[test]
fn what_is_granted_late_against_the_decision_is_given_back_on_the_connection_that_acquired() {
    simulate(async |sim| {
        let servers = Servers::new(&sim, 3);
        servers.delays_ms([1, 1, 100]);
        servers.all[..2].iter().for_each(|redis| redis.taken_by_another("seat", seconds(5)));
        let lock = servers.redlock();
        retry_after(lock.try_acquire(&keys(&["seat"]), TTL).await);
        sim.sleep_for(millis(100)).await;
        assert_eq!(servers.keys(), [1, 1, 1], "granted just now");
        assert!(lock.shutdown(seconds(1)).await);
        assert_eq!(servers.keys(), [1, 1, 0]);
        assert_eq!((servers.all[2].counts().releases, servers.all[2].counts().connects), (1, 1));
    });
}

#[test]
fn what_was_granted_against_the_decision_is_given_back_on_the_next_connection_if_its_own_has_ended() {
    simulate(async |sim| {
        let servers = Servers::new(&sim, 3);
        servers.all[..2].iter().for_each(|redis| redis.taken_by_another("seat", seconds(5)));
        servers.delays_ms([1, 1, 0]);
        let lock = servers.redlock();
        let warm = take(&lock, &["warm"]).await;
        give_back(&lock, warm).await;
        sim.sleep_for(millis(5)).await;
        // The first is the acquisition, the second what gives it back.
        servers.all[2].delay_ms(10).faults([]);
        let taking = start_taking(&sim, &lock, &["seat"]);
        sim.sleep_for(millis(5)).await;
        retry_after(taking.answer().await);
        sim.sleep_for(millis(5)).await;
        assert_eq!(servers.keys(), [1, 1, 1]);
        servers.all[2].faults([Fault::LostBefore]);
        assert!(lock.shutdown(seconds(1)).await);
        assert_eq!(servers.keys(), [1, 1, 0]);
        assert_eq!(servers.all[2].counts().connects, 2);
    });
}

#[test]
fn what_is_granted_after_it_was_released_is_given_back() {
    simulate(async |sim| {
        let servers = Servers::new(&sim, 3);
        let lock = servers.redlock();
        warm_up(&sim, &lock).await;
        servers.all[2].freeze();
        let held = take(&lock, &["seat"]).await;
        // The node is found to be silent, and left alone: the release does not reach it.
        sim.sleep_for(millis(300)).await;
        assert_eq!(servers.seen.all(), ["c down"]);
        assert_eq!(lock.release(held).await.unwrap(), [Released::Released]);
        sim.sleep_for(millis(100)).await;
        servers.all[2].thaw();
        servers.assert_nothing_left(&lock).await;
    });
}

#[test]
fn what_is_granted_on_a_new_connection_after_it_was_released_there_is_given_back() {
    simulate(async |sim| {
        let servers = Servers::new(&sim, 3);
        servers.all[2].freeze();
        let lock = servers.redlock();
        // The third is being connected to, and both the acquisition and the release wait for that.
        let held = take(&lock, &["seat"]).await;
        let mut releasing = lock.release(held);
        assert!(poll_once(&mut releasing).await.is_pending());
        servers.all[2].thaw();
        // The release overtakes.
        let node = &servers.all[2];
        let mut released = Poll::Pending;
        while node.counts().releases == 0 {
            assert!(released.is_pending() && node.counts().acquisitions == 0);
            sim.step().await;
            released = poll_once(&mut releasing).await;
        }
        assert_eq!(node.counts().acquisitions, 0);
        let released = match released {
            Poll::Ready(released) => released,
            Poll::Pending => releasing.await,
        };
        assert_eq!(released.unwrap(), [Released::Released]);
        servers.assert_nothing_left(&lock).await;
    });
}

#[test]
fn what_is_sent_again_after_it_was_released_is_given_back() {
    simulate(async |sim| {
        let servers = Servers::new(&sim, 3);
        let lock = servers.redlock();
        warm_up(&sim, &lock).await;
        let slow = &servers.all[2];
        slow.delay_ms(50);
        let held = take(&lock, &["seat"]).await;
        let mut releasing = lock.release(held);
        assert!(poll_once(&mut releasing).await.is_pending());
        sim.sleep_for(millis(10)).await;
        slow.delay_ms(0).freeze();
        slow.lose_connections();
        // Both are to be sent again when there is a new connection, and the release overtakes.
        sim.step().await;
        let _ = poll_once(&mut releasing).await;
        sim.idle().await;
        slow.thaw();
        sim.idle().await;
        servers.assert_nothing_left(&lock).await;
    });
}

#[test]
fn a_lock_that_was_lost_on_the_way_is_asked_for_once_more() {
    for fault in [Fault::LostBefore, Fault::LostAfter] {
        simulate(async |sim| {
            let servers = Servers::new(&sim, 1);
            let lock = servers.redlock();
            servers.all[0].faults([fault]);
            let held = take(&lock, &["seat"]).await;
            assert_eq!(servers.all[0].counts().acquisitions, 2);
            give_back(&lock, held).await;
            servers.assert_nothing_left(&lock).await;
        });
    }
}

#[test]
fn a_release_that_was_lost_on_the_way_is_sent_once_more() {
    for (fault, released) in [(Fault::LostBefore, Released::Released), (Fault::LostAfter, Released::Expired)] {
        simulate(async |sim| {
            let servers = Servers::new(&sim, 1);
            let lock = servers.redlock();
            let held = take(&lock, &["seat"]).await;
            servers.all[0].faults([fault]);
            assert_eq!(lock.release(held).await.unwrap(), [released]);
            servers.assert_nothing_left(&lock).await;
        });
    }
}

#[test]
fn a_frozen_node_does_not_keep_a_release_waiting() {
    simulate(async |sim| {
        let servers = Servers::new(&sim, 3);
        let lock = servers.redlock();
        let held = take(&lock, &["seat"]).await;
        sim.idle().await;
        servers.all[0].freeze();
        give_back(&lock, held).await;
        assert_eq!(sim.elapsed(), millis(0));
        assert!(!lock.shutdown(millis(100)).await, "the third release is still under way");
        servers.all[0].thaw();
        servers.assert_nothing_left(&lock).await;
    });
}

#[test]
fn what_goes_on_in_the_background_ends_although_a_node_never_answers() {
    simulate(async |sim| {
        let servers = Servers::new(&sim, 3);
        servers.delays_ms([1, 1, 10]);
        servers.all[..2].iter().for_each(|redis| redis.taken_by_another("seat", seconds(5)));
        let lock = servers.redlock();
        retry_after(lock.try_acquire(&keys(&["seat"]), TTL).await);
        sim.sleep_for(millis(10)).await;
        assert_eq!(servers.keys(), [1, 1, 1]);
        // The node has granted in vain, and what would give it back never arrives.
        servers.all[2].silence_connections();
        assert!(lock.shutdown(seconds(60)).await, "it is not waited for for ever");
        sim.sleep_for(seconds(60)).await;
        assert_eq!(sim.tasks(), 0);
        servers.assert_no_key();
    });
}

#[test]
fn shutdown_waits_for_what_is_under_way_and_no_longer_than_it_may() {
    simulate(async |sim| {
        let servers = Servers::new(&sim, 3);
        servers.delays_ms([1, 1, 200]);
        let lock = servers.redlock();
        assert!(lock.shutdown(millis(0)).await, "nothing was asked yet");
        let held = take(&lock, &["seat"]).await;
        assert!(!lock.shutdown(millis(50)).await);
        assert_eq!(sim.elapsed(), millis(51));
        assert!(lock.shutdown(seconds(5)).await);
        assert_eq!(sim.elapsed(), millis(200));
        give_back(&lock, held).await;
        servers.assert_nothing_left(&lock).await;
    });
}

#[test]
fn nobody_hears_of_a_quorum_that_could_not_be_and_nothing_stays() {
    simulate(async |sim| {
        let servers = Servers::new(&sim, 3);
        servers.delays_ms([1, 30, 60]);
        let lock = servers.redlock_with(|builder| builder.node_timeout(millis(20)));
        let votes = no_quorum(lock.try_acquire(&keys(&["seat"]), TTL).await);
        assert_eq!(sim.elapsed(), millis(20), "{votes:?}");
        servers.assert_nothing_left(&lock).await;
        // The two that were slow have granted, and were told to give it back.
        assert!(servers.all.iter().all(|redis| redis.counts().releases == 1));
    });
}

#[test]
fn a_node_that_cannot_be_reached_again_is_left_to_the_ttl() {
    simulate(async |sim| {
        let servers = Servers::new(&sim, 1);
        let lock = servers.redlock();
        servers.all[0].faults([Fault::LostAfter]).connecting(Connecting::Works);
        let warm = take(&lock, &["warm"]).await;
        give_back(&lock, warm).await;
        servers.all[0].faults([Fault::LostAfter]).connecting(Connecting::Fails);
        no_quorum(lock.try_acquire(&keys(&["seat"]), TTL).await);
        assert!(lock.shutdown(seconds(1)).await);
        assert_eq!(servers.keys(), [1]);
        sim.sleep_for(TTL).await;
        servers.assert_no_key();
    });
}

#[test]
fn a_lease_of_several_keys_that_is_released_in_part_is_cleaned_up_in_part() {
    simulate(async |sim| {
        let servers = Servers::new(&sim, 3);
        let lock = servers.redlock();
        warm_up(&sim, &lock).await;
        servers.all[2].freeze();
        let mut held = leases(lock.try_acquire(&keys(&["a", "b"]), TTL).await);
        sim.sleep_for(millis(300)).await;
        assert_eq!(servers.seen.all(), ["c down"]);
        let kept = held.split_off(1);
        give_back(&lock, held).await;
        servers.all[2].thaw();
        sim.idle().await;
        assert_eq!(servers.all[2].keys(), ["b"]);
        sim.sleep_for(seconds(1)).await;
        // The node comes back with the next that is asked of it.
        let _ = lock.release(Vec::new()).await;
        warm_up(&sim, &lock).await;
        give_back(&lock, kept).await;
        servers.assert_nothing_left(&lock).await;
    });
}
