//! Connections: one at a time for each node, and nobody waits for a node that does not answer.

use std::sync::Arc;

use ticket_reservation::adapters::redlock::{Finding, Redlock, Refusal, Vote};

use crate::common::scripted_redis::{Connecting, Fault, Redis, Servers, give_back, keys};
use crate::common::sim::{Sim, simulate};
use crate::common::world::{millis, seconds};
use crate::{TTL, leases, no_quorum, start_taking, take, votes};

/// Connects all nodes.
async fn warm_up(sim: &Sim, lock: &Redlock) {
    let warm = take(lock, &["warm"]).await;
    give_back(lock, warm).await;
    sim.sleep_for(millis(500)).await;
}

fn connects(redis: &Redis) -> usize {
    redis.counts().connects
}

#[test]
fn nothing_is_connected_before_it_is_used_and_then_once_for_all() {
    simulate(async |sim| {
        let servers = Servers::new(&sim, 3);
        servers.all.iter().for_each(|redis| {
            redis.connect_delay_ms(20);
        });
        let lock = servers.redlock();
        sim.sleep_for(seconds(1)).await;
        assert_eq!(connects(&servers.all[0]), 0);
        let all: Vec<_> = (0..20).map(|it| start_taking(&sim, &lock, &[&format!("seat {it}")])).collect();
        for started in all {
            give_back(&lock, leases(started.answer().await)).await;
        }
        sim.sleep_for(millis(1)).await;
        for redis in &servers.all {
            assert_eq!((connects(redis), redis.connections()), (1, 1));
        }
        servers.assert_nothing_left(&lock).await;
    });
}

#[test]
fn when_a_connection_ends_with_200_calls_in_flight_there_is_one_new_one_and_all_are_answered() {
    simulate(async |sim| {
        let servers = Servers::new(&sim, 3);
        let lock = servers.redlock();
        warm_up(&sim, &lock).await;
        servers.delays_ms([20, 20, 20]);
        let mut all = Vec::new();
        for number in 0..200 {
            all.push(start_taking(&sim, &lock, &[&format!("seat {number}")]));
            // Not all in one request.
            if number % 10 == 0 {
                sim.sleep_for(millis(1)).await;
            }
        }
        servers.delays_ms([0, 0, 0]);
        servers.all.iter().for_each(|redis| {
            redis.connect_delay_ms(5);
            redis.lose_connections();
        });
        for started in all {
            give_back(&lock, leases(started.answer().await)).await;
        }
        sim.sleep_for(millis(1)).await;
        for redis in &servers.all {
            assert_eq!((connects(redis), redis.counts().connecting_max, redis.connections()), (2, 1, 1));
        }
        assert_eq!(servers.seen.all(), Vec::<String>::new(), "nothing to report");
        servers.assert_nothing_left(&lock).await;
    });
}

#[test]
fn what_was_lost_twice_is_not_sent_a_third_time() {
    simulate(async |sim| {
        let servers = Servers::new(&sim, 1);
        let lock = servers.redlock();
        servers.all[0].faults([Fault::LostBefore, Fault::LostBefore]);
        let votes = no_quorum(lock.try_acquire(&keys(&["seat"]), TTL).await);
        assert_eq!(votes, [Vote::Unreachable(Arc::from("the connection has ended"))]);
        assert_eq!(servers.all[0].counts().acquisitions, 2);
        servers.assert_nothing_left(&lock).await;
    });
}

#[test]
fn a_node_is_never_connected_to_twice_at_once_whatever_happens_to_it() {
    simulate(async |sim| {
        let servers = Servers::new(&sim, 3);
        let lock = servers.redlock();
        let node = &servers.all[1];
        node.connect_delay_ms(30);
        for round in 0..60 {
            let how = [Connecting::Works, Connecting::Fails, Connecting::Hangs, Connecting::Works];
            node.connecting(how[round % 4]);
            let all = ["a", "b", "c"].map(|name| start_taking(&sim, &lock, &[name]));
            sim.sleep_for(millis(7 + round as u64 % 5)).await;
            node.lose_connections();
            sim.sleep_for(millis(60)).await;
            for started in all {
                give_back(&lock, leases(started.answer().await)).await;
            }
        }
        assert!(connects(node) > 5);
        assert_eq!(node.counts().connecting_max, 1);
    });
}

