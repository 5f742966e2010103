//! What a majority says, goes, and nobody waits for the rest.

use std::sync::Arc;

use ticket_reservation::adapters::redlock::{Refusal, Vote};
use ticket_reservation::ports::{Attempt, Extended, Lock, Released, Runtime};

use crate::common::scripted_redis::{Connecting, Fault, Servers, give_back, keys};
use crate::common::sim::simulate;
use crate::common::world::{millis, seconds};
use crate::{TTL, leases, no_quorum, retry_after, take, votes};

fn closed(why: &str) -> Vote {
    Vote::Unreachable(Arc::from(why))
}

fn refused(code: &str) -> Vote {
    Vote::Refused(Refusal::from_code(code))
}

#[test]
fn a_lock_is_granted_by_the_majority_without_waiting_for_the_slowest() {
    simulate(async |sim| {
        let servers = Servers::new(&sim, 3);
        servers.delays_ms([1, 5, 100]);
        let lock = servers.redlock();
        let acquisition = lock.try_acquire(&keys(&["seat"]), TTL).await.unwrap();
        assert_eq!(sim.elapsed(), millis(5));
        assert_eq!(votes(&acquisition.nodes), [Vote::Granted, Vote::Granted, Vote::Pending]);
        give_back(&lock, leases(Ok(acquisition))).await;
        assert_eq!(sim.elapsed(), millis(10));
        servers.assert_nothing_left(&lock).await;
    });
}

#[test]
fn contention_is_an_answer_as_soon_as_no_majority_can_grant() {
    simulate(async |sim| {
        let servers = Servers::new(&sim, 5);
        servers.delays_ms([1, 2, 3, 100, 100]);
        servers.all[..3].iter().for_each(|redis| redis.taken_by_another("seat", seconds(3)));
        let lock = servers.redlock();
        let retry_after = retry_after(lock.try_acquire(&keys(&["seat"]), TTL).await);
        assert_eq!((sim.elapsed(), retry_after), (millis(3), seconds(3) - millis(1)));
        assert!(lock.shutdown(seconds(1)).await);
        assert_eq!(servers.keys(), [1, 1, 1, 0, 0], "what was granted late is given back");
    });
}

#[test]
fn an_extension_is_decided_by_the_majority_without_waiting_for_the_slowest() {
    simulate(async |sim| {
        let servers = Servers::new(&sim, 3);
        servers.delays_ms([1, 5, 100]);
        let lock = servers.redlock();
        let mut leases = take(&lock, &["seat"]).await;
        let before = sim.elapsed();
        assert_eq!(lock.extend(&mut leases, TTL).await.unwrap(), [Extended::Extended]);
        assert_eq!(sim.elapsed() - before, millis(5));
        give_back(&lock, leases).await;
        servers.assert_nothing_left(&lock).await;
    });
}

#[test]
fn a_minority_is_never_enough() {
    for (nodes, granting) in [(2, 1), (3, 1), (4, 2), (5, 2), (6, 3), (7, 3)] {
        simulate(async |sim| {
            let servers = Servers::new(&sim, nodes);
            servers.all[granting..].iter().for_each(|redis| {
                redis.connecting(Connecting::Fails);
            });
            let lock = servers.redlock();
            let votes = no_quorum(lock.try_acquire(&keys(&["seat"]), TTL).await);
            let granted = votes.iter().filter(|vote| **vote == Vote::Granted).count();
            // Decided when too many have failed, of which the others need not have spoken.
            assert!(granted <= granting, "{votes:?}");
            servers.assert_nothing_left(&lock).await;
        });
    }
}

#[test]
fn a_bare_majority_is_enough() {
    for (nodes, granting) in [(1, 1), (2, 2), (3, 2), (4, 3), (5, 3), (6, 4), (7, 4)] {
        simulate(async |sim| {
            let servers = Servers::new(&sim, nodes);
            servers.all[granting..].iter().for_each(|redis| {
                redis.connecting(Connecting::Fails);
            });
            let lock = servers.redlock();
            assert_eq!(lock.quorum(), granting);
            let leases = take(&lock, &["seat"]).await;
            give_back(&lock, leases).await;
            servers.assert_nothing_left(&lock).await;
        });
    }
}

