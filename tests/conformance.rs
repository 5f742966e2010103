//! Every adapter of this crate against the conformance suites, each case a test of its own.
//!
//! A program without libtest's `main`, because it is also the worker process of the suites. Each adapter's own part is what
//! a third-party adapter's whole test file looks like.

#[cfg(any(feature = "sqlite", feature = "postgres", feature = "mssql", feature = "redlock", feature = "rslock"))]
use std::ffi::OsStr;
use std::process::{Command, ExitCode};
use std::sync::Arc;

use async_trait::async_trait;
use ticket_reservation::adapters::memory::{MemoryLock, MemoryRepository};
use ticket_reservation::conformance::{
    HarnessError, LockCapability, LockHarness, LockSpace, RepositoryCapability, RepositoryHarness, Runner, Store,
};
use ticket_reservation::ports::{Lock, Repository, Runtime};

#[cfg(feature = "mssql")]
#[path = "../benches/common/mssql_server.rs"]
mod mssql_server;
#[cfg(feature = "postgres")]
#[path = "../examples/flash_sale/postgres_server/mod.rs"]
mod postgres_server;
#[cfg(any(feature = "redlock", feature = "rslock"))]
#[path = "../examples/flash_sale/redis_servers/mod.rs"]
mod redis_servers;
#[path = "common/runtime.rs"]
mod runtime;
use runtime::TestRuntime;

#[derive(Clone)]
struct Memory(Arc<dyn Runtime>);

struct MemoryStore(MemoryRepository);

#[async_trait]
impl RepositoryHarness for Memory {
    async fn fresh(&self) -> Result<Box<dyn Store>, HarnessError> {
        Ok(Box::new(MemoryStore(MemoryRepository::new())))
    }

    fn runtime(&self) -> Arc<dyn Runtime> {
        Arc::clone(&self.0)
    }

    fn counts_on(&self) -> bool {
        true
    }

    fn lacks(&self) -> &[RepositoryCapability] {
        &[RepositoryCapability::OtherProcesses]
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn open(&self) -> Result<Arc<dyn Repository>, HarnessError> {
        Ok(Arc::new(self.0.clone()))
    }

    fn worker(&self) -> Option<Command> {
        None
    }
}

/// What no single process can do.
const PROCESSES: &[&str] = &[
    "processes::many_processes_sell_nothing_twice",
    "processes::a_killed_process_leaves_nothing_half_done",
    "processes::many_processes_open_one_fresh_store_at_once",
];
const LOCK_PROCESSES: &[&str] = &[
    "processes::of_many_processes_one_at_a_time_gets_in",
    "processes::a_killed_process_locks_nothing_for_longer_than_its_ttl",
];

struct MemoryLocks(MemoryLock);

#[async_trait]
impl LockHarness for Memory {
    async fn fresh(&self) -> Result<Box<dyn LockSpace>, HarnessError> {
        Ok(Box::new(MemoryLocks(MemoryLock::new(Arc::clone(&self.0)))))
    }

    fn runtime(&self) -> Arc<dyn Runtime> {
        Arc::clone(&self.0)
    }

    fn lacks(&self) -> &[LockCapability] {
        &[LockCapability::OtherProcesses]
    }
}

#[async_trait]
impl LockSpace for MemoryLocks {
    async fn open(&self) -> Result<Arc<dyn Lock>, HarnessError> {
        Ok(Arc::new(self.0.clone()))
    }

    fn worker(&self) -> Option<Command> {
        None
    }
}

#[cfg(feature = "sqlite")]
mod sqlite {
    use tempfile::TempDir;
    use ticket_reservation::adapters::sqlite::{SqliteLock, SqliteRepository};
    use ticket_reservation::conformance::this_program;

    use super::*;

    #[derive(Clone)]
    pub(super) struct Sqlite(pub(super) Arc<dyn Runtime>);

    /// A folder that goes when the case has ended.
    struct Folder(TempDir, Sqlite);

    #[async_trait]
    impl RepositoryHarness for Sqlite {
        async fn fresh(&self) -> Result<Box<dyn Store>, HarnessError> {
            Ok(Box::new(Folder(tempfile::tempdir()?, self.clone())))
        }

        fn runtime(&self) -> Arc<dyn Runtime> {
            Arc::clone(&self.0)
        }