#[test]
fn a_silent_node_is_left_alone_after_it_was_found_to_be_silent() {
    simulate(async |sim| {
        let servers = Servers::new(&sim, 3);
        let lock = servers.redlock();
        warm_up(&sim, &lock).await;
        let (silent, slow) = (&servers.all[0], &servers.all[2]);
        silent.freeze();
        // The others are slow, so that who waited for the silent one would be seen.
        servers.all[1].delay_ms(10);
        slow.delay_ms(20);
        let started = sim.elapsed();
        let held = take(&lock, &["first"]).await;
        assert_eq!(sim.elapsed() - started, millis(20), "two of three answer");
        sim.sleep_for(millis(300)).await;
        assert_eq!(servers.seen.all(), ["a down"]);
        let asked = silent.counts().requests;
        for _ in 0..100 {
            let started = sim.elapsed();
            let held = take(&lock, &["seat"]).await;
            give_back(&lock, held).await;
            assert_eq!(sim.elapsed() - started, millis(40));
        }
        assert_eq!(silent.counts().requests, asked, "nothing was sent to it");
        assert!(connects(silent) <= 6, "{} attempts in 4 s", connects(silent));
        assert_eq!(silent.counts().connecting_max, 1);
        silent.thaw();
        sim.sleep_for(seconds(3)).await;
        // It is tried again with the next call.
        warm_up(&sim, &lock).await;
        give_back(&lock, held).await;
        servers.assert_nothing_left(&lock).await;
    });
}

#[test]
fn without_a_majority_each_call_ends_at_once_as_soon_as_the_nodes_are_known_to_be_silent() {
    simulate(async |sim| {
        let servers = Servers::new(&sim, 3);
        let lock = servers.redlock();
        warm_up(&sim, &lock).await;
        servers.all[..2].iter().for_each(|redis| {
            redis.freeze();
        });
        let started = sim.elapsed();
        no_quorum(lock.try_acquire(&keys(&["seat"]), TTL).await);
        assert_eq!(sim.elapsed() - started, millis(250));
        for _ in 0..50 {
            let votes = no_quorum(lock.try_acquire(&keys(&["seat"]), TTL).await);
            assert!(votes[..2].iter().all(|vote| matches!(vote, Vote::Unreachable(_))), "{votes:?}");
        }
        assert_eq!(sim.elapsed() - started, millis(250));
        servers.all.iter().for_each(|redis| redis.thaw());
        sim.sleep_for(seconds(3)).await;
        servers.assert_nothing_left(&lock).await;
    });
}

#[test]
fn a_node_that_answers_others_meanwhile_is_slow_and_not_silent() {
    simulate(async |sim| {
        let servers = Servers::new(&sim, 3);
        let lock = servers.redlock();
        warm_up(&sim, &lock).await;
        servers.delays_ms([0, 0, 240]);
        let first = take(&lock, &["first"]).await;
        servers.delays_ms([0, 0, 400]);
        sim.sleep_for(millis(200)).await;
        let second = take(&lock, &["second"]).await;
        sim.sleep_for(millis(600)).await;
        assert_eq!(servers.seen.all(), Vec::<String>::new());
        servers.delays_ms([0, 0, 0]);
        give_back(&lock, first).await;
        give_back(&lock, second).await;
        servers.assert_nothing_left(&lock).await;
    });
}

