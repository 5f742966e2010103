//! Callers that are ready at the same time are served together.

use ticket_reservation::ports::Lock;

use crate::common::scripted_redis::{Servers, give_back, keys};
use crate::common::sim::{poll_once, simulate};
use crate::common::world::{millis, seconds};
use crate::{TTL, leases, retry_after, start_taking, take, warm_up};

#[test]
fn those_who_ask_while_others_are_asked_for_come_in_one_request() {
    simulate(async |sim| {
        let servers = Servers::new(&sim, 3);
        servers.delays_ms([5, 5, 5]);
        let lock = servers.redlock();
        let busy = start_taking(&sim, &lock, &["busy"]);
        sim.idle().await;
        let names: Vec<String> = (0..50).map(|number| format!("seat {number}")).collect();
        let all: Vec<_> = names.iter().map(|name| start_taking(&sim, &lock, &[name])).collect();
        sim.idle().await;
        for redis in &servers.all {
            assert_eq!((redis.counts().requests, redis.counts().acquisitions), (2, 51));
        }
        for (name, started) in names.iter().zip(all) {
            let held = leases(started.answer().await);
            assert_eq!(held[0].key().as_str(), name);
            give_back(&lock, held).await;
        }
        give_back(&lock, leases(busy.answer().await)).await;
        servers.assert_nothing_left(&lock).await;
    });
}

#[test]
fn each_of_those_who_ask_together_gets_an_answer_of_its_own() {
    simulate(async |sim| {
        let servers = Servers::new(&sim, 3);
        servers.delays_ms([5, 5, 5]);
        let lock = servers.redlock();
        let busy = start_taking(&sim, &lock, &["busy"]);
        sim.idle().await;
        let [first, second, other] = ["seat", "seat", "other"].map(|name| start_taking(&sim, &lock, &[name]));
        let extending = {
            let lock = lock.clone();
            sim.start(async move { lock.extend(&mut [], TTL).await })
        };
        let held = leases(first.answer().await);
        assert!(retry_after(second.answer().await) <= TTL);
        assert_eq!(extending.answer().await.unwrap(), []);
        give_back(&lock, held).await;
        for started in [busy, other] {
            give_back(&lock, leases(started.answer().await)).await;
        }
        servers.assert_nothing_left(&lock).await;
    });
}

#[test]
fn who_asks_alone_is_not_kept_waiting_for_others() {
    simulate(async |sim| {
        let servers = Servers::new(&sim, 3);
        let lock = servers.redlock();
        warm_up(&sim, &lock).await;
        let before = servers.all[0].counts().requests;
        let names = keys(&["seat"]);
        let mut taking = Box::pin(lock.try_acquire(&names, TTL));
        assert!(poll_once(&mut taking).await.is_pending());
        assert_eq!(servers.all[0].counts().requests, before + 1, "sent with the first poll");
        let held = leases(taking.await);
        give_back(&lock, held).await;
    });
}

/// A future that is neither polled nor dropped, such as one that a `select!` looks at again later.
#[test]
fn a_caller_that_looks_away_does_not_keep_others_waiting() {
    for polls in 1..8 {
        simulate(async |sim| {
            let servers = Servers::new(&sim, 3);
            servers.delays_ms([5, 5, 5]);
            let lock = servers.redlock();
            let held = take(&lock, &["held"]).await;
            let busy = start_taking(&sim, &lock, &["busy"]);
            sim.idle().await;
            let names = keys(&["seat"]);
            let mut looks_away = Box::pin(lock.try_acquire(&names, TTL));
            let mut ready = poll_once(&mut looks_away).await;
            // It comes along, and cannot be served by someone who does not look.
            let other = start_taking(&sim, &lock, &["other"]);
            for _ in 1..polls {
                if ready.is_pending() {
                    sim.step().await;
                    ready = poll_once(&mut looks_away).await;
                }
            }
            let before = sim.elapsed();
            give_back(&lock, held).await;
            for started in [busy, other] {
                give_back(&lock, leases(started.answer().await)).await;
            }
            assert!(sim.elapsed() - before < seconds(1));
            drop(looks_away);
            servers.assert_nothing_left(&lock).await;
            let _ = millis(0);
        });
    }
}
