//! Every adapter of this crate against the conformance suites, each case a test of its own.
//!
//! A program without libtest's `main`, because it is also the worker process of the suites. Each adapter's own part is what
//! a third-party adapter's whole test file looks like.

mod memory;
#[cfg(feature = "mssql")]
mod mssql;
#[cfg(feature = "mssql")]
#[path = "../../benches/common/mssql_server.rs"]
mod mssql_server;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "postgres")]
#[path = "../../examples/flash_sale/postgres_server/mod.rs"]
mod postgres_server;
#[cfg(any(feature = "redlock", feature = "rslock"))]
mod redis;
#[cfg(any(feature = "redlock", feature = "rslock"))]
#[path = "../../examples/flash_sale/redis_servers/mod.rs"]
mod redis_servers;
#[cfg(feature = "redlock")]
mod redlock;
#[cfg(feature = "rslock")]
mod rslock;
#[path = "../common/runtime.rs"]
mod runtime;
#[cfg(feature = "sqlite")]
mod sqlite;

use std::process::ExitCode;
use std::sync::Arc;

use memory::{LOCK_PROCESSES, Memory, PROCESSES};
use runtime::TestRuntime;
use ticket_reservation::conformance::Runner;
use ticket_reservation::ports::Runtime;

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