#[test]
fn a_node_that_is_back_takes_part_again() {
    simulate(async |sim| {
        let servers = Servers::new(&sim, 3);
        let lock = servers.redlock();
        warm_up(&sim, &lock).await;
        let node = &servers.all[1];
        node.connecting(Connecting::Fails).lose_connections();
        for _ in 0..20 {
            let held = take(&lock, &["seat"]).await;
            give_back(&lock, held).await;
            sim.sleep_for(millis(500)).await;
        }
        let attempts = connects(node);
        assert!((4..=10).contains(&attempts), "{attempts} attempts in 10 s: once in 2 s after a while");
        node.connecting(Connecting::Works);
        sim.sleep_for(seconds(2)).await;
        // Half open: this one tells it to try, and does not wait for it.
        let held = take(&lock, &["seat"]).await;
        give_back(&lock, held).await;
        sim.idle().await;
        assert_eq!(servers.seen.all(), ["b down", "b up"]);
        let acquisition = lock.try_acquire(&keys(&["seat"]), TTL).await.unwrap();
        sim.idle().await;
        assert_eq!(servers.keys(), [1, 1, 1]);
        assert!(votes(&acquisition.nodes).iter().all(|vote| matches!(vote, Vote::Granted | Vote::Pending)));
        give_back(&lock, leases(Ok(acquisition))).await;
        servers.assert_nothing_left(&lock).await;
    });
}

#[test]
fn nobody_waits_for_a_node_that_is_tried_again() {
    simulate(async |sim| {
        let servers = Servers::new(&sim, 3);
        let lock = servers.redlock();
        servers.all[0].connecting(Connecting::Fails);
        warm_up(&sim, &lock).await;
        servers.all[0].connecting(Connecting::Hangs);
        servers.all[1].connecting(Connecting::Fails).lose_connections();
        sim.sleep_for(seconds(3)).await;
        let started = sim.elapsed();
        no_quorum(lock.try_acquire(&keys(&["seat"]), TTL).await);
        sim.sleep_for(millis(10)).await;
        no_quorum(lock.try_acquire(&keys(&["seat"]), TTL).await);
        assert_eq!(sim.elapsed() - started, millis(10));
    });
}

#[test]
fn a_new_connection_is_not_blamed_for_what_was_asked_on_the_old_one() {
    simulate(async |sim| {
        let servers = Servers::new(&sim, 3);
        let lock = servers.redlock();
        warm_up(&sim, &lock).await;
        let node = &servers.all[2];
        // The connection is dead, and nobody says so.
        node.silence_connections();
        let first = take(&lock, &["first"]).await;
        sim.sleep_for(millis(200)).await;
        let second = take(&lock, &["second"]).await;
        sim.sleep_for(millis(160)).await;
        assert_eq!(servers.seen.all(), ["c down"]);
        let third = take(&lock, &["third"]).await;
        sim.idle().await;
        assert_eq!(servers.seen.all(), ["c down", "c up"]);
        // Now the second one finds that it was not answered.
        sim.sleep_for(millis(200)).await;
        assert_eq!(servers.seen.all(), ["c down", "c up"]);
        for held in [first, second, third] {
            give_back(&lock, held).await;
        }
        servers.assert_nothing_left(&lock).await;
    });
}

#[test]
fn a_node_whose_first_connection_took_long_is_not_blamed_for_that() {
    simulate(async |sim| {
        let servers = Servers::new(&sim, 3);
        let lock = servers.redlock();
        let far = &servers.all[2];
        far.connect_delay_ms(240).delay_ms(20);
        let held = take(&lock, &["seat"]).await;
        sim.sleep_for(millis(300)).await;
        assert_eq!(servers.seen.all(), Vec::<String>::new());
        assert_eq!(servers.keys(), [1, 1, 1]);
        give_back(&lock, held).await;
        servers.assert_nothing_left(&lock).await;
    });
}

#[test]
fn a_node_that_nobody_can_connect_to_is_told_about_once() {
    simulate(async |sim| {
        let servers = Servers::new(&sim, 3);
        servers.all[1].connecting(Connecting::Refused("NOAUTH"));
        let lock = servers.redlock();
        for _ in 0..10 {
            let held = take(&lock, &["seat"]).await;
            give_back(&lock, held).await;
            sim.sleep_for(seconds(1)).await;
        }
        assert_eq!(servers.seen.all(), ["b down"]);
        servers.assert_nothing_left(&lock).await;
    });
}

