//! What the tests of the PostgreSQL adapter share: a server, what is committed there, and who is in the way.

#![allow(dead_code, reason = "each test uses its own part")]

pub(crate) mod blocker;
#[path = "../common/chain.rs"]
pub(crate) mod chain;
pub(crate) mod failing;
#[path = "../common/one_event.rs"]
pub(crate) mod groups;
#[path = "../common/other_clock.rs"]
pub(crate) mod other_clock;
#[path = "../../examples/flash_sale/postgres_server/mod.rs"]
pub(crate) mod postgres_server;
#[path = "../common/runtime.rs"]
pub(crate) mod runtime;

use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use ticket_reservation::adapters::postgres::{PostgresRepository, PostgresRepositoryBuilder};

use self::postgres_server::{Durability, PostgresServer};
use self::runtime::TestRuntime;

/// One server for all tests of this program. Each has a schema of its own.
pub(crate) fn server() -> &'static PostgresServer {
    static SERVER: OnceLock<Mutex<&'static PostgresServer>> = OnceLock::new();
    let server = SERVER.get_or_init(|| {
        let server = PostgresServer::start(Durability::Forgetful).expect("a server");
        Mutex::new(Box::leak(Box::new(server)))
    });
    *server.lock().expect("no test fails in here")
}

/// How long a test may wait for anything.
pub(crate) const AT_MOST: Duration = Duration::from_secs(30);

/// A repository in a schema of its own, which has no tables yet.
pub(crate) fn builder(schema: &str) -> PostgresRepositoryBuilder {
    PostgresRepository::builder(server().url(), TestRuntime::current()).schema(schema).plain_on_loopback()
}

pub(crate) async fn migrated(schema: &str) -> PostgresRepository {
    let repository = builder(schema).build().expect("an address");
    repository.migrate().await.expect("tables");
    repository
}