        fn counts_on(&self) -> bool {
            true
        }

        async fn join(&self, path: &OsStr) -> Result<Arc<dyn Repository>, HarnessError> {
            Ok(Arc::new(SqliteRepository::builder(path).open()?))
        }
    }

    #[async_trait]
    impl Store for Folder {
        async fn open(&self) -> Result<Arc<dyn Repository>, HarnessError> {
            RepositoryHarness::join(&self.1, self.0.path().join("store.db").as_os_str()).await
        }

        fn worker(&self) -> Option<Command> {
            Some(this_program(self.0.path().join("store.db")))
        }
    }

    #[async_trait]
    impl LockHarness for Sqlite {
        async fn fresh(&self) -> Result<Box<dyn LockSpace>, HarnessError> {
            Ok(Box::new(Folder(tempfile::tempdir()?, self.clone())))
        }

        fn runtime(&self) -> Arc<dyn Runtime> {
            Arc::clone(&self.0)
        }

        async fn join(&self, path: &OsStr) -> Result<Arc<dyn Lock>, HarnessError> {
            Ok(Arc::new(SqliteLock::builder(path, Arc::clone(&self.0)).open()?))
        }
    }

    #[async_trait]
    impl LockSpace for Folder {
        async fn open(&self) -> Result<Arc<dyn Lock>, HarnessError> {
            LockHarness::join(&self.1, self.0.path().join("locks.db").as_os_str()).await
        }

        fn worker(&self) -> Option<Command> {
            Some(this_program(self.0.path().join("locks.db")))
        }
    }
}

/// One private server for all cases of a process, started when the first one needs it. Each store has a schema of its own.
#[cfg(feature = "postgres")]
mod postgres {
    use std::sync::{Mutex, PoisonError};

    use ticket_reservation::adapters::postgres::PostgresRepository;
    use ticket_reservation::conformance::this_program;

    use super::*;
    use crate::postgres_server::{Durability, PostgresServer};

    #[derive(Clone)]
    pub(super) struct Postgres {
        server: Arc<Mutex<Option<PostgresServer>>>,
        runtime: Arc<dyn Runtime>,
    }

    /// A schema and the server's address.
    struct Schema {
        name: String,
        url: String,
        runtime: Arc<dyn Runtime>,
    }

    impl Postgres {
        pub(super) fn new(runtime: &Arc<dyn Runtime>) -> Self {
            Self { server: Arc::default(), runtime: Arc::clone(runtime) }
        }
    }

    impl Schema {
        async fn open(&self) -> Result<Arc<dyn Repository>, HarnessError> {
            let builder = PostgresRepository::builder(&self.url, Arc::clone(&self.runtime)).schema(&self.name);
            let repository = builder.plain_on_loopback().pool_size(4).build()?;
            repository.migrate().await?;
            Ok(Arc::new(repository))
        }
    }

    #[async_trait]
    impl RepositoryHarness for Postgres {
        async fn fresh(&self) -> Result<Box<dyn Store>, HarnessError> {
            let mut server = self.server.lock().unwrap_or_else(PoisonError::into_inner);
            if server.is_none() {
                *server = Some(PostgresServer::start(Durability::Forgetful)?);
            }
            let url = server.as_ref().map(PostgresServer::url).unwrap_or_default();
            let name = format!("case {:016x}", self.runtime.random());
            Ok(Box::new(Schema { name, url, runtime: Arc::clone(&self.runtime) }))
        }

        fn runtime(&self) -> Arc<dyn Runtime> {
            Arc::clone(&self.runtime)
        }

        fn counts_on(&self) -> bool {
            true
        }

        async fn join(&self, address: &OsStr) -> Result<Arc<dyn Repository>, HarnessError> {
            let (url, name) = address.to_str().and_then(|it| it.split_once('|')).ok_or("no address of a store")?;
            let schema = Schema { name: name.to_owned(), url: url.to_owned(), runtime: Arc::clone(&self.runtime) };
            schema.open().await
        }
    }

    #[async_trait]
    impl Store for Schema {
        async fn open(&self) -> Result<Arc<dyn Repository>, HarnessError> {
            Schema::open(self).await
        }

        fn worker(&self) -> Option<Command> {
            Some(this_program(format!("{}|{}", self.url, self.name)))
        }
    }
}

/// The SQL Server that the environment names. Each store has a schema of its own, which stays: the database is thrown away.
#[cfg(feature = "mssql")]
mod mssql {
    use ticket_reservation::conformance::this_program;