/// It accepts every connection, and ends it at the first request, or is silent on it.
#[test]
fn a_node_that_can_be_connected_to_and_is_good_for_nothing_is_left_alone() {
    for fault in [Fault::LostBefore, Fault::Ignored] {
        simulate(async |sim| {
            let servers = Servers::new(&sim, 3);
            let lock = servers.redlock();
            warm_up(&sim, &lock).await;
            let node = &servers.all[2];
            let (connected, started) = (connects(node), sim.elapsed());
            while sim.elapsed() - started < seconds(20) {
                node.faults(vec![fault.clone(); 10]);
                let held = take(&lock, &["seat"]).await;
                give_back(&lock, held).await;
                sim.sleep_for(millis(20)).await;
            }
            let attempts = connects(node) - connected;
            assert!((10..=24).contains(&attempts), "{attempts} in 20 s: once in 2 s after a while");
            let seen = servers.seen.all();
            assert_eq!(seen.last().map(String::as_str), Some("c down"), "{seen:?}");
            assert!(seen.len() <= 5, "it is not told about each time: {seen:?}");
            // It takes part again after its first answer.
            node.no_faults();
            sim.sleep_for(seconds(3)).await;
            for _ in 0..2 {
                let held = take(&lock, &["seat"]).await;
                give_back(&lock, held).await;
                sim.sleep_for(millis(500)).await;
            }
            assert_eq!(servers.seen.all().len(), seen.len() + 1);
            assert_eq!(servers.seen.all().last().map(String::as_str), Some("c up"));
            servers.assert_nothing_left(&lock).await;
        });
    }
}

#[test]
fn connections_that_end_after_an_answer_are_made_again_at_once_each_time() {
    simulate(async |sim| {
        let servers = Servers::new(&sim, 3);
        let lock = servers.redlock();
        for _ in 0..20 {
            warm_up(&sim, &lock).await;
            servers.all[2].lose_connections();
        }
        assert_eq!(connects(&servers.all[2]), 20);
        assert_eq!(servers.seen.all(), Vec::<String>::new());
    });
}

#[test]
fn a_client_that_panics_when_it_connects_is_a_node_that_is_down() {
    simulate(async |sim| {
        let servers = Servers::new(&sim, 3);
        servers.all[0].connecting(Connecting::Panics);
        let lock = servers.redlock();
        for _ in 0..10 {
            let held = take(&lock, &["seat"]).await;
            give_back(&lock, held).await;
            sim.idle().await;
        }
        assert_eq!((servers.seen.all(), sim.panics()), (vec!["a down".to_owned()], 1));
    });
}

#[test]
fn a_check_tries_nodes_that_are_left_alone_and_says_what_it_finds() {
    simulate(async |sim| {
        let servers = Servers::new(&sim, 4);
        let [fit, down, hangs, unfit] = &servers.all[..] else { unreachable!() };
        down.connecting(Connecting::Refused("NOAUTH"));
        hangs.connecting(Connecting::Hangs);
        let refusal = Refusal::from_code("NOAUTH");
        unfit.finds([Finding::Replica]);
        let lock = servers.redlock();
        for _ in 0..2 {
            let checks = lock.check().await;
            let findings: Vec<_> = checks.iter().map(|check| check.findings.clone()).collect();
            assert_eq!(
                findings,
                [
                    vec![],
                    vec![Finding::Refused(refusal.clone())],
                    vec![Finding::Unreachable(Arc::from("connecting took too long"))],
                    vec![Finding::Replica],
                ]
            );
            assert_eq!(checks[3].node.as_ref(), "d");
        }
        assert_eq!((connects(fit), connects(down), connects(hangs)), (1, 2, 2));
        down.connecting(Connecting::Works);
        assert_eq!(lock.check().await[1].findings, []);
        hangs.connecting(Connecting::Works).freeze();
        assert!(matches!(lock.check().await[2].findings[..], [Finding::Unreachable(_)]));
    });
}
