//! Extensions: they release nothing, take nothing back, and heal what a minority has forgotten.

use ticket_reservation::adapters::redlock::Redlock;
use ticket_reservation::ports::{Extended, Lease, Lock, Released};

use crate::common::scripted_redis::{Connecting, Servers, give_back, keys};
use crate::common::sim::{Sim, poll_once, simulate};
use crate::common::world::{millis, seconds};
use crate::{TTL, leases, take};

async fn held_everywhere(sim: &Sim, lock: &Redlock, names: &[&str]) -> Vec<Lease> {
    let held = take(lock, names).await;
    sim.sleep_for(millis(10)).await;
    held
}

#[test]
fn an_extension_lets_the_key_live_on_every_node() {
    simulate(async |sim| {
        let servers = Servers::new(&sim, 3);
        let lock = servers.redlock();
        let mut held = held_everywhere(&sim, &lock, &["seat"]).await;
        sim.sleep_for(seconds(5)).await;
        assert_eq!(lock.extend(&mut held, seconds(20)).await.unwrap(), [Extended::Extended]);
        sim.idle().await;
        assert_eq!(held[0].deadline() - lock_now(&sim), seconds(20) - millis(202));
        assert!(servers.all.iter().all(|redis| redis.remaining("seat") == Some(seconds(20))));
        give_back(&lock, held).await;
        servers.assert_nothing_left(&lock).await;
    });
}

fn lock_now(sim: &Sim) -> std::time::Instant {
    ticket_reservation::ports::Clock::now(sim)
}

#[test]
fn what_a_minority_has_forgotten_is_set_again_after_the_majority_has_confirmed() {
    simulate(async |sim| {
        let servers = Servers::new(&sim, 3);
        let lock = servers.redlock();
        let mut held = held_everywhere(&sim, &lock, &["seat"]).await;
        servers.all[0].forget("seat");
        servers.delays_ms([0, 30, 30]);
        sim.sleep_for(seconds(1)).await;
        let extending = {
            let lock = lock.clone();
            sim.start(async move {
                let extended = lock.extend(&mut held, TTL).await.unwrap();
                (held, extended)
            })
        };
        sim.sleep_for(millis(10)).await;
        assert_eq!(
            (servers.all[0].counts().extensions, servers.keys()),
            (1, vec![0, 1, 1]),
            "nothing is confirmed yet"
        );
        let (held, extended) = extending.answer().await;
        assert_eq!(extended, [Extended::Extended]);
        sim.idle().await;
        assert_eq!(servers.keys(), [1, 1, 1]);
        let (healed, deadline) = (servers.all[0].remaining("seat").unwrap(), held[0].deadline() - lock_now(&sim));
        assert!(healed >= deadline && healed <= TTL - millis(30), "as long as elsewhere: {healed:?}");
        give_back(&lock, held).await;
        servers.assert_nothing_left(&lock).await;
    });
}

#[test]
fn what_a_straggler_has_forgotten_is_set_again_too() {
    simulate(async |sim| {
        let servers = Servers::new(&sim, 3);
        let lock = servers.redlock();
        let mut held = held_everywhere(&sim, &lock, &["seat"]).await;
        servers.all[2].forget("seat");
        servers.delays_ms([0, 0, 50]);
        assert_eq!(lock.extend(&mut held, TTL).await.unwrap(), [Extended::Extended]);
        assert!(lock.shutdown(seconds(1)).await);
        assert_eq!(servers.keys(), [1, 1, 1]);
        give_back(&lock, held).await;
        servers.assert_nothing_left(&lock).await;
    });
}

#[test]
fn a_lock_that_a_majority_has_forgotten_is_lost_and_not_taken_again() {
    simulate(async |sim| {
        let servers = Servers::new(&sim, 3);
        let lock = servers.redlock();
        let mut held = held_everywhere(&sim, &lock, &["seat"]).await;
        let deadline = held[0].deadline();
        servers.all[0].forget("seat");
        servers.all[1].forget("seat");
        sim.sleep_for(seconds(1)).await;
        assert_eq!(lock.extend(&mut held, TTL).await.unwrap(), [Extended::Lost]);
        assert!(lock.shutdown(seconds(1)).await);
        assert_eq!((held[0].deadline(), servers.keys()), (deadline, vec![0, 0, 1]), "and nothing is released");
        assert!(servers.all.iter().all(|redis| redis.counts().releases == 0));
    });
}

