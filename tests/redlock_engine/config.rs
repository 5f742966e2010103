//! What a lock can be made of, and what is never printed.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use ticket_reservation::adapters::redlock::redis::Client;
use ticket_reservation::adapters::redlock::{Drift, InvalidConfig, Redlock, RedlockBuilder};
use ticket_reservation::ports::Lock;

use crate::common::scripted_redis::{Connecting, Redis, Servers, keys};
use crate::common::sim::{Sim, simulate};
use crate::common::world::{millis, seconds};
use crate::{TTL, take};

fn builder(sim: &Sim) -> RedlockBuilder {
    Redlock::builder(Arc::new(sim.clone()))
}

#[test]
fn a_lock_needs_a_node() {
    simulate(async |sim| {
        assert_eq!(builder(&sim).build().unwrap_err(), InvalidConfig::NoNodes);
    });
}

#[test]
fn a_node_that_is_given_twice_would_vote_twice() {
    simulate(async |sim| {
        let twice = |first: &str, second: &str| builder(&sim).node(first).node(second).build().map(|_| ());
        let duplicate = |name: &str| Err(InvalidConfig::Duplicate(Arc::from(name)));
        assert_eq!(twice("redis://localhost", "redis://localhost:6379"), duplicate("localhost:6379"));
        assert_eq!(twice("redis://a:1", "redis://user:secret@a:1/"), duplicate("a:1"));
        assert_eq!(twice("redis://a:1", "redis://a:2"), Ok(()));
        let client = Client::open("redis://a:1").unwrap();
        assert_eq!(builder(&sim).node("redis://a:1").client(&client).build().map(|_| ()), duplicate("a:1"));
        let server: Arc<Redis> = Arc::new(Redis::new(&sim, "a"));
        assert_eq!(builder(&sim).server(server.clone()).server(server).build().map(|_| ()), duplicate("a"));
    });
}

#[test]
fn databases_of_one_server_are_one_node() {
    simulate(async |sim| {
        let built = builder(&sim).nodes(["redis://a:1/0", "redis://a:1/1"]).build();
        assert!(matches!(built, Err(InvalidConfig::Duplicate(_))), "{built:?}");
    });
}

#[test]
fn tls_without_verification_is_refused() {
    simulate(async |sim| {
        let url = "rediss://user:secret@a:1/#insecure";
        let refused = InvalidConfig::UnverifiedTls { node: 2 };
        assert_eq!(builder(&sim).node("redis://b:1").node(url).build().unwrap_err(), refused);
        let client = Client::open(url).unwrap();
        let error = builder(&sim).node("redis://b:1").client(&client).build().unwrap_err();
        assert_eq!(error, refused);
        assert!(error.to_string().contains("build_with_tls"), "{error}");
        assert!(builder(&sim).node("rediss://a:1").build().is_ok());
    });
}

#[test]
fn a_bad_url_is_refused_and_not_repeated() {
    simulate(async |sim| {
        for url in ["http://user:secret@a", "redis://user:secret@a:port", "secret", "redis://user:secret@a/secret", ""]
        {
            let error = builder(&sim).node("redis://b:1").node(url).build().unwrap_err();
            assert!(matches!(error, InvalidConfig::Url { node: 2, .. }), "{error:?}");
            let text = format!("{error} {error:?}");
            assert!(!text.contains("secret") && !text.contains("user"), "{text}");
        }
    });
}

#[test]
fn a_key_prefix_has_a_bound() {
    simulate(async |sim| {
        let with = |length| builder(&sim).node("redis://a:1").key_prefix("p".repeat(length)).build();
        assert!(with(256).is_ok());
        assert_eq!(with(257).unwrap_err(), InvalidConfig::KeyPrefix);
    });
}

#[test]
fn a_key_has_its_prefix_on_every_node() {
    simulate(async |sim| {
        let servers = Servers::new(&sim, 1);
        for (lock, expected) in [
            (servers.redlock_with(|builder| builder.key_prefix("redlock:")), "redlock:seat"),
            (servers.redlock(), "seat"),
        ] {
            let held = take(&lock, &["seat"]).await;
            assert_eq!(servers.all[0].keys(), [expected]);
            lock.release(held).await.unwrap();
        }
    });
}

#[test]
fn a_drift_of_any_size_is_no_reason_to_panic() {
    simulate(async |sim| {
        let servers = Servers::new(&sim, 1);
        for drift in [
            Drift { per_mille: u32::MAX, besides: Duration::MAX },
            Drift { per_mille: 0, besides: Duration::MAX },
            Drift { per_mille: 1_000, besides: Duration::ZERO },
        ] {
            let lock = servers.redlock_with(|builder| builder.drift(drift));
            lock.try_acquire(&keys(&["seat"]), TTL).await.unwrap_err();
        }
    });
}

/// All that a text may say about something: what a person reads, and what a programmer does.
fn texts(error: &(impl Error + 'static)) -> String {
    let mut text = format!("{error} {error:?} {error:#?}");
    let mut source = error.source();
    while let Some(inner) = source {
        text += &format!(" {inner} {inner:?}");
        source = inner.source();
    }
    text
}

fn assert_no_secret(text: &str) {
    for secret in ["secret", "alice"] {
        assert!(!text.contains(secret), "{text}");
    }
}

#[test]
fn credentials_are_never_printed() {
    simulate(async |sim| {
        let client = Client::open("redis://alice:secret@c:1").unwrap();
        let builder = builder(&sim)
            .node("redis://alice:secret@a:1")
            .node("rediss://alice:secret@b:1")
            .client(&client)
            .credentials(Some("alice"), "secret");
        assert_no_secret(&format!("{builder:?} {builder:#?}"));
        let lock = builder.build().unwrap();
        assert_no_secret(&format!("{lock:?} {lock:#?}"));
    });
}

/// The bytes of a token as Rust prints them, and in hexadecimal.
fn printed(token: &[u8; 16]) -> [String; 3] {
    let hex = |case: fn(&u8) -> String| token.iter().map(case).collect::<String>();
    let bytes = format!("{token:?}");
    [bytes.trim_matches(['[', ']']).to_owned(), hex(|byte| format!("{byte:02x}")), hex(|byte| format!("{byte:02X}"))]
}

#[test]
fn lock_values_are_never_printed() {
    simulate(async |sim| {
        let servers = Servers::new(&sim, 3);
        let lock = servers.redlock();
        servers.delays_ms([5, 5, 50]);
        let held = take(&lock, &["seat"]).await;
        let extending = {
            let (lock, mut held) = (lock.clone(), held.clone());
            sim.start(async move { lock.extend(&mut held, TTL).await })
        };
        sim.sleep_for(millis(1)).await;
        let mut text = format!("{held:?} {lock:?} {:?}", lock.try_acquire(&keys(&["seat"]), TTL).await);
        assert!(text.contains("LockToken(..)"), "{text}");
        extending.answer().await.unwrap();
        servers.all[..2].iter().for_each(|redis| {
            redis.connecting(Connecting::Fails).lose_connections();
        });
        let error = lock.acquire_all(&keys(&["seat"]), TTL).await.unwrap_err();
        text += &texts(&error);
        for written in printed(held[0].token().as_bytes()) {
            assert!(!text.contains(&written), "{text}");
        }
        sim.sleep_for(seconds(1)).await;
    });
}