#[test]
fn who_finds_no_quorum_is_told_what_each_node_said() {
    simulate(async |sim| {
        let servers = Servers::new(&sim, 7);
        let [_, fails, frozen, nopass, readonly, full, denies] = &servers.all[..] else { unreachable!() };
        fails.connecting(Connecting::Fails);
        nopass.connecting(Connecting::Refused("WRONGPASS"));
        readonly.refuses("READONLY");
        full.refuses("OOM");
        denies.faults([Fault::Refused("NOPERM")]);
        let lock = servers.redlock();
        // All are connected, except for those who cannot be.
        servers.all[0].taken_by_another("warm", seconds(1));
        let _ = lock.try_acquire(&keys(&["warm"]), TTL).await;
        sim.idle().await;
        frozen.freeze();
        denies.faults([Fault::Refused("NOPERM")]);
        servers.delays_ms([0, 0, 0, 0, 300, 300, 300]);
        let lock = servers.redlock_with(|builder| builder.node_timeout(millis(400)).connect_timeout(millis(50)));
        let error = lock.try_acquire(&keys(&["seat"]), TTL).await.unwrap_err();
        let text = error.to_string();
        let votes = no_quorum(Err(error));
        assert_eq!(
            votes[..5],
            [
                Vote::Granted,
                closed("nobody listens"),
                closed("connecting took too long"),
                refused("WRONGPASS"),
                refused("READONLY"),
            ]
        );
        assert!(
            text.starts_with("no quorum of 7 nodes: a granted, b cannot be reached (nobody listens), c "),
            "{text}"
        );
        frozen.thaw();
        assert!(lock.shutdown(seconds(60)).await);
    });
}

#[test]
fn each_way_of_a_server_to_say_no_is_told_apart() {
    for code in ["READONLY", "OOM", "NOPERM", "NOAUTH"] {
        for whole in [false, true] {
            simulate(async |sim| {
                let servers = Servers::new(&sim, 1);
                if whole {
                    servers.all[0].faults([Fault::Refused(code)]);
                } else {
                    servers.all[0].refuses(code);
                }
                let lock = servers.redlock();
                assert_eq!(no_quorum(lock.try_acquire(&keys(&["seat"]), TTL).await), [refused(code)]);
                servers.assert_nothing_left(&lock).await;
            });
        }
    }
}

#[test]
fn a_node_that_does_not_answer_has_timed_out() {
    simulate(async |sim| {
        let servers = Servers::new(&sim, 1);
        let lock = servers.redlock_with(|builder| builder.node_timeout(millis(80)));
        let warm = take(&lock, &["warm"]).await;
        give_back(&lock, warm).await;
        servers.all[0].freeze();
        assert_eq!(no_quorum(lock.try_acquire(&keys(&["seat"]), TTL).await), [Vote::TimedOut]);
        assert_eq!(sim.elapsed(), millis(80));
        servers.all[0].thaw();
        servers.assert_nothing_left(&lock).await;
    });
}

#[test]
fn a_node_has_a_quarter_of_the_ttl_at_most() {
    simulate(async |sim| {
        let servers = Servers::new(&sim, 1);
        let lock = servers.redlock();
        servers.all[0].delay_ms(30);
        let tried = lock.try_acquire(&keys(&["seat"]), millis(100)).await;
        assert_eq!(no_quorum(tried), [Vote::TimedOut]);
        assert_eq!(sim.elapsed(), millis(25));
        servers.assert_nothing_left(&lock).await;
    });
}

#[test]
fn others_who_hold_it_are_contention_and_too_few_answers_are_a_failure() {
    simulate(async |sim| {
        let servers = Servers::new(&sim, 3);
        let [held, other, gone] = &servers.all[..] else { unreachable!() };
        held.taken_by_another("seat", seconds(3));
        gone.connecting(Connecting::Fails);
        let lock = servers.redlock();
        // Two of three answer, and one of them says no: as long as it does nobody can have it.
        assert_eq!(retry_after(lock.try_acquire(&keys(&["seat"]), TTL).await), seconds(3));
        assert!(lock.shutdown(seconds(1)).await);
        other.refuses("OOM");
        let votes = no_quorum(lock.try_acquire(&keys(&["seat"]), TTL).await);
        assert!(matches!(votes[..], [Vote::Held { .. }, Vote::Refused(_), Vote::Unreachable(_)]), "{votes:?}");
        assert!(lock.shutdown(seconds(1)).await);
        assert_eq!(servers.keys(), [1, 0, 0]);
    });
}

#[test]
fn a_split_vote_is_contention_and_leaves_nothing() {
    simulate(async |sim| {
        let servers = Servers::new(&sim, 4);
        for (redis, seconds_left) in servers.all.iter().zip([9, 1]) {
            redis.taken_by_another("seat", seconds(seconds_left));
        }
        let lock = servers.redlock();
        let retry_after = retry_after(lock.try_acquire(&keys(&["seat"]), TTL).await);
        assert_eq!(retry_after, seconds(9), "decided before the last has spoken, who may say no as well");
        assert!(lock.shutdown(seconds(1)).await);
        assert_eq!(servers.keys(), [1, 1, 0, 0]);
    });
}