    use super::*;
    use crate::mssql_server;

    #[derive(Clone)]
    pub(super) struct Mssql {
        pub(super) connection_string: String,
        pub(super) runtime: Arc<dyn Runtime>,
    }

    struct Schema(String, Mssql);

    #[async_trait]
    impl RepositoryHarness for Mssql {
        async fn fresh(&self) -> Result<Box<dyn Store>, HarnessError> {
            Ok(Box::new(Schema(format!("case {:016x}", self.runtime.random()), self.clone())))
        }

        fn runtime(&self) -> Arc<dyn Runtime> {
            Arc::clone(&self.runtime)
        }

        fn counts_on(&self) -> bool {
            true
        }

        async fn join(&self, schema: &OsStr) -> Result<Arc<dyn Repository>, HarnessError> {
            Schema(schema.to_str().ok_or("not UTF-8")?.to_owned(), self.clone()).open().await
        }
    }

    #[async_trait]
    impl Store for Schema {
        async fn open(&self) -> Result<Arc<dyn Repository>, HarnessError> {
            let Self(schema, Mssql { connection_string, runtime }) = self;
            let builder = mssql_server::builder(connection_string, schema, Arc::clone(runtime));
            let repository = builder.pool_size(4).build()?;
            repository.migrate().await?;
            Ok(Arc::new(repository))
        }

        fn worker(&self) -> Option<Command> {
            Some(this_program(&self.0))
        }
    }
}

/// Three Redis servers for all cases of a process, started when the first one needs them. Each lock space has a prefix of
/// its own.
#[cfg(any(feature = "redlock", feature = "rslock"))]
mod redis {
    use std::sync::{Mutex, PoisonError};

    use super::*;
    use crate::redis_servers::RedisServers;

    #[derive(Clone)]
    pub(super) struct Redis {
        servers: Arc<Mutex<Option<RedisServers>>>,
        pub(super) runtime: Arc<dyn Runtime>,
    }

    /// How other processes find a lock space: its prefix and the servers, in one line.
    #[derive(Clone)]
    pub(super) struct Address {
        pub(super) key_prefix: String,
        pub(super) urls: Vec<String>,
    }

    impl Redis {
        pub(super) fn new(runtime: &Arc<dyn Runtime>) -> Self {
            Self { servers: Arc::default(), runtime: Arc::clone(runtime) }
        }

        /// A lock space of which nothing is held.
        pub(super) fn fresh(&self) -> Result<Address, HarnessError> {
            let mut servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
            if servers.is_none() {
                *servers = Some(RedisServers::start(3)?);
            }
            let urls = servers.as_ref().map(RedisServers::urls).unwrap_or_default();
            Ok(Address { key_prefix: format!("{:016x}:", self.runtime.random()), urls })
        }
    }

    impl Address {
        pub(super) fn to_line(&self) -> String {
            format!("{} {}", self.key_prefix, self.urls.join(" "))
        }

        pub(super) fn of_line(line: &OsStr) -> Result<Self, HarnessError> {
            let mut words = line.to_str().ok_or("not UTF-8")?.split(' ').map(ToOwned::to_owned);
            Ok(Self { key_prefix: words.next().ok_or("no prefix")?, urls: words.collect() })
        }
    }
}

#[cfg(feature = "rslock")]
mod rslock {
    use ticket_reservation::adapters::rslock::{RslockLock, rslock::LockManager};
    use ticket_reservation::conformance::this_program;

    use super::redis::{Address, Redis};
    use super::*;

    pub(super) struct Rslock(pub(super) Redis);

    struct Keys(Address, Arc<dyn Runtime>);

    /// What rslock cannot do, and the cases about it.
    const LACKS: &[LockCapability] =
        &[LockCapability::RemainingTime, LockCapability::KeysAtOnce, LockCapability::Extension];
    pub(super) const SKIPPED: &[&str] = &[
        "leases::extending_prolongs",
        "deadlines::an_extensions_time_begins_before_the_lock_is_asked",
        "contention::who_is_refused_learns_how_long_the_holder_may_keep_the_key",
        "contention::who_does_not_get_all_keys_keeps_others_from_none",
    ];

