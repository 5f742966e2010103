//! Every adapter of this crate against the conformance suites, each case a test of its own.
//!
//! A harness of its own, because the test binary is also the worker process of the repository suite. It understands
//! what `cargo test` and `cargo nextest` pass: `--list`, `--exact`, `--ignored`, `--skip`, filters.

use std::process::ExitCode;
use std::sync::Arc;

use async_trait::async_trait;
use ticket_reservation::adapters::memory::{MemoryLock, MemoryRepository};
use ticket_reservation::conformance::{self, LockHarness, LockSpace, Report, RepositoryHarness, Store};
use ticket_reservation::ports::{Lock, Repository, Runtime};

#[path = "common/runtime.rs"]
mod runtime;
use runtime::TestRuntime;

struct Memory(Arc<dyn Runtime>);

struct MemoryStore(MemoryRepository);

#[async_trait]
impl RepositoryHarness for Memory {
    async fn fresh(&self) -> Box<dyn Store> {
        Box::new(MemoryStore(MemoryRepository::new()))
    }

    fn runtime(&self) -> Arc<dyn Runtime> {
        Arc::clone(&self.0)
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn open(&self) -> Arc<dyn Repository> {
        Arc::new(self.0.clone())
    }

    fn worker(&self) -> Option<std::process::Command> {
        None
    }
}

struct MemoryLocks(MemoryLock);

#[async_trait]
impl LockHarness for Memory {
    async fn fresh(&self) -> Box<dyn LockSpace> {
        Box::new(MemoryLocks(MemoryLock::new(Arc::clone(&self.0))))
    }

    fn runtime(&self) -> Arc<dyn Runtime> {
        Arc::clone(&self.0)
    }
}

#[async_trait]
impl LockSpace for MemoryLocks {
    async fn open(&self) -> Arc<dyn Lock> {
        Arc::new(self.0.clone())
    }
}

#[cfg(feature = "sqlite")]
mod sqlite {
    use std::path::PathBuf;

    use tempfile::TempDir;
    use ticket_reservation::adapters::sqlite::{SqliteLock, SqliteRepository};

    use super::*;

    /// Where a worker process finds the store's file.
    pub(super) const PATH: &str = "CONFORMANCE_SQLITE_PATH";

    pub(super) struct Sqlite(pub(super) Arc<dyn Runtime>);

    /// A folder that goes when the case has ended.
    struct Folder {
        folder: TempDir,
        runtime: Arc<dyn Runtime>,
    }

    impl Sqlite {
        fn folder(&self) -> Folder {
            let folder = tempfile::tempdir().expect("a temporary folder");
            Folder { folder, runtime: Arc::clone(&self.0) }
        }
    }

    pub(super) fn repository(path: PathBuf) -> Arc<dyn Repository> {
        Arc::new(SqliteRepository::builder(path).open().expect("the store opens"))
    }

    #[async_trait]
    impl RepositoryHarness for Sqlite {
        async fn fresh(&self) -> Box<dyn Store> {
            Box::new(self.folder())
        }

        fn runtime(&self) -> Arc<dyn Runtime> {
            Arc::clone(&self.0)
        }
    }

    #[async_trait]
    impl Store for Folder {
        async fn open(&self) -> Arc<dyn Repository> {
            repository(self.folder.path().join("store.db"))
        }

        fn worker(&self) -> Option<std::process::Command> {
            let program = std::env::current_exe().expect("this program's own path");
            let mut command = std::process::Command::new(program);
            command.env(PATH, self.folder.path().join("store.db"));
            Some(command)
        }
    }

    #[async_trait]
    impl LockHarness for Sqlite {
        async fn fresh(&self) -> Box<dyn LockSpace> {
            Box::new(self.folder())
        }

        fn runtime(&self) -> Arc<dyn Runtime> {
            Arc::clone(&self.0)
        }
    }