#[test]
fn a_foreign_lock_without_an_end_is_contention() {
    simulate(async |sim| {
        let servers = Servers::new(&sim, 1);
        servers.all[0].taken_by_another("seat", None);
        let lock = servers.redlock();
        let acquisition = lock.try_acquire(&keys(&["seat"]), TTL).await.unwrap();
        assert_eq!(votes(&acquisition.nodes), [Vote::Held { remaining: None }]);
        assert!(retry_after(Ok(acquisition)) >= seconds(3_600));
        assert!(lock.shutdown(seconds(1)).await);
    });
}

#[test]
fn all_keys_are_taken_or_none_on_every_node() {
    simulate(async |sim| {
        let servers = Servers::new(&sim, 3);
        let lock = servers.redlock();
        let held = take(&lock, &["b"]).await;
        retry_after(lock.try_acquire(&keys(&["a", "b", "c"]), TTL).await);
        assert!(lock.shutdown(seconds(1)).await);
        assert_eq!(servers.keys(), [1, 1, 1]);
        give_back(&lock, held).await;
        let leases = take(&lock, &["a", "b", "c"]).await;
        let names: Vec<&str> = leases.iter().map(|lease| lease.key().as_str()).collect();
        assert_eq!(names, ["a", "b", "c"]);
        assert_eq!(servers.keys(), [3, 3, 3]);
        give_back(&lock, leases).await;
        servers.assert_nothing_left(&lock).await;
    });
}

#[test]
fn each_key_is_answered_for_in_order_and_in_one_request() {
    simulate(async |sim| {
        let servers = Servers::new(&sim, 3);
        let lock = servers.redlock();
        let held = take(&lock, &["b", "d"]).await;
        sim.idle().await;
        let before = servers.all[0].counts().requests;
        let attempts = lock.acquire_each(&keys(&["a", "b", "c", "d", "e"]), TTL).await.unwrap();
        assert_eq!(servers.all[0].counts().requests, before + 1);
        let mut granted = Vec::new();
        for (name, attempt) in ["a", "b", "c", "d", "e"].iter().zip(attempts) {
            match attempt {
                Attempt::Granted(lease) if ["a", "c", "e"].contains(name) => {
                    assert_eq!(lease.key().as_str(), *name);
                    granted.push(lease);
                }
                Attempt::Contended { .. } if ["b", "d"].contains(name) => {}
                other => panic!("{name}: {other:?}"),
            }
        }
        granted.extend(held);
        give_back(&lock, granted).await;
        servers.assert_nothing_left(&lock).await;
    });
}

#[test]
fn when_one_of_several_keys_cannot_be_decided_the_others_are_given_back() {
    simulate(async |sim| {
        let servers = Servers::new(&sim, 3);
        // On the second node, nobody but the holder of `b` answers about anything.
        servers.all[0].taken_by_another("b", seconds(1));
        servers.all[1].connecting(Connecting::Fails);
        servers.all[2].connecting(Connecting::Fails);
        let lock = servers.redlock();
        let error = lock.acquire_each(&keys(&["a", "b"]), TTL).await.unwrap_err();
        assert!(std::error::Error::source(&error).unwrap().to_string().starts_with("no quorum of 3"), "{error:?}");
        assert!(lock.shutdown(seconds(1)).await);
        assert_eq!(servers.all[0].keys(), ["b"]);
    });
}

#[test]
fn a_release_says_what_became_of_the_lease() {
    simulate(async |sim| {
        let servers = Servers::new(&sim, 3);
        let lock = servers.redlock();
        let held = leases(lock.try_acquire(&keys(&["a", "b", "c"]), seconds(1)).await);
        let [a, b, c] = &held[..] else { panic!("{held:?}") };
        assert_eq!(lock.release(vec![a.clone()]).await.unwrap(), [Released::Released]);
        assert_eq!(lock.release(vec![a.clone()]).await.unwrap(), [Released::Expired]);
        sim.sleep(seconds(1)).await;
        let other = servers.redlock();
        let theirs = take(&other, &["b"]).await;
        assert_eq!(lock.release(vec![b.clone(), c.clone()]).await.unwrap(), [Released::NotOwner, Released::Expired]);
        assert_eq!(servers.keys(), [1, 1, 1], "theirs is untouched");
        servers.all[1..].iter().for_each(|redis| {
            redis.refuses("NOPERM");
        });
        assert_eq!(other.release(theirs).await.unwrap(), [Released::Unknown]);
    });
}

#[test]
fn processes_exclude_each_other() {
    simulate(async |sim| {
        let servers = Servers::new(&sim, 3);
        let (here, there) = (servers.redlock(), servers.redlock());
        let held = take(&here, &["seat"]).await;
        retry_after(there.try_acquire(&keys(&["seat"]), TTL).await);
        give_back(&here, held).await;
        let held = take(&there, &["seat"]).await;
        retry_after(here.try_acquire(&keys(&["seat"]), TTL).await);
        give_back(&there, held).await;
        servers.assert_nothing_left(&here).await;
    });
}