    fn open(address: Address, runtime: &Arc<dyn Runtime>) -> Arc<dyn Lock> {
        let manager = LockManager::new(address.urls);
        Arc::new(RslockLock::builder(manager, Arc::clone(runtime)).key_prefix(address.key_prefix).build())
    }

    #[async_trait]
    impl LockHarness for Rslock {
        async fn fresh(&self) -> Result<Box<dyn LockSpace>, HarnessError> {
            Ok(Box::new(Keys(self.0.fresh()?, self.runtime())))
        }

        fn runtime(&self) -> Arc<dyn Runtime> {
            Arc::clone(&self.0.runtime)
        }

        async fn join(&self, address: &OsStr) -> Result<Arc<dyn Lock>, HarnessError> {
            Ok(open(Address::of_line(address)?, &self.0.runtime))
        }

        fn lacks(&self) -> &[LockCapability] {
            LACKS
        }
    }

    #[async_trait]
    impl LockSpace for Keys {
        async fn open(&self) -> Result<Arc<dyn Lock>, HarnessError> {
            Ok(open(self.0.clone(), &self.1))
        }

        fn worker(&self) -> Option<Command> {
            Some(this_program(self.0.to_line()))
        }
    }
}

#[cfg(feature = "redlock")]
mod redlock {
    use ticket_reservation::adapters::redlock::Redlock;
    use ticket_reservation::conformance::this_program;

    use super::redis::{Address, Redis};
    use super::*;

    pub(super) struct Nodes(pub(super) Redis);

    struct Keys(Address, Arc<dyn Runtime>);

    fn open(address: Address, runtime: &Arc<dyn Runtime>) -> Result<Arc<dyn Lock>, HarnessError> {
        let builder = Redlock::builder(Arc::clone(runtime)).nodes(address.urls).key_prefix(address.key_prefix);
        Ok(Arc::new(builder.build()?))
    }

    #[async_trait]
    impl LockHarness for Nodes {
        async fn fresh(&self) -> Result<Box<dyn LockSpace>, HarnessError> {
            Ok(Box::new(Keys(self.0.fresh()?, self.runtime())))
        }

        fn runtime(&self) -> Arc<dyn Runtime> {
            Arc::clone(&self.0.runtime)
        }

        async fn join(&self, address: &OsStr) -> Result<Arc<dyn Lock>, HarnessError> {
            open(Address::of_line(address)?, &self.0.runtime)
        }
    }

    #[async_trait]
    impl LockSpace for Keys {
        async fn open(&self) -> Result<Arc<dyn Lock>, HarnessError> {
            open(self.0.clone(), &self.1)
        }

        fn worker(&self) -> Option<Command> {
            Some(this_program(self.0.to_line()))
        }
    }
}

fn main() -> ExitCode {
    let tokio = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a tokio runtime");
    let runtime: Arc<dyn Runtime> = {
        let _inside = tokio.enter();
        TestRuntime::current()
    };
    let memory = Memory(Arc::clone(&runtime));
    let runner = Runner::new()
        .repository("memory", memory.clone())
        .skips_only(PROCESSES)
        .lock("memory", memory)
        .skips_only(LOCK_PROCESSES);
    #[cfg(feature = "sqlite")]
    let runner = {
        let sqlite = sqlite::Sqlite(Arc::clone(&runtime));
        runner.repository("sqlite", sqlite.clone()).skips_nothing().lock("sqlite", sqlite).skips_nothing()
    };
    #[cfg(feature = "postgres")]
    let runner = runner.repository("postgres", postgres::Postgres::new(&runtime)).skips_nothing();
    #[cfg(feature = "mssql")]
    let runner = match mssql_server::connection_string() {
        Some(connection_string) => runner
            .repository("mssql", mssql::Mssql { connection_string, runtime: Arc::clone(&runtime) })
            .skips_nothing(),
        None => runner,
    };
    #[cfg(any(feature = "redlock", feature = "rslock"))]
    let redis = redis::Redis::new(&runtime);
    #[cfg(feature = "redlock")]
    let runner = runner.lock("redlock", redlock::Nodes(redis.clone())).skips_nothing();
    #[cfg(feature = "rslock")]
    let runner = runner.lock("rslock", rslock::Rslock(redis.clone())).skips_only(rslock::SKIPPED);
    runner.run()
}