    #[async_trait]
    impl LockSpace for Folder {
        async fn open(&self) -> Arc<dyn Lock> {
            let path = self.folder.path().join("locks.db");
            Arc::new(SqliteLock::builder(path, Arc::clone(&self.runtime)).open().expect("the locks open"))
        }
    }
}

/// The names of all tests, `adapter::suite::theme::case`.
fn tests() -> Vec<String> {
    let mut tests = Vec::new();
    for adapter in ADAPTERS {
        let repository = conformance::repository_cases().into_iter().map(|case| format!("repository::{case}"));
        let lock = conformance::lock_cases().into_iter().map(|case| format!("lock::{case}"));
        tests.extend(repository.chain(lock).map(|case| format!("{adapter}::{case}")));
    }
    tests
}

#[cfg(feature = "sqlite")]
const ADAPTERS: &[&str] = &["memory", "sqlite"];
#[cfg(not(feature = "sqlite"))]
const ADAPTERS: &[&str] = &["memory"];

async fn run(test: &str, runtime: &Arc<dyn Runtime>) -> Report {
    let mut parts = test.splitn(3, "::");
    let (adapter, suite, case) = (parts.next(), parts.next(), parts.next().unwrap_or_default());
    let wanted = |name: &str| name == case;
    let runtime = Arc::clone(runtime);
    match (adapter, suite) {
        (Some("memory"), Some("repository")) => conformance::repository_where(&Memory(runtime), wanted).await,
        (Some("memory"), Some("lock")) => conformance::lock_where(&Memory(runtime), wanted).await,
        #[cfg(feature = "sqlite")]
        (Some("sqlite"), Some("repository")) => conformance::repository_where(&sqlite::Sqlite(runtime), wanted).await,
        #[cfg(feature = "sqlite")]
        (Some("sqlite"), Some("lock")) => conformance::lock_where(&sqlite::Sqlite(runtime), wanted).await,
        _ => Report::default(),
    }
}

/// What the command line asks for.
#[derive(Default)]
struct Arguments {
    list: bool,
    exact: bool,
    ignored: bool,
    filters: Vec<String>,
    skipped: Vec<String>,
}

impl Arguments {
    fn read() -> Self {
        let mut read = Self::default();
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--list" => read.list = true,
                "--exact" => read.exact = true,
                "--ignored" => read.ignored = true,
                "--skip" => read.skipped.extend(arguments.next()),
                "--format" | "--test-threads" | "--color" | "--logfile" | "-Z" => drop(arguments.next()),
                option if option.starts_with('-') => {}
                filter => read.filters.push(filter.to_owned()),
            }
        }
        read
    }

    fn wants(&self, test: &str) -> bool {
        let matches = |filter: &String| if self.exact { test == filter } else { test.contains(filter.as_str()) };
        // None of these tests is ignored.
        !self.ignored
            && (self.filters.is_empty() || self.filters.iter().any(matches))
            && !self.skipped.iter().any(matches)
    }
}

async fn run_wanted(arguments: &Arguments) -> ExitCode {
    let runtime: Arc<dyn Runtime> = TestRuntime::current();
    let started = std::time::Instant::now();
    let (mut ran, mut skipped, mut failed) = (0, 0, Vec::new());
    for test in tests().into_iter().filter(|test| arguments.wants(test)) {
        let report = run(&test, &runtime).await;
        let suite = test.split("::").take(2).collect::<Vec<_>>().join("::");
        for case in report.cases() {
            println!("{suite:18} {case}");
            ran += 1;
            skipped += usize::from(matches!(case.verdict(), conformance::Verdict::Skipped { .. }));
        }
        if !report.is_passed() {
            failed.push(test);
        }
    }
    println!("{ran} cases, {skipped} skipped, {} failed, {:.1} s", failed.len(), started.elapsed().as_secs_f64());
    for test in &failed {
        println!("FAILED {test}");
    }
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The other end of the suite's processes.
async fn run_worker() -> ExitCode {
    #[cfg(feature = "sqlite")]
    if let Some(path) = std::env::var_os(sqlite::PATH) {
        let repository = sqlite::repository(path.into());
        return match conformance::worker(repository, TestRuntime::current()).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{error}");
                ExitCode::FAILURE
            }
        };
    }
    eprintln!("a worker without a store");
    ExitCode::FAILURE
}

fn main() -> ExitCode {
    let tokio = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a tokio runtime");
    if conformance::is_worker() {
        return tokio.block_on(run_worker());
    }
    let arguments = Arguments::read();
    if arguments.list {
        for test in tests().iter().filter(|test| arguments.wants(test)) {
            println!("{test}: test");
        }
        return ExitCode::SUCCESS;
    }
    tokio.block_on(run_wanted(&arguments))
}
