//! No secret is said: passwords and the tokens of locks are planted wherever a host may put them, everything fails that can be
//! made to, and all that was said meanwhile is searched: errors and their causes, `{:?}` and `{:#?}` of everything,
//! observations, and `tracing` and `log` at every level, the drivers' own included.
#![cfg(all(
    unix,
    feature = "mssql",
    feature = "postgres",
    feature = "redlock",
    feature = "rslock",
    feature = "sqlite",
    feature = "tracing"
))]

#[path = "../mssql_protocol/answers.rs"]
#[allow(dead_code, reason = "each test file uses its own part")]
mod answers;
#[path = "../common/authority.rs"]
mod authority;
#[path = "../../examples/flash_sale/postgres_server/mod.rs"]
mod postgres_server;
#[path = "../../examples/flash_sale/redis_servers/mod.rs"]
mod redis_servers;
#[path = "../common/runtime.rs"]
mod runtime;
#[path = "../common/scripted_tds/mod.rs"]
mod scripted_tds;
#[path = "../common/wrong_strings.rs"]
mod wrong_strings;

mod collector;
mod locks;
mod mssql;
mod on_redis;
mod postgres;
mod secret;
mod stores;
mod told;

use std::future::Future;
use std::time::Duration;

use collector::{Collector, Origin};
use secret::Secrets;

/// How long a call has that is not to be answered.
const NOT_LONG: Duration = Duration::from_millis(200);

/// How long anything may take.
const AT_MOST: Duration = Duration::from_secs(60);

async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(AT_MOST, what).await.expect("it does not take so long")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_is_said() {
    let said = Collector::installed();
    let mut secrets = Secrets::default();
    postgres::say_everything(said, &mut secrets).await;
    mssql::say_everything(said, &mut secrets).await;
    on_redis::say_everything(said, &mut secrets).await;
    locks::say_everything(said, &mut secrets).await;

    let found = secrets.found_in(&said.texts());
    assert!(found.is_empty(), "{} were found:\n{}", found.len(), found.join("\n"));
    // A search of nothing finds nothing.
    assert!(secrets.len() >= 20, "only {} secrets were planted", secrets.len());
    for (origin, least) in [
        (Origin::Debug, 300),
        (Origin::Error, 300),
        (Origin::Tracing("ticket_reservation"), 20),
        (Origin::Tracing("tiberius"), 50),
        (Origin::Log("tokio_postgres"), 50),
        (Origin::Log("rustls"), 5),
    ] {
        let count = said.count(origin);
        assert!(count >= least, "only {count} texts are of {origin:?}");
    }
}

/// Whatever way a secret is said, it is found.
#[test]
fn a_secret_that_is_said_is_found() {
    use ticket_reservation::adapters::tracing::tracing;
    use ticket_reservation::ports::LockError;

    let said = Collector::installed();
    let secret = "canary-that-sings-82c4";
    let ways: [(&str, &dyn Fn()); 8] = [
        ("Debug", &|| said.debug("one", &Some(secret))),
        ("Display", &|| said.error("one", &std::io::Error::other(secret))),
        ("a cause", &|| said.error("one", &LockError::new(secret))),
        ("bytes", &|| said.debug("one", &secret.as_bytes())),
        ("an event", &|| tracing::trace!(password = secret, "in a field")),
        ("a message", &|| tracing::debug!("it is {secret}")),
        ("a span", &|| drop(tracing::trace_span!("one", password = secret).entered())),
        ("a log", &|| log::trace!("it is {secret}")),
    ];
    for (way, say) in ways {
        let before = said.texts().len();
        say();
        let mut secrets = Secrets::default();
        secrets.plant("one", secret);
        assert!(!secrets.found_in(&said.texts()[before..]).is_empty(), "nothing was found of {way}");
    }
}

/// A secret in other clothes is found as well.
#[test]
fn a_secret_is_known_however_it_is_written() {
    let mut secrets = Secrets::default();
    secrets.plant("one", "canary");
    for text in [
        "postgresql://box_office:canary@127.0.0.1",
        "[99, 97, 110, 97, 114, 121]",
        "[\n    99,\n    97,\n    110,\n    97,\n    114,\n    121,\n]",
        "63616e617279",
        "63616E617279",
        "[99, 0, 97, 0, 110, 0, 97, 0, 114, 0, 121, 0]",
        "c\\0a\\0n\\0a\\0r\\0y\\0",
        "147, 165, 179, 165, 67, 165, 179, 165, 130, 165, 50, 165",
    ] {
        assert_eq!(secrets.found_in(&[text.to_owned()]).len(), 1, "{text}");
    }
    assert_eq!(secrets.found_in(&["a canine, 99".to_owned()]), [""; 0]);
}