#[test]
fn a_lock_that_others_hold_is_lost_and_theirs_stays() {
    simulate(async |sim| {
        let servers = Servers::new(&sim, 3);
        let (lock, other) = (servers.redlock(), servers.redlock());
        let mut held = leases(lock.try_acquire(&keys(&["seat"]), seconds(1)).await);
        sim.sleep_for(seconds(1)).await;
        let theirs = take(&other, &["seat"]).await;
        sim.idle().await;
        assert_eq!(lock.extend(&mut held, TTL).await.unwrap(), [Extended::Lost]);
        assert_eq!(servers.keys(), [1, 1, 1]);
        give_back(&other, theirs).await;
        servers.assert_nothing_left(&other).await;
    });
}

#[test]
fn a_key_that_another_one_holds_on_a_minority_is_left_to_them() {
    simulate(async |sim| {
        let servers = Servers::new(&sim, 3);
        let lock = servers.redlock();
        servers.all[2].taken_by_another("seat", seconds(30));
        let mut held = held_everywhere(&sim, &lock, &["seat"]).await;
        assert_eq!(lock.extend(&mut held, TTL).await.unwrap(), [Extended::Extended]);
        assert!(lock.shutdown(seconds(1)).await);
        assert_eq!(servers.all[2].remaining("seat"), Some(seconds(30) - sim.elapsed()));
        give_back(&lock, held).await;
        assert_eq!(servers.keys(), [0, 0, 1]);
    });
}

#[test]
fn an_extension_that_too_few_answer_is_unknown_and_the_old_deadline_stands() {
    simulate(async |sim| {
        let servers = Servers::new(&sim, 3);
        let lock = servers.redlock();
        let mut held = held_everywhere(&sim, &lock, &["seat"]).await;
        let deadline = held[0].deadline();
        servers.all[0].freeze();
        servers.all[1].freeze();
        assert_eq!(lock.extend(&mut held, TTL).await.unwrap(), [Extended::Unknown]);
        assert_eq!(held[0].deadline(), deadline);
        servers.all.iter().for_each(|redis| redis.thaw());
        assert!(lock.shutdown(seconds(60)).await);
        assert_eq!(servers.keys(), [1, 1, 1], "and nothing is released");
    });
}

#[test]
fn a_node_that_forgot_while_the_others_are_silent_is_not_healed() {
    simulate(async |sim| {
        let servers = Servers::new(&sim, 3);
        let lock = servers.redlock();
        let mut held = held_everywhere(&sim, &lock, &["seat"]).await;
        servers.all[0].forget("seat");
        servers.all[1].freeze();
        assert_eq!(lock.extend(&mut held, TTL).await.unwrap(), [Extended::Unknown]);
        sim.sleep_for(millis(100)).await;
        assert_eq!(servers.all[0].counts().acquisitions, 1, "the first one alone");
        servers.all[1].thaw();
    });
}

#[test]
fn several_leases_are_extended_in_one_request_and_answered_in_order() {
    simulate(async |sim| {
        let servers = Servers::new(&sim, 3);
        let lock = servers.redlock();
        let mut held = held_everywhere(&sim, &lock, &["a", "b", "c"]).await;
        servers.all.iter().for_each(|redis| redis.forget("b"));
        let before = servers.all[0].counts().requests;
        let extended = lock.extend(&mut held, TTL).await.unwrap();
        assert_eq!(extended, [Extended::Extended, Extended::Lost, Extended::Extended]);
        assert_eq!(servers.all[0].counts().requests, before + 1);
        assert_eq!(lock.release(held).await.unwrap(), [Released::Released, Released::Expired, Released::Released]);
        servers.assert_nothing_left(&lock).await;
    });
}

#[test]
fn a_lease_that_is_released_while_it_is_healed_leaves_no_key() {
    for release_after_ms in 0..40 {
        simulate(async |sim| {
            let servers = Servers::new(&sim, 3);
            let lock = servers.redlock();
            let mut held = held_everywhere(&sim, &lock, &["seat"]).await;
            servers.all[0].forget("seat");
            servers.delays_ms([10, 10, 3]);
            assert_eq!(lock.extend(&mut held, TTL).await.unwrap(), [Extended::Extended]);
            if release_after_ms > 0 {
                sim.sleep_for(millis(release_after_ms - 1)).await;
            }
            give_back(&lock, held).await;
            servers.assert_nothing_left(&lock).await;
        });
    }
}

#[test]
fn a_lease_that_is_released_while_it_is_extended_leaves_no_key() {
    for release_after_ms in 0..40 {
        simulate(async |sim| {
            let servers = Servers::new(&sim, 3);
            let lock = servers.redlock();
            let held = held_everywhere(&sim, &lock, &["seat"]).await;
            servers.all[0].forget("seat");
            servers.delays_ms([10, 10, 3]);
            let mut extended = held.clone();
            let mut extending = Box::pin(lock.extend(&mut extended, TTL));
            assert!(poll_once(&mut extending).await.is_pending());
            sim.sleep_for(millis(release_after_ms)).await;
            // Whoever keeps it alive goes away, because the work is done.
            drop(extending);
            give_back(&lock, held).await;
            servers.assert_nothing_left(&lock).await;
        });
    }
}

#[test]
fn a_lease_that_is_released_when_its_heal_was_lost_on_the_way_leaves_no_key() {
    use crate::common::scripted_redis::Fault;
    simulate(async |sim| {
        let servers = Servers::new(&sim, 3);
        let lock = servers.redlock();
        let mut held = held_everywhere(&sim, &lock, &["seat"]).await;
        let forgetful = &servers.all[0];
        forgetful.forget("seat");
        servers.delays_ms([0, 5, 5]);
        assert_eq!(lock.extend(&mut held, TTL).await.unwrap(), [Extended::Extended]);
        // The extension is answered; the heal is done, and its answer gets lost.
        forgetful.faults([Fault::LostAfter]);
        sim.idle().await;
        assert_eq!((servers.keys(), forgetful.connections()), (vec![1, 1, 1], 0));
        give_back(&lock, held).await;
        servers.assert_nothing_left(&lock).await;
    });
}

#[test]
fn releasing_one_of_several_keys_does_not_undo_the_healing_of_another() {
    simulate(async |sim| {
        let servers = Servers::new(&sim, 3);
        let lock = servers.redlock();
        let mut held = held_everywhere(&sim, &lock, &["a", "b"]).await;
        servers.all[0].forget("a");
        servers.delays_ms([20, 0, 0]);
        assert_eq!(lock.extend(&mut held, TTL).await.unwrap(), [Extended::Extended; 2]);
        // The heal is on its way.
        sim.sleep_for(millis(25)).await;
        let b = held.split_off(1);
        give_back(&lock, b).await;
        assert!(lock.shutdown(seconds(1)).await);
        assert_eq!(servers.all[0].keys(), ["a"]);
        give_back(&lock, held).await;
        servers.assert_nothing_left(&lock).await;
    });
}

#[test]
fn a_heal_that_is_done_after_the_release_is_undone() {
    simulate(async |sim| {
        let servers = Servers::new(&sim, 3);
        let lock = servers.redlock();
        let mut held = held_everywhere(&sim, &lock, &["seat"]).await;
        servers.all[0].forget("seat");
        servers.delays_ms([0, 5, 5]);
        assert_eq!(lock.extend(&mut held, TTL).await.unwrap(), [Extended::Extended]);
        servers.all[0].freeze();
        // Someone else finds the node to be silent, and the release does not reach it.
        let other = take(&lock, &["other"]).await;
        sim.sleep_for(millis(300)).await;
        assert_eq!((servers.seen.all(), servers.all[0].counts().acquisitions), (vec!["a down".to_owned()], 3));
        let releases = servers.all[0].counts().releases;
        give_back(&lock, held).await;
        give_back(&lock, other).await;
        assert_eq!(servers.all[0].counts().releases, releases);
        servers.all[0].thaw();
        servers.assert_nothing_left(&lock).await;
    });
}

#[test]
fn a_heal_that_never_arrives_is_not_waited_for_for_ever() {
    simulate(async |sim| {
        let servers = Servers::new(&sim, 3);
        let lock = servers.redlock();
        let mut held = held_everywhere(&sim, &lock, &["seat"]).await;
        servers.all[0].forget("seat");
        servers.delays_ms([0, 5, 5]);
        assert_eq!(lock.extend(&mut held, TTL).await.unwrap(), [Extended::Extended]);
        servers.all[0].silence_connections();
        assert!(lock.shutdown(seconds(60)).await);
        assert!(sim.elapsed() < TTL + seconds(1));
    });
}

#[test]
fn a_node_that_is_gone_does_not_keep_an_extension_waiting() {
    simulate(async |sim| {
        let servers = Servers::new(&sim, 3);
        let lock = servers.redlock();
        let mut held = held_everywhere(&sim, &lock, &["seat"]).await;
        servers.all[1].connecting(Connecting::Hangs).lose_connections();
        let before = sim.elapsed();
        assert_eq!(lock.extend(&mut held, TTL).await.unwrap(), [Extended::Extended]);
        assert_eq!(sim.elapsed(), before);
        servers.all[1].connecting(Connecting::Works);
        sim.sleep_for(seconds(2)).await;
        assert_eq!(lock.extend(&mut held, TTL).await.unwrap(), [Extended::Extended]);
        sim.idle().await;
        give_back(&lock, held).await;
        servers.assert_nothing_left(&lock).await;
    });
}
